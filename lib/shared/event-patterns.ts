import type { EventPattern } from 'aws-cdk-lib/aws-events';

/** EventBridge takes event patterns of at most so many characters. */
const MAX_PATTERN = 2048;

/**
 * Event patterns that match any of these names, as few as the names fit into.
 *
 * @param patternOf the pattern of some of them
 */
export function patternsOf(
  names: readonly string[],
  patternOf: (names: string[]) => EventPattern,
): EventPattern[] {
  const fits = (some: string[]) =>
    // As it is deployed, the key of the detail type is longer by its hyphen.
    Buffer.byteLength(JSON.stringify(patternOf(some))) < MAX_PATTERN;
  const groups: string[][] = [];
  for (const name of new Set(names)) {
    const group = groups.at(-1);
    if (group !== undefined && fits([...group, name])) group.push(name);
    else groups.push([name]);
  }
  return groups.map(patternOf);
}
