import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudWatchClient, DescribeAlarmsCommand, type MetricAlarm } from '@aws-sdk/client-cloudwatch';
import {
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  DescribeModelPackageCommand,
  ListModelPackagesCommand,
} from '@aws-sdk/client-sagemaker';
import { mockClient } from 'aws-sdk-client-mock';
import { vi } from 'vitest';
import { alarmsOf } from '../../functions/alarm-drill/adapters/alarms.ts';
import { alarmHash, configurationHash } from '../../functions/alarm-drill/identity.ts';
import { snapshotHash } from '../../functions/config-parity/identity.ts';
import { layeredJson } from '../../functions/config-parity/layered.ts';
import { SIDES, type Side } from '../../functions/config-parity/schema.ts';
import { parseSnapshot, type Snapshot } from '../../functions/config-parity/snapshot.ts';
import { hashOf } from '../../functions/rollback-drill/adapters/endpoint.ts';
import { prettyJson } from '../../functions/shared/evidence.ts';
import { entryOf, historyKey } from '../../functions/shared/history.ts';
import { sha256, verdictFolder, verdictId } from '../../functions/shared/identity.ts';
import { QUALITY_TAG, VERDICT_TAG } from '../../functions/shared/schema.ts';
import type { GateName, Outcome, Verdict } from '../../functions/shared/verdict.ts';
import { loadConfig } from '../../lib/config.ts';
import { FakeAws } from './fake-aws.ts';

/*
 * Everything that a release of the model of this repository waits for, in memory: evidence of real runs of the sandbox where
 * there is some, and an account that is what they were made on.
 */

const DAY_MS = 86_400_000;
export const NOW = Date.parse('2026-11-22T18:00:00Z');
export const EVIDENCE = 'evidence';
export const DATA = 'tocsin-qualitygatedatac19badea-4b766cc7daa2e';
export const PACKAGE = 'arn:aws:sagemaker:us-east-1:000000000000:model-package/flight-delay/1';

export type Story =
  | 'alarms-healthy'
  | 'alarms-sick'
  | 'canary-healthy'
  | 'parity-healthy'
  | 'parity-sick'
  | 'pipeline-healthy'
  | 'pipeline-sick'
  | 'rollback-healthy'
  | 'rollback-sick';

/** A file of a run of the sandbox. */
function storyFile(story: Story, file: string): string {
  return readFileSync(join('test/fixtures/stories', story, file), 'utf8');
}

export function storyVerdict(story: Story): Verdict {
  return JSON.parse(storyFile(story, 'verdict.json'));
}

/** A verdict on other inputs, with the id and a finding that fit. */
export function verdictOn(
  gate: GateName,
  subject: string,
  inputs: Record<string, unknown>,
  outcome: Outcome = 'pass',
): Verdict {
  const reason = `${subject} is ${outcome}.`;
  return {
    verdict: 1,
    id: verdictId(gate, '0.1.0', inputs),
    gate,
    subject,
    outcome,
    reason,
    findings: [{ check: 'all', subject, outcome, message: reason, allowed: 'pass', observed: outcome }],
    notChecked: [],
    inputs,
    tocsin: '0.1.0',
  };
}

/** The alarm of the drill whose evidence is real, as CloudWatch describes it; and two more. */
const ALARMS: Record<string, MetricAlarm> = Object.fromEntries(
  ['flight-delay-drift', 'flight-delay-errors', 'tocsin-drift-flight-delay'].map((name) => [
    name,
    {
      AlarmName: name,
      AlarmArn: `arn:aws:cloudwatch:us-east-1:000000000000:alarm:${name}`,
      AlarmDescription: 'The flights that the endpoint is asked about are not those that it has learned from',
      ActionsEnabled: true,
      AlarmActions: ['arn:aws:sns:us-east-1:000000000000:flight-delay-on-call'],
      StateValue: 'OK',
      Namespace: 'FlightDelay',
      MetricName: 'FeatureDrift',
      Dimensions: [
        { Name: 'Endpoint', Value: 'flight-delay-staging' },
        { Name: 'Feature', Value: 'distance' },
      ],
      Statistic: 'Average',
      Period: 10,
      EvaluationPeriods: 1,
      DatapointsToAlarm: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
      Threshold: 0.2,
      TreatMissingData: 'missing',
    },
  ]),
);

