import { describe, expect, test } from 'vitest';
import {
  type Board,
  boardOf,
  boardSchema,
  countsOf,
  earlierReports,
  keyOfLink,
  openGaps,
  rowTitle,
  shows,
  summaryOf,
} from '../../../functions/board/board.ts';
import type { BoardRow } from '../../../functions/board/schema.ts';
import type { Observed } from '../../../functions/board/standing.ts';
import { observedOf, pointAt, releaseRow, requirementOf, SUBJECTS } from '../../support/board.ts';

const DAY = 86_400_000;
const NOW = Date.parse('2026-07-14T09:41:00Z');
const NEVER: Observed = { history: [], latest: undefined };

/** What is known where each requirement of these rows passed an hour ago, but for what is said of some. */
function known(rows: readonly BoardRow[], but: Record<string, Observed> = {}): Observed[] {
  return rows.flatMap(({ requirements }) =>
    requirements.map((one) => but[one.title] ?? observedOf([pointAt(NOW - 3_600_000, 'pass', one)])),
  );
}

describe('the board', () => {
  const drill = requirementOf({ schedule: 'rate(7 days)' });
  const rows: BoardRow[] = [{ model: 'churn', environment: 'production', requirements: [drill] }];
  const failed = pointAt(NOW - DAY, 'fail', drill);
  const history = [failed, pointAt(NOW - 8 * DAY, 'fail', drill), pointAt(NOW - 15 * DAY, 'pass', drill)];
  const board = boardOf(rows, [observedOf(history, 'The old model never came back.')], NOW);

  test('says of each gap how it stands, why, since when, by which verdict, and when it is tried again', () => {
    const gap = board.rows[0]?.gaps.find((one) => one.gap === 'rollback');
    const { stands = [], ...cell } = gap ?? {};
    const shared = {
      standing: 'fail',
      why: 'The old model never came back. Run: tocsin drill rollback churn',
      since: NOW - 8 * DAY,
      at: NOW - DAY,
      verdict: failed.verdict,
      report: `../evidence/rollback-drill/churn/${failed.verdict}/report.html`,
      next: NOW + 6 * DAY,
    };
    expect(cell).toEqual({ gap: 'rollback', ...shared });
    expect(stands).toEqual([
      {
        ...shared,
        gate: 'rollback-drill',
        subject: 'churn',
        section: 'rollbackDrills',
        name: 'churn',
        title: 'rollback drill churn',
        line: 'tocsin.yaml:7',
        again: 'Run: tocsin drill rollback churn',
        staleAt: NOW + 7 * DAY,
        overdue: false,
        history: history.map(({ at, outcome, verdict, run }) => ({ at, outcome, verdict, run })),
      },
    ]);
  });

  test('has five gaps for a release, in order, also those that nothing closes', () => {
    expect(board.rows[0]?.gaps.map(({ gap, standing }) => [gap, standing])).toEqual([
      ['pipeline', 'never'],
      ['rollback', 'fail'],
      ['alarms', 'never'],
      ['data', 'never'],
      ['parity', 'never'],
    ]);
  });

  test('has only the gaps of what there is in the row of no release', () => {
    const [row] = boardOf([{ requirements: [drill] }], [NEVER], NOW).rows;
    expect(row?.gaps.map(({ gap }) => gap)).toEqual(['rollback']);
    expect(row).not.toHaveProperty('model');
  });

  test('is read back from its JSON as it was', () => {
    const text = JSON.stringify(board);
    expect(boardSchema.parse(JSON.parse(text))).toEqual(board);
    expect(boardSchema.safeParse({ ...board, board: 2 }).success).toBe(false);
  });

  test('shows the next run of several requirements, and the worst first', () => {
    const canary = requirementOf({ name: 'second', schedule: 'cron(0 6 ? * WED *)' });
    const [row] = boardOf(
      [{ model: 'churn', environment: 'production', requirements: [drill, canary] }],
      [observedOf([pointAt(NOW - DAY, 'pass', drill)]), observedOf([pointAt(NOW - DAY, 'fail', canary)])],
      NOW,
    ).rows;
    const gap = row?.gaps[1];
    expect(gap?.next).toBe(Date.parse('2026-07-15T06:00:00Z'));
    expect(gap?.stands.map(({ name }) => name)).toEqual(['second', 'churn']);
  });

  test('has no next run of what has no schedule, nor a report of what never ran', () => {
    const [row] = boardOf([{ requirements: [requirementOf()] }], [NEVER], NOW).rows;
    for (const part of [row?.gaps[0], row?.gaps[0]?.stands[0]]) {
      expect(part).not.toHaveProperty('next');
      expect(part).not.toHaveProperty('report');
      expect(part).not.toHaveProperty('since');
    }
  });

  test('refuses what is known of another number of requirements', () => {
    expect(() => boardOf(rows, [], NOW)).toThrow('expected what is known of 1 requirements, got 0');
    expect(() => boardOf(rows, [NEVER, NEVER], NOW)).toThrow('of 1 requirements, got 2');
  });

  test('knows which runs it shows', () => {
    expect(shows(board, failed)).toBe(true);
    // Tried again, it leaves a second entry at another time.
    expect(shows(board, { ...failed, at: failed.at + 1 })).toBe(true);
    expect(shows(board, { ...failed, run: 'ffffffff' })).toBe(false);
    expect(shows(board, { ...failed, verdict: 'f'.repeat(32) })).toBe(false);
    expect(shows(board, { ...failed, subject: 'other' })).toBe(false);
    expect(shows(board, { ...failed, gate: 'alarm-drill' })).toBe(false);
  });
});

