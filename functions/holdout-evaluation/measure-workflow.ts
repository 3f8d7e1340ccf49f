import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { s3Uri } from '../shared/address.ts';
import type { EngineLimits, LocalFile } from '../shared/engine/limits.ts';
import { GateDependencyError, GateInputError, messageOf } from '../shared/errors.ts';
import { formatBytes, formatDuration } from '../shared/format.ts';
import { canonicalJson } from '../shared/identity.ts';
import { downloadObjects, type StoredObject } from '../shared/s3.ts';
import { isGone } from '../shared/sagemaker.ts';
import { placeOf } from '../shared/schema.ts';
import type { WorkBucket } from '../shared/work.ts';
import { OutOfTimeError, type Patience, type Workflow } from '../shared/workflow.ts';
import { withWorkspace } from '../shared/workspace.ts';
import type { prepareHoldout } from './adapters/holdout.ts';
import { createModel, deleteModel, startTransform, stopTransform, transformState } from './adapters/jobs.ts';
import { type PinnedHoldout, pinHoldout } from './adapters/pin.ts';
import { describePackage, type ModelPackage } from './adapters/registry.ts';
import type { Champion, measureModel } from './gate.ts';
import {
  configurationHash,
  type EvaluationInputs,
  type HoldoutVersion,
  idOf,
  type PinnedPackage,
  pinContainer,
} from './identity.ts';
import type { Measurements, MetricRequest } from './measurements.ts';
import { type Environment, JOBS, type LocatedModel } from './schema.ts';

/*
 * What the evaluation and the pipeline canary share: a pinned package answers a pinned holdout, and the answers are
 * measured. Every step bears to be repeated; what a crash leaves behind has a name that the next attempt knows.
 */

/** What {@link evaluateOn} works with. */
export interface AnswerDependencies {
  env: Environment;
  s3: S3Client;
  sagemaker: SageMakerClient;
  work: WorkBucket;
  prepare: typeof prepareHoldout;
  measure: typeof measureModel;
  /** A directory for downloads. */
  tmp: string;
  /** What the current invocation has left, milliseconds. */
  timeLeftMs: () => number;
}

/** A package that is to answer a holdout. */
export interface Evaluation {
  model: LocatedModel;
  candidate: PinnedPackage;
  /** What it is compared with. */
  champion?: PinnedPackage | undefined;
  holdout: PinnedHoldout;
  /** As of `temporaryName`: begins the names of everything that is made for it. */
  name: string;
  /** Metrics that are wanted beside those of the model's thresholds. */
  also?: readonly MetricRequest[];
  /** Says what is going on, where somebody follows it. */
  report: (phase: string) => Promise<void>;
}

/** What is known of the holdout once it was prepared. */
interface PreparedHoldout {
  sha256: string;
  rows: number;
}

/** How a transform job ended. */
type Answered = { completed: true } | { completed: false; reason: string };

type Role = 'candidate' | 'champion';

/** A letter each, so that names stay short. */
const SUFFIX: Record<Role, string> = { candidate: 'c', champion: 'p' };

/** A fast job is noticed within a second or two, a slow one is not asked for all the time. */
const POLLING: Omit<Patience, 'timeoutMs'> = { firstPauseMs: 1_000, longestPauseMs: 60_000 };

/** By how much a claim outlives everything that is waited for under it; it is then that of a dead execution. */
export const CLAIM_MARGIN_MS = 3 * 3_600_000;

/** How long a job may take to stop. */
const STOPPING: Patience = { timeoutMs: 5 * 60_000, firstPauseMs: 2_000, longestPauseMs: 30_000 };

/** Time of an invocation that is kept for what comes after measuring. */
const PUBLISHING_MS = 30_000;

const NO_OUTPUT =
  'the transform job completed without an output, which SageMaker leaves out where the container could not answer some record';

/**
 * Pins a package to the bytes that it is made of.
 *
 * @throws GateInputError where there is no such package, or it holds no container
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function pinPackage(sagemaker: SageMakerClient, arn: string): Promise<PinnedPackage> {
  return pinned(await describePackage(sagemaker, arn));
}

/** The bytes that a described package is made of. Errors as of {@link pinPackage}. */
export function pinned({ arn, containers }: ModelPackage): PinnedPackage {
  if (containers.length === 0) {
    throw new GateInputError(`${arn} has no containers, so there is nothing to evaluate`, {
      help: 'Register the model with an InferenceSpecification.',
    });
  }
  return { arn, containers: containers.map(pinContainer) };
}

