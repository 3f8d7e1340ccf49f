import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { boardBundleSchema, environmentSchema, historyEventSchema } from '../../functions/board/schema.ts';
import { createBoardMetrics, createMetrics } from '../../functions/shared/observability.ts';
import { loadConfig } from '../../lib/config.ts';
import { rowsOf } from '../../lib/readiness.ts';
import { mayDo } from '../support/access.ts';
import { matches } from '../support/event-pattern.ts';
import { captureOutput } from '../support/fake-aws.ts';
import { everyFunction, permissionsOf, policyOf } from '../support/permissions.ts';
import {
  ACCOUNT,
  checkWithNag,
  configOf,
  contractOf,
  deployed,
  REGION,
  resourceOf,
  synthesize,
} from '../support/synthesize.ts';

/** The example: it has every gate, drill and monitor. */
const CONFIG = loadConfig('tocsin.yaml');
const template = synthesize(CONFIG);
/** As little as a stack may have: nothing of it runs by itself. */
const ONE = configOf(`tocsin: 1\ndatasets:\n  flights: { contract: flights.yaml, prefix: flights/ }\n`, {
  'flights.yaml': contractOf('flights'),
});
const one = synthesize(ONE);

const EVIDENCE = 'arn:aws:s3:::evidencebucket';
const TOPIC = `arn:aws:sns:${REGION}:${ACCOUNT}:notificationstopic`;

interface Alarm {
  AlarmDescription: string;
  AlarmActions?: string[];
  Namespace: string;
  MetricName: string;
  Dimensions: { Name: string; Value: string }[];
  [key: string]: unknown;
}

const alarmsOf = (from: typeof template): Record<string, Alarm> =>
  Object.fromEntries(
    Object.entries(from.findResources('AWS::CloudWatch::Alarm')).map(([id, { Properties }]) => [
      id.replace(/[0-9A-F]{8}$/, ''),
      deployed<Alarm>(from, Properties),
    ]),
  );

describe('the role of the board', () => {
  const policy = policyOf(template, 'BoardGateRole');

  test('may do exactly this', () => {
    const table = permissionsOf(policy.Statement);
    expect(table).toEqual({
      ...everyFunction('board', table),
      [`arn:aws:sqs:${REGION}:${ACCOUNT}:boardgatedeadletters`]: [
        'sqs:GetQueueAttributes',
        'sqs:GetQueueUrl',
        'sqs:SendMessage',
      ],
      '*': ['xray:PutTelemetryRecords', 'xray:PutTraceSegments'],
      [`${EVIDENCE}/history/*`]: ['s3:GetObject'],
      [`${EVIDENCE}/board/*`]: ['s3:GetObject', 's3:PutObject'],
      [EVIDENCE]: ['s3:ListBucket'],
    });
  });

  test('lists the history, and learns that there is no board yet', async () => {
    const lists = (prefix: string) => mayDo(policy, 's3:ListBucket', EVIDENCE, { 's3:prefix': prefix });
    expect(await lists('history/quality-gate/flights/')).toBe(true);
    expect(await lists('evidence/quality-gate/')).toBe(false);
    expect(await mayDo(policy, 's3:ListBucket', EVIDENCE, {})).toBe(true);
  });
});

describe('the function', () => {
  test('has the environment that its schema asks for, and no more', () => {
    const lambda = resourceOf<{ Environment: { Variables: Record<string, string> } }>(
      template,
      'AWS::Lambda::Function',
      'BoardGateFunction',
    );
    expect(lambda).toMatchObject({ MemorySize: 512, Timeout: 120, Architectures: ['arm64'] });
    const { NODE_OPTIONS: _, ...variables } = lambda.Environment.Variables;
    expect(variables).toEqual(environmentSchema.parse(variables));
    expect(variables).toMatchObject({ EVIDENCE_BUCKET: 'evidencebucket' });
  });

  test('reads what releases wait for as its schema has it', () => {
    const rows = rowsOf(CONFIG);
    expect(boardBundleSchema.parse(JSON.parse(JSON.stringify({ bundle: 1, rows })))).toEqual({
      bundle: 1,
      rows,
    });
  });
});

