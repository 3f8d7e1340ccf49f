import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { type Readiness, readyOf, requirementKey } from '../../functions/board/ready.ts';
import type { BoardRow, Requirement } from '../../functions/board/schema.ts';
import { configuredChanges, type Observed } from '../../functions/board/standing.ts';
import { CLIENT_OPTIONS, mapLimit } from '../../functions/shared/aws.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { EvidenceStore } from '../../functions/shared/evidence.ts';
import { didYouMean, entryNamed } from '../../functions/shared/schema.ts';
import { type Config, loadConfig } from '../../lib/config.ts';
import { rowsOf } from '../../lib/readiness.ts';
import { connectS3 } from './aws.ts';
import { type Io, withProgress } from './cli.ts';
import { readOutputs } from './deployment.ts';
import { connectSagemaker } from './endpoints.ts';
import { lookAtDataset } from './ready-data.ts';
import { lookAtAlarm, lookAtEndpoint } from './ready-drills.ts';
import { type Evidence, readEvidence } from './ready-evidence.ts';
import { type Candidate, candidateOf, isOn, lookAtCanary, lookAtModel } from './ready-model.ts';
import { lookAtEnvironments } from './ready-parity.ts';
import { Seen } from './ready-seen.ts';

/*
 * What a release waits for, looked up: evidence, and what is there now in AWS. Reads, and changes nothing.
 */

/** Requirements that are looked at side by side. */
const AT_A_TIME = 4;

/** Which release, and how to look at it. */
export interface Release {
  model: string;
  environment: string;
  /** ARN of the package that is about to be released; left out: the newest of the model's group. */
  package?: string;
  /** tocsin.yaml */
  config: string;
  /** What `cdk deploy --outputs-file` wrote. */
  outputs: string;
  /** Leaves out to read the environments of comparisons again. */
  quick?: boolean;
}

/** A judged release. */
export interface Examined {
  readiness: Readiness;
  /** ARN of the package that it is about; undefined where there is none, or nobody knows. */
  package: string | undefined;
  store: EvidenceStore;
}

/**
 * Looks up everything that a release waits for, and judges it.
 *
 * @param now milliseconds since 1970; where S3 says that this clock is wrong by minutes, its time counts: on a clock that is
 * slow by days old verdicts would be fresh
 * @throws ConfigError with every mistake in tocsin.yaml and the files beside it
 * @throws GateInputError where there is no such model, environment or package; the caller has no AWS region or credentials
 * @throws GateDependencyError where not a single piece of evidence could be looked for
 */
export async function examineRelease(release: Release, now: () => number, io: Io): Promise<Examined> {
  const config = loadConfig(release.config);
  const row = rowOf(config, release);
  const outputs = await readOutputs(release.outputs);
  const s3 = await connectS3();
  const sagemaker = await connectSagemaker();
  const world: World = {
    config,
    s3,
    sagemaker,
    cloudwatch: new CloudWatchClient(CLIENT_OPTIONS),
    store: new EvidenceStore(s3, outputs.EvidenceBucket),
    dataBucket: outputs.DataBucket,
    outputs: release.outputs,
    now: () => now() + s3.config.systemClockOffset,
    io,
  };
  const model = entryNamed(config.models, release.model, 'model');

  let done = 0;
  const [candidate, evidence] = await withProgress(
    io,
    () => `looking at what the release waits for: ${done} of ${row.requirements.length}`,
    async () => {
      const found = await candidateOf(sagemaker, model, release.package);
      const read = await mapLimit(row.requirements, AT_A_TIME, async (requirement) => {
        const observed = await observe(requirement, found, world);
        done++;
        return [requirement, observed] as const;
      });
      return [found, read] as const;
    },
  );
  throwWhereNothingWasRead(evidence.map(([, { evidence: one }]) => one));
  const observed = new Map<string, Observed>();
  for (const [requirement, { evidence: of, seen }] of evidence) {
    // One after the other: each tells how far it is.
    if (requirement.section === 'parity')
      await lookAtParity(requirement, of, release.quick === true, world, seen);
    const { history, latest } = of;
    observed.set(requirementKey(requirement), { history, latest, ...seen.observed() });
  }
  return {
    readiness: readyOf(row, observed, world.now()),
    package: 'package' in candidate ? candidate.package.arn : undefined,
    store: world.store,
  };
}

