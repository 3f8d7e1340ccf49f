import { readFileSync } from 'node:fs';
import { CloudWatchServiceException, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import {
  GetObjectCommand,
  GetObjectTaggingCommand,
  ListObjectsV2Command,
  S3Client,
} from '@aws-sdk/client-s3';
import { ListModelPackagesCommand } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import fc from 'fast-check';
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ReadyOptions, ready, readyCommand } from '../../bin/commands/ready.ts';
import * as aws from '../../bin/shared/aws.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import * as live from '../../bin/shared/parity-live.ts';
import { junitOf } from '../../bin/shared/ready-junit.ts';
import type { Gap } from '../../functions/board/schema.ts';
import type { Standing } from '../../functions/board/standing.ts';
import * as adapter from '../../functions/config-parity/adapters/clients.ts';
import { evaluate } from '../../functions/config-parity/evaluate.ts';
import { sourcesOf, verdictOf } from '../../functions/config-parity/identity.ts';
import { type Parity, SIDES } from '../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../functions/config-parity/snapshot.ts';
import { type Outlets, tellUpload, type Upload } from '../../functions/quality-gate/adapters/publish.ts';
import type { QualityVerdict } from '../../functions/quality-gate/gate.ts';
import { resultOf } from '../../functions/quality-gate/messages.ts';
import { GateDependencyError } from '../../functions/shared/errors.ts';
import { EvidenceStore, prettyJson } from '../../functions/shared/evidence.ts';
import { entryOf, historyKey } from '../../functions/shared/history.ts';
import { sha256 } from '../../functions/shared/identity.ts';
import { QUALITY_TAG, VERDICT_TAG } from '../../functions/shared/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { loadConfig } from '../../lib/config.ts';
import { mayDo } from '../support/access.ts';
import type { WorldShape } from '../support/estate-maker.ts';
import { estateOf, parityOf } from '../support/estate-world.ts';
import { s3Error } from '../support/fake-aws.ts';
import {
  callsOf,
  DATA,
  EVIDENCE,
  NOW,
  PACKAGE,
  ReleaseWorld,
  storyVerdict,
  verdictOn,
} from '../support/release.ts';
import { configOf } from '../support/synthesize.ts';
import { type Capture, capture, failure } from './support.ts';

vi.mock(import('../../bin/shared/aws.ts'), { spy: true });
vi.mock(import('../../bin/shared/parity-live.ts'), { spy: true });
vi.mock(import('../../functions/config-parity/adapters/clients.ts'), { spy: true });

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NEXT = PACKAGE.replace('/1', '/2');

let world: ReleaseWorld;
let io: Capture;
/** The environments as they are now. */
let now: { staging: Snapshot; production: Snapshot };

beforeEach(() => {
  world = new ReleaseWorld();
  io = capture();
  now = structuredClone(world.snapshots);
  for (const side of ['staging', 'production'] as const) {
    now[side].probes = [];
    now[side].takenAt = NOW;
  }
  vi.mocked(live.readLive).mockReset();
  vi.mocked(live.readLive).mockImplementation(async () => now as never);
});
afterEach(() => world.restore());

const ask = (options: Partial<ReadyOptions> = {}) =>
  ready(
    {
      model: 'flight-delay',
      environment: 'production',
      config: world.path('tocsin.yaml'),
      outputs: world.path('cdk-outputs.json'),
      ...options,
    },
    io,
    () => NOW,
  );

interface Judged {
  ready: boolean;
  package: string | null;
  gaps: {
    gap: Gap;
    standing: Standing;
    why: string;
    since: string | null;
    requirements: {
      title: string;
      standing: Standing;
      why: string;
      changes: unknown[];
      verdict: string | null;
    }[];
  }[];
}

/** The judgement as JSON. */
async function judge(options: Partial<ReadyOptions> = {}): Promise<Judged & { code: number }> {
  const code = await ask({ ...options, json: true });
  return { code, ...JSON.parse(io.out()) };
}

/** Gaps that are not closed. */
const openOf = ({ gaps }: Judged) =>
  Object.fromEntries(
    gaps.filter(({ standing }) => standing !== 'pass').map(({ gap, standing }) => [gap, standing]),
  );

const denied = () =>
  new CloudWatchServiceException({
    name: 'AccessDenied',
    message: 'not authorized to perform cloudwatch:DescribeAlarms',
    $fault: 'client',
    $metadata: { httpStatusCode: 403 },
  });

const put = (verdict: Verdict, change: (json: Record<string, unknown>) => void) => {
  const key = world.verdictKey(verdict);
  const json = JSON.parse(world.aws.get(EVIDENCE, key).body.toString());
  change(json);
  world.aws.put(EVIDENCE, key, prettyJson(json));
};

/** The evaluation of the next package. */
const evaluated = (outcome: 'pass' | 'fail') => {
  const { inputs } = storyVerdict('pipeline-healthy');
  const candidate = { ...(inputs.candidate as object), arn: NEXT };
  return verdictOn('holdout-evaluation', 'flight-delay', { ...inputs, candidate }, outcome);
};
const register = (approval: string) => {
  const [first] = world.packages;
  if (first === undefined) throw new Error('there is no package');
  world.packages.unshift({ ...first, arn: NEXT, approval });
};
const KNOWN = 'canary/2001-01-to-04.parquet';
/** The canary, on another version of its known dataset. */
const leaveCanary = (version: string | null) => {
  const { inputs } = storyVerdict('canary-healthy');
  world.forget('holdout-evaluation', 'canary-flight-delay');
  const dataset = { uri: `s3://${DATA}/${KNOWN}`, version };
  world.leave(verdictOn('holdout-evaluation', 'canary-flight-delay', { ...inputs, dataset }));
};
const first = () => {
  const [found] = world.packages;
  if (found === undefined) throw new Error('there is no package');
  return found;
};
const tagged = (quality: string, verdict: string) => [
  { Key: QUALITY_TAG, Value: quality },
  { Key: VERDICT_TAG, Value: verdict },
];

/** What is changed, and which gaps are open then, with what is said of them. */
type Case = [
  name: string,
  change: () => void,
  open: Partial<Record<Gap, Standing>>,
  said?: RegExp | undefined,
  options?: Partial<ReadyOptions>,
];

