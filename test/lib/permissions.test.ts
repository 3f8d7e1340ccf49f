import { join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { policyOf } from '../support/permissions.ts';
import { ACCOUNT, configOf, contractOf, REGION, synthesize } from '../support/synthesize.ts';

/*
 * What a function calls and what its role allows are the same: the commands in its bundle against the actions in the
 * template. A call without a grant fails in production alone, and a grant without a call is nobody's to use.
 */

/** Of each command, the actions that AWS asks for; of all others `service:Name`. */
const ACTIONS: Record<string, string[]> = {
  's3:GetObject': ['s3:GetObject', 's3:GetObjectVersion'],
  's3:HeadObject': ['s3:GetObject', 's3:GetObjectVersion'],
  's3:GetObjectTagging': ['s3:GetObjectTagging', 's3:GetObjectVersionTagging'],
  's3:ListObjectsV2': ['s3:ListBucket'],
  's3:CreateMultipartUpload': ['s3:PutObject'],
  's3:UploadPart': ['s3:PutObject'],
  's3:CompleteMultipartUpload': ['s3:PutObject'],
  's3:PutObjectTagging': ['s3:PutObjectTagging', 's3:PutObjectVersionTagging'],
  // The topic has a key.
  'sns:Publish': ['sns:Publish', 'kms:Decrypt', 'kms:GenerateDataKey'],
  'eventbridge:PutEvents': ['events:PutEvents'],
  'eventbridge:DescribeRule': ['events:DescribeRule'],
  'eventbridge:ListTargetsByRule': ['events:ListTargetsByRule'],
  'application-auto-scaling:DescribeScalableTargets': ['application-autoscaling:DescribeScalableTargets'],
  'application-auto-scaling:DescribeScalingPolicies': ['application-autoscaling:DescribeScalingPolicies'],
  'application-auto-scaling:DescribeScheduledActions': ['application-autoscaling:DescribeScheduledActions'],
  'resource-groups-tagging-api:GetResources': ['tag:GetResources'],
  // With values that are decrypted.
  'ssm:GetParameters': ['ssm:GetParameters', 'kms:Decrypt'],
  // Everybody may ask who they are.
  'sts:GetCallerIdentity': [],
  // Of a configuration with a key, and with the alarms of a guardrail.
  'sagemaker:UpdateEndpoint': ['sagemaker:UpdateEndpoint', 'kms:CreateGrant', 'cloudwatch:DescribeAlarms'],
  'sagemaker-runtime:InvokeEndpoint': ['sagemaker:InvokeEndpoint'],
  'lambda:Invoke': ['lambda:InvokeFunction'],
  'sfn:DescribeExecution': ['states:DescribeExecution'],
  'sfn:StartExecution': ['states:StartExecution'],
  'sfn:StopExecution': ['states:StopExecution'],
  'sqs:ChangeMessageVisibilityBatch': ['sqs:ChangeMessageVisibility'],
  // With tags.
  'cloudwatch:PutMetricAlarm': ['cloudwatch:PutMetricAlarm', 'cloudwatch:TagResource'],
  'sqs:CreateQueue': ['sqs:CreateQueue', 'sqs:TagQueue'],
  'sagemaker:CreateEndpointConfig': ['sagemaker:CreateEndpointConfig', 'sagemaker:AddTags'],
  // With tags, a role, and a package.
  'sagemaker:CreateModel': [
    'sagemaker:CreateModel',
    'sagemaker:AddTags',
    'sagemaker:DescribeModelPackage',
    'iam:PassRole',
  ],
  'sagemaker:CreateTransformJob': ['sagemaker:CreateTransformJob', 'sagemaker:AddTags'],
};

/** What Lambda does in the name of every gate function: logs and traces; and dead letters, which it leaves itself. */
const PLATFORM = [
  'logs:CreateLogStream',
  'logs:PutLogEvents',
  'xray:PutTelemetryRecords',
  'xray:PutTraceSegments',
];

/** Every command of an AWS client that is left in a bundle, as `service:Name`. */
async function commandsOf(entry: string): Promise<string[]> {
  const { outputFiles } = await build({
    entryPoints: [join('functions', `${entry}.ts`)],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'silent',
  });
  const text = outputFiles[0]?.text ?? '';
  const imports = text.matchAll(/import \{([^}]*)\} from "@aws-sdk\/client-([a-z0-9-]+)"/g);
  const commands = [...imports].flatMap(([, names = '', service]) =>
    [...names.matchAll(/\b(\w+)Command(?: as (\w+))?/g)]
      // An import stays where the function that used it has fallen away.
      .filter(([, name, alias = `${name}Command`]) => text.includes(`new ${alias}(`))
      .map(([, name]) => `${service}:${name}`),
  );
  return [...new Set(commands)].sort();
}

