import type { S3Client } from '@aws-sdk/client-s3';
import {
  ListModelPackagesCommand,
  type ListModelPackagesCommandOutput,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { describePackage, type ModelPackage } from '../../functions/holdout-evaluation/adapters/registry.ts';
import {
  type EvaluationInputs,
  type PinnedContainer,
  pinContainer,
} from '../../functions/holdout-evaluation/identity.ts';
import {
  type LocatedCanary,
  type LocatedModel,
  packageArn,
} from '../../functions/holdout-evaluation/schema.ts';
import { s3Uri } from '../../functions/shared/address.ts';
import { dependencyError } from '../../functions/shared/aws.ts';
import { GateDependencyError, GateInputError } from '../../functions/shared/errors.ts';
import { formatTime } from '../../functions/shared/format.ts';
import type { HistoryEntry } from '../../functions/shared/history.ts';
import { canonicalJson, sha256 } from '../../functions/shared/identity.ts';
import { headObject } from '../../functions/shared/s3.ts';
import { isGone } from '../../functions/shared/sagemaker.ts';
import { parseValue } from '../../functions/shared/schema.ts';
import { addressOf, compareHoldout, currentObject, type Seen } from './ready-seen.ts';

/*
 * Gap 1 as it is now: the model package that is about to be released, the holdout, and the known dataset of canaries.
 */

/** Pages of a listing, 100 packages each, that are read in search of one that can be released. */
const MAX_PAGES = 10;

/** States of a package that will never be one to be released. */
const DEAD = ['Failed', 'Deleting'];

/** The package that is about to be released; or that there is none, or why nobody knows. */
export type Candidate = { package: ModelPackage } | { none: string } | { unknown: string };

/**
 * Finds the package that is about to be released.
 *
 * @param given its ARN; left out: the newest of the model's group
 * @throws GateInputError where the caller names one that is not there, or of another model
 */
export async function candidateOf(
  sagemaker: SageMakerClient,
  { name, value }: LocatedModel,
  given: string | undefined,
): Promise<Candidate> {
  const group = value.modelPackageGroup;
  const arn = given === undefined ? undefined : parseValue(packageArn, given, '--package');
  try {
    const found = arn ?? (await newestOf(sagemaker, group));
    if (found === undefined) return { none: `the model package group ${group} has no package` };
    const described = await describePackage(sagemaker, found);
    if (described.group === group) return { package: described };
    const where = described.group === undefined ? 'no model package group' : `the group ${described.group}`;
    throw new GateInputError(`${found} is in ${where}, and the model ${name} is in ${group}`, {
      help: 'Give a package of that group, or another --model.',
    });
  } catch (error) {
    // What the caller has named has to be there; what was listed may have been deleted since.
    if (error instanceof GateDependencyError) return { unknown: error.message };
    if (error instanceof GateInputError && arn === undefined) return { unknown: error.message };
    throw error;
  }
}

async function newestOf(sagemaker: SageMakerClient, group: string): Promise<string | undefined> {
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES && (page === 0 || token !== undefined); page++) {
    const answer = await listPage(sagemaker, group, token);
    const found = answer?.ModelPackageSummaryList?.find(
      ({ ModelPackageStatus = '' }) => !DEAD.includes(ModelPackageStatus),
    );
    if (found !== undefined) return found.ModelPackageArn;
    token = answer?.NextToken;
  }
  return undefined;
}

/** Undefined where there is no such group. */
async function listPage(
  sagemaker: SageMakerClient,
  group: string,
  token: string | undefined,
): Promise<ListModelPackagesCommandOutput | undefined> {
  try {
    return await sagemaker.send(
      new ListModelPackagesCommand({
        ModelPackageGroupName: group,
        SortBy: 'CreationTime',
        SortOrder: 'Descending',
        MaxResults: 100,
        ...(token !== undefined && { NextToken: token }),
      }),
    );
  } catch (error) {
    if (isGone(error)) return undefined;
    throw dependencyError(`ListModelPackages of ${group}`, error);
  }
}

/** Whether a verdict is on a package. */
export function isOn({ inputs }: HistoryEntry, { arn }: ModelPackage): boolean {
  return (inputs as Partial<EvaluationInputs>).candidate?.arn === arn;
}

/** What looking at gap 1 takes. */
export interface ModelWorld {
  s3: S3Client;
  dataBucket: string | undefined;
}