const CASES: Case[] = [
  ['everything is fresh, passes, and is what is there now', () => {}, {}],

  // ------------------------------------------------------------------------------------------- verdicts
  [
    'a drill that never ran',
    () => world.forget('alarm-drill', 'flight-delay-errors'),
    { alarms: 'never' },
    /There has never been a verdict on alarm drill flight-delay-errors\. Run: tocsin drill alarm flight-delay-errors/,
  ],
  [
    'a drill that failed last',
    () => world.leave(storyVerdict('alarms-sick'), NOW - HOUR),
    { alarms: 'fail' },
    /fires at 1, 5 times the intended 0\.2/,
  ],
  ['a drill that failed before it passed', () => world.leave(storyVerdict('alarms-sick'), NOW - 3 * DAY), {}],
  [
    'a drill that could not tell',
    () => world.leave(world.rollbackVerdict('inconclusive'), NOW - HOUR, 'another run'),
    { rollback: 'inconclusive' },
    /flight-delay is inconclusive\. Run: tocsin drill rollback flight-delay/,
  ],
  [
    'a failed canary beside a passed evaluation',
    () => {
      const { inputs } = storyVerdict('canary-healthy');
      world.leave(
        verdictOn('holdout-evaluation', 'canary-flight-delay', { ...inputs, executions: {} }, 'fail'),
        NOW - HOUR,
      );
    },
    { pipeline: 'fail' },
    /canary-flight-delay is fail/,
  ],
  [
    'a comparison that failed',
    () => world.leaveParity(world.parityVerdict('parity-sick'), NOW - HOUR),
    { parity: 'fail' },
  ],

  // ------------------------------------------------------------------------------------------- time
  [
    'a verdict that is as old as it may be, to the millisecond',
    () => world.moveTo(world.rollbackVerdict(), NOW - 8 * DAY),
    { rollback: 'stale' },
    /8 d ago, and counts for 8 d \(.*tocsin\.yaml:\d+\)/,
  ],
  [
    'a verdict that is a millisecond younger',
    () => world.moveTo(world.rollbackVerdict(), NOW - 8 * DAY + 1),
    {},
  ],
  [
    'a verdict of a clock that is 4 minutes ahead',
    () => world.moveTo(world.rollbackVerdict(), NOW + 4 * MINUTE),
    {},
  ],
  [
    'a verdict of a clock that is 6 minutes ahead',
    () => world.moveTo(world.rollbackVerdict(), NOW + 6 * MINUTE),
    { rollback: 'inconclusive' },
    /6 min ahead: one of two clocks is wrong/,
  ],
  [
    'a comparison of three days ago',
    () => {
      world.forget('config-parity', 'flight-delay');
      world.leaveParity(undefined, NOW - 3 * DAY);
    },
    { parity: 'stale' },
    /3 d ago, and counts for 2 d/,
  ],

  // ------------------------------------------------------------------------------------------- configuration
  [
    'a contract that was changed',
    () => world.edit('contracts/flights.yaml', /$/, '# stricter\n'),
    { data: 'stale' },
    /the contract contracts\/flights\.yaml has changed \(was [0-9a-f]{12}, is [0-9a-f]{12}\)/,
  ],
  [
    'a drill that was changed in tocsin.yaml',
    () =>
      world.edit('tocsin.yaml', "fires: '>= 0.2'\n      within: 20s", "fires: '>= 0.3'\n      within: 20s"),
    { alarms: 'stale' },
    /what tocsin\.yaml says of the alarm drill flight-delay-drift has changed/,
  ],
  ['a comment in tocsin.yaml', () => world.edit('tocsin.yaml', /$/, '\n# a comment\n'), {}],
  [
    'a canary of an older configuration',
    () => world.edit('tocsin.yaml', "Trees: '40'", "Trees: '80'"),
    { pipeline: 'stale' },
    /what tocsin\.yaml says of the canary flight-delay has changed/,
  ],
  [
    'a threshold of the model that was changed: its canary is stale, too',
    () => world.edit('tocsin.yaml', 'atLeast: 0.62', 'atLeast: 0.63'),
    { pipeline: 'stale' },
    /what tocsin\.yaml says of the model flight-delay has changed .*ARN\. Also open: canary flight-delay \(stale\)/,
  ],
  [
    'a difference that is documented in another way',
    () => world.edit('parity.yaml', /reason: .*/, 'reason: somebody has thought better of it'),
    { parity: 'stale' },
    /what parity\.yaml documents has changed/,
  ],
  [
    'a gap that nothing closes',
    () => world.edit('tocsin.yaml', /alarmDrills: \[flight-delay-drift.*\]/, 'alarmDrills: []'),
    { alarms: 'never' },
    /Nothing in tocsin\.yaml closes this gap/,
  ],

  // ------------------------------------------------------------------------------------------- model packages
  [
    'a newer package that nobody has evaluated',
    () => register('Approved'),
    { pipeline: 'stale' },
    /the model package to be released has changed \(was \S+flight-delay\/1, is \S+flight-delay\/2\)/,
  ],
  [
    'a newer package that failed',
    () => {
      register('Rejected');
      world.leave(evaluated('fail'), NOW - HOUR);
    },
    { pipeline: 'fail' },
    /flight-delay is fail/,
  ],
  [
    'a newer package that failed, and is not the one to be released',
    () => {
      register('Rejected');
      world.leave(evaluated('fail'), NOW - HOUR);
    },
    {},
    undefined,
    { package: PACKAGE },
  ],
  [
    'an older package that was never evaluated',
    () => {
      register('Approved');
      world.forget('holdout-evaluation', 'flight-delay');
      world.leave(evaluated('pass'), NOW - HOUR);
    },
    { pipeline: 'stale' },
    /the model package to be released has changed \(was \S+\/2, is \S+\/1\)/,
    { package: PACKAGE },
  ],
  [
    'a newer package that passed',
    () => {
      register('Approved');
      world.leave(evaluated('pass'), NOW - HOUR);
    },
    {},
  ],
  [
    'a newer package whose registration failed',
    () => {
      register('PendingManualApproval');
      first().status = 'Failed';
    },
    {},
  ],
  [
    'a package that somebody rejected after it passed',
    () => Object.assign(first(), { approval: 'Rejected', description: 'withdrawn by risk' }),
    { pipeline: 'fail' },
    /passed at .*, but the package \S+\/1 is Rejected \(withdrawn by risk\), and only an Approved one may be released/,
  ],
  [
    'a package that nobody has approved',
    () => Object.assign(first(), { approval: 'PendingManualApproval' }),
    { pipeline: 'fail' },
    /is PendingManualApproval/,
  ],
  [
    'a package that is not complete',
    () => Object.assign(first(), { status: 'InProgress' }),
    { pipeline: 'fail' },
    /is InProgress, and cannot be deployed/,
  ],
  [
    'model data that was replaced',
    () => Object.assign(first(), { container: { ...first().container, modelDataEtag: 'other' } }),
    { pipeline: 'stale' },
    /modelDataEtag of container 1 of the package has changed \(was 8d70d19b472f99ee0812a014ae11ea60, is other\)/,
  ],
  [
    'a group without packages',
    () => world.packages.splice(0),
    { pipeline: 'fail' },
    /the model package group flight-delay has no package/,
  ],

  // ------------------------------------------------------------------------------------------- holdout and known dataset
  [
    'a holdout that was replaced, and passed: the model was not evaluated on it',
    () => void world.upload('flights-holdout', 'holdout/2001-05.parquet', 'pass', NOW - HOUR),
    { pipeline: 'stale' },
    /the version of the holdout s3:\S+ has changed \(was 2573300a-\S+, is v\d+\)/,
  ],
  [
    'a known dataset that was replaced',
    () => void world.aws.put(DATA, 'canary/2001-01-to-04.parquet', 'other'),
    { pipeline: 'stale' },
    /the version of the known dataset s3:\S+ has changed \(was 4bd8d47f-/,
  ],
  [
    'a known dataset that is gone',
    () => void world.aws.objects.delete(`${DATA}/canary/2001-01-to-04.parquet`),
    { pipeline: 'stale' },
    /the known dataset s3:\S+ has changed \(was 4bd8d47f-\S+, is nothing\)/,
  ],

  [
    'a known dataset whose version the verdict does not name, older than the run',
    () => leaveCanary(null),
    {},
  ],
  [
    'a known dataset whose version the verdict does not name, uploaded about when the run began',
    () => {
      leaveCanary(null);
      world.aws.put(DATA, KNOWN, 'other', { modifiedAt: new Date(NOW - 14 * HOUR) });
    },
    { pipeline: 'stale' },
    /the known dataset s3:\S+ has changed \(was older than the run, is of 2026-11-22T04:00:00Z\)/,
  ],
  [
    'a known dataset in a bucket that keeps no versions',
    () => {
      world.aws.get(DATA, KNOWN).versionId = undefined;
      leaveCanary(world.aws.get(DATA, KNOWN).etag);
    },
    {},
  ],
  [
    'a known dataset that was replaced in a bucket that keeps no versions',
    () => {
      leaveCanary('"old"');
      world.aws.get(DATA, KNOWN).versionId = undefined;
    },
    { pipeline: 'stale' },
    /the version of the known dataset s3:\S+ has changed \(was "old", is "etag-\d+"\)/,
  ],

  // ------------------------------------------------------------------------------------------- datasets
  [
    'a dataset that was replaced by one that nobody has judged',
    () => void world.upload('flights', 'flights/2001-04.parquet', null),
    { data: 'stale' },
    /s3:\S+flights\/2001-04\.parquet has changed \(was judged, is a version that nobody has judged\)/,
  ],
  [
    'the same bytes, uploaded and judged again',
    () => void world.upload('flights', 'flights/2001-04.parquet'),
    {},
  ],
  [
    'a version that bears the tags of another one',
    () => {
      const { tags } = world.aws.get(DATA, 'flights/2001-04.parquet');
      world.aws.put(DATA, 'flights/2001-04.parquet', 'forged', { tags, modifiedAt: new Date(NOW - DAY) });
    },
    { data: 'stale' },
    /the version of s3:\S+ has changed \(was one that was judged, is v\d+\)/,
  ],
  [
    'a version that nobody has judged, whose tag looks like the verdict of another one',
    () => {
      const object = world.aws.get(DATA, 'flights/2001-04.parquet');
      const alike = `${(object.tags[1]?.Value ?? '').slice(0, 12)}${'0'.repeat(20)}`;
      world.aws.put(DATA, 'flights/2001-04.parquet', 'forged', {
        tags: tagged('passed', alike),
        modifiedAt: new Date(NOW - DAY),
      });
    },
    { data: 'stale' },
    /the verdict on s3:\S+ has changed/,
  ],
  [
    'a dataset that is gone',
    () => void world.aws.objects.delete(`${DATA}/flights/2001-04.parquet`),
    { data: 'stale' },
    /flights\/2001-04\.parquet has changed \(was there, is deleted\)/,
  ],
  [
    'a dataset whose tag says that it failed',
    () => {
      const object = world.aws.get(DATA, 'flights/2001-04.parquet');
      object.tags = tagged('failed', object.tags[1]?.Value ?? '');
    },
    { data: 'stale' },
    /what the quality gate says of s3:\S+ has changed \(was passed, is failed\)/,
  ],
  [
    'a newer dataset that nobody has judged',
    () => void world.upload('flights', 'flights/2001-05.parquet', null, NOW - HOUR),
    { data: 'stale' },
    /the newest of dataset flights has changed \(was s3:\S+2001-04\.parquet, is s3:\S+2001-05\.parquet, which nobody has judged\)/,
  ],
  [
    'a newer dataset that failed, judged before the older one passed',
    () => {
      world.upload('flights', 'flights/2001-05.parquet', 'fail', NOW - HOUR);
      world.aws.get(DATA, 'flights/2001-05.parquet').modifiedAt = new Date(NOW - HOUR);
      world.upload('flights', 'flights/2001-04.parquet', 'pass', NOW - MINUTE);
      world.aws.get(DATA, 'flights/2001-04.parquet').modifiedAt = new Date(NOW - 2 * HOUR);
    },
    { data: 'stale' },
    /2001-05\.parquet, which is failed/,
  ],
  [
    'a newer dataset that failed',
    () => void world.upload('flights', 'flights/2001-05.parquet', 'fail', NOW - HOUR),
    { data: 'fail' },
    /^(?!.*Since then).*flights is fail\. Upload it/m,
  ],
  [
    'a newer dataset that passed',
    () => void world.upload('flights', 'flights/2001-05.parquet', 'pass', NOW - HOUR),
    {},
  ],
  ['a newer object that is no data', () => void world.aws.put(DATA, 'flights/_temporary/0', 'x'), {}],
  [
    'more newer objects than are looked at',
    () => {
      for (let index = 0; index < 21; index++)
        world.upload('flights', `flights/${index}.parquet`, null, NOW - HOUR);
    },
    { data: 'stale' },
    /was nothing newer, is 21 newer objects/,
  ],
  [
    'a dataset that is to be somewhere else',
    () => world.edit('tocsin.yaml', 'prefix: flights/', 'prefix: flights-v2/'),
    { data: 'stale' },
    /where dataset flights is has changed/,
  ],
  [
    'a baseline that was promoted since',
    () => void world.aws.put(EVIDENCE, 'baselines/flights/current.json', baseline('f'.repeat(64))),
    { data: 'stale' },
    /the baseline of dataset flights has changed \(was nothing, is [0-9a-f]{12}\)/,
  ],
  [
    'a baseline that is the dataset itself',
    () => {
      const body = world.aws.get(DATA, 'flights/2001-04.parquet').body;
      world.aws.put(EVIDENCE, 'baselines/flights/current.json', baseline(sha256(body)));
    },
    {},
  ],

  // ------------------------------------------------------------------------------------------- alarms
  [
    'an alarm whose threshold was changed',
    () => Object.assign(world.alarms['flight-delay-drift'] ?? {}, { Threshold: 1 }),
    { alarms: 'stale' },
    /the configuration of the alarm flight-delay-drift has changed \(was feb91fedd210, is [0-9a-f]{12}\)/,
  ],
  [
    'an alarm whose state has changed',
    () => Object.assign(world.alarms['flight-delay-drift'] ?? {}, { StateValue: 'ALARM' }),
    {},
  ],
  [
    'an alarm that tells nobody any more',
    () => Object.assign(world.alarms['flight-delay-errors'] ?? {}, { AlarmActions: [] }),
    { alarms: 'stale' },
    /the configuration of the alarm flight-delay-errors has changed/,
  ],
  [
    'an alarm that was deleted',
    () => {
      world.alarms['flight-delay-drift'] = null;
    },
    { alarms: 'stale' },
    /the alarm flight-delay-drift has changed \(was feb91fedd210, is deleted\)/,
  ],
  [
    'an alarm that failed, and was mended since: what changed is said, too',
    () => {
      world.forget('alarm-drill', 'flight-delay-drift');
      world.leave(storyVerdict('alarms-sick'), NOW - HOUR);
    },
    { alarms: 'fail' },
    /ring nobody\. Since then the configuration of the alarm flight-delay-drift has changed/,
  ],
  [
    'alarms that nobody may read',
    () => world.cloudwatch.on(DescribeAlarmsCommand).rejects(denied()),
    { alarms: 'inconclusive' },
    /cannot be told: DescribeAlarms flight-delay-drift failed \(HTTP 403\): AccessDenied: not authorized/,
  ],

  // ------------------------------------------------------------------------------------------- endpoints
  [
    'an endpoint that has another configuration',
    () => Object.assign(world.endpoint ?? {}, { config: 'release-2' }),
    { rollback: 'stale' },
    /the endpoint configuration of flight-delay-release-staging has changed \(was flight-delay-release-staging, is release-2\)/,
  ],
  [
    'an endpoint configuration that was made anew under its name',
    () => Object.assign(world.endpointConfig.ProductionVariants[0] ?? {}, { ModelName: 'other' }),
    { rollback: 'stale' },
    /what the endpoint configuration flight-delay-release-staging says has changed/,
  ],
  [
    'a deployment that goes on',
    () => Object.assign(world.endpoint ?? {}, { status: 'Updating', pending: 'release-2' }),
    { rollback: 'stale' },
    /is about to be release-2/,
  ],
  [
    'an endpoint that is changing',
    () => Object.assign(world.endpoint ?? {}, { status: 'Updating' }),
    { rollback: 'inconclusive' },
    /is Updating, so what it will serve is not known/,
  ],
  [
    'an endpoint that was deleted',
    () => {
      world.endpoint = null;
    },
    { rollback: 'stale' },
    /the endpoint flight-delay-release-staging has changed \(was \S+, is deleted\)/,
  ],
  [
    'other golden requests',
    () => void world.aws.put('flight-delay-release', 'golden.jsonl', '{"body":"7"}\n'),
    { rollback: 'stale' },
    /what golden requests s3:\/\/flight-delay-release\/golden\.jsonl has/,
  ],
  [
    'golden requests that are gone',
    () => void world.aws.objects.delete('flight-delay-release/golden.jsonl'),
    { rollback: 'stale' },
    /is there is no s3:\/\/flight-delay-release\/golden\.jsonl/,
  ],

  // ------------------------------------------------------------------------------------------- environments
  [
    'production that somebody has changed',
    () => {
      const [resource] = now.production.resources;
      if (resource !== undefined) resource.value = { changed: true };
    },
    { parity: 'stale' },
    /of production has changed \(was [0-9a-f]{12}, is [0-9a-f]{12}\)/,
  ],
  [
    'production that has something new',
    () =>
      now.production.resources.push({
        kind: 'parameters',
        name: 'x',
        physical: '/x',
        value: { type: 'String' },
      }),
    { parity: 'stale' },
    /parameters \/x of production has changed \(was nothing, is [0-9a-f]{12}\)/,
  ],
  [
    'something of production that nobody may read',
    () => {
      const [gone] = now.production.resources.splice(0, 1);
      now.production.unreadable.push({
        path: [gone?.kind ?? ''],
        physical: gone?.physical ?? '',
        action: 'sagemaker:DescribeEndpoint',
        why: 'AccessDeniedException',
      });
    },
    { parity: 'inconclusive' },
    /in production sagemaker:DescribeEndpoint failed of \S+ \(AccessDeniedException\)/,
  ],
  [
    'an endpoint of production that nobody may read, and so nobody finds its model',
    () => {
      const { resources, unreadable } = now.production;
      now.production.resources = resources.filter(({ kind }) => kind !== 'endpoints' && kind !== 'models');
      expect(now.production.resources.length).toBeLessThan(resources.length - 1);
      const physical = 'flight-delay-booking-production';
      const [action, why] = ['sagemaker:DescribeEndpoint', 'AccessDeniedException'];
      unreadable.push({ path: ['endpoints'], physical, action, why });
    },
    { parity: 'inconclusive' },
  ],
  [
    'something of staging that is changing',
    () =>
      now.staging.unsettled.push({
        path: ['endpoints'],
        physical: 'flight-delay-booking-staging',
        status: 'Updating',
      }),
    { parity: 'inconclusive' },
    /in staging flight-delay-booking-staging is Updating/,
  ],
  [
    'a role that nobody may assume',
    () =>
      vi
        .mocked(live.readLive)
        .mockRejectedValue(
          new GateDependencyError(
            'sts:AssumeRole arn:aws:iam::444455556666:role/parity failed (HTTP 403): AccessDenied',
          ),
        ),
    { parity: 'inconclusive' },
    /cannot be told: sts:AssumeRole arn:aws:iam::444455556666:role\/parity failed/,
  ],
  [
    'golden requests of a probe that were replaced',
    () => void world.aws.put('flight-delay-booking-staging', 'golden.jsonl', '{"body":"7"}\n'),
    { parity: 'stale' },
    /what golden requests s3:\/\/flight-delay-booking-staging\/golden\.jsonl has/,
  ],
  [
    'a snapshot that somebody has changed',
    () => {
      const key = world.verdictKey(world.parityVerdict()).replace('verdict.json', 'staging.json');
      world.aws.put(EVIDENCE, key, JSON.stringify({ ...world.snapshots.staging, resources: [] }));
    },
    { parity: 'inconclusive' },
    /staging\.json is not what was compared: somebody has changed it/,
  ],
  [
    'a snapshot that is gone',
    () =>
      void world.aws.objects.delete(
        `${EVIDENCE}/${world.verdictKey(world.parityVerdict()).replace('verdict.json', 'staging.json')}`,
      ),
    { parity: 'inconclusive' },
    /there is no s3:\/\/evidence\/\S+staging\.json/,
  ],
  [
    'production that somebody has changed, and --quick',
    () => now.production.resources.splice(0),
    {},
    /passed at .*; it was not compared with what is there now \(--quick\)/,
    { quick: true },
  ],

  // ------------------------------------------------------------------------------------------- evidence
  [
    'a verdict that is gone',
    () => void world.aws.objects.delete(`${EVIDENCE}/${world.verdictKey(storyVerdict('alarms-healthy'))}`),
    { alarms: 'inconclusive' },
    /cannot be read: there is no s3:\/\/evidence\/evidence\/alarm-drill\/flight-delay-drift\/\S+verdict\.json/,
  ],
  [
    'a verdict that is cut off',
    () => {
      const key = world.verdictKey(storyVerdict('alarms-healthy'));
      const { body } = world.aws.get(EVIDENCE, key);
      world.aws.put(EVIDENCE, key, body.subarray(0, body.length / 2));
    },
    { alarms: 'inconclusive' },
    /verdict\.json is not JSON/,
  ],
  [
    'a failed verdict that was made a pass in the history alone',
    () => world.leave({ ...storyVerdict('alarms-sick'), outcome: 'pass' }, NOW - HOUR),
    { alarms: 'inconclusive' },
    /says pass, and its findings amount to fail/,
  ],
  [
    'a history that says pass of a verdict that says fail',
    () => {
      const sick = storyVerdict('alarms-sick');
      world.leave({ ...sick, outcome: 'pass' }, NOW - HOUR);
      put(sick, (json) => Object.assign(json, { outcome: 'fail' }));
    },
    { alarms: 'inconclusive' },
    /says outcome fail, and the history pass/,
  ],
  [
    'a verdict whose inputs were forged, here and in the history',
    () => {
      const healthy = storyVerdict('alarms-healthy');
      const inputs = { ...healthy.inputs, alarmSha256: 'f'.repeat(64) };
      world.leave({ ...healthy, inputs }, NOW - HOUR, 'forged');
    },
    { alarms: 'inconclusive' },
    /is not what its id was made of/,
  ],
  [
    'a verdict on other inputs than the history says',
    () => put(storyVerdict('alarms-healthy'), (json) => Object.assign(json, { inputs: {} })),
    { alarms: 'inconclusive' },
    /is on other inputs than the history says/,
  ],
  [
    'the verdict of another drill',
    () => {
      const other = world.drillVerdict('flight-delay-errors', 'flight-delay-errors');
      const stolen = { ...other, subject: 'flight-delay-drift' };
      world.leave(stolen, NOW - HOUR);
      put(stolen, (json) => Object.assign(json, { subject: 'flight-delay-errors' }));
    },
    { alarms: 'inconclusive' },
    /says subject flight-delay-errors, and the history flight-delay-drift/,
  ],
  [
    'an entry of the history that is not JSON',
    () => {
      const [key = ''] = world.aws.keys(EVIDENCE, 'history/rollback-drill/');
      world.aws.put(EVIDENCE, key, 'nonsense');
    },
    { rollback: 'inconclusive' },
    /is not JSON/,
  ],
  [
    'an entry of the history that was renamed',
    () => {
      const entry = entryOf(world.rollbackVerdict(), 'old', NOW - 30 * DAY);
      world.forget('rollback-drill', 'flight-delay');
      world.aws.put(EVIDENCE, historyKey({ ...entry, at: NOW - HOUR }), prettyJson(entry));
    },
    { rollback: 'inconclusive' },
    /says at \d+, and its own key \d+/,
  ],
  [
    'evidence of one subject that nobody may read',
    () => {
      const list = world.aws.s3.on(ListObjectsV2Command, { Prefix: 'history/rollback-drill/flight-delay/' });
      list.rejects(s3Error('AccessDenied', 403));
    },
    { rollback: 'inconclusive' },
    /cannot be read: ListObjectsV2 s3:\/\/evidence\/history\/rollback-drill\/flight-delay\/ failed \(HTTP 403\)/,
  ],
  [
    'a verdict that nobody may read',
    () =>
      world.aws.s3
        .on(GetObjectCommand, { Key: world.verdictKey(storyVerdict('canary-healthy')) })
        .rejects(s3Error('AccessDenied', 403)),
    { pipeline: 'inconclusive' },
    /GetObject s3:\S+ failed \(HTTP 403\)/,
  ],
  [
    'tags that nobody may read',
    () =>
      world.aws.s3
        .on(GetObjectTaggingCommand, { Key: 'flights/2001-04.parquet' })
        .rejects(s3Error('AccessDenied', 403)),
    { data: 'inconclusive' },
    /GetObjectTagging s3:\S+ failed \(HTTP 403\)/,
  ],
  [
    'a registry that throttles to the end',
    () =>
      world.aws.sagemaker.on(ListModelPackagesCommand).rejects(
        Object.assign(new Error('Rate exceeded'), {
          name: 'ThrottlingException',
          $metadata: { httpStatusCode: 400 },
        }),
      ),
    { pipeline: 'inconclusive' },
    /ListModelPackages of flight-delay failed \(HTTP 400\): ThrottlingException: Rate exceeded/,
  ],

  // ------------------------------------------------------------------------------------------- several
  [
    'several gaps at once, each as its worst requirement',
    () => {
      world.forget('rollback-drill', 'flight-delay');
      world.alarms['flight-delay-drift'] = null;
      world.leave(
        world.drillVerdict('flight-delay-errors', 'flight-delay-errors', 'fail'),
        NOW - HOUR,
        'again',
      );
      world.edit('contracts/flights-history.yaml', /$/, '# stricter\n');
    },
    { rollback: 'never', alarms: 'fail', data: 'stale' },
    /flight-delay-errors is fail\..* Also open: alarm drill flight-delay-drift \(stale\)\./,
  ],
];

function baseline(sha: string): string {
  return JSON.stringify({
    profile: 1,
    dataset: 'flights',
    tocsin: '0.1.0',
    rows: 1,
    sha256: sha,
    columns: {},
  });
}

describe('tocsin ready', () => {
  test.each(CASES)('%s', async (_, change, open, said, options) => {
    change();
    const judged = await judge(options);
    expect(openOf(judged)).toEqual(open);
    expect(judged.ready).toBe(Object.keys(open).length === 0);
    expect(judged.code).toBe(judged.ready ? EXIT.pass : EXIT.failed);
    if (said !== undefined) expect(judged.gaps.map(({ why }) => why).join('\n')).toMatch(said);
    expect(world.aws.changes).toEqual([]);
    expect(io.err()).toBe('');
  });

  test('at least half of the table is not ready', () => {
    expect(CASES.length).toBeGreaterThan(60);
    expect(CASES.filter(([, , open]) => Object.keys(open).length > 0).length).toBeGreaterThan(50);
  });

  test.each<[string, Partial<ReadyOptions>, RegExp, (() => void)?]>([
    [
      'no such model',
      { model: 'flight-dely' },
      /no release|does not say what .*"flight-dely" waits for.*did you mean "flight-delay"/,
    ],
    ['no such environment', { environment: 'prod' }, /has no release of flight-delay to "prod"/],
    ['a package that is not there', { package: NEXT }, /there is no model package \S+\/2/],
    ['what is no ARN', { package: 'flight-delay/1' }, /--package: /],
    [
      'a package of another group',
      { package: PACKAGE },
      /is in the group other, and the model flight-delay is in flight-delay/,
      () => Object.assign(first(), { group: 'other' }),
    ],
    ['no such configuration', { config: 'none.yaml' }, /none\.yaml/],
    ['no outputs', { outputs: 'none.json' }, /none\.json: no such file/],
    [
      'a configuration without releases',
      {},
      /does not say what a release of the model "flight-delay" waits for/,
      () => world.edit('tocsin.yaml', /^readiness:[\s\S]*/m, ''),
    ],
  ])('refuses %s', async (_, options, message, change) => {
    change?.();
    expect(await failure(ask(options))).toMatchObject({
      name: expect.stringMatching(/^(GateInputError|ConfigError)$/),
      message: expect.stringMatching(message),
    });
    expect(io.out()).toBe('');
  });

  test('goes by the time of S3 where the clock of this machine is slow: no old verdict is fresh', async () => {
    world.moveTo(world.rollbackVerdict(), NOW - 2 * DAY);
    const s3 = await aws.connectS3();
    // What the SDK learns from the dates of answers.
    s3.config.systemClockOffset = 7 * DAY;
    vi.mocked(aws.connectS3).mockResolvedValueOnce(s3);
    const judged = await judge();
    expect(openOf(judged)).toMatchObject({ rollback: 'stale' });
    expect(judged.gaps[1]?.why).toContain('9 d ago, and counts for 8 d');
  });

  test('is broken where no evidence could be looked for at all', async () => {
    world.aws.s3.on(ListObjectsV2Command).rejects(s3Error('AccessDenied', 403));
    expect(await failure(ask())).toMatchObject({
      name: 'GateDependencyError',
      message: expect.stringMatching(/^ListObjectsV2 s3:\/\/evidence\/history\/\S+ failed \(HTTP 403\)/),
    });
  });

  test('is broken as a command, with its exit code and as JSON', async () => {
    world.aws.s3.on(ListObjectsV2Command).rejects(s3Error('AccessDenied', 403));
    const parse = (...args: string[]) =>
      readyCommand(io).parseAsync(
        [
          '--model',
          'flight-delay',
          '--config',
          world.path('tocsin.yaml'),
          '--outputs',
          world.path('cdk-outputs.json'),
          ...args,
        ],
        { from: 'user' },
      );
    const before = process.exitCode;
    try {
      await parse('--json');
      expect(process.exitCode).toBe(EXIT.broken);
      expect(JSON.parse(io.out())).toMatchObject({ error: { kind: 'broken' } });
      await parse('--environment', 'prod');
      expect(process.exitCode).toBe(EXIT.caller);
      expect(io.err()).toContain('has no release of flight-delay to "prod"');
    } finally {
      process.exitCode = before;
    }
  });

  test('reads environments again only where the rest of their gap passes', async () => {
    world.edit('parity.yaml', /reason: .*/, 'reason: another');
    await judge();
    expect(live.readLive).not.toHaveBeenCalled();
  });

  test('reads environments without asking their endpoints', async () => {
    await judge();
    const [[parity, sides] = []] = vi.mocked(live.readLive).mock.calls;
    expect([parity?.name, parity?.value.probes, sides]).toEqual([
      'flight-delay',
      {},
      ['staging', 'production'],
    ]);
  });

  test('believes what the quality gate itself leaves', async () => {
    const verdict = world.upload('flights', 'flights/2001-04.parquet', 'pass', NOW - HOUR);
    world.forget('quality-gate', 'flights');
    const { versionId } = world.aws.get(DATA, 'flights/2001-04.parquet');
    const uri = `s3://${DATA}/flights/2001-04.parquet`;
    const object = { bucket: DATA, key: 'flights/2001-04.parquet', versionId: versionId ?? '' };
    const config = loadConfig('tocsin.yaml').datasets[0] ?? expect.unreachable('there is no dataset');
    const told = resultOf(verdict, config, { uri, versionId: object.versionId, evidence: 's3://evidence/x' });
    const env = { TOPIC_ARN: 'arn:aws:sns:us-east-1:000000000000:t' };
    const s3 = new S3Client({});
    const outlets = {
      env,
      s3,
      sns: new SNSClient({}),
      events: new EventBridgeClient({}),
      store: new EvidenceStore(s3, EVIDENCE),
    };
    vi.setSystemTime(NOW - HOUR);
    // Of the upload and of the outlets only what telling reads.
    const upload = { request: { config }, subject: object } as unknown as Upload;
    await tellUpload(outlets as unknown as Outlets, upload, verdict as QualityVerdict, told);
    vi.useRealTimers();
    expect(world.aws.keys(EVIDENCE, 'history/quality-gate/flights/')).toHaveLength(1);
    expect(openOf(await judge())).toEqual({});
  });
});

describe('a batch', () => {
  const KEYS = ['a', 'b', '_SUCCESS'].map((name) => `flights/day=1/${name}`);
  let verdict: Verdict;
  beforeEach(() => {
    world.edit('contracts/flights.yaml', /^dataset: .*$/m, '$&\nbatch: marker');
    world.forget('quality-gate', 'flights');
    world.aws.objects.delete(`${DATA}/flights/2001-04.parquet`);
    const contract = readFileSync(world.path('contracts/flights.yaml'), 'utf8');
    const uri = `s3://${DATA}/flights/day=1/`;
    verdict = verdictOn('quality-gate', 'flights', {
      uri,
      contractSha256: sha256(contract),
      baselineSha256: null,
    });
    const objects = KEYS.map((key, index) => ({
      key,
      versionId: world.aws.put(DATA, key, key, {
        modifiedAt: new Date(NOW - DAY + index * 1000),
        tags: tagged('passed', verdict.id),
      }),
      etag: 'x',
    }));
    const result = {
      dataset: 'flights',
      uri,
      versionId: 'v',
      outcome: 'pass',
      accepted: true,
      reason: 'r',
      verdict: verdict.id,
      evidence: 's3://e/v',
      contractSha256: 'c',
      findings: [],
    };
    world.aws.put(
      EVIDENCE,
      world.verdictKey(verdict).replace('verdict.json', 'published.json'),
      JSON.stringify({ published: 1, result, objects }),
    );
    world.leave(verdict, NOW - HOUR, `${uri} ${objects.at(-1)?.versionId}`);
  });

  test.each<[string, () => void, RegExp | undefined]>([
    ['as it was judged', () => {}, undefined],
    [
      'with an object that was replaced',
      () => void world.aws.put(DATA, 'flights/day=1/a', 'other', { modifiedAt: new Date(NOW - HOUR) }),
      /day=1\/a has changed \(was older than _SUCCESS, is replaced since\)/,
    ],
    [
      'with an object that is gone',
      () => void world.aws.objects.delete(`${DATA}/flights/day=1/b`),
      /day=1\/b has changed \(was there, is deleted\)/,
    ],
    [
      'before another batch that nobody has judged',
      () => void world.aws.put(DATA, 'flights/day=2/_SUCCESS', '', { modifiedAt: new Date(NOW - HOUR) }),
      /day=2\/_SUCCESS, which nobody has judged/,
    ],
    [
      'before another batch that is not complete',
      () => void world.aws.put(DATA, 'flights/day=2/a', 'x'),
      undefined,
    ],
    [
      'whose list of objects is gone',
      () =>
        void world.aws.objects.delete(
          `${EVIDENCE}/${world.verdictKey(verdict).replace('verdict.json', 'published.json')}`,
        ),
      /there is no s3:\S+published\.json/,
    ],
  ])('%s', async (_, change, said) => {
    change();
    const { gaps } = await judge();
    const why = gaps.find(({ gap }) => gap === 'data')?.why ?? '';
    if (said === undefined) expect(why).toMatch(/^Dataset flights passed at \S+\. So did/);
    else expect(why).toMatch(said);
  });
});

describe('a prefix with many objects', () => {
  test('is listed page by page, and not without end', async () => {
    world.aws.pageSize = 1;
    for (let index = 0; index < 4; index++) world.aws.put(DATA, `flights/_log/${index}`, 'x');
    expect(openOf(await judge())).toEqual({});
    for (let index = 4; index < 60; index++) world.aws.put(DATA, `flights/_log/${index}`, 'x');
    io = capture();
    expect(openOf(await judge())).toEqual({ data: 'inconclusive' });
    expect(io.out()).toContain('has more than 50,000 objects, so whether one is newer cannot be told');
  });
});

// ---------------------------------------------------------------------------------------------------------
// What is printed, and what it takes
// ---------------------------------------------------------------------------------------------------------

describe('what is printed', () => {
  test('a line for each gap, and the answer', async () => {
    world.forget('rollback-drill', 'flight-delay');
    world.edit('contracts/flights.yaml', /$/, '# stricter\n');
    expect(await ask()).toBe(EXIT.failed);
    const lines = io.out().trimEnd().split('\n');
    expect(lines).toHaveLength(6);
    expect(lines[0]).toBe(
      '✓ PASS         1 Pipeline  since 2026-11-22T06:00:00Z. Model flight-delay passed at 2026-11-22T06:00:00Z. So did canary flight-delay.',
    );
    expect(lines[1]).toBe(
      '✗ NEVER        2 Rollback  There has never been a verdict on rollback drill flight-delay. Run: tocsin drill rollback flight-delay',
    );
    expect(lines[3]).toMatch(
      /^✗ STALE {8}4 Data {6}Dataset flights passed at .* since then the contract contracts\/flights\.yaml has changed/,
    );
    expect(lines[5]).toBe(
      `NOT READY flight-delay (${PACKAGE}) must not be released to production: 2 gaps are open (Rollback and Data).`,
    );
  });

  test('--explain: each requirement with its verdict, age, what it is bound to, and what to do', async () => {
    Object.assign(world.alarms['flight-delay-drift'] ?? {}, { Threshold: 1 });
    expect(await ask({ explain: true })).toBe(EXIT.failed);
    const out = io.out();
    for (const said of [
      '    PASS model flight-delay: Model flight-delay passed at 2026-11-22T06:00:00Z.\n',
      '        verdict b8cf86b7b6b01588a79b274d9d3df64e, 12 h old, counts for 90 d (',
      `        bound to candidate.arn ${PACKAGE}\n`,
      '        bound to holdout.version 2573300a-0cd7-43d9-a499-30ef3ce5ad6c\n',
      '        bound to alarmSha256 feb91fedd210\n',
      '    STALE alarm drill flight-delay-drift: ',
      '        -> Run: tocsin drill alarm flight-delay-drift\n',
    ]) {
      expect(out).toContain(said);
    }
    expect(out).toMatch(
      /^ {8}changed: the configuration of the alarm flight-delay-drift: was feb91fedd210, is [0-9a-f]{12}$/m,
    );
  });

  test('text of others moves no cursor, and breaks no line', async () => {
    Object.assign(first(), { approval: 'Rejected', description: 'a\nb\u001b[2J' });
    expect(await ask()).toBe(EXIT.failed);
    expect(io.out()).not.toContain('\u001b');
    expect(io.out().trimEnd().split('\n')).toHaveLength(6);
    expect(io.out()).toContain('is Rejected (a b\\u001b[2J)');
  });

  test('--json: the whole judgement, with where the evidence is', async () => {
    const judged = await judge();
    expect(judged).toMatchObject({
      readiness: 1,
      ready: true,
      model: 'flight-delay',
      environment: 'production',
      package: PACKAGE,
      at: '2026-11-22T18:00:00Z',
    });
    expect(judged.gaps.map(({ gap, requirements }) => [gap, requirements.length])).toEqual([
      ['pipeline', 2],
      ['rollback', 1],
      ['alarms', 3],
      ['data', 3],
      ['parity', 1],
    ]);
    const folder = 's3://evidence/evidence/holdout-evaluation/flight-delay/b8cf86b7b6b01588a79b274d9d3df64e/';
    expect(judged.gaps[0]?.requirements[0]).toMatchObject({
      section: 'models',
      name: 'flight-delay',
      gate: 'holdout-evaluation',
      subject: 'flight-delay',
      standing: 'pass',
      verdict: 'b8cf86b7b6b01588a79b274d9d3df64e',
      evidence: `${folder}verdict.json`,
      report: `${folder}report.html`,
      at: '2026-11-22T06:00:00Z',
      since: '2026-11-22T06:00:00Z',
      staleAt: '2027-02-20T06:00:00Z',
      overdue: false,
      freshSeconds: 90 * 86_400,
      changes: [],
      boundTo: storyVerdict('pipeline-healthy').inputs,
    });
  });

  test('--junit: a suite for each gap, a case for each requirement, and why', async () => {
    world.forget('rollback-drill', 'flight-delay');
    world.edit('tocsin.yaml', /alarmDrills: \[flight-delay-drift.*\]/, 'alarmDrills: []');
    Object.assign(first(), { approval: 'Rejected', description: '<b> & "c" \u0007' });
    expect(await ask({ junit: world.path('reports/ready.xml') })).toBe(EXIT.failed);
    const root = xmlOf(readFileSync(world.path('reports/ready.xml'), 'utf8'));
    expect([root.name, root.attributes]).toEqual([
      'testsuites',
      { name: 'tocsin ready flight-delay production', tests: '8', failures: '3', errors: '0', time: '0' },
    ]);
    expect(
      root.children.map(({ attributes }) => [attributes.name, attributes.tests, attributes.failures]),
    ).toEqual([
      ['1 Pipeline', '2', '1'],
      ['2 Rollback', '1', '1'],
      ['3 Alarms', '1', '1'],
      ['4 Data', '3', '0'],
      ['5 Parity', '1', '0'],
    ]);
    const [pipeline, rollback, alarms] = root.children;
    expect(pipeline?.children[0]?.children[0]).toMatchObject({
      name: 'failure',
      attributes: { type: 'fail' },
      text: expect.stringContaining(
        'is Rejected (<b> & "c" \ufffd), and only an Approved one may be released.',
      ),
    });
    expect(rollback?.children[0]?.attributes).toEqual({
      name: 'rollback drill flight-delay',
      classname: 'tocsin.ready.production.rollback',
      time: '0',
    });
    expect(rollback?.children[0]?.children[0]?.attributes.message).toBe(
      'There has never been a verdict on rollback drill flight-delay. Run: tocsin drill rollback flight-delay',
    );
    expect(alarms?.children[0]?.children[0]?.text).toBe('Nothing in tocsin.yaml closes this gap.');
  });

  test('a JUnit file of an earlier judgement is not there any more where nothing can be judged', async () => {
    const junit = world.path('ready.xml');
    await ask({ junit });
    expect(readFileSync(junit, 'utf8')).toContain('failures="0"');
    await failure(ask({ junit, model: 'none' }));
    expect(() => readFileSync(junit)).toThrow('ENOENT');
  });

  test('a JUnit file that cannot be written is told', async () => {
    expect(await failure(ask({ junit: world.path('tocsin.yaml/ready.xml') }))).toMatchObject({
      name: 'GateInputError',
    });
  });

  test('is XML whatever somebody has written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (why) => {
        const gap = { gap: 'data', standing: 'fail', why, stands: [] } as const;
        const readiness = {
          model: 'm',
          environment: 'e',
          at: NOW,
          ready: false,
          gaps: [{ ...gap, stands: [] }],
        };
        const text = xmlOf(junitOf(readiness)).children[0]?.children[0]?.children[0]?.text ?? '';
        // Everything that XML has, and that no reader makes something else of, arrives.
        const kept = why.toWellFormed();
        expect(text.length).toBe(kept.length);
        for (let index = 0; index < kept.length; index++) {
          if (text[index] !== '\ufffd') expect(text[index]).toBe(kept[index]);
        }
      }),
    );
  });
});

