import { GateInputError } from '../shared/errors.ts';
import { ALARM_STATES, type AlarmState, alarmNameOf } from './alarm.ts';
import type { Evaluation, Transition } from './series.ts';

/*
 * Composite alarms: rules over the states of other alarms, and the suppression of their actions. From "Composite
 * alarms" and "Suppressing composite alarm actions" in CloudWatch's user guide.
 */

export type Rule =
  | { kind: 'constant'; value: boolean }
  | { kind: 'state'; state: AlarmState; alarm: string }
  | { kind: 'not'; of: Rule }
  | { kind: 'and' | 'or'; of: Rule[] }
  | {
      kind: 'atLeast';
      /** How many alarms, or how many per cent of them. */
      least: number;
      percent: boolean;
      /** The state that they shall be in, or where `negated` shall not be in. */
      state: AlarmState;
      negated: boolean;
      alarms: string[];
    };

/** What an alarm is in now; undefined: there is no such alarm. */
export type StateOf = (alarm: string) => AlarmState | undefined;

/** The state of a child from some time on: its evaluations will do. */
export type ChildState = Pick<Evaluation, 'at' | 'state'>;

/** A change of state of a composite alarm, and whether anybody was told. */
export interface CompositeTransition extends Transition {
  /** Whether its actions ran, at once or later. */
  acted: boolean;
  /** When; milliseconds since 1970, null where they did not. */
  actedAt: number | null;
}

/**
 * Reads a rule. Operators and states may be in any case; AND binds tighter than OR.
 *
 * @throws GateInputError with what is wrong, and where
 */
export function parseRule(text: string): Rule {
  const tokens = tokensOf(text);
  let next = 0;

  const fail = (expected: string): never => {
    const token = tokens[next];
    const seen = token ? `"${token.text}" at character ${token.at + 1}` : 'its end';
    throw new GateInputError(`the rule "${text}" has ${seen} where ${expected} is expected`);
  };
  const sees = (wanted: string) => !tokens[next]?.quoted && tokens[next]?.text.toUpperCase() === wanted;
  const accept = (wanted: string) => {
    const seen = sees(wanted);
    if (seen) next++;
    return seen;
  };
  const take = (wanted: string) => {
    if (!accept(wanted)) fail(`"${wanted}"`);
  };

  const several = (kind: 'and' | 'or', operand: () => Rule): Rule => {
    const of = [operand()];
    while (accept(kind.toUpperCase())) of.push(operand());
    return of.length === 1 ? of[0]! : { kind, of };
  };
  const either = (): Rule => several('or', () => several('and', negation));
  const negation = (): Rule => (accept('NOT') ? { kind: 'not', of: negation() } : operand());

  const operand = (): Rule => {
    if (accept('(')) {
      const inner = either();
      take(')');
      return inner;
    }
    for (const value of [true, false]) {
      if (accept(String(value).toUpperCase())) return { kind: 'constant', value };
    }
    if (accept('AT_LEAST')) return atLeast();
    const state = stateName('a state such as ALARM("name"), AT_LEAST, NOT, TRUE, FALSE or "("');
    take('(');
    const alarm = reference();
    take(')');
    return { kind: 'state', state, alarm };
  };

  const stateName = (expected: string): AlarmState => {
    const state = ALARM_STATES.find(sees);
    if (!state) return fail(expected);
    next++;
    return state;
  };

  const reference = (): string => {
    const token = tokens[next];
    if (!token || (!token.quoted && SIGNS.includes(token.text))) return fail('the name of an alarm');
    next++;
    return token.text;
  };

  const atLeast = (): Rule => {
    take('(');
    const amount = /^(\d+(?:\.\d+)?)(%?)$/.exec(tokens[next]?.text ?? '');
    if (!amount) return fail('a number of alarms such as 2, or a share such as 50%');
    next++;
    take(',');
    const negated = accept('NOT');
    const state = stateName('ALARM, OK or INSUFFICIENT_DATA, or one of them after NOT');
    take(',');
    take('(');
    const alarms = [reference()];
    while (accept(',')) alarms.push(reference());
    take(')');
    take(')');
    return {
      kind: 'atLeast',
      least: Number(amount[1]),
      percent: amount[2] === '%',
      state,
      negated,
      alarms,
    };
  };

  const rule = either();
  if (next < tokens.length) fail('AND, OR or the end');
  return rule;
}

/** The names of all alarms in a rule, each once, in its order; of an ARN its name. */
export function alarmsIn(rule: Rule): string[] {
  return [...new Set(mentions(rule))];
}