const ENDPOINT_CONFIG = {
  ProductionVariants: [
    { VariantName: 'primary', ModelName: 'flight-delay-1', InitialVariantWeight: 1, InitialInstanceCount: 1 },
    {
      VariantName: 'candidate',
      ModelName: 'flight-delay-0',
      InitialVariantWeight: 0,
      InitialInstanceCount: 1,
    },
  ],
};

const CONFIG = loadConfig('tocsin.yaml');

/** Hash of what tocsin.yaml says of each alarm drill. */
function drillHash(drill: string): string {
  const located = CONFIG.drills.get(drill);
  if (located === undefined) throw new Error(`there is no drill ${drill}`);
  return configurationHash(located);
}

const GOLDEN = '{"body":"1,2,3"}\n{"body":"4,5,6"}\n';

interface Container {
  image: string;
  imageDigest: string;
  modelData: string;
  modelDataEtag: string;
}

/** A package as SageMaker describes it. */
export interface FakePackage {
  arn: string;
  approval: string;
  status: string;
  group: string;
  description?: string;
  container: Container;
}

function snapshotOfStory(side: Side): Snapshot {
  const snapshot = parseSnapshot(storyFile('parity-healthy', `${side}.json`), side);
  return { ...snapshot, probes: snapshot.probes.map((probe) => ({ ...probe, sha256: sha256(GOLDEN) })) };
}

/** A release that is ready, until a test changes something. */
export class ReleaseWorld {
  readonly aws = new FakeAws();
  readonly cloudwatch = mockClient(CloudWatchClient);
  readonly directory = mkdtempSync(join(tmpdir(), 'tocsin-ready-'));
  /** By name; null: deleted. */
  readonly alarms: Record<string, MetricAlarm | null> = structuredClone(ALARMS);
  /** Null: deleted. */
  endpoint: { config: string; status: string; pending?: string } | null = {
    config: 'flight-delay-release-staging',
    status: 'InService',
  };
  endpointConfig = structuredClone(ENDPOINT_CONFIG);
  /** The newest first. */
  packages: FakePackage[];

  constructor() {
    for (const [name, value] of [
      ['AWS_REGION', 'us-east-1'],
      ['AWS_ACCESS_KEY_ID', 'test'],
      ['AWS_SECRET_ACCESS_KEY', 'test'],
    ] as const)
      vi.stubEnv(name, value);
    for (const path of ['tocsin.yaml', 'parity.yaml', 'contracts']) {
      cpSync(path, this.path(path), { recursive: true });
    }
    writeFileSync(
      this.path('cdk-outputs.json'),
      JSON.stringify({
        Tocsin: {
          EvidenceBucket: EVIDENCE,
          DataBucket: DATA,
          NotificationTopic: 'arn:aws:sns:us-east-1:000000000000:t',
        },
      }),
    );
    const model = storyVerdict('pipeline-healthy');
    const { candidate } = model.inputs as { candidate: { arn: string; containers: [Container] } };
    this.packages = [
      {
        arn: candidate.arn,
        approval: 'Approved',
        status: 'Completed',
        group: 'flight-delay',
        container: candidate.containers[0],
      },
    ];
    this.#serve();
    this.#fill(model);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Changes a file of the configuration. */
  edit(file: string, from: string | RegExp, to: string): void {
    const text = readFileSync(this.path(file), 'utf8');
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`${file} has no ${from}`);
    writeFileSync(this.path(file), changed);
  }