test('the policy of the guide allows every call, and has no action that is not needed', async () => {
  const [block = ''] =
    /^```json\n([\s\S]*?)^```$/m.exec(readFileSync('docs/readiness.md', 'utf8'))?.slice(1) ?? [];
  const policy = JSON.parse(block.replaceAll('EVIDENCE-BUCKET', EVIDENCE).replaceAll('DATA-BUCKET', DATA));
  expect(openOf(await judge())).toEqual({});
  const calls = callsOf(world, 'eu-west-1');
  const refused: string[] = [];
  for (const { action, resource } of calls) {
    if (!(await mayDo(policy, action, resource))) refused.push(`${action} ${resource}`);
  }
  expect(refused).toEqual([]);
  // The package was named by nobody here, so it was listed, too.
  const allowed = policy.Statement.flatMap(({ Action }: { Action: string | string[] }) => Action);
  expect(new Set(allowed)).toEqual(new Set(calls.map(({ action }) => action)));
  expect(await mayDo(policy, 's3:GetObject', `arn:aws:s3:::${DATA}/flights/2001-04.parquet`)).toBe(false);
});

// ---------------------------------------------------------------------------------------------------------
// Environments that are really read
// ---------------------------------------------------------------------------------------------------------

describe('environments, read by the readers of the comparison', () => {
  const SHAPE: WorldShape = {
    seed: 7,
    naming: 'names',
    endpoints: 1,
    functions: 1,
    parameters: 2,
    featureGroups: 1,
    tables: 1,
    pipelines: 1,
    rules: 1,
    schedules: 1,
  };
  const PLACES = {
    staging: { word: 'staging', account: '111122223333', region: 'eu-west-1' },
    production: { word: 'prod', account: '444455556666', region: 'eu-central-1' },
  };
  const SECTION = `parity: ${JSON.stringify({ 'flight-delay': parityOf(SHAPE, PLACES) })}\n`;
  /** As they were compared, as they are when nobody has done anything, and after somebody has. */
  let read: Record<'was' | 'same' | 'changed', { staging: Snapshot; production: Snapshot }>;
  let parity: Parity;

  // Before each test: the mocks of the world stand in the way of the clients of an estate.
  beforeAll(async () => {
    const { readLive } = await vi.importActual<typeof live>('../../bin/shared/parity-live.ts');
    for (const name of ['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'])
      vi.stubEnv(name, 'eu-west-1');
    const config = configOf(`tocsin: 1\n${SECTION}`, {});
    parity = config.parities.get('flight-delay') ?? expect.unreachable('there is no comparison');
    const readAs = async (production: WorldShape) => {
      const estates = {
        staging: estateOf(SHAPE, PLACES.staging),
        production: estateOf(production, PLACES.production),
      };
      vi.mocked(adapter.clientsOf).mockImplementation(({ account }) =>
        (account === PLACES.staging.account ? estates.staging : estates.production).clients(),
      );
      return readLive(parity, SIDES, { outputs: 'none' }, capture());
    };
    read = {
      was: await readAs(SHAPE),
      same: await readAs(SHAPE),
      changed: await readAs({ ...SHAPE, seed: 8 }),
    };
    vi.mocked(adapter.clientsOf).mockReset();
    vi.unstubAllEnvs();
  });

  beforeEach(() => {
    world.edit('tocsin.yaml', /^parity:\n[\s\S]*?(?=^readiness:)/m, SECTION);
    world.edit('parity.yaml', /[\s\S]+/, 'parity: 1\n');
    const { staging, production } = Object.assign(world.snapshots, read.was);
    const evaluation = evaluate(staging, production, parity, '2026-11-22');
    const verdict = verdictOf(staging, production, evaluation, parity, sourcesOf(parity));
    expect(verdict.outcome).toBe('pass');
    world.forget('config-parity', 'flight-delay');
    world.leaveParity({ ...verdict, inputs: { ...verdict.inputs } });
  });

  test('that are as they were', async () => {
    vi.mocked(live.readLive).mockImplementation(async () => read.same);
    expect(read.same.production.takenAt).toBeGreaterThanOrEqual(read.was.production.takenAt);
    expect(openOf(await judge())).toEqual({});
  });

  test('of which somebody has changed one', async () => {
    vi.mocked(live.readLive).mockImplementation(async () => read.changed);
    expect(openOf(await judge())).toEqual({ parity: 'stale' });
    expect(io.out()).toMatch(/ of production has changed \(was [0-9a-f]{12}, is [0-9a-f]{12}\)/);
  });
});

