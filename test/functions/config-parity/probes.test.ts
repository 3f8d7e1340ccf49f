import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { judgeProbes } from '../../../functions/config-parity/probes.ts';
import type { ProbeAnswers } from '../../../functions/config-parity/snapshot.ts';
import { answersOf, PROBES, parityOf, snapshotOf } from '../../support/parity-facts.ts';

const PARITY = parityOf(PROBES).value;

function judged(staging: ProbeAnswers | undefined, production: ProbeAnswers | undefined, parity = PARITY) {
  const [outcome] = judgeProbes(
    snapshotOf('staging', { probes: staging === undefined ? [] : [staging] }),
    snapshotOf('production', { probes: production === undefined ? [] : [production] }),
    parity,
  );
  return outcome;
}

describe('golden requests', () => {
  test('that both answer alike, and as recorded', () => {
    expect(judged(answersOf([1, 2], [1, 2]), answersOf([1, 2.0000001], [1, 2]))).toEqual({
      probe: 'delay',
      outcome: 'pass',
      asked: 2,
      agreed: 2,
      answered: 2,
      why: '2 golden requests are answered alike, and as it is recorded',
      examples: [],
    });
  });

  test.each([
    [[null, null], '2 golden requests are answered alike; of none it is recorded how'],
    [[1, null], '2 golden requests are answered alike; of 1 it is recorded how, and so they are'],
  ])('of which %j is recorded', (recorded, why) => {
    expect(judged(answersOf([1, 2], recorded), answersOf([1, 2], recorded))).toMatchObject({
      outcome: 'pass',
      why,
    });
  });

  test.each<{ prediction: unknown }>([
    { prediction: null },
    { prediction: '' },
    { prediction: 'NaN' },
    {
      prediction: [
        [1, 2],
        [1, 'nan'],
      ],
    },
    { prediction: { score: null } },
    { prediction: [] },
  ])('that both answer with $prediction are not answered, unless it is recorded', (nothing) => {
    const answers = (recorded: typeof nothing | null) =>
      answersOf([], [], { answers: [{ prediction: 1 }, nothing], recorded: [null, recorded] });
    expect(judged(answers(null), answers(null))).toMatchObject({
      outcome: 'inconclusive',
      answered: 1,
      why: '1 of 2 got no answer from staging (an answer without a prediction); 1 of 2 got no answer from production (an answer without a prediction)',
    });
    expect(judged(answers(null), answersOf([1, 2]))?.outcome).toBe('fail');
    expect(judged(answers(nothing), answers(nothing))?.outcome).toBe('pass');
  });

  test('that are answered differently', () => {
    expect(judged(answersOf([1, 2, 3]), answersOf([1, 2.5, 'no flight']))).toEqual({
      probe: 'delay',
      outcome: 'fail',
      asked: 3,
      agreed: 1,
      answered: 3,
      why: '2 of 3 golden requests are answered differently',
      examples: [
        { golden: 2, staging: '2', production: '2.5' },
        { golden: 3, staging: '3', production: 'no flight' },
      ],
    });
  });

  test('say which environment answers as it is recorded', () => {
    const recorded = [1, 2];
    const right = answersOf([1, 2], recorded);
    const wrong = answersOf([1, 7], recorded);
    expect(judged(right, wrong)).toMatchObject({
      outcome: 'fail',
      why: '1 of 2 golden requests is answered differently; staging answers as it is recorded, production does not',
      examples: [{ golden: 2, staging: '2', production: '7', recorded: '2' }],
    });
    expect(judged(wrong, right)?.why).toContain('production answers as it is recorded, staging does not');
    expect(judged(answersOf([1, 8], recorded), wrong)?.why).toBe(
      '1 of 2 golden requests is answered differently',
    );
  });

  test('that are answered alike, and not as recorded', () => {
    const answers = answersOf([1, 9], [1, 2]);
    expect(judged(answers, answers)).toMatchObject({
      outcome: 'fail',
      agreed: 1,
      why: '1 of 2 golden requests is answered alike, but not as it is recorded',
      examples: [{ golden: 2, staging: '9', production: '9', recorded: '2' }],
    });
  });

  test('within the tolerance of tocsin.yaml', () => {
    const loose = parityOf({
      probes: { delay: { endpoint: 'flight-delay', golden: 'golden.jsonl', tolerance: 0.1 } },
    }).value;
    expect(judged(answersOf([10]), answersOf([10.9]), loose)?.outcome).toBe('pass');
    expect(judged(answersOf([10]), answersOf([10.9]))?.outcome).toBe('fail');
    // Both are within it of what is recorded, and not of each other: neither of them alone is right.
    expect(judged(answersOf([9.2], [10]), answersOf([10.9], [10]), loose)?.why).toBe(
      '1 of 1 golden request is answered differently',
    );
    // Both are within it of each other, and one is not of what is recorded.
    expect(judged(answersOf([10], [9.5]), answersOf([10.9], [9.5]), loose)).toMatchObject({
      outcome: 'fail',
      why: '1 of 1 golden request is answered alike, but not as it is recorded',
    });
  });

  test('that got no answer', () => {
    const silent = answersOf([1, { error: 'ModelError 500' }, { error: 'TimeoutError' }]);
    expect(judged(answersOf([1, 2, 3]), silent)).toEqual({
      probe: 'delay',
      outcome: 'inconclusive',
      asked: 3,
      agreed: 1,
      answered: 1,
      why: '2 of 3 got no answer from production (ModelError 500, TimeoutError)',
      examples: [],
    });
    expect(judged(silent, answersOf([2, { error: 'ModelError 500' }, 3]))).toMatchObject({
      outcome: 'fail',
      why: '1 of 3 golden requests is answered differently; 2 of 3 got no answer from staging (ModelError 500, TimeoutError); 1 of 3 got no answer from production (ModelError 500)',
    });
  });

  test.each<[string, ProbeAnswers | undefined, ProbeAnswers | undefined]>([
    ['nobody asked staging', undefined, answersOf([1])],
    ['nobody asked production', answersOf([1]), undefined],
    ['nobody asked staging and production', undefined, undefined],
    [
      'the two were asked other golden requests: s3://release/golden.jsonl was changed in between',
      answersOf([1]),
      answersOf([1], [null], { sha256: 'e'.repeat(64) }),
    ],
    ['not every golden request has an answer in both snapshots', answersOf([1, 2]), answersOf([1])],
    ['not every golden request has an answer in both snapshots', answersOf([1], []), answersOf([1])],
    ['there are no golden requests', answersOf([]), answersOf([])],
  ])('say nothing where %s', (why, staging, production) => {
    expect(judged(staging, production)).toMatchObject({ outcome: 'inconclusive', agreed: 0, why });
  });

  test('each probe of tocsin.yaml has an outcome, and no other', () => {
    const two = parityOf({
      probes: {
        z: { endpoint: 'flight-delay', golden: 'z.jsonl' },
        a: { endpoint: 'flight-delay', golden: 'a.jsonl' },
      },
    }).value;
    const answers = answersOf([1], [1], { probe: 'a' });
    const snapshot = (side: 'staging' | 'production') =>
      snapshotOf(side, { probes: [answers, answersOf([1], [1], { probe: 'former' })] });
    const outcomes = judgeProbes(snapshot('staging'), snapshot('production'), two);
    expect(outcomes.map(({ probe, outcome }) => [probe, outcome])).toEqual([
      ['z', 'inconclusive'],
      ['a', 'pass'],
    ]);
    expect(judgeProbes(snapshot('staging'), snapshot('production'), parityOf().value)).toEqual([]);
  });

  test.each<[number, number, string, string]>([
    [0.1570497832270697, 0.15049458957958523, '0.157', '0.1505'],
    [0.1570497832270697, 0.1570491, '0.15704978', '0.1570491'],
    [1_234_567_890_123, 1_234_567_899_123, '1234567890123', '1234567899123'],
  ])('%j and %j are told in as few digits as tell them apart', (one, other, staging, production) => {
    const parity = parityOf(PROBES).value;
    for (const probe of Object.values(parity.probes)) probe.tolerance = 0;
    const outcome = judged(answersOf([one], [one]), answersOf([other], [one]), parity);
    expect(outcome?.examples).toEqual([{ golden: 1, staging, production, recorded: staging }]);
  });

  test('examples are few and short', () => {
    const long = answersOf(Array.from({ length: 50 }, (_, index) => `${'x'.repeat(900)}${index}`));
    const outcome = judged(long, answersOf(Array(50).fill(1)));
    expect(outcome?.examples).toHaveLength(5);
    expect(outcome?.examples[0]?.staging).toHaveLength(100);
  });
});

