import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { refusalMessage, resultOf, verdictMessage } from '../../../functions/quality-gate/messages.ts';
import { type DatasetConfig, resultSchema } from '../../../functions/quality-gate/schema.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { clip, formatBytes } from '../../../functions/shared/format.ts';
import type { Finding, Verdict } from '../../../functions/shared/verdict.ts';

const CONFIG: DatasetConfig = { contract: 'c.yaml', prefix: 'flights/', inconclusive: 'block' };
const WHERE = { uri: 's3://data/flights/a.csv', versionId: 'v1', evidence: 's3://evidence/x/verdict.json' };

function verdictOf(outcome: Verdict['outcome'], findings: Finding[], reason = 'the reason'): Verdict {
  return {
    verdict: 1,
    id: '0'.repeat(32),
    gate: 'quality-gate',
    subject: 'flights',
    outcome,
    reason,
    findings,
    notChecked: [],
    inputs: {},
    tocsin: '0.1.0',
  };
}

const findingOf = (message: string, outcome: Finding['outcome'] = 'fail'): Finding => ({
  check: 'zeros',
  subject: 'column delay',
  outcome,
  message,
  allowed: 'at most 10%',
  observed: '38.1%',
});

describe('the notification of a verdict', () => {
  test('of good data is short', () => {
    const verdict = verdictOf('pass', [findingOf('fine', 'pass')]);
    const result = resultOf(verdict, CONFIG, WHERE);
    expect(verdictMessage(result, verdict, CONFIG)).toMatchObject({
      subject: 'Tocsin: dataset flights accepted (pass)',
      text: `Dataset flights is accepted (pass).

the reason

Data:     s3://data/flights/a.csv
Version:  v1
Evidence: s3://evidence/x/verdict.json

What now: nothing; training may read it.
`,
      attributes: { dataset: 'flights', outcome: 'pass' },
    });
  });

  test('of bad data has everything that somebody woken at night needs', () => {
    const verdict = verdictOf('fail', [
      { ...findingOf('column delay: 38.1% zeros'), help: 'Look upstream.' },
      findingOf('column tail is new', 'warn'),
    ]);
    const result = resultOf(verdict, CONFIG, WHERE);
    expect(verdictMessage(result, verdict, CONFIG).text).toBe(`Dataset flights is rejected (fail).

the reason

- column delay: 38.1% zeros
- column tail is new

Data:     s3://data/flights/a.csv
Version:  v1
Evidence: s3://evidence/x/verdict.json

What now: Look upstream. The dataset stays locked. Correct it at its source and upload it again; if the data is right and the rule is wrong, change the contract, or promote a new baseline, and deploy.
`);
  });

  test('does not say twice what is the one thing to say', () => {
    const verdict = verdictOf('fail', [findingOf('column delay: 38.1% zeros')], 'column delay: 38.1% zeros');
    const { text } = verdictMessage(resultOf(verdict, CONFIG, WHERE), verdict, CONFIG);
    expect(text.split('38.1% zeros')).toHaveLength(2);
  });

  test('fits SNS and EventBridge whatever the findings say, and however long', () => {
    const long = fc.string({ unit: 'binary', maxLength: 20 }).map((text) => `${text}€`.repeat(20_000));
    return fc.assert(
      fc.property(fc.array(long, { maxLength: 15 }), long, (messages, reason) => {
        const findings = messages.map((message) => findingOf(message));
        const verdict = verdictOf('fail', findings, reason);
        const result = resultOf(verdict, CONFIG, { ...WHERE, uri: `s3://data/flights/${'ü'.repeat(500)}` });
        const message = verdictMessage(result, verdict, CONFIG);
        expect(message.subject).toMatch(/^[\x20-\x7e]{1,100}$/);
        expect(Buffer.byteLength(message.text)).toBeLessThan(100_000);
        expect(Buffer.byteLength(JSON.stringify(result))).toBeLessThan(200_000);
        expect(resultSchema.parse(result)).toEqual(result);
        expect(result.findings).toHaveLength(Math.min(messages.length, 10));
      }),
      { numRuns: 30 },
    );
  });

  test('has a subject that SNS takes for the longest name', () => {
    const verdict = { ...verdictOf('inconclusive', []), subject: 'x'.repeat(60) };
    const config = { ...CONFIG, inconclusive: 'allow' as const };
    const { subject } = verdictMessage(resultOf(verdict, config, WHERE), verdict, config);
    expect(subject).toBe(`Tocsin: dataset ${'x'.repeat(60)} accepted (inconclusive)`);
    expect(subject.length).toBeLessThanOrEqual(100);
  });
});

test('the notification of a refusal is bounded', () => {
  const { text } = refusalMessage('flights', WHERE, new GateInputError('x'.repeat(1_000_000)));
  expect(text.length).toBeLessThan(25_000);
  expect(text).toContain('What now: correct what the message says');
});

test('clip never cuts a character in two', () => {
  expect(clip('abc', 3)).toBe('abc');
  expect(clip('abcd', 3)).toBe('ab…');
  expect(clip('😀😀😀', 2)).toBe('😀…');
});

test.each([
  [0, '0 bytes'],
  [999, '999 bytes'],
  [1000, '1 KB (1,000 bytes)'],
  [1_550_000, '1.6 MB (1,550,000 bytes)'],
  [2_000_000_001, '2 GB (2,000,000,001 bytes)'],
  [5e15, '5000 TB (5,000,000,000,000,000 bytes)'],
])('formatBytes(%i) is %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