// ---------------------------------------------------------------------------------------------------------

interface Element {
  name: string;
  attributes: Record<string, string>;
  children: Element[];
  text: string;
}

/** Reads XML of elements, attributes and texts, and nothing that is not allowed in it. */
function xmlOf(source: string): Element {
  const body = source.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '');
  expect(body).not.toBe(source);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
  expect(body).not.toMatch(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/);
  const entities: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  const decode = (text: string) => {
    expect(text).not.toMatch(/[<>]|&(?!(amp|lt|gt|quot|apos);)/);
    return text.replace(/&(\w+);/g, (_, entity: string) => entities[entity] ?? '');
  };
  const top: Element = { name: '', attributes: {}, children: [], text: '' };
  const open = [top];
  const tag = /<(\/?)([a-z]+)((?: [a-z]+="[^"<]*")*)(\/?)>/y;
  for (let at = 0; at < body.length; ) {
    const parent = open.at(-1) as Element;
    const end = body.indexOf('<', at);
    parent.text += decode(body.slice(at, end === -1 ? undefined : end));
    if (end === -1) break;
    tag.lastIndex = end;
    const [whole = '', closing, name = '', attributes = '', empty] = tag.exec(body) ?? [];
    expect(whole).not.toBe('');
    at = tag.lastIndex;
    if (closing === '/') {
      expect(open.pop()?.name).toBe(name);
      continue;
    }
    const element: Element = { name, attributes: {}, children: [], text: '' };
    for (const [, key = '', value = ''] of attributes.matchAll(/ ([a-z]+)="([^"]*)"/g))
      element.attributes[key] = decode(value);
    parent.children.push(element);
    if (empty !== '/') open.push(element);
  }
  expect(open).toHaveLength(1);
  expect(top.children).toHaveLength(1);
  return top.children[0] as Element;
}