  /**
   * Leaves what a run leaves that ended with a verdict.
   *
   * @param run names it; by default a run of its own
   */
  leave(verdict: Verdict, at = NOW - DAY_MS / 2, run = `run of ${verdict.id}`): void {
    const entry = entryOf(verdict, run, at);
    this.aws.put(EVIDENCE, this.verdictKey(verdict), prettyJson(verdict));
    this.aws.put(EVIDENCE, historyKey(entry), prettyJson(entry));
  }

  /** Leaves nothing of what runs of a subject have left. */
  forget(gate: GateName, subject: string): void {
    for (const key of this.aws.keys(EVIDENCE, `history/${gate}/${subject}/`)) {
      this.aws.objects.delete(`${EVIDENCE}/${key}`);
    }
  }

  /** The same verdict, of another time alone. */
  moveTo(verdict: Verdict, at: number, run?: string): void {
    this.forget(verdict.gate, verdict.subject);
    this.leave(verdict, at, run);
  }

  verdictKey({ gate, subject, id }: Verdict): string {
    return `${verdictFolder(gate, subject, id)}verdict.json`;
  }

  /** Uploads and judges a dataset. */
  upload(dataset: string, key: string, outcome: Outcome | null = 'pass', at = NOW - DAY_MS / 2): Verdict {
    const uri = `s3://${DATA}/${key}`;
    const body = `${dataset} of ${at}`;
    const contract = readFileSync(this.path(`contracts/${dataset}.yaml`), 'utf8');
    const inputs = {
      dataset,
      uri,
      sha256: sha256(body),
      contractSha256: sha256(contract),
      baselineSha256: null,
      asOf: null,
    };
    const verdict = verdictOn('quality-gate', dataset, inputs, outcome ?? 'pass');
    const value = { pass: 'passed', fail: 'failed', inconclusive: 'inconclusive' }[outcome ?? 'pass'];
    const tags = [
      { Key: QUALITY_TAG, Value: value },
      { Key: VERDICT_TAG, Value: verdict.id },
    ];
    const version = this.aws.put(DATA, key, body, {
      modifiedAt: new Date(at - 60_000),
      tags: outcome === null ? [] : tags,
    });
    if (outcome !== null) this.leave(verdict, at, `${uri} ${version}`);
    return verdict;
  }

  restore(): void {
    this.aws.restore();
    this.cloudwatch.restore();
    vi.unstubAllEnvs();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** What was there when the runs of the sandbox ended. */
  #fill(model: Verdict): void {
    const canary = storyVerdict('canary-healthy');
    const { dataset } = canary.inputs as { dataset: { uri: string; version: string } };
    const { holdout } = model.inputs as { holdout: { version: string; qualityVerdict: string } };
    const passed = [{ Key: QUALITY_TAG, Value: 'passed' }];
    this.aws.put(DATA, dataset.uri.slice(`s3://${DATA}/`.length), 'known', {
      modifiedAt: new Date(NOW - 9 * DAY_MS),
    });
    this.aws.get(DATA, 'canary/2001-01-to-04.parquet').versionId = dataset.version;
    for (const dataset of ['flights', 'flights-history'])
      this.upload(dataset, `${dataset === 'flights' ? 'flights' : 'history'}/2001-04.parquet`);

    // The holdout is a dataset, too, whose version the model's verdict names.
    const key = 'holdout/2001-05.parquet';
    const judged = this.upload('flights-holdout', key);
    this.forget('quality-gate', 'flights-holdout');
    this.leave(judged, NOW - DAY_MS / 2, `s3://${DATA}/${key} ${holdout.version}`);
    Object.assign(this.aws.get(DATA, key), {
      versionId: holdout.version,
      tags: [...passed, { Key: VERDICT_TAG, Value: judged.id }],
    });

    this.leave(model);
    this.leave(canary);
    this.leave(storyVerdict('alarms-healthy'));
    const drills = {
      'flight-delay-errors': 'flight-delay-errors',
      'flight-delay-chain': 'tocsin-drift-flight-delay',
    };
    for (const [drill, alarm] of Object.entries(drills)) this.leave(this.drillVerdict(drill, alarm));
    this.aws.put('flight-delay-release', 'golden.jsonl', GOLDEN);
    this.leave(this.rollbackVerdict());
    this.leaveParity();
  }

