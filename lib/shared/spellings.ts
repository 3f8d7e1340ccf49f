/**
 * Names as they are written, and in lower case: SageMaker writes them so into ARNs, and whether IAM and events compare
 * them so is undocumented.
 */
export function bothSpellings(names: readonly string[]): string[] {
  return [...new Set(names.flatMap((name) => [name, name.toLowerCase()]))];
}