test('the outcome follows from what each request came to, whichever environment is which', () => {
  const answer = fc.constantFrom<number | { error: string }>(1, 2, { error: 'ModelError 500' });
  const line = fc.record({ staging: answer, production: answer, recorded: fc.constantFrom(1, null) });
  fc.assert(
    fc.property(fc.array(line, { minLength: 1, maxLength: 8 }), (lines) => {
      const recorded = lines.map((one) => one.recorded);
      const staging = answersOf(
        lines.map((one) => one.staging),
        recorded,
      );
      const production = answersOf(
        lines.map((one) => one.production),
        recorded,
      );
      const outcome = judged(staging, production)!;
      const answered = lines.filter(
        (one) => ![one.staging, one.production].some((a) => typeof a === 'object'),
      );
      const agreed = answered.filter(
        (one) => one.staging === one.production && (one.recorded === null || one.staging === one.recorded),
      );
      expect(outcome).toMatchObject({
        asked: lines.length,
        answered: answered.length,
        agreed: agreed.length,
        outcome:
          agreed.length < answered.length ? 'fail' : answered.length < lines.length ? 'inconclusive' : 'pass',
      });
      expect(outcome.examples.length).toBe(Math.min(5, answered.length - agreed.length));
      const swapped = judged(production, staging)!;
      expect([swapped.outcome, swapped.agreed]).toEqual([outcome.outcome, outcome.agreed]);
    }),
    { seed: 6, numRuns: 100 },
  );
});