  /** Of a drill whose evidence is not kept: of the configuration of the repository. */
  drillVerdict(drill: string, alarm: string, outcome: Outcome = 'pass'): Verdict {
    const [found] = alarmsOf({ MetricAlarms: [ALARMS[alarm] as MetricAlarm] });
    if (found === undefined) throw new Error(`there is no alarm ${alarm}`);
    const inputs = {
      drill,
      alarm,
      alarmArn: found.arn,
      alarmSha256: alarmHash(found),
      configurationSha256: drillHash(drill),
      mode: 'shadow',
      run: `run-${drill}`,
      drilled: true,
    };
    return verdictOn('alarm-drill', drill, inputs, outcome);
  }

  /** The real one, on an endpoint configuration that is known here. */
  rollbackVerdict(outcome: Outcome = 'pass'): Verdict {
    const { inputs } = storyVerdict('rollback-healthy');
    const known = {
      originalConfigSha256: hashOf(ENDPOINT_CONFIG as Parameters<typeof hashOf>[0]),
      goldenSha256: sha256(GOLDEN),
    };
    return verdictOn('rollback-drill', 'flight-delay', { ...inputs, ...known }, outcome);
  }

  /** The snapshots of a real run, with golden requests that are known here. */
  readonly snapshots = {
    staging: snapshotOfStory('staging'),
    production: snapshotOfStory('production'),
  };

  /** The verdict on {@link ReleaseWorld.snapshots}. */
  parityVerdict(story: 'parity-healthy' | 'parity-sick' = 'parity-healthy'): Verdict {
    const { inputs, ...judged } = storyVerdict(story);
    const bound = structuredClone(inputs) as Record<Side, { sha256: string }> & Record<string, unknown>;
    // What was sick in production is not among these snapshots.
    const known = story === 'parity-healthy' ? SIDES : (['staging'] as const);
    for (const side of known) bound[side].sha256 = snapshotHash(this.snapshots[side]);
    return { ...judged, inputs: bound, id: verdictId('config-parity', judged.tocsin, bound) };
  }

  leaveParity(verdict = this.parityVerdict(), at = NOW - DAY_MS / 2): void {
    for (const side of SIDES) {
      const key = this.verdictKey(verdict).replace('verdict.json', `${side}.json`);
      this.aws.put(EVIDENCE, key, layeredJson(this.snapshots[side]));
    }
    this.aws.put('flight-delay-booking-staging', 'golden.jsonl', GOLDEN);
    this.leave(verdict, at);
  }