/**
 * Pins the holdout of a model to the version that passed its quality gate.
 *
 * @throws GateInputError where there is none, it has not passed, or it is too large
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function pinHoldoutOf(
  model: LocatedModel,
  { s3, env }: Pick<AnswerDependencies, 's3' | 'env'>,
): Promise<PinnedHoldout> {
  const { uri } = model.value.holdout;
  const { bucket = env.DATA_BUCKET, key } = placeOf(uri);
  if (bucket === undefined) {
    throw new GateInputError(`the holdout ${uri} names no bucket, and Tocsin has created none`);
  }
  const holdout = await pinHoldout(s3, { bucket, key });
  const most = Math.min(env.MAX_DATASET_BYTES, env.TMP_BYTES);
  if (holdout.object.bytes > most) {
    throw new GateInputError(
      `the holdout ${s3Uri(holdout.object)} has ${formatBytes(holdout.object.bytes)}, at most ${formatBytes(most)} are evaluated`,
      { help: 'Use fewer examples, or raise engine.disk and engine.memory in tocsin.yaml.' },
    );
  }
  return holdout;
}

/** What a verdict says of a pinned holdout. */
export function versionOf({ object, version, verdict }: PinnedHoldout): HoldoutVersion {
  return { uri: s3Uri(object), version, qualityVerdict: verdict ?? null };
}

/**
 * Lets a package answer the holdout, and the champion beside it, and measures the answers.
 *
 * The champion's trouble is not the candidate's: it is then `unavailable`. Of the candidate's, what the model itself
 * could not do is part of the measurements; whatever else is thrown.
 *
 * Call {@link cleanUp} afterwards, also after a failure.
 *
 * @param judge turns measurements into what is worth keeping, which is small. It runs within a step, on one machine with
 * `measure`, which is only worth its time where there is no verdict on these inputs yet
 * @throws GateInputError where the holdout, the configuration or a package does not hold
 * @throws GateDependencyError where the candidate could not be evaluated, which says nothing about it
 */
export async function evaluateOn<T>(
  workflow: Workflow,
  evaluation: Evaluation,
  deps: AnswerDependencies,
  judge: (inputs: EvaluationInputs, measure: () => Promise<Measurements>) => Promise<T>,
): Promise<T> {
  const { model, candidate, champion, report } = evaluation;
  const prepared = await workflow.step('prepare the holdout', async () => {
    await report('preparing the holdout');
    return prepare(evaluation, deps);
  });

  const roles: Role[] = champion === undefined ? ['candidate'] : ['candidate', 'champion'];
  const [answered, theirs] = await workflow.map('answer the holdout', roles, (part, role) =>
    role === 'candidate'
      ? transform(part, evaluation, role, candidate, deps)
      : toleratingTrouble(() => transform(part, evaluation, role, champion!, deps)),
  );

  return workflow.step('measure and judge', async () => {
    await report('measuring the predictions');
    const outputs = {
      candidate: answered!.completed ? await deps.work.head(outputKey(evaluation, 'candidate')) : undefined,
      champion: theirs?.completed ? await deps.work.head(outputKey(evaluation, 'champion')) : undefined,
    };
    const failed = answered!.completed ? NO_OUTPUT : answered!.reason;
    const unavailable = theirs?.completed ? NO_OUTPUT : theirs?.reason;
    const inputs: EvaluationInputs = {
      model: model.name,
      candidate,
      champion:
        champion === undefined
          ? null
          : { ...champion, ...(outputs.champion === undefined && { unavailable: unavailable! }) },
      holdout: { ...versionOf(evaluation.holdout), sha256: prepared.sha256 },
      configurationSha256: configurationHash(model),
    };
    return judge(inputs, () =>
      measureAnswers(evaluation, deps, prepared, outputs, {
        failed,
        unavailable: unavailable ?? '',
        seed: idOf(inputs),
      }),
    );
  });
}