describe('triggers', () => {
  const ruleOf = (id: string) =>
    resourceOf<{ EventPattern?: object; ScheduleExpression?: string; Targets: { Input?: string }[] }>(
      template,
      'AWS::Events::Rule',
      `BoardGate${id}`,
    );
  const eventOf = (file: string) =>
    JSON.parse(readFileSync(`test/fixtures/events/${file}.json`, 'utf8')) as { detail: object };
  /** S3's word that an object of the evidence bucket was created. */
  const created = (key: string, name = 'evidencebucket') => {
    const event = eventOf('s3-object-created-put') as { detail: { object: object } };
    const detail = { ...event.detail, bucket: { name }, object: { ...event.detail.object, key } };
    return { ...event, detail };
  };

  test.each<[key: string, bucket: string, expected: boolean]>([
    ['history/quality-gate/flights/8217973739999-pass-0-0.json', 'evidencebucket', true],
    ['history/quality-gate/flights/8217973739999-pass-0-0.json', 'another', false],
    // Its own: it would go round for ever.
    ['board/board.json', 'evidencebucket', false],
    ['board/index.html', 'evidencebucket', false],
    ['evidence/quality-gate/flights/0/verdict.json', 'evidencebucket', false],
    ['baselines/flights/current.json', 'evidencebucket', false],
  ])('an entry of the history rebuilds it, and nothing else: %s in %s', (key, bucket, expected) => {
    const event = created(key, bucket);
    expect(matches(ruleOf('History').EventPattern ?? {}, event)).toBe(expected);
    expect(historyEventSchema.safeParse(event).success).toBe(true);
  });

  test('the bucket with the evidence tells EventBridge', () => {
    expect(resourceOf(template, 'AWS::S3::Bucket', 'EvidenceBucket')).toMatchObject({
      NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
    });
  });

  test('so do every hour, and a deployment of the stack itself', () => {
    expect(ruleOf('Hourly')).toMatchObject({
      ScheduleExpression: 'rate(1 hour)',
      Targets: [{ Input: '{}' }],
    });
    const [raw] = Object.entries(template.findResources('AWS::Events::Rule')).filter(([id]) =>
      id.startsWith('BoardGateDeployed'),
    );
    const pattern = raw?.[1].Properties.EventPattern as { detail: { 'stack-id': unknown[] } };
    expect(pattern.detail['stack-id']).toEqual([{ Ref: 'AWS::StackId' }]);
    const event = eventOf('cloudformation-stack-updated') as { detail: { 'stack-id': string } };
    const own = { ...pattern, detail: { ...pattern.detail, 'stack-id': [event.detail['stack-id']] } };
    expect(matches(own, event)).toBe(true);
    expect(matches(own, eventOf('cloudformation-stack-rolled-back'))).toBe(false);
    expect(matches(own, eventOf('cloudformation-stack-other'))).toBe(false);
  });
});

describe('alarms', () => {
  const alarms = alarmsOf(template);

  test('a drill is overdue: people are told', () => {
    expect(alarms.BoardOverdueAlarm).toMatchObject({
      Namespace: 'Tocsin',
      MetricName: 'OverdueDrills',
      Dimensions: [{ Name: 'gate', Value: 'board' }],
      Statistic: 'Maximum',
      Period: 3600,
      EvaluationPeriods: 1,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      TreatMissingData: 'ignore',
      AlarmActions: [TOPIC],
    });
  });

  test('nothing is overdue where nothing runs by itself, so there is no alarm that never rings', () => {
    expect(alarmsOf(one)).not.toHaveProperty('BoardOverdueAlarm');
    expect(alarmsOf(one)).toHaveProperty('BoardNotRebuiltAlarm');
  });

  test('the board is not rebuilt: missing data rings', () => {
    expect(alarms.BoardNotRebuiltAlarm).toMatchObject({
      MetricName: 'Rebuilt',
      Dimensions: [{ Name: 'gate', Value: 'board' }],
      Statistic: 'Sum',
      Period: 3600,
      EvaluationPeriods: 3,
      Threshold: 1,
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'breaching',
      AlarmActions: [TOPIC],
    });
  });

  test('a gate failed: one for each gate, which tells nobody again, and says so', () => {
    const failed = Object.entries(alarms).filter(([id]) => id.startsWith('BoardFailed'));
    expect(failed.map(([, { Dimensions }]) => Dimensions[0]?.Value).sort()).toEqual([
      'alarm-drill',
      'config-parity',
      'holdout-evaluation',
      'quality-gate',
      'rollback-drill',
    ]);
    for (const [, alarm] of failed) {
      expect(alarm).toMatchObject({
        Namespace: 'Tocsin',
        MetricName: 'Failed',
        Statistic: 'Sum',
        Threshold: 1,
        TreatMissingData: 'notBreaching',
        AlarmDescription: expect.stringContaining('tells nobody, because the verdict has told them already'),
      });
      expect(alarm).not.toHaveProperty('AlarmActions');
    }
  });

  test('are on metrics that gates and the board write', () => {
    const output = captureOutput();
    createBoardMetrics()(undefined, { Rebuilt: 1, OverdueDrills: 0 });
    createMetrics('alarm-drill', 'drill')('churn', { Failed: 1 });
    const written = output.lines().flatMap((line) => {
      const document = JSON.parse(line);
      const [{ Namespace, Dimensions, Metrics }] = document._aws.CloudWatchMetrics;
      return (Dimensions as string[][]).flatMap((names) =>
        (Metrics as { Name: string }[]).map(({ Name }) => [
          Namespace,
          Name,
          names.map((name) => ({ Name: name, Value: document[name] })),
        ]),
      );
    });
    output.restore();
    const ids = ['BoardOverdueAlarm', 'BoardNotRebuiltAlarm', 'BoardFailedalarmdrill'];
    for (const id of ids) {
      const { Namespace, MetricName, Dimensions } = alarms[id] as Alarm;
      expect(written).toContainEqual([Namespace, MetricName, Dimensions]);
    }
  });

  test('of the whole stack end with their section of the runbook', () => {
    const sections = Object.values(alarms).map(
      ({ AlarmDescription }) => / Runbook: docs\/runbook\.md#([a-z-]+)$/.exec(AlarmDescription)?.[1],
    );
    expect(new Set(sections)).toEqual(
      new Set([
        'board-not-rebuilt',
        'dead-letters',
        'drift-monitor',
        'drill-overdue',
        'errors',
        'gate-failed',
        'throttles',
      ]),
    );
  });

  test('end with the runbook of the team, where tocsin.yaml names one, and fit', () => {
    const runbook = `https://wiki.example.com/${'x'.repeat(150)}`;
    const own = alarmsOf(synthesize({ ...CONFIG, notify: { ...CONFIG.notify, runbook } }));
    for (const { AlarmDescription } of Object.values(own)) {
      expect(AlarmDescription).toContain(` Runbook: ${runbook}#`);
      expect(AlarmDescription.length).toBeLessThanOrEqual(1024);
    }
  });
});