  #serve(): void {
    const { sagemaker } = this.aws;
    const gone = (what: string) =>
      Object.assign(new Error(`Could not find ${what}.`), {
        name: 'ValidationException',
        $metadata: { httpStatusCode: 400 },
      });
    sagemaker.on(ListModelPackagesCommand).callsFake(({ ModelPackageGroupName: group }) => ({
      ModelPackageSummaryList: this.packages
        .filter((one) => one.group === group)
        .map(({ arn, status }) => ({ ModelPackageArn: arn, ModelPackageStatus: status })),
    }));
    sagemaker.on(DescribeModelPackageCommand).callsFake(({ ModelPackageName: arn }) => {
      const found = this.packages.find((one) => one.arn === arn);
      if (found === undefined) throw gone('the model package');
      const { image, imageDigest, modelData, modelDataEtag } = found.container;
      return {
        ModelPackageArn: arn,
        ModelPackageGroupName: found.group,
        ModelPackageStatus: found.status,
        ModelApprovalStatus: found.approval,
        ApprovalDescription: found.description,
        InferenceSpecification: {
          Containers: [
            { Image: image, ImageDigest: imageDigest, ModelDataUrl: modelData, ModelDataETag: modelDataEtag },
          ],
        },
      };
    });
    sagemaker.on(DescribeEndpointCommand).callsFake(({ EndpointName: name }) => {
      if (this.endpoint === null) throw gone(`endpoint ${name}`);
      const { config, status, pending } = this.endpoint;
      return {
        EndpointName: name,
        EndpointConfigName: config,
        EndpointStatus: status,
        ...(pending !== undefined && { PendingDeploymentSummary: { EndpointConfigName: pending } }),
        ProductionVariants: [],
      };
    });
    sagemaker.on(DescribeEndpointConfigCommand).callsFake(({ EndpointConfigName: name }) => ({
      EndpointConfigName: name,
      CreationTime: new Date(0),
      ...this.endpointConfig,
    }));
    this.cloudwatch.on(DescribeAlarmsCommand).callsFake(({ AlarmNames = [] }) => ({
      MetricAlarms: AlarmNames.flatMap((name: string) => this.alarms[name] ?? []),
    }));
  }
}

/** A call that a permission is needed for. */
export interface Call {
  /** `s3:GetObject` */
  action: string;
  /** ARN, in the account 111122223333. */
  resource: string;
}

/** What IAM asks for, of every command that may be sent here. */
const NEEDS: Record<string, (input: Record<string, string>, local: string) => Call> = {
  GetObjectCommand: ({ Bucket, Key }) => ({
    action: 's3:GetObject',
    resource: `arn:aws:s3:::${Bucket}/${Key}`,
  }),
  HeadObjectCommand: ({ Bucket, Key }) => ({
    action: 's3:GetObject',
    resource: `arn:aws:s3:::${Bucket}/${Key}`,
  }),
  GetObjectTaggingCommand: ({ Bucket, Key }) => ({
    action: 's3:GetObjectTagging',
    resource: `arn:aws:s3:::${Bucket}/${Key}`,
  }),
  ListObjectsV2Command: ({ Bucket }) => ({ action: 's3:ListBucket', resource: `arn:aws:s3:::${Bucket}` }),
  ListModelPackagesCommand: () => ({ action: 'sagemaker:ListModelPackages', resource: '*' }),
  DescribeModelPackageCommand: ({ ModelPackageName: arn = '' }, local) => ({
    action: 'sagemaker:DescribeModelPackage',
    resource: arn.replace('us-east-1:000000000000', local),
  }),
  DescribeEndpointCommand: ({ EndpointName: name }, local) => ({
    action: 'sagemaker:DescribeEndpoint',
    resource: `arn:aws:sagemaker:${local}:endpoint/${name}`,
  }),
  DescribeEndpointConfigCommand: ({ EndpointConfigName: name }, local) => ({
    action: 'sagemaker:DescribeEndpointConfig',
    resource: `arn:aws:sagemaker:${local}:endpoint-config/${name}`,
  }),
  DescribeAlarmsCommand: () => ({ action: 'cloudwatch:DescribeAlarms', resource: '*' }),
};

/** Every call that was made, once, as if it were in this region. Throws of one that nobody has thought of. */
export function callsOf({ aws, cloudwatch }: ReleaseWorld, region: string): Call[] {
  const made = [...aws.s3.calls(), ...aws.sagemaker.calls(), ...cloudwatch.calls()].map(
    ({ args: [command] }) => {
      const need = NEEDS[command.constructor.name];
      if (need === undefined) throw new Error(`nobody has thought of ${command.constructor.name}`);
      return need(command.input as unknown as Record<string, string>, `${region}:111122223333`);
    },
  );
  return [...new Map(made.map((call) => [`${call.action} ${call.resource}`, call])).values()];
}