/** Deletes whatever {@link evaluateOn} has made under a name. Fine where nothing is left. */
export async function cleanUp(
  workflow: Workflow,
  { name, report }: Pick<Evaluation, 'name' | 'report'>,
  { sagemaker, work }: Pick<AnswerDependencies, 'sagemaker' | 'work'>,
): Promise<void> {
  await workflow.map('clean up', ['candidate', 'champion'] as const, async (part, role) => {
    const temporary = nameOf(name, role);
    const stopping = await part.step(`stop the transform job of the ${role}`, async () => {
      await report('cleaning up');
      if (await hasEnded(sagemaker, temporary)) return false;
      await stopTransform(sagemaker, temporary);
      return true;
    });
    if (stopping) {
      // What it still writes would outlive the clean-up. Where there is no time to wait, it expires with the bucket's
      // other objects.
      try {
        await part.waitUntil(
          `the transform job of the ${role} has stopped`,
          async () => ((await hasEnded(sagemaker, temporary)) ? true : undefined),
          STOPPING,
        );
      } catch (error) {
        if (!(error instanceof OutOfTimeError)) throw error;
      }
    }
    await part.step(`delete the model of the ${role}`, () => deleteModel(sagemaker, temporary));
  });
  await workflow.step('delete the work objects', () => work.delete(folderName(name)));
}

async function hasEnded(sagemaker: SageMakerClient, job: string): Promise<boolean> {
  try {
    return (await transformState(sagemaker, job)).state !== 'running';
  } catch (error) {
    // It was never started.
    if (error instanceof Error && isGone(error.cause)) return true;
    throw error;
  }
}

function nameOf(name: string, role: Role): string {
  return `${name}-${SUFFIX[role]}`;
}

/** Where the objects of an evaluation are in the work bucket. */
function folderName(name: string): string {
  return `${JOBS}${name}/`;
}

function inputKey({ name, model }: Pick<Evaluation, 'name' | 'model'>): string {
  return `${folderName(name)}input.${model.value.transform.content === 'text/csv' ? 'csv' : 'jsonl'}`;
}

/** SageMaker names the output as the input, with `.out`. */
function outputKey(evaluation: Evaluation, role: Role): string {
  const input = inputKey(evaluation);
  return `${folderName(evaluation.name)}${role}/${input.slice(input.lastIndexOf('/') + 1)}.out`;
}

async function prepare(evaluation: Evaluation, deps: AnswerDependencies): Promise<PreparedHoldout> {
  const { model, holdout } = evaluation;
  const { bytes } = holdout.object;
  // What a model reads is seldom larger than the file that it stands in.
  return inWorkspace(deps, 2 * bytes, async (directory, scratch, signal) => {
    const file = await download(deps, holdout.object, directory, signal);
    const out = join(directory, 'input');
    const { rows } = await deps.prepare({ file, model, limits: limitsOf(deps, bytes), scratch, out });
    await deps.work.put(inputKey(evaluation), { path: out });
    return { sha256: file.sha256, rows };
  });
}

async function transform(
  workflow: Workflow,
  evaluation: Evaluation,
  role: Role,
  { arn, containers }: PinnedPackage,
  { sagemaker, work, env }: AnswerDependencies,
): Promise<Answered> {
  const { model, report } = evaluation;
  const { transform: settings, execution } = model.value;
  const name = nameOf(evaluation.name, role);
  const tags = { 'tocsin:model': model.name, 'tocsin:package': arn };

  await workflow.step(`create the model of the ${role}`, async () => {
    await report(`creating the model of the ${role}`);
    const roleArn = execution.role ?? env.MODEL_ROLE_ARN;
    if (roleArn === undefined) {
      throw new GateInputError(`model ${model.name} has no execution.role, and Tocsin has created none`);
    }
    // Described again rather than kept: the values of its environment may be secrets.
    const described = await describePackage(sagemaker, arn);
    if (canonicalJson(described.containers.map(pinContainer)) !== canonicalJson(containers)) {
      throw new GateInputError(`the containers of ${arn} were changed while it was evaluated`, {
        help: 'Register the model again: each registration is judged by itself.',
      });
    }
    const { networkIsolation } = settings;
    await createModel(sagemaker, { name, roleArn, containers: described.containers, networkIsolation, tags });
  });

  await workflow.step(`start the transform job of the ${role}`, () =>
    startTransform(sagemaker, {
      name,
      modelName: name,
      input: work.uri(inputKey(evaluation)),
      output: work.uri(`${folderName(evaluation.name)}${role}`),
      transform: settings,
      tags,
    }),
  );

  const end = await workflow.waitUntil(
    `the transform job of the ${role} has ended`,
    async () => {
      const now = await transformState(sagemaker, name);
      if (now.state !== 'running') return now;
      await report(`the transform job of the ${role} runs`);
      return undefined;
    },
    { timeoutMs: settings.timeout, ...POLLING },
  );
  switch (end?.state) {
    case 'completed':
      return { completed: true };
    case 'failed':
      if (end.blame === 'model') return { completed: false, reason: end.reason };
      throw new GateDependencyError(
        `the transform job ${name} failed, not through the model: ${end.reason}`,
        {
          help: 'Mend what the reason names, then run `tocsin evaluate --package` again.',
        },
      );
    case 'stopped':
      throw new GateDependencyError(`the transform job ${name} was stopped by somebody`, {
        help: 'Run `tocsin evaluate --package` again.',
      });
    case undefined:
      throw new GateDependencyError(
        `the transform job ${name} did not end within ${formatDuration(settings.timeout)}`,
        { help: 'Raise transform.timeout in tocsin.yaml, or take more or larger instances.' },
      );
  }
}

