import { beforeEach, describe, expect, test, vi } from 'vitest';
import { parseTimeline, renderTimeline } from '../../bin/shared/rollback-picture.ts';
import type { EndpointState, EndpointStatus } from '../../functions/rollback-drill/endpoint.ts';
import type { Mark, Request, Slice, Timeline, Who } from '../../functions/rollback-drill/measurements.ts';
import { Staging } from '../support/rollback-drill.ts';
import { capture } from './support.ts';

/** A little after a whole second. */
const START = Date.parse('2026-07-01T10:00:00.400Z');
const at = (s: number) => START + s * 1000;

/** From each second on, until the next: who answers, in turn. */
type Answers = Record<number, Who[]>;

function requestsOf(answers: Answers, s: number, forS: number, perSecond: number): Request[] {
  return Array.from({ length: forS * perSecond }, (_, index) => {
    const second = s + index / perSecond;
    const since = Object.keys(answers)
      .map(Number)
      .findLast((from) => from <= second) as number;
    const whos = answers[since] as Who[];
    const who = whos[index % whos.length] as Who;
    const error = who === 'nobody' ? 'ModelError 500' : null;
    return { at: at(second), golden: index % 3, ms: 20, who, variant: error && 'primary', error };
  });
}

function state(status: EndpointStatus, config: string, weights: Record<string, number>): EndpointState {
  const variants = Object.entries(weights).map(([name, weight]) => ({
    name,
    weight,
    desiredWeight: weight,
    instances: 1,
    desiredInstances: 1,
    images: [`churn@sha256:${'0'.repeat(64)}`],
  }));
  return { at: START, status, config, failureReason: null, pending: null, variants };
}

/** Slices of ten seconds; each begins with the state that holds then. */
function slicesOf(
  answers: Answers,
  states: Record<number, EndpointState | null>,
  seconds: number,
  perSecond = 5,
): Slice[] {
  const changes = Object.entries(states).map(([s, one]) => ({ at: at(Number(s)), state: one }));
  return Array.from({ length: Math.ceil(seconds / 10) }, (_, index) => {
    const s = index * 10;
    const first = changes.findLast((change) => change.at <= at(s));
    const within = changes.filter((change) => change.at > at(s) && change.at < at(s + 10));
    return {
      from: at(s),
      to: at(s + 10),
      requests: requestsOf(answers, s, 10, perSecond),
      states: [...(first === undefined ? [] : [{ ...first, at: at(s) }]), ...within],
      stop: null,
    };
  });
}

const marksOf = (marks: Record<number, Mark['what']>): Mark[] =>
  Object.entries(marks).map(([s, what]) => ({ at: at(Number(s)), what }));

/** The weights go to the candidate, and back. */
const SHIFT: Timeline = {
  marks: marksOf({
    0: 'traffic begins',
    20: 'failure begins',
    32: 'bad model serves',
    40: 'procedure begins',
    43: 'procedure ends',
    110: 'watching ends',
    111: 'restoring begins',
    112: 'restoring ends',
  }),
  slices: slicesOf(
    { 0: ['previous'], 24: ['bad', 'previous'], 28: ['bad'], 45: ['nobody', 'bad'], 50: ['previous'] },
    {
      0: state('InService', 'churn-7', { candidate: 0, primary: 1 }),
      22: state('Updating', 'churn-7', { candidate: 0, primary: 1 }),
      28: state('InService', 'churn-7', { candidate: 1, primary: 0 }),
      43: state('Updating', 'churn-7', { candidate: 1, primary: 0 }),
      50: state('InService', 'churn-7', { candidate: 0, primary: 1 }),
    },
    110,
  ),
};

let io: ReturnType<typeof capture>;
beforeEach(() => {
  io = capture();
});
const picture = (timeline: Timeline, columns = 70) => renderTimeline(io.stdout, timeline, columns);
/** A row of the picture, without its label. */
const row = (text: string, label: string) =>
  text
    .split('\n')
    .find((line) => line.startsWith(label))
    ?.slice(8);