describe('earlier reports', () => {
  const reportsOf = (points: ReturnType<typeof pointAt>[]) => {
    const rows = [{ requirements: [requirementOf()] }];
    const stand = boardOf(rows, [observedOf(points)], NOW).rows[0]?.gaps[0]?.stands[0];
    return (stand ? earlierReports(stand) : []).map(({ at, outcome, report }) => [at, outcome, report]);
  };
  const report = (verdict: string) => `../evidence/rollback-drill/churn/${verdict}/report.html`;

  test('are of other verdicts than the latest, each once, as it last came', () => {
    const [a, b, c] = [pointAt(NOW - 1), pointAt(NOW - 2, 'fail'), pointAt(NOW - 3, 'inconclusive')];
    const again = { ...b, at: NOW - 4, run: 'ffffffff' };
    expect(reportsOf([a, b, c, again, { ...a, at: NOW - 5 }])).toEqual([
      [NOW - 2, 'fail', report(b.verdict)],
      [NOW - 3, 'inconclusive', report(c.verdict)],
    ]);
  });

  test('are eight at most, the latest of them', () => {
    const points = Array.from({ length: 12 }, (_, index) => pointAt(NOW - index));
    expect(reportsOf(points).map(([at]) => at)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((ago) => NOW - ago));
  });
});

test('a link leads to its key, wherever the page is', () => {
  expect(keyOfLink('../evidence/a/b/c/report.html')).toBe('evidence/a/b/c/report.html');
});

describe('the summary', () => {
  const board = (rows: BoardRow[], but?: Record<string, Observed>): Board =>
    boardOf(rows, known(rows, but), NOW);
  const second = { ...releaseRow('fraud'), environment: 'production' };

  test('of releases that are ready', () => {
    expect(summaryOf(board([releaseRow()]))).toEqual({
      ready: true,
      text: 'churn in production is ready: every gap is closed.',
    });
    expect(
      summaryOf(board([releaseRow(), second, { requirements: [requirementOf({ name: 'x' })] }])),
    ).toEqual({
      ready: true,
      text: 'All 2 releases are ready: every gap is closed.',
    });
  });

  test('names what is open', () => {
    const drill = releaseRow().requirements[1] ?? requirementOf();
    const open = {
      [drill.title]: observedOf([pointAt(NOW - DAY, 'fail', drill)]),
      'datasets customers': NEVER,
    };
    expect(summaryOf(board([releaseRow()], open))).toEqual({
      ready: false,
      text: 'The release is not ready: churn in production (rollback failed and data never closed).',
    });
    const stale = { 'models churn': observedOf([pointAt(NOW - 100 * DAY, 'pass')]) };
    const inconclusive = { 'parity churn': observedOf([pointAt(NOW - DAY, 'inconclusive')]) };
    expect(summaryOf(board([releaseRow(), second], { ...stale, ...inconclusive })).text).toBe(
      '2 of 2 releases are not ready: churn in production (pipeline stale and parity inconclusive); fraud in production (pipeline stale and parity inconclusive).',
    );
  });

  test('names the first of many, and counts the others', () => {
    const many = ['a', 'b', 'c', 'd', 'e'].map((model) => releaseRow(model));
    const { text } = summaryOf(board(many, { 'parity churn': NEVER }));
    expect(text).toMatch(/^5 of 5 releases are not ready: a in [^;]*; b in [^;]*; c in [^;]*; and 2 more\.$/);
  });

  test('of one among several that is not ready', () => {
    const only = { ...releaseRow('fraud'), requirements: [requirementOf({ name: 'fraud' })] };
    expect(summaryOf(board([releaseRow(), only])).text).toMatch(/^1 of 2 releases is not ready: fraud in /);
  });

  test('says that nothing is released where nothing is', () => {
    expect(summaryOf(board([{ requirements: [requirementOf()] }]))).toEqual({
      ready: false,
      text: 'No release is named in the section readiness of tocsin.yaml.',
    });
  });

  test('what belongs to no model waits for nothing', () => {
    const [row] = board([{ requirements: [requirementOf()] }]).rows;
    expect(row && [rowTitle(row), openGaps(row)]).toEqual(['In no release', []]);
  });
});

describe('counts', () => {
  test('are of requirements, each once, however many releases wait for it', () => {
    const rows = [releaseRow(), releaseRow('churn', 'staging')];
    const [model, drill, alarm, dataset] = SUBJECTS.map(({ section, subject }) => `${section} ${subject}`);
    const board = boardOf(
      rows,
      known(rows, {
        [model as string]: NEVER,
        [dataset as string]: NEVER,
        [alarm as string]: NEVER,
        [drill as string]: observedOf([pointAt(NOW - 20 * DAY, 'fail')]),
      }),
      NOW,
    );
    const one = { overdue: 1, failing: 0 };
    expect(countsOf(board)).toEqual({
      overdue: 4,
      overdueDrills: 2,
      failing: 1,
      notReady: 2,
      gaps: {
        pipeline: one,
        rollback: { overdue: 1, failing: 1 },
        alarms: one,
        data: one,
        parity: { overdue: 0, failing: 0 },
      },
    });
  });

  test('have no release that is not ready in what belongs to none', () => {
    expect(countsOf(boardOf([{ requirements: [requirementOf()] }], [NEVER], NOW))).toMatchObject({
      overdue: 1,
      notReady: 0,
    });
  });

  test('are of the release that wants it youngest', () => {
    const rows = [
      { model: 'a', environment: 'x', requirements: [requirementOf({ freshMs: 30 * DAY })] },
      { model: 'b', environment: 'x', requirements: [requirementOf({ freshMs: DAY })] },
    ];
    const known = observedOf([pointAt(NOW - 2 * DAY)]);
    for (const order of [rows, rows.toReversed()]) {
      expect(countsOf(boardOf(order, [known, known], NOW))).toMatchObject({ overdue: 1, overdueDrills: 1 });
    }
  });
});