/**
 * Whether a rule is true. An alarm that does not exist is in no state: `ALARM("gone")` is false, `NOT ALARM("gone")`
 * is true.
 *
 * @param stateOf by name, for rules that give ARNs too
 */
export function holds(rule: Rule, stateOf: StateOf): boolean {
  switch (rule.kind) {
    case 'constant':
      return rule.value;
    case 'state':
      return stateOf(alarmNameOf(rule.alarm)) === rule.state;
    case 'not':
      return !holds(rule.of, stateOf);
    case 'and':
      return rule.of.every((part) => holds(part, stateOf));
    case 'or':
      return rule.of.some((part) => holds(part, stateOf));
    case 'atLeast': {
      const inState = rule.alarms.filter(
        (alarm) => (stateOf(alarmNameOf(alarm)) === rule.state) !== rule.negated,
      );
      return inState.length >= wanted(rule);
    }
  }
}

/**
 * Which other alarms mask an alarm now: the smallest set of alarms that would have to be in another state for the rule
 * to become true when `alarm` goes to ALARM. Of several sets that small always the same one.
 *
 * @returns names in the order of the rule; none where the rule is true then; null where it is false whatever the others
 *   are in
 * @throws GateInputError for a rule in which too many alarms stand more than once to try all of their states
 */
export function maskers(rule: Rule, alarm: string, stateOf: StateOf): string[] | null {
  const fires = alarmNameOf(alarm);
  const all = mentions(rule);
  const repeated = alarmsIn(rule).filter(
    (name) => name !== fires && all.indexOf(name) !== all.lastIndexOf(name),
  );
  const set = fewestChanges(rule, repeated, new Map([[fires, 'ALARM']]), stateOf);
  return set && alarmsIn(rule).filter((name) => set.has(name));
}

/**
 * A composite alarm over time. It is evaluated whenever one of its children may have changed, at its first evaluation
 * too.
 *
 * With a suppressor actions wait: for `waitS` after a transition, in case the suppressor goes to ALARM; while it is in
 * ALARM; and for `extensionS` after it left. A transition in between starts another wait in place of whatever was
 * waited for. Whoever waited long enough acts on the state at that time, if that has not been acted on.
 *
 * @param children by name, oldest first: those of the rule, and the suppressor
 * @param options.initial state of the composite alarm before (default INSUFFICIENT_DATA)
 * @param options.before states of the children before their first evaluation (default: none, as if there were no alarm)
 * @param options.until when to stop, milliseconds since 1970 (default: when nothing is waited for any longer)
 */
export function simulateComposite(
  rule: Rule,
  children: Readonly<Record<string, readonly ChildState[]>>,
  {
    initial = 'INSUFFICIENT_DATA',
    before = () => undefined,
    suppressor,
    until = Number.POSITIVE_INFINITY,
  }: {
    initial?: AlarmState;
    before?: StateOf;
    suppressor?: { alarm: string; waitS: number; extensionS: number };
    until?: number;
  } = {},
): CompositeTransition[] {
  const changes = Object.entries(children)
    .flatMap(([alarm, states]) => states.map(({ at, state }) => ({ at, state, alarm: alarmNameOf(alarm) })))
    .filter(({ at }) => at <= until)
    .toSorted((a, b) => a.at - b.at);

  const states = new Map<string, AlarmState>();
  const stateOf: StateOf = (alarm) => states.get(alarm) ?? before(alarm);
  const suppressed = () => suppressor !== undefined && stateOf(alarmNameOf(suppressor.alarm)) === 'ALARM';

  const transitions: CompositeTransition[] = [];
  /** When to act; undefined: nothing is waited for. */
  let due: number | undefined;
  const act = (at: number) => {
    due = undefined;
    const last = transitions.at(-1);
    if (last && !last.acted) Object.assign(last, { acted: true, actedAt: at });
  };

  let state = initial;
  let held = suppressed();
  for (let index = 0; index < changes.length; ) {
    const { at } = changes[index]!;
    // A suppressor that goes to ALARM at the very end of the wait is in time.
    if (due !== undefined && due < at) act(due);
    for (; changes[index]?.at === at; index++) states.set(changes[index]!.alarm, changes[index]!.state);

    const holding = suppressed();
    if (holding) due = undefined;
    else if (held && suppressor) due = at + suppressor.extensionS * 1000;
    held = holding;

    const after: AlarmState = holds(rule, stateOf) ? 'ALARM' : 'OK';
    if (after !== state) {
      transitions.push({ at, from: state, to: after, acted: false, actedAt: null });
      state = after;
      if (!holding) due = at + (suppressor?.waitS ?? 0) * 1000;
    }
    if (due === at) act(at);
  }
  if (due !== undefined && due <= until) act(due);
  return transitions;
}

