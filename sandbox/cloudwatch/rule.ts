import type { StateValue } from './judge.ts';

/** The rule of a composite alarm. */
export interface Rule {
  /** Names of the alarms that it speaks of, each once. */
  children: readonly string[];
  /** Whether the composite is to be in ALARM. */
  holds(stateOf: (name: string) => StateValue): boolean;
}

/** A rule that cannot be parsed. Its message is for who wrote it. */
export class RuleError extends Error {}

type Term = Rule['holds'];

/** A function with its alarm, a word, or a parenthesis. Names may be quoted, and may be ARNs. */
const TOKEN =
  /\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"((?:[^"\\]|\\.)+)"|([^"()]+?))\s*\)|(AND|OR|NOT|TRUE|FALSE)\b|([()]))/y;

interface Token {
  text: string;
  /** Of a function: the state that it asks for, and of which alarm. */
  asks?: { state: StateValue; alarm: string };
}

/** NOT binds stronger than AND, and AND stronger than OR. */
export function parseRule(text: string): Rule {
  const tokens = tokenize(text);
  const fail = (what: string) => new RuleError(`The alarm rule "${text}" is not valid: ${what}.`);
  let next = 0;
  const take = (word: string) => {
    if (tokens[next]?.text !== word) return false;
    next++;
    return true;
  };
  const either = (): Term => {
    const terms = [both()];
    while (take('OR')) terms.push(both());
    return (stateOf) => terms.some((term) => term(stateOf));
  };
  const both = (): Term => {
    const terms = [one()];
    while (take('AND')) terms.push(one());
    return (stateOf) => terms.every((term) => term(stateOf));
  };
  const one = (): Term => {
    if (take('NOT')) {
      const term = one();
      return (stateOf) => !term(stateOf);
    }
    if (take('(')) {
      const term = either();
      if (!take(')')) throw fail('a parenthesis is not closed');
      return term;
    }
    if (take('TRUE')) return () => true;
    if (take('FALSE')) return () => false;
    const { asks, text: word } = tokens[next++] ?? {};
    if (asks === undefined) throw fail(word === undefined ? 'it ends too early' : `${word} is not expected`);
    return (stateOf) => stateOf(asks.alarm) === asks.state;
  };
  const holds = either();
  if (next < tokens.length) throw fail(`${tokens[next]?.text} is not expected`);
  return { children: [...new Set(tokens.flatMap(({ asks }) => asks?.alarm ?? []))], holds };
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.trimEnd().length) {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(text);
    if (found === null) {
      throw new RuleError(`The alarm rule "${text}" is not valid at "${text.slice(at).trim()}".`);
    }
    const [, state, quoted, plain, word, parenthesis] = found;
    if (state === undefined) tokens.push({ text: (word ?? parenthesis) as string });
    else {
      const alarm = nameOf(quoted?.replaceAll(/\\(.)/g, '$1') ?? (plain as string));
      tokens.push({ text: `${state}(${alarm})`, asks: { state: state as StateValue, alarm } });
    }
  }
  return tokens;
}

/** The name of an alarm, of its name or its ARN. */
export function nameOf(nameOrArn: string): string {
  return nameOrArn.replace(/^arn:aws:cloudwatch:[^:]*:[^:]*:alarm:/, '');
}
