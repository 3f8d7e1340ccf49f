import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBoardMetrics, createLogger, createMetrics } from '../../../functions/shared/observability.ts';
import { captureOutput } from '../../support/fake-aws.ts';

let output: ReturnType<typeof captureOutput>;

beforeEach(() => {
  output = captureOutput();
});

afterEach(() => output.restore());

const written = () => output.lines().map((line) => JSON.parse(line));

test('metrics are one EMF document, of the subject and of its gate, with nothing of the one before, and no warning', () => {
  const record = createMetrics('quality-gate');
  record('flights', { Passed: 1, Rows: 10, Bytes: 0, DurationMs: 12 });
  record('weather', { Errors: 1, Rows: undefined });

  expect(written()).toEqual([
    {
      _aws: {
        Timestamp: expect.any(Number),
        CloudWatchMetrics: [
          {
            Namespace: 'Tocsin',
            Dimensions: [['gate', 'dataset'], ['gate']],
            Metrics: [
              { Name: 'Passed', Unit: 'Count' },
              { Name: 'Rows', Unit: 'Count' },
              { Name: 'Bytes', Unit: 'Bytes' },
              { Name: 'DurationMs', Unit: 'Milliseconds' },
            ],
          },
        ],
      },
      gate: 'quality-gate',
      dataset: 'flights',
      Passed: 1,
      Rows: 10,
      Bytes: 0,
      DurationMs: 12,
    },
    {
      _aws: {
        Timestamp: expect.any(Number),
        CloudWatchMetrics: [
          {
            Namespace: 'Tocsin',
            Dimensions: [['gate', 'dataset'], ['gate']],
            Metrics: [{ Name: 'Errors', Unit: 'Count' }],
          },
        ],
      },
      gate: 'quality-gate',
      dataset: 'weather',
      Errors: 1,
    },
  ]);
});

test('metrics of the board are of all of it, or of one gap', () => {
  const record = createBoardMetrics();
  record(undefined, { Rebuilt: 1, Overdue: 0, NotReady: 2 });
  record('data', { Overdue: 1, Failing: undefined });
  expect(written()).toMatchObject([
    {
      _aws: { CloudWatchMetrics: [{ Namespace: 'Tocsin', Dimensions: [['gate']] }] },
      gate: 'board',
      Rebuilt: 1,
      Overdue: 0,
      NotReady: 2,
    },
    {
      _aws: {
        CloudWatchMetrics: [{ Dimensions: [['gate', 'gap']], Metrics: [{ Name: 'Overdue', Unit: 'Count' }] }],
      },
      gate: 'board',
      gap: 'data',
      Overdue: 1,
    },
  ]);
});

test('logs are JSON with the error, its cause and the keys of the invocation', () => {
  const logger = createLogger('quality-gate');
  logger.appendKeys({ requestId: 'r' });
  logger.error('no verdict', new Error('outer', { cause: new Error('inner') }));
  expect(written()).toEqual([
    expect.objectContaining({
      level: 'ERROR',
      service: 'tocsin-quality-gate',
      message: 'no verdict',
      requestId: 'r',
      error: expect.objectContaining({
        message: 'outer',
        cause: expect.objectContaining({ message: 'inner' }),
      }),
    }),
  ]);
});
