import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Difference } from '../../../functions/config-parity/comparison.ts';
import { sourcesOf, verdictOf } from '../../../functions/config-parity/identity.ts';
import {
  parityMessage,
  parityRefusalMessage,
  parityResultOf,
} from '../../../functions/config-parity/messages.ts';
import { type Parity, parityResultSchema } from '../../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../../functions/config-parity/snapshot.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import {
  comparisonOf,
  differenceOf,
  entryOf,
  evaluationOf,
  outcomeOf,
  PROBES,
  parityOf,
  SCALER,
  snapshotOf,
} from '../../support/parity-facts.ts';

const EVIDENCE = 's3://evidence/config-parity/flight-delay/1/verdict.json';

function told(
  differences: Difference[] = [],
  parity: Parity = parityOf(PROBES),
  staging: Partial<Snapshot> = {},
) {
  const evaluation = evaluationOf(parity, comparisonOf(differences), { probes: [outcomeOf()] });
  const verdict = verdictOf(
    snapshotOf('staging', staging),
    snapshotOf('production'),
    evaluation,
    parity,
    sourcesOf(parity),
  );
  const result = parityResultOf(verdict, evaluation, EVIDENCE);
  expect(parityResultSchema.parse(result)).toEqual(result);
  return { result, ...parityMessage(result, verdict) };
}

describe('the result', () => {
  test('counts differences by whether they are documented', () => {
    const [a, b] = [differenceOf(), differenceOf([...SCALER.slice(0, -1), 'LEVEL'])];
    const parity = parityOf(PROBES, [entryOf()]);
    const message = `${b.text} is 1 in staging and 2 in production, and parity.yaml documents no such difference.`;
    expect(told([a, b], parity).result).toEqual({
      parity: 'flight-delay',
      outcome: 'fail',
      reason: message,
      verdict: expect.stringMatching(/^[0-9a-f]{32}$/),
      evidence: EVIDENCE,
      differences: { undocumented: 1, documented: 1 },
      findings: [message],
    });
    expect(told([a], parityOf(PROBES, [entryOf({ expires: '2026-01-01' })])).result).toMatchObject({
      outcome: 'fail',
      differences: { undocumented: 1, documented: 0 },
    });
  });
});

describe('the message', () => {
  test('of two environments that are equal', () => {
    const { subject, text, attributes } = told();
    expect(subject).toBe('Tocsin: config parity flight-delay passed');
    expect(attributes).toEqual({ parity: 'flight-delay', outcome: 'pass' });
    expect(text).toMatchInlineSnapshot(`
      "Config parity flight-delay of staging and production passed.

      Comparison flight-delay: 31 values of 3 resources are equal, none differ as documented, 10 golden requests answered alike.

      Evidence: s3://evidence/config-parity/flight-delay/1/verdict.json

      What now: nothing; what passes in staging says something of production.
      "
    `);
  });

  test('of two that are not', () => {
    const { subject, text } = told([differenceOf()]);
    expect(subject).toBe('Tocsin: config parity flight-delay failed');
    expect(text).toMatchInlineSnapshot(`
      "Config parity flight-delay of staging and production failed.

      models.flight-delay.containers[0].environment.SCALER_VERSION is 1 in staging and 2 in production, and parity.yaml documents no such difference.

      Evidence: s3://evidence/config-parity/flight-delay/1/verdict.json

      What now: Make them equal, or document it: tocsin parity document flight-delay. Until it passes, what passes in staging says nothing of production. Run it again: tocsin parity flight-delay
      "
    `);
  });

  test('of what nobody knows', () => {
    const unreadable = [
      { path: ['alarms'], physical: 'a', action: 'cloudwatch:DescribeAlarms', why: 'AccessDenied' },
    ];
    const { subject, text } = told([], parityOf(PROBES), { unreadable });
    expect(subject).toBe('Tocsin: config parity flight-delay is inconclusive');
    expect(text).toContain(
      '\nConfig parity flight-delay of staging and production is inconclusive.\n'.trim(),
    );
    expect(text).toContain(
      'Whether staging is as production is not known. Run it again: tocsin parity flight-delay\n',
    );
  });

  test('of a run without a verdict says whose mistake it is', () => {
    const mistake = parityRefusalMessage(
      parityOf(),
      new GateInputError('there are 10,001 things', { help: 'Compare fewer.' }),
    );
    expect(mistake).toMatchObject({
      subject: 'Tocsin: config parity flight-delay not run',
      text: 'Config parity flight-delay: it could not be run, so nobody knows whether staging is as production.\n\nthere are 10,001 things\n\nWhat now: Compare fewer. Then run it again: tocsin parity flight-delay\n',
      attributes: { parity: 'flight-delay', outcome: 'error' },
    });
    expect(parityRefusalMessage(parityOf(), new GateDependencyError('throttled')).text).toMatch(
      /its run broke off/,
    );
  });
});

test('everything is bounded, whatever differs', () => {
  const name = 'a'.repeat(60);
  const text = fc.string({ unit: 'binary', minLength: 400, maxLength: 600 });
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { minLength: 1, maxLength: 30 }), (pairs) => {
      const parity = parityOf(PROBES, [entryOf({ path: '**.[a]', reason: 'r'.repeat(9000) })], name);
      const differences = pairs.map(([a, b], index) =>
        differenceOf(['functions', a, String(index)], a, `${b}!`),
      );
      const { result, subject, text } = told(differences, parity, { parity: name });
      expect(subject).toMatch(/^[\x20-\x7e]{1,100}$/);
      expect(Buffer.byteLength(text)).toBeLessThan(60_000);
      expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(100_000);
    }),
    { seed: 6, numRuns: 20 },
  );
});
