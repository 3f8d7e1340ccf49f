import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compose, type Message } from '../../../functions/shared/message.ts';
import type { Outcome } from '../../../functions/shared/verdict.ts';
import { messageOfVerdict } from '../../../functions/shared/verdict-message.ts';

const REPORT = { uri: 's3://evidence/report.html', link: 'https://console/report.html' };
const DAY_MS = 86_400_000;
const LAST = Date.UTC(2001, 2, 10, 6);

/** A message of a verdict after others, the latest first, a day between one and the next. */
function told(outcome: Outcome, before: readonly Outcome[], name = 'flights'): Message {
  const message = compose({
    subject: `Tocsin: dataset ${name} ${outcome === 'pass' ? 'accepted' : 'rejected'} (${outcome})`,
    kind: 'verdict',
    gate: 'quality-gate',
    about: name,
    of: { dataset: name },
    outcome,
    headline: 'Dataset flights is judged.',
    reason: 'the reason',
    findings: ['column delay: 38.1% zeros'],
    facts: [['Data', 's3://data/flights/a.csv']],
    next: 'nothing.',
  });
  return messageOfVerdict(message, {
    verdict: {
      gate: 'quality-gate',
      subject: name,
      id: 'a'.repeat(32),
      outcome,
      reason: 'the reason',
      inputs: {},
    },
    result: { dataset: name },
    report: REPORT,
    history: before.map((was, index) => ({ outcome: was, at: LAST - index * DAY_MS })),
  });
}

const changeOf = (outcome: Outcome, before: readonly Outcome[]) => told(outcome, before).change;

describe('what is new', () => {
  test.each<[Outcome, Outcome[], string | undefined]>([
    ['pass', [], undefined],
    ['fail', [], undefined],
    ['pass', ['pass'], undefined],
    [
      'fail',
      ['pass', 'fail'],
      'New: until now it had passed, since 2001-03-10T06:00:00Z (1 verdict in a row).',
    ],
    [
      'inconclusive',
      ['pass', 'pass'],
      'New: until now it had passed, at least since 2001-03-09T06:00:00Z (2 verdicts in a row).',
    ],
    [
      'pass',
      ['fail', 'fail', 'pass'],
      'Recovered: it had failed since 2001-03-09T06:00:00Z (2 verdicts in a row).',
    ],
    [
      'pass',
      ['inconclusive'],
      'Recovered: it had been inconclusive at least since 2001-03-10T06:00:00Z (1 verdict in a row).',
    ],
    [
      'pass',
      ['inconclusive', 'fail', 'pass'],
      'Recovered: it had not passed since 2001-03-09T06:00:00Z (2 verdicts in a row).',
    ],
    [
      'fail',
      ['fail', 'pass'],
      'Still: it has failed since 2001-03-10T06:00:00Z (2 verdicts in a row, with this one).',
    ],
    [
      'inconclusive',
      ['fail', 'fail', 'pass'],
      'Still: it has not passed since 2001-03-09T06:00:00Z (3 verdicts in a row, with this one).',
    ],
  ])('%s after %j: %s', (outcome, before, change) => {
    expect(changeOf(outcome, before)).toBe(change);
  });

  test('is below what has happened, and the report before what else there is', () => {
    expect(told('fail', ['fail', 'pass']).text).toBe(`Dataset flights is judged.
Still: it has failed since 2001-03-10T06:00:00Z (2 verdicts in a row, with this one).

the reason

- column delay: 38.1% zeros

Report:   https://console/report.html
Data:     s3://data/flights/a.csv

What now: nothing.
`);
  });

  test('is what subscriptions can filter by', () => {
    expect(told('pass', ['fail']).attributes).toEqual({
      dataset: 'flights',
      outcome: 'pass',
      recovered: 'true',
    });
    expect(told('pass', ['pass']).attributes).toEqual({ dataset: 'flights', outcome: 'pass' });
    expect(told('fail', ['fail']).attributes).toEqual({ dataset: 'flights', outcome: 'fail' });
  });

  test('is what programs are told', () => {
    expect(told('pass', ['fail', 'inconclusive', 'pass']).verdict).toEqual({
      id: 'a'.repeat(32),
      reason: 'the reason',
      recovered: true,
      before: { outcome: 'no pass', since: LAST - DAY_MS, runs: 2, open: false },
      report: REPORT,
      result: { dataset: 'flights' },
    });
    expect(told('fail', []).verdict).toMatchObject({ recovered: false, before: undefined });
  });
});

describe('the subject', () => {
  test.each<[Outcome, Outcome[], string]>([
    ['pass', [], 'Tocsin: dataset flights accepted (pass)'],
    ['fail', ['pass'], 'Tocsin: dataset flights rejected (fail)'],
    ['fail', ['inconclusive'], 'Tocsin, still: dataset flights rejected (fail)'],
    ['pass', ['inconclusive'], 'Tocsin, recovered: dataset flights accepted (pass)'],
  ])('of %s after %j', (outcome, before, subject) => {
    expect(told(outcome, before).subject).toBe(subject);
  });

  test('cuts a name in its middle where SNS does not take all of it', () => {
    const name = `${'a'.repeat(30)}${'b'.repeat(30)}`;
    const { subject } = told('pass', ['fail'], name);
    expect(subject).toBe(`Tocsin, recovered: dataset ${'a'.repeat(28)}..${'b'.repeat(27)} accepted (pass)`);
    expect(subject).toHaveLength(100);
  });

  test('is one that SNS takes, whatever came before', () => {
    const outcome = fc.constantFrom<Outcome>('pass', 'fail', 'inconclusive');
    fc.assert(
      fc.property(
        outcome,
        fc.array(outcome, { maxLength: 4 }),
        fc.integer({ min: 1, max: 60 }),
        (now, before, length) => {
          expect(told(now, before, 'x'.repeat(length)).subject).toMatch(/^Tocsin[\x20-\x7e]{1,94}$/);
        },
      ),
    );
  });
});

test('a streak is of as many verdicts as have passed, or have not, without another in between', () => {
  const outcome = fc.constantFrom<Outcome>('pass', 'fail', 'inconclusive');
  fc.assert(
    fc.property(outcome, fc.array(outcome, { minLength: 1, maxLength: 12 }), (now, before) => {
      const context = told(now, before).verdict!;
      const passed = before[0] === 'pass';
      let runs = 0;
      while (runs < before.length && (before[runs] === 'pass') === passed) runs++;
      expect(context.before).toMatchObject({
        runs,
        since: LAST - (runs - 1) * DAY_MS,
        open: runs === before.length,
      });
      expect(context.recovered).toBe(now === 'pass' && !passed);
    }),
  );
});
