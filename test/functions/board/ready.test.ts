import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readyOf, requirementKey } from '../../../functions/board/ready.ts';
import { type BoardRow, GAPS, type Requirement } from '../../../functions/board/schema.ts';
import type { Observed } from '../../../functions/board/standing.ts';
import type { HistoryEntry } from '../../../functions/shared/history.ts';

const NOW = Date.parse('2026-11-22T18:00:00Z');

const SECTIONS = {
  pipeline: 'models',
  rollback: 'rollbackDrills',
  alarms: 'alarmDrills',
  data: 'datasets',
  parity: 'parity',
} as const;
const GATES = {
  pipeline: 'holdout-evaluation',
  rollback: 'rollback-drill',
  alarms: 'alarm-drill',
  data: 'quality-gate',
  parity: 'config-parity',
} as const;

const requirementOf = (gap: (typeof GAPS)[number]): Requirement => ({
  gap,
  gate: GATES[gap],
  subject: gap,
  section: SECTIONS[gap],
  name: gap,
  title: `the ${gap}`,
  freshMs: 1000,
  configured: [],
  line: 'tocsin.yaml:1',
  again: 'Again.',
});

const ROW: BoardRow = { model: 'm', environment: 'production', requirements: GAPS.map(requirementOf) };

function pass(gap: (typeof GAPS)[number]): Observed {
  const latest: HistoryEntry = {
    history: 1,
    gate: GATES[gap],
    subject: gap,
    at: NOW - 10,
    outcome: 'pass',
    verdict: '0'.repeat(32),
    run: '01234567',
    reason: 'Fine.',
    inputs: {},
  };
  return { history: [latest], latest };
}

const observedOf = (gaps: readonly (typeof GAPS)[number][]) =>
  new Map(gaps.map((gap) => [requirementKey(requirementOf(gap)), pass(gap)]));

describe('readyOf', () => {
  test('is ready where all five gaps are closed', () => {
    expect(readyOf(ROW, observedOf(GAPS), NOW)).toMatchObject({
      model: 'm',
      environment: 'production',
      at: NOW,
      ready: true,
    });
  });

  test('is not where one is open, whichever: what nobody has looked at is no pass', () => {
    fc.assert(
      fc.property(fc.subarray([...GAPS]), (closed) => {
        const { ready, gaps } = readyOf(ROW, observedOf(closed), NOW);
        expect(ready).toBe(closed.length === GAPS.length);
        expect(gaps.filter(({ standing }) => standing === 'pass').map(({ gap }) => gap)).toEqual(closed);
        for (const { standing, why } of gaps) {
          if (standing !== 'pass')
            expect([standing, why]).toEqual([
              'inconclusive',
              expect.stringMatching(/nobody has looked at it/),
            ]);
        }
      }),
    );
  });

  test('is not where a row waits for nothing', () => {
    const { ready, gaps } = readyOf(
      { model: 'm', environment: 'production', requirements: [] },
      new Map(),
      NOW,
    );
    expect([ready, gaps.map(({ standing }) => standing)]).toEqual([false, Array(5).fill('never')]);
  });

  test('does not take the verdict on one thing for that on another of the same name', () => {
    const drill = { ...requirementOf('alarms'), name: 'x' };
    const rollback = { ...requirementOf('rollback'), name: 'x' };
    const row = { ...ROW, requirements: [drill, rollback] };
    const { gaps } = readyOf(row, new Map([[requirementKey(drill), pass('alarms')]]), NOW);
    expect(gaps.map(({ standing }) => standing)).toEqual(['never', 'inconclusive', 'pass', 'never', 'never']);
  });
});
