import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ALARM_STATES, type AlarmState } from '../../../functions/alarm-drill/alarm.ts';
import {
  alarmsIn,
  type CompositeTransition,
  holds,
  maskers,
  parseRule,
  type Rule,
  simulateComposite,
} from '../../../functions/alarm-drill/composite.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';

// A fixed seed: what fails here fails for everybody.
fc.configureGlobal({ seed: 4 });

/** In ALARM are those named, all others are OK. */
function ringing(...alarms: string[]): (alarm: string) => AlarmState {
  return (alarm) => (alarms.includes(alarm) ? 'ALARM' : 'OK');
}

const NAMES = ['a', 'b', 'c', 'd', 'a name', 'with "quotes"', 'back\\slash', 'AND', 'x,y', '(z)', 'TRUE'];

const name = fc.constantFrom(...NAMES);
const state = fc.constantFrom(...ALARM_STATES);

const { rule } = fc.letrec<{ rule: Rule }>((tie) => ({
  rule: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.record({ kind: fc.constant('state' as const), state, alarm: name }),
    fc.record({ kind: fc.constant('constant' as const), value: fc.boolean() }),
    fc.record({
      kind: fc.constant('atLeast' as const),
      least: fc.integer({ min: 1, max: 4 }),
      percent: fc.constant(false),
      state,
      negated: fc.boolean(),
      alarms: fc.array(name, { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ kind: fc.constant('not' as const), of: tie('rule') }),
    fc.record({
      kind: fc.constantFrom('and' as const, 'or' as const),
      of: fc.array(tie('rule'), { minLength: 2, maxLength: 3 }),
    }),
  ),
}));

/** What every alarm is in; undefined: it does not exist. */
const world = fc
  .array(fc.option(state, { nil: undefined }), { minLength: NAMES.length, maxLength: NAMES.length })
  .map((states) => (alarm: string) => states[NAMES.indexOf(alarm)]);

/* The examples of "Composite alarms" in CloudWatch's user guide, and of the API reference. */
/** A rule as text, every name in quotes and every AND and OR that is inside another rule in parentheses. */
function printRule(rule: Rule): string {
  const inner = (part: Rule) =>
    part.kind === 'and' || part.kind === 'or' ? `(${printRule(part)})` : printRule(part);
  switch (rule.kind) {
    case 'constant':
      return rule.value ? 'TRUE' : 'FALSE';
    case 'state':
      return `${rule.state}(${quoted(rule.alarm)})`;
    case 'not':
      return `NOT ${inner(rule.of)}`;
    case 'and':
    case 'or':
      return rule.of.map(inner).join(` ${rule.kind.toUpperCase()} `);
    case 'atLeast': {
      const amount = `${rule.least}${rule.percent ? '%' : ''}`;
      const state = `${rule.negated ? 'NOT ' : ''}${rule.state}`;
      return `AT_LEAST(${amount}, ${state}, (${rule.alarms.map(quoted).join(', ')}))`;
    }
  }
}

function quoted(alarm: string): string {
  return `"${alarm.replace(/["\\]/g, '\\$&')}"`;
}

describe('rules, as documented', () => {
  it.each<[string, string[], string[]]>([
    ['ALARM(CPU) AND ALARM(Disk)', ['CPU', 'Disk'], ['CPU']],
    ['AT_LEAST(2, ALARM, (W1, W2, W3, W4))', ['W4', 'W2'], ['W3']],
    ['AT_LEAST(50%, OK, (D1, D2, D3, D4))', ['D1', 'D2'], ['D1', 'D2', 'D3']],
    ['ALARM(CPU) AND NOT ALARM(Deploying)', ['CPU'], ['CPU', 'Deploying']],
    [
      'AT_LEAST(2, ALARM, (Z1, Z2, Z3)) AND NOT ALARM(Maintenance)',
      ['Z1', 'Z3'],
      ['Z1', 'Z3', 'Maintenance'],
    ],
    ['(ALARM(CPU) OR ALARM(Disk)) AND OK(Network)', ['Disk'], ['Disk', 'Network']],
    ['AT_LEAST(60%, NOT OK, ("x", "y", "z"))', ['x', 'y'], ['z']],
    ['TRUE', [], []],
  ])('%s', (text, where, whereNot) => {
    const parsed = parseRule(text);
    expect(holds(parsed, ringing(...where))).toBe(true);
    if (text !== 'TRUE') expect(holds(parsed, ringing(...whereNot))).toBe(false);
  });

  it('gives alarms by name or ARN, with quotes or without', () => {
    const arn = 'arn:aws:cloudwatch:eu-central-1:111122223333:alarm:drift: p99';
    const parsed = parseRule(`ALARM("${arn}") OR OK(plain-1/2) OR INSUFFICIENT_DATA("a \\"b\\" (c), d")`);
    expect(alarmsIn(parsed)).toEqual(['drift: p99', 'plain-1/2', 'a "b" (c), d']);
    expect(holds(parsed, (alarm) => (alarm === 'drift: p99' ? 'ALARM' : undefined))).toBe(true);
    expect(holds(parsed, (alarm) => (alarm === 'a "b" (c), d' ? 'INSUFFICIENT_DATA' : undefined))).toBe(true);
    expect(holds(parsed, () => undefined)).toBe(false);
  });

  it('takes an alarm that does not exist to be in no state', () => {
    for (const state of ALARM_STATES) {
      expect(holds(parseRule(`${state}(gone)`), () => undefined)).toBe(false);
      expect(holds(parseRule(`NOT ${state}(gone)`), () => undefined)).toBe(true);
      expect(holds(parseRule(`AT_LEAST(1, NOT ${state}, (gone))`), () => undefined)).toBe(true);
    }
  });

  it('binds NOT tighter than AND, and AND tighter than OR', () => {
    expect(printRule(parseRule('not alarm(a) and ok(b) or False'))).toBe(
      '(NOT ALARM("a") AND OK("b")) OR FALSE',
    );
    expect(printRule(parseRule('NOT (ALARM(a) AND (OK(b) OR FALSE))'))).toBe(
      'NOT (ALARM("a") AND (OK("b") OR FALSE))',
    );
    expect(printRule(parseRule('AT_LEAST(33.5%, NOT OK, (a, "b c"))'))).toBe(
      'AT_LEAST(33.5%, NOT OK, ("a", "b c"))',
    );
  });

  it('asks for a share of alarms rounded up', () => {
    const third = parseRule('AT_LEAST(34%, ALARM, (a, b, c))');
    expect(holds(third, ringing('a'))).toBe(false);
    expect(holds(third, ringing('a', 'c'))).toBe(true);
  });

  it.each([
    ['', 'has its end where a state such as ALARM("name")'],
    ['ALARM(a) ALARM(b)', 'has "ALARM" at character 10 where AND, OR or the end is expected'],
    ['ALARM(a) AND', 'has its end where a state'],
    ['(ALARM(a)', 'has its end where ")" is expected'],
    ['ALARM a', 'has "a" at character 7 where "(" is expected'],
    ['ALARM()', 'has ")" at character 7 where the name of an alarm is expected'],
    ['ALARMS(a)', 'has "ALARMS" at character 1 where a state'],
    ['"ALARM"(a)', 'has "ALARM" at character 1 where a state'],
    ['ALARM("a)', 'has a quote that nothing closes'],
    ['AT_LEAST(two, ALARM, (a))', 'has "two" at character 10 where a number of alarms'],
    ['AT_LEAST(2, RED, (a))', 'has "RED" at character 13 where ALARM, OK or INSUFFICIENT_DATA'],
    ['AT_LEAST(2, ALARM, a)', 'has "a" at character 20 where "(" is expected'],
  ])('"%s" %s', (text, message) => {
    expect(() => parseRule(text)).toThrow(GateInputError);
    expect(() => parseRule(text)).toThrow(message);
  });
});

describe('any rule', () => {
  it('prints as what it is', () => {
    fc.assert(
      fc.property(rule, world, (original, stateOf) => {
        const text = printRule(original);
        const again = parseRule(text);
        expect(printRule(again)).toBe(text);
        expect(alarmsIn(again)).toEqual(alarmsIn(original));
        expect(holds(again, stateOf)).toBe(holds(original, stateOf));
      }),
    );
  });

  it("obeys De Morgan's laws", () => {
    fc.assert(
      fc.property(rule, rule, world, (a, b, stateOf) => {
        const not = (of: Rule): Rule => ({ kind: 'not', of });
        expect(holds(not({ kind: 'and', of: [a, b] }), stateOf)).toBe(
          holds({ kind: 'or', of: [not(a), not(b)] }, stateOf),
        );
        expect(holds(not({ kind: 'or', of: [a, b] }), stateOf)).toBe(
          holds({ kind: 'and', of: [not(a), not(b)] }, stateOf),
        );
        expect(holds(not(not(a)), stateOf)).toBe(holds(a, stateOf));
      }),
    );
  });

  it('asks for one of some as OR does, and for all of them as AND does', () => {
    fc.assert(
      fc.property(state, fc.uniqueArray(name, { minLength: 1 }), world, (wanted, alarms, stateOf) => {
        const of = alarms.map((alarm): Rule => ({ kind: 'state', state: wanted, alarm }));
        const atLeast = (least: number, percent: boolean): Rule => ({
          kind: 'atLeast',
          least,
          percent,
          state: wanted,
          negated: false,
          alarms,
        });
        expect(holds(atLeast(1, false), stateOf)).toBe(holds({ kind: 'or', of }, stateOf));
        expect(holds(atLeast(100, true), stateOf)).toBe(holds({ kind: 'and', of }, stateOf));
      }),
    );
  });
});

describe('maskers', () => {
  const masks = (text: string, ...inAlarm: string[]) =>
    maskers(parseRule(text), 'drift', ringing(...inAlarm));

  it.each<[string, string[], string[] | null]>([
    ['ALARM(drift)', [], []],
    ['ALARM(drift) OR ALARM(other)', [], []],
    ['ALARM(drift) AND ALARM(other)', [], ['other']],
    ['ALARM(drift) AND ALARM(other)', ['other'], []],
    ['ALARM(drift) AND NOT ALARM(deploying)', ['deploying'], ['deploying']],
    ['ALARM(drift) AND NOT ALARM(deploying)', [], []],
    ['ALARM(drift) AND ALARM(b) AND OK(c)', ['c'], ['b', 'c']],
    ['AT_LEAST(3, ALARM, (drift, b, c, d))', ['c'], ['b']],
    ['AT_LEAST(3, ALARM, (drift, b, c, d))', [], ['b', 'c']],
    ['AT_LEAST(34%, ALARM, (drift, b, c))', [], ['b']],
    ['NOT AT_LEAST(2, ALARM, (b, c, d))', ['b', 'c', 'd'], ['b', 'c']],
    ['(ALARM(b) AND ALARM(c)) OR ALARM(d)', [], ['d']],
    ['(ALARM(drift) AND NOT ALARM(m)) OR (ALARM(b) AND NOT ALARM(m))', ['m'], ['m']],
    ['(ALARM(x) AND ALARM(y)) OR (ALARM(y) AND ALARM(z)) OR (ALARM(x) AND ALARM(z))', [], ['y', 'z']],
    ['(ALARM(x) OR ALARM(y)) AND (ALARM(y) OR ALARM(z)) AND ALARM(drift)', [], ['y']],
    ['OK(drift)', [], null],
    ['NOT ALARM(drift) AND ALARM(b)', ['b'], null],
    ['ALARM(drift) AND ALARM(b) AND OK(b)', [], null],
    ['ALARM(drift) AND FALSE', [], null],
    ['AT_LEAST(3, ALARM, (drift, b))', [], null],
    ['ALARM("arn:aws:cloudwatch:eu-west-1:111122223333:alarm:drift") AND OK(b)', ['b'], ['b']],
  ])('of %s with %j in ALARM are %j', (text, inAlarm, expected) => {
    expect(masks(text, ...inAlarm)).toEqual(expected);
  });

  it('are known of a rule with a hundred alarms', () => {
    const many = Array.from({ length: 99 }, (_, index) => `a${index}`);
    const parsed = parseRule(`AT_LEAST(60, ALARM, (drift, ${many.join(', ')})) AND NOT ALARM(m)`);
    expect(maskers(parsed, 'drift', ringing('m', 'a0', 'a1'))).toEqual([...many.slice(2, 59), 'm']);
  });

  it('are not looked for where too many alarms stand twice', () => {
    const pairs = Array.from({ length: 12 }, (_, index) => `(ALARM(a${index}) OR OK(a${index}))`).join(
      ' AND ',
    );
    expect(() => maskers(parseRule(pairs), 'drift', () => undefined)).toThrow(
      '12 alarms stand more than once',
    );
  });

  it('are as few as trying everything finds', () => {
    const few = ['a', 'b', 'c', 'd'];
    const smallRule = rule.filter((candidate) => alarmsIn(candidate).every((alarm) => few.includes(alarm)));
    fc.assert(
      fc.property(smallRule, world, (candidate, stateOf) => {
        const given = (alarm: string) => (alarm === 'a' ? 'ALARM' : stateOf(alarm));
        const found = maskers(candidate, 'a', stateOf);
        const sizes = everyWorld(['b', 'c', 'd'], given)
          .filter((tried) => holds(candidate, tried))
          .map((tried) => few.filter((alarm) => tried(alarm) !== given(alarm)).length);
        expect(found?.length).toBe(sizes.length === 0 ? undefined : Math.min(...sizes));
        expect(maskers(candidate, 'a', stateOf)).toEqual(found);
      }),
      { numRuns: 300 },
    );
  });

  /** Every combination of the present states and of others. */
  function everyWorld(
    alarms: string[],
    present: (alarm: string) => AlarmState | undefined,
  ): ((alarm: string) => AlarmState | undefined)[] {
    const [first, ...rest] = alarms;
    if (first === undefined) return [present];
    return everyWorld(rest, present).flatMap((stateOf) =>
      [present(first), ...ALARM_STATES].map(
        (state) => (alarm: string) => (alarm === first ? state : stateOf(alarm)),
      ),
    );
  }
});

describe('a composite alarm over time', () => {
  it('changes with its children, and acts at once', () => {
    const transitions = simulateComposite(parseRule('ALARM(a) AND NOT ALARM(b)'), {
      a: course([0, 'OK'], [5, 'ALARM'], [9, 'ALARM']),
      b: course([0, 'OK'], [7, 'ALARM'], [8, 'INSUFFICIENT_DATA']),
    });
    expect(transitions).toEqual([
      { at: 0, from: 'INSUFFICIENT_DATA', to: 'OK', acted: true, actedAt: 0 },
      { at: 5000, from: 'OK', to: 'ALARM', acted: true, actedAt: 5000 },
      { at: 7000, from: 'ALARM', to: 'OK', acted: true, actedAt: 7000 },
      { at: 8000, from: 'OK', to: 'ALARM', acted: true, actedAt: 8000 },
    ]);
  });

  it('sees children that change together as one', () => {
    const transitions = simulateComposite(
      parseRule('ALARM(a) AND OK(b)'),
      { a: course([5, 'ALARM']), b: course([5, 'ALARM']) },
      { initial: 'OK', before: () => 'OK' },
    );
    expect(transitions).toEqual([]);
  });

  it('stops when it shall', () => {
    const children = { a: course([5, 'ALARM'], [9, 'OK']), s: course([0, 'OK']) };
    const suppressor = { alarm: 's', waitS: 3, extensionS: 3 };
    const run = (until: number) =>
      simulateComposite(parseRule('ALARM(a)'), children, { initial: 'OK', suppressor, until });
    expect(run(4000)).toEqual([]);
    expect(run(7999)).toMatchObject([{ at: 5000, acted: false, actedAt: null }]);
    expect(run(8000)).toMatchObject([{ at: 5000, acted: true, actedAt: 8000 }]);
  });

  function course(...states: [number, AlarmState][]) {
    return states.map(([second, state]) => ({ at: second * 1000, state }));
  }
});

/*
 * The examples of "Suppressing composite alarm actions" in CloudWatch's user guide. A unit of time is a second here; the
 * wait is 2 of them, and the extension 3.
 */
describe('suppression, as documented', () => {
  type Told = [at: number, to: AlarmState, actedAt: number | null];

  function told(main: [number, AlarmState][], suppressor: [number, AlarmState][]): Told[] {
    const states = (course: [number, AlarmState][]) =>
      course.map(([second, state]) => ({ at: second * 1000, state }));
    return simulateComposite(
      parseRule('ALARM(main)'),
      { main: states(main), suppressor: states(suppressor) },
      {
        initial: 'OK',
        before: () => 'OK',
        suppressor: {
          alarm: 'arn:aws:cloudwatch:eu-west-1:111122223333:alarm:suppressor',
          waitS: 2,
          extensionS: 3,
        },
      },
    ).map(({ at, to, acted, actedAt }: CompositeTransition) => {
      expect(acted).toBe(actedAt !== null);
      return [at / 1000, to, actedAt === null ? null : actedAt / 1000];
    });
  }

  it('1: the wait ends, the suppressor is OK, and the actions run', () => {
    expect(told([[2, 'ALARM']], [])).toEqual([[2, 'ALARM', 4]]);
  });

  it('2: the suppressor goes to ALARM during the wait, and the actions do not run', () => {
    expect(told([[2, 'ALARM']], [[3, 'ALARM']])).toEqual([[2, 'ALARM', null]]);
  });

  it('3: a transition during the wait starts another wait', () => {
    const main: [number, AlarmState][] = [
      [2, 'ALARM'],
      [3, 'OK'],
    ];
    expect(told(main, [])).toEqual([
      [2, 'ALARM', null],
      [3, 'OK', 5],
    ]);
  });

  it('4: the suppressor is in ALARM already', () => {
    expect(told([[2, 'ALARM']], [[1, 'ALARM']])).toEqual([[2, 'ALARM', null]]);
  });

  const during: [number, AlarmState][] = [
    [3, 'ALARM'],
    [6, 'OK'],
  ];

  it('5: the extension ends, and the actions run', () => {
    expect(told([[2, 'ALARM']], during)).toEqual([[2, 'ALARM', 9]]);
  });

  it('6: a transition during the extension starts a wait', () => {
    const main: [number, AlarmState][] = [
      [2, 'ALARM'],
      [7, 'OK'],
    ];
    expect(told(main, during)).toEqual([
      [2, 'ALARM', null],
      [7, 'OK', 9],
    ]);
  });

  it('a suppressor that goes to ALARM again ends the extension, and starts one later', () => {
    expect(told([[2, 'ALARM']], [...during, [8, 'ALARM'], [20, 'INSUFFICIENT_DATA']])).toEqual([
      [2, 'ALARM', 23],
    ]);
  });

  it('a suppressor that is in time at the last moment is in time', () => {
    expect(told([[2, 'ALARM']], [[4, 'ALARM']])).toEqual([[2, 'ALARM', null]]);
    expect(told([[2, 'ALARM']], [[5, 'ALARM']])).toEqual([[2, 'ALARM', 4]]);
  });

  it('an evaluation that changes nothing does not prolong a wait', () => {
    const main: [number, AlarmState][] = [
      [2, 'ALARM'],
      [3, 'ALARM'],
    ];
    expect(told(main, [[3, 'OK']])).toEqual([[2, 'ALARM', 4]]);
  });

  it('what was told once is not told again', () => {
    expect(
      told(
        [[2, 'ALARM']],
        [
          [5, 'ALARM'],
          [6, 'OK'],
        ],
      ),
    ).toEqual([[2, 'ALARM', 4]]);
  });
});