describe('the dashboard', () => {
  interface Widget {
    type: string;
    x: number;
    width: number;
    properties: { title?: string; markdown?: string; alarms?: string[]; metrics?: unknown[][] };
  }
  const widgetsOf = (from: typeof template): Widget[] => {
    const { DashboardBody } = resourceOf<{ DashboardBody: string }>(from, 'AWS::CloudWatch::Dashboard', '');
    return (JSON.parse(DashboardBody) as { widgets: Widget[] }).widgets;
  };
  const widgets = widgetsOf(template);
  const titled = (title: string) => widgets.find(({ properties }) => properties.title === title)?.properties;

  test('is called as its stack is', () => {
    expect(resourceOf(template, 'AWS::CloudWatch::Dashboard', '')).toMatchObject({ DashboardName: 'Tocsin' });
  });

  test('says how to open the board, and where the runbook is', () => {
    const { markdown = '' } = widgets[0]?.properties ?? {};
    expect(markdown).toContain('run `tocsin board`, which opens `s3://evidencebucket/board/index.html`');
    expect(markdown).toContain('a gate failed (`docs/runbook.md#gate-failed`)');
    const [introduction] = widgetsOf(
      synthesize({ ...ONE, notify: { ...ONE.notify, runbook: 'https://wiki.example.com/tocsin' } }),
    );
    expect(introduction?.properties.markdown).toContain(
      '[dead letters](https://wiki.example.com/tocsin#dead-letters)',
    );
  });

  test('shows the state of every alarm', () => {
    const shown = widgets.flatMap(({ properties }) => properties.alarms ?? []);
    expect(shown).toHaveLength(Object.keys(template.findResources('AWS::CloudWatch::Alarm')).length);
  });

  test('shows the verdicts of every gate, and what the board counts', () => {
    const titles = widgets.flatMap(({ properties }) => properties.title ?? []);
    expect(titles).toEqual([
      'Alarms',
      'Board',
      'Verdicts: holdout evaluation',
      'Verdicts: rollback drill',
      'Verdicts: alarm drill',
      'Verdicts: quality gate',
      'Verdicts: config parity',
      'Failed attempts',
      'Events that nobody judged (dead letters)',
    ]);
    const { metrics = [] } = titled('Verdicts: quality gate') ?? {};
    expect(metrics.map((metric) => metric.slice(0, 4))).toEqual(
      ['Passed', 'Inconclusive', 'Failed'].map((name) => ['Tocsin', name, 'gate', 'quality-gate']),
    );
  });

  test('shows the errors and the dead letters of every function', () => {
    const functions = Object.keys(template.findResources('AWS::Lambda::Function')).length;
    expect(titled('Failed attempts')?.metrics).toHaveLength(functions);
    expect(titled('Events that nobody judged (dead letters)')?.metrics).toHaveLength(functions);
  });

  test('fits the grid', () => {
    for (const { x, width } of widgets) expect(x + width).toBeLessThanOrEqual(24);
  });
});

test('a week of boards is kept, of evidence a year', () => {
  const { LifecycleConfiguration } = resourceOf<{ LifecycleConfiguration: { Rules: object[] } }>(
    template,
    'AWS::S3::Bucket',
    'EvidenceBucket',
  );
  expect(LifecycleConfiguration.Rules).toEqual(
    expect.arrayContaining([
      { NoncurrentVersionExpiration: { NoncurrentDays: 365 }, Status: 'Enabled' },
      { NoncurrentVersionExpiration: { NoncurrentDays: 7 }, Prefix: 'board/', Status: 'Enabled' },
    ]),
  );
});

test('the stack says where the page is', () => {
  const { BoardPage } = template.findOutputs('BoardPage') as { BoardPage: { Value: unknown } };
  expect(deployed(template, BoardPage.Value)).toBe('s3://evidencebucket/board/index.html');
});

test('cdk-nag has nothing to say of the whole example', () => {
  expect(() => checkWithNag(CONFIG)).not.toThrow();
});
