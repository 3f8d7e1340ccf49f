import { describe, expect, it } from 'vitest';
import type { StateValue } from '../../sandbox/cloudwatch/judge.ts';
import { ExpressionError, parseExpression } from '../../sandbox/cloudwatch/math.ts';
import { parseRule, RuleError } from '../../sandbox/cloudwatch/rule.ts';

const _ = undefined;

/** What an expression comes to; metrics are m1, m2 and so on. */
function compute(expression: string, ...metrics: (number | undefined)[][]) {
  return parseExpression(expression)({
    series: (id) => metrics[Number(id.slice(1)) - 1],
    metrics: () => metrics,
  });
}

describe('metric math', () => {
  it.each<[string, (number | undefined)[][], (number | undefined)[]]>([
    [
      'm1 + 2 * m2',
      [
        [1, 2],
        [10, 20],
      ],
      [21, 42],
    ],
    [
      '(m1 + 2) * m2',
      [
        [1, 2],
        [10, 20],
      ],
      [30, 80],
    ],
    ['m1 - m2 - 1', [[10], [2]], [7]],
    ['m1 / m2 / 2', [[8], [2]], [2]],
    ['-m1 + 1e1 - .5', [[1]], [8.5]],
    // Between two series a gap is 0, between a series and a number it stays one.
    [
      'm1 + m2',
      [
        [1, _, _],
        [10, 20, _],
      ],
      [11, 20, _],
    ],
    ['m1 * 2', [[1, _]], [2, _]],
    // A division by zero drops the point.
    [
      'm1 / m2',
      [
        [1, 1, _],
        [2, 0, 4],
      ],
      [0.5, _, 0],
    ],
    ['m1 / 0', [[1]], [_]],
    // A missing point counts as 0, also in the average of one series.
    ['m1 - AVG(m1)', [[1, _, 5]], [-1, _, 3]],
    ['m1 / MAX(m1)', [[1, 4]], [0.25, 1]],
    ['m1 - MIN(m1)', [[1, 4]], [0, 3]],
    ['m1 / SUM(m1)', [[1, 3]], [0.25, 0.75]],
    ['m1 - AVG(m2)', [[1], [_]], [_]],
    [
      'SUM(METRICS())',
      [
        [1, _, _],
        [2, 3, _],
      ],
      [3, 3, _],
    ],
    [
      'AVG([m1, m2])',
      [
        [1, _],
        [2, 3],
      ],
      [1.5, 1.5],
    ],
    [
      'MAX([m1, m2])',
      [
        [1, _],
        [-2, -3],
      ],
      [1, -3],
    ],
    ['MIN([m1 * 10, m2])', [[1], [20]], [10]],
    ['SUM([m1, m2] / m2)', [[10], [5]], [3]],
    ['SUM(100 / METRICS())', [[10], [5]], [30]],
    ['FILL(m1, 7)', [[1, _]], [1, 7]],
    [
      'FILL(m1, m2)',
      [
        [1, _],
        [3, 4],
      ],
      [1, 4],
    ],
    ['FILL(m1, REPEAT)', [[_, 1, _]], [_, 1, 1]],
    [
      'SUM(FILL(METRICS(), 1))',
      [
        [1, _],
        [_, _],
      ],
      [2, 2],
    ],
    ['m1 > 1', [[1, 2, _]], [0, 1, _]],
    [
      'm1 < m2',
      [
        [30, 20, 0, 0],
        [20, _, 20, _],
      ],
      [0, 0, 1, 0],
    ],
    [
      'm1 > 15 AND m2 > 15',
      [
        [30, 20, 0, 0],
        [20, _, 20, _],
      ],
      [1, 0, 0, 0],
    ],
    ['m1 == 1 || m1 != 1 && m1 >= 3', [[1, 2, 3]], [1, 0, 1]],
    // The tables of CloudWatch's user guide.
    [
      'IF(m1, m2, m3)',
      [
        [1, 1, 0, 0, _],
        [30, _, 0, 0, 30],
        [0, 0, 20, _, 20],
      ],
      [30, 0, 20, _, _],
    ],
    [
      'IF(m1, 5, m2)',
      [
        [1, 1, 0, 0, _],
        [0, 0, 20, _, 20],
      ],
      [5, 5, 20, _, _],
    ],
    [
      'IF(m1, m2, 5)',
      [
        [1, 1, 0, 0, _],
        [30, _, 0, 0, 30],
      ],
      [30, 0, 5, 5, _],
    ],
    ['IF(m1 < 400, m1)', [[300, 500]], [300, _]],
    ['IF(1, m1, m2)', [[1], [2]], [1]],
    ['IF(0, m1, m2)', [[1], [2]], [2]],
    ['IF(0, m1)', [[1]], [_]],
  ])('%s of %j is %j', (expression, metrics, expected) => {
    expect(compute(expression, ...metrics)).toEqual(expected);
  });

  it.each([
    ['m1 +', 'it ends too early'],
    ['(m1', '")" is expected, not its end'],
    ['m1 m2', '"m2" is not expected'],
    ['m1 ^ 2', 'what stands at "^ 2" is not understood'],
    ['m3', 'there is no metric or expression with the id m3'],
    ['RATE(m1)', 'the function RATE is not supported here'],
    ['ANOMALY_DETECTION_BAND(m1, 2)', 'the function ANOMALY_DETECTION_BAND is not supported here'],
    ['M1', '"M1" is not expected'],
    ['IF(m1)', 'IF does not take 1 arguments'],
    ['FILL(m1, LINEAR)', '"LINEAR" is not expected'],
    ['SUM(m1)', 'comes to a single number; an alarm watches one time series'],
    ['METRICS()', 'comes to several time series; an alarm watches one time series'],
    ['SUM(1)', 'SUM does not take a number'],
    ['[m1] + [m2]', 'The operator + does not take two arrays of time series'],
    ['IF([m1], m1, m2)', 'IF does not take an array of time series'],
    ['SUM([m1, 2])', 'A number cannot stand in an array of time series'],
    ['FILL(2, 1)', 'A number cannot stand for a time series'],
    ['IF(m1, [m1], 2)', 'An array of time series cannot stand here'],
  ])('refuses %s: %s', (expression, message) => {
    const attempt = () => compute(expression, [1], [2]);
    expect(attempt).toThrow(ExpressionError);
    expect(attempt).toThrow(message);
  });
});