interface Token {
  text: string;
  quoted: boolean;
  /** From 0. */
  at: number;
}

const SIGNS = ['(', ')', ','];

/** A name in quotes may have quotes after backslashes; one without has no spaces, parentheses and commas. */
const TOKEN = /\s*(?:"((?:[^"\\]|\\.)*)"|([(),])|([^\s(),"]+))/y;

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const source = text.trimEnd();
  for (let at = 0; at < source.length; ) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (!match) throw new GateInputError(`the rule "${text}" has a quote that nothing closes`);
    const [whole, name, sign, bare] = match;
    at = TOKEN.lastIndex;
    tokens.push({
      text: name?.replace(/\\(["\\])/g, '$1') ?? sign ?? bare!,
      quoted: name !== undefined,
      at: at - whole.trimStart().length,
    });
  }
  return tokens;
}

function mentions(rule: Rule): string[] {
  switch (rule.kind) {
    case 'constant':
      return [];
    case 'state':
      return [alarmNameOf(rule.alarm)];
    case 'not':
      return mentions(rule.of);
    case 'and':
    case 'or':
      return rule.of.flatMap(mentions);
    case 'atLeast':
      return rule.alarms.map(alarmNameOf);
  }
}

/** How many alarms of AT_LEAST have to be in the state. */
function wanted({ least, percent, alarms }: Extract<Rule, { kind: 'atLeast' }>): number {
  return percent ? (least * alarms.length) / 100 : least;
}

/** Rules are written by people, and short: one that needs more than this was made to be hard. */
const MOST_TRIES = 20_000;

/** States that are taken for granted. */
type Given = ReadonlyMap<string, AlarmState | undefined>;

/**
 * Alarms that stand once can be judged each for itself. Those that stand more often (`repeated`) cannot: all of their
 * states are tried, the present ones first.
 */
function fewestChanges(
  rule: Rule,
  repeated: readonly string[],
  given: Given,
  stateOf: StateOf,
): Set<string> | null {
  if (ALARM_STATES.length ** repeated.length > MOST_TRIES) {
    throw new GateInputError(
      `${repeated.length} alarms stand more than once in the rule, too many to say which of them mask one`,
      { help: 'Take a part of the rule out into a composite alarm of its own.' },
    );
  }
  let best: Set<string> | null = null;
  const attempt = (index: number, tried: Given, changed: readonly string[]): void => {
    if (best && changed.length >= best.size) return;
    const name = repeated[index];
    if (name === undefined) {
      const others = changesFor(rule, true, tried, stateOf);
      if (others && (!best || changed.length + others.length < best.size))
        best = new Set([...changed, ...others]);
      return;
    }
    const present = stateOf(name);
    for (const state of new Set([present, ...ALARM_STATES])) {
      attempt(index + 1, new Map(tried).set(name, state), state === present ? changed : [...changed, name]);
    }
  };
  attempt(0, given, []);
  return best;
}

/** The fewest alarms whose state must change for a rule to become `value`; null where that cannot be. */
function changesFor(rule: Rule, value: boolean, given: Given, stateOf: StateOf): string[] | null {
  const alarm = (reference: string, state: AlarmState, wantsState: boolean): string[] | null => {
    const name = alarmNameOf(reference);
    if (given.has(name)) return (given.get(name) === state) === wantsState ? [] : null;
    return (stateOf(name) === state) === wantsState ? [] : [name];
  };
  switch (rule.kind) {
    case 'constant':
      return rule.value === value ? [] : null;
    case 'state':
      return alarm(rule.alarm, rule.state, value);
    case 'not':
      return changesFor(rule.of, !value, given, stateOf);
    case 'and':
    case 'or': {
      const parts = rule.of.map((part) => changesFor(part, value, given, stateOf));
      return cheapest(parts, (rule.kind === 'and') === value ? parts.length : 1);
    }
    case 'atLeast': {
      const enough = Math.ceil(wanted(rule));
      const parts = rule.alarms.map((name) => alarm(name, rule.state, value !== rule.negated));
      return cheapest(parts, value ? enough : parts.length - enough + 1);
    }
  }
}

function cheapest(parts: readonly (string[] | null)[], count: number): string[] | null {
  const possible = parts.filter((part) => part !== null).toSorted((a, b) => a.length - b.length);
  return possible.length < count ? null : possible.slice(0, Math.max(0, count)).flat();
}