describe('the picture of a drill', () => {
  test('shows who answered, the status and what happened, in plain characters', () => {
    expect(picture(SHIFT)).toMatchInlineSnapshot(`
      "Who answered 550 requests in 1 min 52 s, from 2026-07-01T10:00:00Z

      answers PPPPPPPPPPPPMMBBBBBBBBBBBPPPPPPPPPPPPPPPPPPPPPPPPPPPPPP
      lost                          xxx
      status  ...........UUU.......UUUU..............................
      events  a         b     c   de   f                            ghi
              0:00      0:20      0:40      1:00      1:20      1:40

      answers: B the bad model  M several models  P the previous model  x nobody
      status:  U Updating  . InService
      Each column is 2 s.

      a  0:00  traffic begins
         0:00  endpoint InService on churn-7: candidate 0%, primary 100%
      b  0:20  the failure begins
         0:22  endpoint Updating: candidate 0%, primary 100%
         0:28  endpoint InService: candidate 100%, primary 0%
      c  0:32  the bad model serves
      d  0:40  the procedure begins
      e  0:43  the procedure ends
         0:43  endpoint Updating: candidate 100%, primary 0%
      f  0:50  the previous model answers everything again, 10 s after the procedure began
         0:50  endpoint InService: candidate 0%, primary 100%
      g  1:50  watching ends
      h  1:51  restoring begins
      i  1:52  restoring ends

      550 requests: 430 by the previous model, 108 by the bad model and 12 by nobody (ModelError 500: 12).

      "
    `);
  });

  test('shows configurations where there were several, and why an update failed', () => {
    const failed = {
      ...state('InService', 'churn-7', { primary: 1 }),
      failureReason: 'an alarm rang\u001b[2J',
    };
    const text = picture({
      marks: marksOf({ 0: 'traffic begins', 10: 'failure begins' }),
      slices: slicesOf(
        { 0: ['previous', 'either'], 15: ['bad', 'other'] },
        {
          0: state('InService', 'churn-7', { primary: 1 }),
          12: state('Updating', 'churn-7', { primary: 1 }),
          15: state('InService', 'tocsin-drill-0a', { primary: 1 }),
          22: state('RollingBack', 'tocsin-drill-0a', { primary: 1 }),
          25: failed,
        },
        30,
      ),
    });
    expect(text).toMatchInlineSnapshot(`
      "Who answered 150 requests in 30 s, from 2026-07-01T10:00:00Z

      answers PPPPPPPPPPPPPPPPPPPPPPPPPPPPPPMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM
      status  ........................UUUUUU..............RRRRRR..........
      config  111111111111111111111111111111222222222222222222221111111111
      events  a                   b
              0:00      0:05      0:10      0:15      0:20      0:25

      answers: M several models  P the previous model
      status:  R RollingBack  U Updating  . InService
      config:  1 churn-7  2 tocsin-drill-0a
      Each column is 500 ms.

      a  0:00  traffic begins
         0:00  endpoint InService on churn-7: primary 100%
      b  0:10  the failure begins
         0:12  endpoint Updating: primary 100%
         0:15  endpoint InService on tocsin-drill-0a: primary 100%
         0:22  endpoint RollingBack: primary 100%
         0:25  endpoint InService on churn-7: primary 100% (an alarm rang\\u001b[2J)

      150 requests: 38 by the previous model, 37 by the bad model, 38 by another model and 37 by either model.

      "
    `);
  });

  test.each<[EndpointStatus, string]>([
    ['Creating', 'C'],
    ['SystemUpdating', 'S'],
    ['Deleting', 'D'],
    ['OutOfService', 'O'],
    ['UpdateRollbackFailed', 'M'],
    ['Failed', 'F'],
  ])('of an endpoint that is %s', (status, mark) => {
    const states = { 0: state('InService', 'a', { x: 1 }), 5: state(status, 'a', { x: 0 }), 7: null };
    const text = picture({ marks: [], slices: slicesOf({ 0: ['nobody'] }, states, 10, 1) });
    expect(row(text, 'status')).toBe(`.....${mark}${mark}!!!`);
    expect(text).toContain(`${mark} ${status}`);
    expect(text).toContain(`0:05  endpoint ${status}: no weights`);
    expect(text).toContain('0:07  there is no such endpoint');
  });

  test.each([
    // Seconds, columns, and what one column is.
    [10, 70, 'Each column is 200 ms.', 51],
    [60, 70, 'Each column is 1 s.', 61],
    [60, 20, 'Each column is 5 s.', 13],
    [3600, 80, 'Each column is 1 min 0 s.', 61],
    [3600, 200, 'Each column is 30 s.', 121],
  ])('%i s in %i columns', (seconds, columns, step, width) => {
    const slices = slicesOf(
      { 0: ['previous'] },
      { 0: state('InService', 'a', { x: 1 }) },
      seconds,
      seconds > 600 ? 1 : 5,
    );
    const text = picture(
      { marks: marksOf({ 0: 'traffic begins', [seconds]: 'watching ends' }), slices },
      columns,
    );
    expect(text).toContain(step);
    expect(row(text, 'status')).toBe('.'.repeat(width - 1));
    expect(row(text, 'events')).toBe(`a${' '.repeat(width - 2)}b`);
    for (const line of text.split('\n').slice(2, 6)) expect(line.length).toBeLessThan(Math.max(columns, 29));
  });

  test('fits whatever is longer than any drill', () => {
    const [first, last] = [at(0), at(10 * 86_400)];
    const requests = requestsOf({ 0: ['previous'] }, 0, 10, 5);
    const slices: Slice[] = [
      { from: first, to: at(10), requests, states: [], stop: null },
      { from: at(20), to: last, requests, states: [], stop: null },
    ];
    const text = picture({ marks: [], slices }, 80);
    expect(text).toContain('in 240 h 0 min');
    expect(text.split('\n').every((line) => line.length <= 80)).toBe(true);
  });

  test('has one letter beside the other where much happens at once', () => {
    const text = picture({
      ...SHIFT,
      marks: [...SHIFT.marks, ...marksOf({ 40.2: 'procedure ends', 40.4: 'watching ends' })],
    });
    expect(row(text, 'events')).toMatch(/[a-z]{3}/);
    // The last ones stay in the picture.
    expect(row(text, 'events')).toHaveLength(57);
  });

  test('leaves blank what nobody has seen', () => {
    const [first] = slicesOf({ 0: ['previous'] }, { 0: state('InService', 'a', { x: 1 }) }, 10, 1);
    const later = slicesOf({ 0: ['previous'] }, { 0: state('InService', 'a', { x: 1 }) }, 40, 1).at(-1);
    const text = picture({ marks: [], slices: [first as Slice, later as Slice] });
    expect(row(text, 'answers')).toBe('PPPPP          PPPPP');
    expect(row(text, 'status')).toBe('.....          .....');
  });

  test('says when the previous model answers again only where it does until the end', () => {
    const [recovered, never] = [
      { 0: ['bad'], 50: ['previous'] },
      { 0: ['bad'], 50: ['previous'], 105: ['bad'] },
    ] as [Answers, Answers];
    const marks = marksOf({ 0: 'failure begins', 40: 'procedure begins', 110: 'restoring begins' });
    expect(picture({ marks, slices: slicesOf(recovered, {}, 110) })).toContain(
      'c  0:50  the previous model answers everything again, 10 s after the procedure began',
    );
    expect(picture({ marks, slices: slicesOf(never, {}, 110) })).not.toContain('answers everything');
    // What restoring has achieved is not what the procedure has.
    const restored = slicesOf({ 0: ['bad'], 110: ['previous'] }, {}, 140);
    expect(picture({ marks, slices: restored })).not.toContain('answers everything');
    // Of a guardrail nothing else was ever served: it is the deployment that goes back.
    expect(picture({ marks, slices: slicesOf({ 0: ['previous'] }, {}, 110) })).not.toContain(
      'answers everything',
    );
  });

  test('names some errors, and lists some changes', () => {
    const states = Object.fromEntries(
      Array.from({ length: 40 }, (_, s) => [s, state(s % 2 ? 'Updating' : 'InService', 'a', { x: 1 })]),
    );
    const slices = slicesOf({ 0: ['nobody'] }, states, 40).map((slice) => ({
      ...slice,
      requests: slice.requests.map((request, index) => ({ ...request, error: `Error${index % 7}` })),
    }));
    const text = picture({ marks: [], slices });
    expect(text).toContain('0:30  and 10 more changes of the endpoint');
    expect(text).not.toContain('0:31');
    expect(text).toContain(
      '200 requests: 200 by nobody (Error0: 32, Error1: 28, Error2: 28, Error3: 28, Error4: 28, 2 other errors).',
    );
  });

  test('is none where nothing was asked', () => {
    expect(picture({ marks: marksOf({ 0: 'restoring begins' }), slices: [] })).toBe('');
  });

  test('has colours on a terminal', () => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('FORCE_COLOR', '1');
    const text = picture(SHIFT).replaceAll('\u001b[', '<');
    vi.unstubAllEnvs();
    expect(row(text, '<2manswers')).toMatch(/<32mP+<39m<33mM+<39m<1m<31mB+<39m<22m/);
    expect(text).toContain('<1m<31mB<39m<22m the bad model  ');
  });
});

describe('timeline.json', () => {
  test('is read as it was written', () => {
    expect(parseTimeline(JSON.stringify(SHIFT), 'timeline.json')).toEqual(SHIFT);
  });

  test('of a drill that was really run has a picture', async () => {
    const staging = await Staging.start();
    try {
      await staging.run();
      const timeline = parseTimeline(JSON.stringify(staging.timeline), 'timeline.json');
      expect(timeline).toEqual(staging.timeline);
      const text = picture(timeline, 200);
      expect(row(text, 'answers')).toMatch(/^P+M?B[B ]+M?P+$/);
      expect(row(text, 'status')).toMatch(/^\.+U+[. ]+U+\.+$/);
      expect(text).toMatch(/the previous model answers everything again, \d+ ms after the procedure began/);
    } finally {
      await staging.close();
    }
  });

  test.each([
    ['no JSON', '{'],
    ['another document', '{"verdict":1}'],
    ['an unknown mark', JSON.stringify({ marks: [{ at: 1, what: 'lunch' }], slices: [] })],
  ])('is refused: %s', (_, text) => {
    expect(() => parseTimeline(text, 's3://evidence/timeline.json')).toThrow(
      /^s3:\/\/evidence\/timeline\.json/,
    );
  });
});