/** What looking takes. */
interface World {
  config: Config;
  s3: Awaited<ReturnType<typeof connectS3>>;
  sagemaker: Awaited<ReturnType<typeof connectSagemaker>>;
  cloudwatch: CloudWatchClient;
  store: EvidenceStore;
  dataBucket: string | undefined;
  outputs: string;
  now: () => number;
  io: Io;
}

/** @throws GateInputError where tocsin.yaml has no such release */
function rowOf(config: Config, { model, environment }: Release): BoardRow {
  const releases = config.readiness;
  const environments = releases[model];
  if (environments === undefined) {
    const models = Object.keys(releases);
    throw new GateInputError(
      `${config.file} does not say what a release of the model "${model}" waits for${didYouMean(model, models)}`,
      {
        help:
          models.length === 0
            ? 'Add the section readiness.'
            : `The section readiness has: ${models.join(', ')}.`,
      },
    );
  }
  const row = rowsOf(config).find((one) => one.model === model && one.environment === environment);
  if (row !== undefined) return row;
  const names = Object.keys(environments);
  throw new GateInputError(
    `${config.file} has no release of ${model} to "${environment}"${didYouMean(environment, names)}`,
    { help: `There are: ${names.join(', ')}.` },
  );
}

/** What is known of a requirement before environments are read. */
interface Known {
  evidence: Evidence;
  seen: Seen;
}

async function observe(requirement: Requirement, candidate: Candidate, world: World): Promise<Known> {
  const { config, store } = world;
  const { section, name } = requirement;
  const seen = new Seen();
  const isMeant =
    section === 'models' && 'package' in candidate
      ? (entry: Parameters<typeof isOn>[0]) => isOn(entry, candidate.package)
      : undefined;
  const evidence = await readEvidence(store, requirement, isMeant);
  const { entry, history } = evidence;
  if (section === 'models') {
    await lookAtModel(candidate, entryNamed(config.models, name, 'model'), entry, world, seen);
  }
  if (entry === undefined) return { evidence, seen };
  if (section === 'canaries') {
    const canary = entryNamed(config.canaries, name, 'canary');
    await lookAtCanary(canary, entryNamed(config.models, canary.value.model, 'model'), entry, world, seen);
  } else if (section === 'alarmDrills') {
    await lookAtAlarm(entryNamed(config.drills, name, 'alarm drill'), entry, world, seen);
  } else if (section === 'rollbackDrills') {
    await lookAtEndpoint(entryNamed(config.rollbackDrills, name, 'rollback drill'), entry, world, seen);
  } else if (section === 'datasets') {
    const datasets = new Map(config.datasets.map((dataset) => [dataset.name, dataset]));
    await lookAtDataset(entryNamed(datasets, name, 'dataset'), entry, history, world, seen);
  }
  return { evidence, seen };
}

/** Reading environments is slow: it is done where everything else passes. */
async function lookAtParity(
  requirement: Requirement,
  { entry }: Evidence,
  quick: boolean,
  world: World,
  seen: Seen,
): Promise<void> {
  const now = world.now();
  if (entry === undefined || entry.outcome !== 'pass') return;
  if (configuredChanges(requirement, entry).length > 0 || now >= entry.at + requirement.freshMs) return;
  const parity = entryNamed(world.config.parities, requirement.name, 'comparison');
  await lookAtEnvironments(parity, entry, quick, { ...world, now }, seen);
}

/** That a piece of evidence cannot be read makes a release not ready; that none can, is a broken world. */
function throwWhereNothingWasRead(evidence: readonly Evidence[]): void {
  const [first] = evidence;
  if (first?.broken !== undefined && evidence.every(({ broken }) => broken !== undefined)) throw first.broken;
}
