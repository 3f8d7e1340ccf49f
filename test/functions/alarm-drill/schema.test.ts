import { describe, expect, test } from 'vitest';
import { parseDrills } from '../../../functions/alarm-drill/schema.ts';
import { ConfigError } from '../../../functions/shared/schema.ts';

/** A drill, with its lines changed: null leaves one out. */
function textOf(change: Record<string, string | null>): string {
  const lines: Record<string, string | null> = {
    alarm: 'drift-alarm',
    intended: "{ fires: '>= 0.2', within: 5m }",
    ...change,
  };
  return [
    'alarmDrills:',
    '  drift:',
    ...Object.entries(lines).flatMap(([key, value]) => (value === null ? [] : [`    ${key}: ${value}`])),
  ].join('\n');
}

const parse = (change: Record<string, string | null> = {}) =>
  parseDrills({ file: 'tocsin.yaml', text: textOf(change) }).get('drift')!;

const TRAFFIC = '{ endpoint: staging, dataset: flights, features: [a, b], feature: a }';

describe('a drill', () => {
  test('needs an alarm and what is intended of it; the rest is usual', () => {
    expect(parse().value).toEqual({
      alarm: 'drift-alarm',
      intended: {
        fires: { comparison: 'GreaterThanOrEqualToThreshold', threshold: 0.2 },
        within: 300_000,
        whenSilent: 'not OK',
      },
      mode: 'shadow',
      ladder: [0.5, 0.95, 1.05, 2, 5],
      narrow: true,
      hold: {},
      deliver: 'probe',
      afterDeployOf: [],
    });
  });

  test.each([
    ['>= 0.2', 'GreaterThanOrEqualToThreshold', 0.2],
    ['>3', 'GreaterThanThreshold', 3],
    ['<= -1.5', 'LessThanOrEqualToThreshold', -1.5],
    ['< 2.5E-7', 'LessThanThreshold', 2.5e-7],
  ])('fires %s', (text, comparison, threshold) => {
    expect(parse({ intended: `{ fires: '${text}', within: 5m }` }).value.intended.fires).toEqual({
      comparison,
      threshold,
    });
  });

  test('knows the lines of its rules', () => {
    expect(parse().locate(['intended', 'fires'])).toMatchObject({ file: 'tocsin.yaml', line: 4 });
  });

  test('has an alarm of any name that CloudWatch takes', () => {
    const name = `${'ü"/\\: '.repeat(42)}end`;
    expect(name).toHaveLength(255);
    expect(parse({ alarm: JSON.stringify(name) }).value.alarm).toBe(name);
  });
});

test.each<[string, Record<string, string | null>, string]>([
  ['no alarm', { alarm: null }, 'alarm'],
  ['an alarm with too long a name', { alarm: 'x'.repeat(256) }, 'alarm'],
  ["an alarm that is a drill's own", { alarm: 'tocsin-drill-1a2b3c4d-1-2x' }, 'does not begin with'],
  ['no comparison', { intended: '{ fires: 0.2, within: 5m }' }, 'a comparison with a number'],
  ['no number', { intended: "{ fires: '>= x', within: 5m }" }, 'a comparison with a number'],
  ['a number without end', { intended: "{ fires: '>= 1e999', within: 5m }" }, 'a comparison with a number'],
  ['too little time', { intended: "{ fires: '>= 0.2', within: 5s }" }, 'a time from 10s to 7d'],
  ['too much time', { intended: "{ fires: '>= 0.2', within: 8d }" }, 'a time from 10s to 7d'],
  ['a statistic of nobody', { intended: "{ fires: '> 1', within: 5m, statistic: p101 }" }, 'a statistic of'],
  [
    'a namespace with a colon',
    { intended: "{ fires: '> 1', within: 5m, metric: { namespace: 'a:b', name: x } }" },
    'no colon',
  ],
  [
    'too many dimensions',
    {
      intended: `{ fires: '> 1', within: 5m, metric: { namespace: a, name: x, dimensions: { ${Array.from({ length: 31 }, (_, index) => `d${index}: v`).join(', ')} } } }`,
    },
    'at most 30 dimensions',
  ],
  [
    'a range that is none',
    { intended: "{ fires: '> 1', within: 5m, range: { from: 2, to: 1 } }" },
    '2 is above to, 1',
  ],
  [
    'a threshold outside of the range',
    { intended: "{ fires: '> 5', within: 5m, range: { from: 0, to: 1 } }" },
    '5 is outside of range, from 0 to 1',
  ],
  ['a rung twice', { ladder: '[2, 2]' }, 'one is there twice'],
  ['a rung at nothing', { ladder: '[0]' }, 'ladder'],
  ['no rungs', { ladder: '[]' }, 'ladder'],
  [
    'a threshold of 0 without a scale',
    { intended: "{ fires: '> 0', within: 5m }" },
    'which has no multiples',
  ],
  ['a scale of another threshold', { scale: '1' }, 'says nothing of a threshold of 0.2'],
  ['a usual value that fires', { healthy: '0.2' }, '0.2 is no usual value'],
  [
    'a usual value that fires downwards',
    { intended: "{ fires: '< 0.9', within: 5m }", healthy: '0.5' },
    '0.5 is no usual value',
  ],
  ['mode live without leave', { mode: 'live' }, 'expected because: mode live writes to a real metric'],
  [
    'mode live of any metric',
    { mode: 'live', live: '{ because: staging }' },
    'expected the metric that may be written to',
  ],
  [
    'mode live of a metric of AWS',
    {
      mode: 'live',
      live: '{ because: staging }',
      intended: "{ fires: '> 1', within: 5m, metric: { namespace: AWS/SQS, name: x } }",
    },
    'namespaces of AWS cannot be written to',
  ],
  ['leave that nobody uses', { live: '{ because: staging }' }, 'says nothing of mode: shadow'],
  ['mode traffic without traffic', { mode: 'traffic' }, 'expected the traffic to send'],
  ['traffic that nobody sends', { traffic: TRAFFIC }, 'says nothing of mode: shadow'],
  [
    'a feature that is none',
    { mode: 'traffic', traffic: TRAFFIC.replace('feature: a', 'feature: c') },
    '"c" is none of features',
  ],
  [
    'a feature twice',
    { mode: 'traffic', traffic: TRAFFIC.replace('[a, b]', '[a, a]') },
    'one is there twice',
  ],
  [
    'drift from below',
    { mode: 'traffic', traffic: TRAFFIC, intended: "{ fires: '< 0.2', within: 5m }" },
    'drift is watched from above',
  ],
  [
    'drift of nothing',
    { mode: 'traffic', traffic: TRAFFIC, intended: "{ fires: '> 0', within: 5m }", scale: '1' },
    'expected the intended drift',
  ],
])('%s is refused', (_what, change, message) => {
  expect(() => parse(change)).toThrow(ConfigError);
  expect(() => parse(change)).toThrow(message);
});