/** Whatever keeps the champion from answering is no fault of the candidate's. */
async function toleratingTrouble(answer: () => Promise<Answered>): Promise<Answered> {
  try {
    return await answer();
  } catch (error) {
    // This one is about the whole execution.
    if (error instanceof OutOfTimeError) throw error;
    return { completed: false, reason: messageOf(error) };
  }
}

async function measureAnswers(
  evaluation: Evaluation,
  deps: AnswerDependencies,
  { rows }: PreparedHoldout,
  outputs: Partial<Record<Role, StoredObject | undefined>>,
  { failed, unavailable, seed }: { failed: string; unavailable: string; seed: string },
): Promise<Measurements> {
  const { model, holdout, champion, also } = evaluation;
  const bytes = [holdout.object, outputs.candidate, outputs.champion].reduce(
    (sum, object) => sum + (object?.bytes ?? 0),
    0,
  );
  return inWorkspace(deps, bytes, async (directory, scratch, signal) => {
    const predictions = async (role: Role): Promise<string> => {
      const path = join(directory, role);
      if (await deps.work.get(outputKey(evaluation, role), path, signal)) return path;
      throw new GateDependencyError(`${deps.work.uri(outputKey(evaluation, role))} has vanished`);
    };
    const theirs = async (arn: string): Promise<Champion> =>
      outputs.champion === undefined
        ? { kind: 'unavailable', package: arn, reason: unavailable }
        : { kind: 'answered', package: arn, path: await predictions('champion') };
    return deps.measure({
      file: await download(deps, holdout.object, directory, signal),
      model,
      limits: limitsOf(deps, bytes),
      scratch,
      rows,
      candidate: outputs.candidate === undefined ? { failed } : { path: await predictions('candidate') },
      champion: champion === undefined ? { kind: 'none' } : await theirs(champion.arn),
      ...(also !== undefined && { also }),
      seed,
      signal,
    });
  });
}

async function download(
  { s3 }: Pick<AnswerDependencies, 's3'>,
  object: StoredObject,
  directory: string,
  signal: AbortSignal,
): Promise<LocalFile> {
  const [file] = await downloadObjects(s3, [object], directory, { signal });
  return file!;
}

let busy: Promise<unknown> = Promise.resolve();

/** Works in a directory of its own. One at a time: the limits on memory and disk are those of the whole machine. */
export async function inWorkspace<T>(
  { tmp, timeLeftMs }: Pick<AnswerDependencies, 'tmp' | 'timeLeftMs'>,
  bytes: number,
  use: (directory: string, scratch: string, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const mine = busy.then(() =>
    withWorkspace(tmp, bytes, async (directory) => {
      const scratch = join(directory, 'scratch');
      await mkdir(scratch);
      return use(directory, scratch, AbortSignal.timeout(timeToMeasure(timeLeftMs())));
    }),
  );
  busy = mine.catch(() => {});
  return mine;
}

/** What the engine may take beside `bytes` that are on the disk already. */
export function limitsOf(
  { env, timeLeftMs }: Pick<AnswerDependencies, 'env' | 'timeLeftMs'>,
  bytes: number,
): EngineLimits {
  return {
    memoryBytes: env.ENGINE_MEMORY_BYTES,
    diskBytes: env.TMP_BYTES - bytes,
    threads: availableParallelism(),
    timeoutMs: timeToMeasure(timeLeftMs()),
    maxColumns: 2000,
    maxRows: 100_000_000,
  };
}

function timeToMeasure(left: number): number {
  return Math.round(Math.max(left - PUBLISHING_MS, left / 2));
}
