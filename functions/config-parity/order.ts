/*
 * One order wherever it runs: by code units, whatever the locale. Pure.
 */

/** In ascending order of code units. */
export const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** In ascending order of what each item is sorted by, which is asked once. */
export function sortedBy<T>(items: readonly T[], key: (item: T) => string): T[] {
  return items
    .map((item) => [key(item), item] as const)
    .sort(([a], [b]) => order(a, b))
    .map(([, item]) => item);
}
