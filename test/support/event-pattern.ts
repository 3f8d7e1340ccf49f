/**
 * Whether EventBridge would match an event, for the operators that the patterns here use.
 *
 * Fields of a pattern are combined with "and", the values in a list with "or"; what the pattern does not mention
 * may be anything. An operator that this does not know is an error, not a mismatch.
 */
export function matches(pattern: object, event: unknown): boolean {
  return Object.entries(pattern).every(([field, expected]) => {
    const actual = (event as Record<string, unknown> | undefined)?.[field];
    if (!Array.isArray(expected)) return matches(expected as object, actual);
    return [actual].flat().some((value) => expected.some((matcher) => matchesValue(matcher, value)));
  });
}

function matchesValue(matcher: unknown, value: unknown): boolean {
  if (typeof matcher !== 'object' || matcher === null) return matcher === value;
  const [[operator, operand] = []] = Object.entries(matcher) as [string, unknown][];
  const text = typeof value === 'string' ? value : undefined;
  if (typeof operand !== 'string')
    throw new Error(`${operator} needs a text, got ${JSON.stringify(operand)}`);
  switch (operator) {
    case 'prefix':
      return text?.startsWith(operand) === true;
    case 'wildcard': {
      if (operand.includes('**')) throw new Error(`EventBridge refuses ** in a wildcard: ${operand}`);
      const source = operand.split('*').map((part) => part.replace(/[\\^$.+?()[\]{}|]/g, '\\$&'));
      return text !== undefined && new RegExp(`^${source.join('.*')}$`, 's').test(text);
    }
    default:
      throw new Error(`this matcher does not know the operator ${operator}`);
  }
}