const arn = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;
const ROLE = `arn:aws:iam::${ACCOUNT}:role/team`;

const template = synthesize(
  configOf(
    `tocsin: 1
datasets:
  flights: { contract: flights.yaml, prefix: flights/, onAccept: { pipeline: train } }
models:
  delay:
    modelPackageGroup: delay
    task: regression
    holdout: { uri: flights/holdout.csv, label: id, contract: flights.yaml }
    transform: { instanceType: ml.m5.large }
    require: [{ metric: mae, atMost: 1 }]
canaries:
  weekly:
    model: delay
    pipeline: train
    modelPackageGroup: delay-canary
    dataset: { uri: known/flights.csv }
    expect: [{ metric: mae, atMost: 1 }]
    negativeControl: { corrupt: { id: "0" } }
alarmDrills:
  live:
    alarm: errors
    intended: { fires: "> 1", within: 5m, metric: { namespace: Delay, name: errors }, guards: staging }
    mode: live
    live: { because: staging alone emits it }
    deliver: real
  traffic:
    alarm: tocsin-drift-flights
    intended: { fires: ">= 0.2", within: 2h }
    mode: traffic
    traffic: { endpoint: staging, dataset: flights, features: [id], feature: id }
rollbackDrills:
  deployed:
    endpoint: staging
    failure: { deployModel: { package: "${arn('sagemaker', 'model-package/bad/1')}", role: "${ROLE}" } }
    procedure: { builtin: config }
    golden: golden/flights.jsonl
    within: 10m
  guarded:
    endpoint: staging
    failure: { breakGuardrail: { alarm: errors } }
    golden: golden/flights.jsonl
    within: 10m
  runbook:
    endpoint: staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { ssmAutomation: { document: rollback, role: "${ROLE}" } }
    golden: golden/flights.jsonl
    within: 10m
  machine:
    endpoint: staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { stateMachine: "${arn('states', 'stateMachine:rollback')}" }
    golden: golden/flights.jsonl
    within: 10m
driftMonitors:
  flights:
    endpoint: staging
    capture: s3://captures/staging/
    dataset: flights
    features: [id]
    alarm: { threshold: 0.2 }
parity:
  everything:
    production: { role: "${ROLE}" }
    compare:
      endpoints: ["delay-{environment}"]
      stacks: ["delay-{environment}"]
      tocsin: ["tocsin-{environment}"]
      tags: [{ staging: { env: staging }, production: { env: production } }]
    probes:
      usual: { endpoint: delay, golden: golden/flights.jsonl }
    decrypt: true
`,
    { 'flights.yaml': contractOf('flights') },
  ),
);

function grantedTo(role: string): string[] {
  const actions = policyOf(template, role)
    .Statement.filter(({ Resource }) => !String(Resource).endsWith('deadletters'))
    .flatMap(({ Action }) => Action);
  return [...new Set(actions)].filter((action) => !PLATFORM.includes(action)).sort();
}

describe.each<[entry: string, role: string, unused: string[]]>([
  ['holdout-evaluation/handler', 'HoldoutEvaluationGateRole', []],
  ['holdout-evaluation/canary-handler', 'PipelineCanaryGateRole', []],
  // It names no version, and uploads nothing in parts: the work bucket that it shares brings the code for that along.
  ['alarm-drill/handler', 'AlarmDrillGateRole', ['s3:AbortMultipartUpload', 's3:GetObjectVersion']],
  // Nor do these.
  ['rollback-drill/handler', 'RollbackDrillGateRole', ['s3:AbortMultipartUpload', 's3:GetObjectVersion']],
  ['rollback-drill/rollback-handler', 'RollbackGateRole', ['s3:AbortMultipartUpload', 's3:GetObjectVersion']],
  ['config-parity/handler', 'ConfigParityGateRole', ['s3:AbortMultipartUpload', 's3:GetObjectVersion']],
  ['board/handler', 'BoardGateRole', ['s3:GetObjectVersion']],
  // Nor does it, and it keeps no evidence: it reads the baseline from among it.
  ['quality-gate/monitor-handler', 'DriftMonitorGateRole', ['s3:GetObjectVersion', 's3:PutObject']],
])('%s', (entry, role, unused) => {
  test('calls what its role allows, and its role allows what it calls', async () => {
    const commands = await commandsOf(entry);
    expect(commands).toContain('s3:GetObject');
    const needed = new Set(commands.flatMap((command) => ACTIONS[command] ?? [command]));
    for (const action of unused) expect(needed.delete(action), action).toBe(true);
    expect(grantedTo(role)).toEqual([...needed].sort());
  });
});