/** Compares what is about to be released with what its evaluation is bound to. */
export async function lookAtModel(
  candidate: Candidate,
  { value }: LocatedModel,
  entry: HistoryEntry | undefined,
  { s3, dataBucket }: ModelWorld,
  seen: Seen,
): Promise<void> {
  if ('none' in candidate) seen.refused = candidate.none;
  else if ('unknown' in candidate) seen.unknown(candidate.unknown);
  else refuseUnapproved(candidate.package, seen);
  if (entry === undefined) return;
  const inputs = entry.inputs as Partial<EvaluationInputs>;
  if ('package' in candidate) {
    const { arn, containers } = candidate.package;
    seen.compare('the model package to be released', inputs.candidate?.arn, arn);
    if (inputs.candidate?.arn === arn)
      compareContainers(inputs.candidate.containers, containers.map(pinContainer), seen);
  }
  await seen.look(() => compareHoldout(s3, addressOf(value.holdout.uri, dataBucket), inputs.holdout, seen));
}

function refuseUnapproved(
  { arn, status, approval = 'not approved', description }: ModelPackage,
  seen: Seen,
): void {
  const why = description === undefined ? '' : ` (${description})`;
  if (status !== 'Completed') seen.refused = `the package ${arn} is ${status}, and cannot be deployed`;
  else if (approval !== 'Approved') {
    seen.refused = `the package ${arn} is ${approval}${why}, and only an Approved one may be released`;
  }
}

/** Names what differs: an image, model data or the environment of a container. */
function compareContainers(
  was: readonly PinnedContainer[],
  is: readonly PinnedContainer[],
  seen: Seen,
): void {
  for (let index = 0; index < Math.max(was.length, is.length); index++) {
    const [before, now] = [was[index], is[index]];
    const of = `container ${index + 1} of the package`;
    if (before === undefined || now === undefined) {
      seen.compare(of, before?.image, now?.image);
      continue;
    }
    for (const key of new Set([...Object.keys(before), ...Object.keys(now)]) as Set<keyof PinnedContainer>) {
      const [value, other] = [before[key], now[key]];
      if (isText(value) && isText(other)) seen.compare(`${key} of ${of}`, value, other);
      else seen.compareHash(`${key} of ${of}`, hashOf(value), hashOf(other));
    }
  }
}

type Pinned = PinnedContainer[keyof PinnedContainer];

function isText(value: Pinned): value is string | null | undefined {
  return typeof value === 'string' || value === null || value === undefined;
}

function hashOf(value: Pinned): string | null {
  return value === null || value === undefined ? null : sha256(canonicalJson(value));
}

/** What a verdict on a canary is bound to. */
interface CanaryInputs {
  dataset?: { uri: string; version: string | null };
  holdout?: EvaluationInputs['holdout'];
}

/** Compares the known dataset and the holdout of a canary with what its verdict is bound to. */
export async function lookAtCanary(
  canary: LocatedCanary,
  model: LocatedModel | undefined,
  entry: HistoryEntry,
  { s3, dataBucket }: ModelWorld,
  seen: Seen,
): Promise<void> {
  const { dataset, holdout } = entry.inputs as CanaryInputs;
  await seen.look(async () => {
    const address = addressOf(canary.value.dataset.uri, dataBucket);
    const uri = s3Uri(address);
    seen.compare('the known dataset', dataset?.uri, uri);
    if (dataset === undefined || dataset.uri !== uri) return;
    const now = await currentObject(s3, address);
    if (dataset.version !== null || now === null) {
      seen.compare(
        `the version of the known dataset ${uri}`,
        dataset.version ?? 'one of its versions',
        now?.version,
      );
      return;
    }
    // Of a canary with a corrupted dataset of its own no version is known: the known one must be older than the run can be.
    const { object } = await headObject(s3, address);
    const longest = 2 * (canary.value.timeout + (model?.value.transform.timeout ?? 0));
    if (object.modifiedAt > entry.at - longest) {
      seen.compare(`the known dataset ${uri}`, 'older than the run', `of ${formatTime(object.modifiedAt)}`);
    }
  });
  if (model === undefined) return;
  await seen.look(() => compareHoldout(s3, addressOf(model.value.holdout.uri, dataBucket), holdout, seen));
}
