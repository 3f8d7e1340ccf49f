import { expect, test } from 'vitest';
import { checksText, type FindingOutcome, worstOf } from '../../../functions/shared/verdict.ts';

const findings = (...outcomes: FindingOutcome[]) =>
  outcomes.map((outcome, index) => ({ outcome, message: `Message ${index + 1}.` }));

test('one finding that did not pass is the whole reason; of several the first, and how many there are', () => {
  expect(worstOf(findings('fail', 'inconclusive', 'pass'))).toBe('Message 1.');
  expect(worstOf(findings('inconclusive', 'warn', 'pass'))).toBe('Message 1.');
  expect(worstOf(findings('fail', 'fail', 'inconclusive'))).toBe('2 of 3 checks failed; first: Message 1.');
  expect(worstOf(findings('inconclusive', 'inconclusive', 'pass', 'pass'))).toBe(
    '2 of 4 checks are inconclusive; first: Message 1.',
  );
});

test('where none failed and none is open there is nothing to say', () => {
  expect(worstOf(findings('warn', 'pass'))).toBeUndefined();
  expect(worstOf([])).toBeUndefined();
});

test('checks are counted, and those with a warning', () => {
  expect(checksText(findings('pass'))).toBe('1 check');
  expect(checksText(findings('warn', 'pass', 'pass'))).toBe('3 checks, 1 with a warning');
});