describe('the rule of a composite alarm', () => {
  const states: Record<string, StateValue> = {
    a: 'ALARM',
    b: 'OK',
    c: 'INSUFFICIENT_DATA',
    'with "quotes" (x)': 'ALARM',
  };

  it.each<[string, boolean, string[]]>([
    ['ALARM(a)', true, ['a']],
    ['ALARM("b")', false, ['b']],
    ['OK(b) AND INSUFFICIENT_DATA(c)', true, ['b', 'c']],
    ['ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)', true, ['a']],
    ['ALARM("with \\"quotes\\" (x)")', true, ['with "quotes" (x)']],
    ['NOT ALARM(a) OR OK(b)', true, ['a', 'b']],
    ['NOT (ALARM(a) OR OK(b))', false, ['a', 'b']],
    ['ALARM(a) OR ALARM(b) AND ALARM(c)', true, ['a', 'b', 'c']],
    ['(ALARM(a) OR ALARM(b)) AND ALARM(c)', false, ['a', 'b', 'c']],
    ['ALARM(a) AND NOT NOT ALARM(a)', true, ['a']],
    ['TRUE', true, []],
    ['FALSE OR FALSE', false, []],
    ['ALARM( a )\n AND TRUE ', true, ['a']],
  ])('%s: %s', (text, expected, children) => {
    const rule = parseRule(text);
    expect(rule.holds((name) => states[name] as StateValue)).toBe(expected);
    expect(rule.children).toEqual(children);
  });

  it.each([
    ['ALARM(a) AND', 'it ends too early'],
    ['(ALARM(a)', 'a parenthesis is not closed'],
    ['ALARM(a) ALARM(b)', 'ALARM(b) is not expected'],
    ['AND ALARM(a)', 'AND is not expected'],
    ['AT_LEAST(2, ALARM, (a, b))', 'is not valid at "AT_LEAST(2, ALARM, (a, b))"'],
    ['ALARM()', 'is not valid at "ALARM()"'],
    ['alarm(a)', 'is not valid at "alarm(a)"'],
  ])('refuses %s: %s', (text, message) => {
    expect(() => parseRule(text)).toThrow(RuleError);
    expect(() => parseRule(text)).toThrow(message);
  });
});
