import { join } from 'node:path';
import { s3Uri } from '../shared/address.ts';
import { claimed, type Refusal } from '../shared/claimed.ts';
import { conclude, type RunSubject, readConcluded } from '../shared/conclude.ts';
import { GateDependencyError, GateInputError, messageOf } from '../shared/errors.ts';
import { followed } from '../shared/followed.ts';
import { clip, formatBytes, formatDuration } from '../shared/format.ts';
import { canonicalJson, sha256 } from '../shared/identity.ts';
import type { Outlets } from '../shared/outlets.ts';
import { renderReport } from '../shared/report/verdict-page.ts';
import type { RunReporting } from '../shared/run-handler.ts';
import { downloadObjects, headObject, type StoredObject } from '../shared/s3.ts';
import { placeOf } from '../shared/schema.ts';
import type { Ignored, Verdict } from '../shared/verdict.ts';
import { WorkBucket } from '../shared/work.ts';
import { OutOfTimeError, type Patience, type Workflow } from '../shared/workflow.ts';
import type { corruptDataset } from './adapters/corrupt.ts';
import { type PinnedHoldout, type Quality, readQuality } from './adapters/pin.ts';
import {
  type PipelineState,
  pipelineState,
  pipelineSteps,
  startPipeline,
  stopPipeline,
} from './adapters/pipelines.ts';
import { describePackage, setVerdict } from './adapters/registry.ts';
import {
  ANSWERS,
  type CanaryMeasurements,
  type Control,
  decideCanary,
  type KnownModel,
  type PipelineEnd,
  type PipelineRun,
  packageOf,
  type Registered,
  requestsOf,
} from './canary.ts';
import {
  canaryMessage,
  canaryRefusalMessage,
  canaryResultOf,
  NEVER_DEPLOYED,
  WAS_APPROVED,
} from './canary-messages.ts';
import { type CanaryInputs, canaryPage } from './canary-report.ts';
import type { CanaryRequest } from './canary-request.ts';
import { decide } from './decide.ts';
import { configurationHash, idOf, temporaryName, verdictOf } from './identity.ts';
import {
  type AnswerDependencies,
  CLAIM_MARGIN_MS,
  cleanUp,
  type Evaluation,
  evaluateOn,
  inWorkspace,
  limitsOf,
  pinHoldoutOf,
  pinPackage,
  versionOf,
} from './measure-workflow.ts';
import type { Measurements } from './measurements.ts';
import { queryName } from './metric.ts';
import {
  CANARY_FINISHED,
  type CanaryResult,
  CORRUPTED,
  canaryResultSchema,
  canarySubject,
} from './schema.ts';

/*
 * One run of a pipeline canary, from the start of the pipeline to the verdict on it, as one function over the workflow
 * port. Every step bears to be repeated; what a crash leaves behind has a name that the next attempt knows.
 */

/** What a canary works with. */
export interface CanaryDependencies extends AnswerDependencies, Outlets, RunReporting {
  env: AnswerDependencies['env'];
  corrupt: typeof corruptDataset;
}

/** The answer to a canary that could not be run, through somebody's mistake. Its owners were told. */
export interface CanaryRefusal extends Refusal {
  canary: string;
}

export type CanaryAnswer = CanaryResult | Ignored | CanaryRefusal;

/** How long the quality gate may take to judge the corrupted copy. */
const GATE: Patience = { timeoutMs: 5 * 60_000, firstPauseMs: 2_000, longestPauseMs: 20_000 };

/** A short pipeline is noticed within seconds, a long one is not asked for all the time. */
const POLLING: Omit<Patience, 'timeoutMs'> = { firstPauseMs: 2_000, longestPauseMs: 60_000 };

/** How long a package may take to be Completed. */
const REGISTERING: Patience = { timeoutMs: 10 * 60_000, firstPauseMs: 1_000, longestPauseMs: 30_000 };

/** What is kept of a reason, and of how many steps. */
const REASON = 500;
const STEPS = 5;

/** The two runs of the pipeline. */
const RUNS = ['known', 'corrupted'] as const;
type Which = (typeof RUNS)[number];

const NAMES: Record<Which, string> = { known: 'known dataset', corrupted: 'corrupted dataset' };

/** A run of a canary that this execution has claimed. */
interface Run extends CanaryRequest {
  /** Hexadecimal; of this run alone. */
  token: string;
  holdout: PinnedHoldout;
  report: (phase: string) => Promise<void>;
}

/**
 * Runs a canary: the pipeline on the known dataset and, side by side, on the corrupted one, and judges what came of both.
 *
 * It answers with the verdict, which is a value also when it is bad; that it is running already; or with whose mistake
 * keeps it from running.
 *
 * @throws GateDependencyError (and whatever is a bug) where there is no verdict through no fault of anybody's. The owners
 * were told, and nothing is left behind
 */
export async function runCanary(
  workflow: Workflow,
  request: CanaryRequest,
  deps: CanaryDependencies,
): Promise<CanaryAnswer> {
  return followed(workflow, request.run, deps, (startedAt, report) =>
    answerTo(workflow, request, deps, startedAt, report),
  );
}

async function answerTo(
  workflow: Workflow,
  request: CanaryRequest,
  deps: CanaryDependencies,
  startedAt: number,
  report: Run['report'],
): Promise<CanaryAnswer> {
  const { canary, model } = request;
  const { name, value } = canary;
  const subject: RunSubject = { gate: 'holdout-evaluation', subject: canarySubject(name) };
  const answer = await claimed<CanaryResult>(
    workflow,
    {
      what: `the canary ${name}`,
      claim: {
        key: `claims/${subject.subject}.json`,
        lifeMs: value.timeout + model.value.transform.timeout + CLAIM_MARGIN_MS,
      },
      resumes: true,
      ended: () => readConcluded(deps.store, subject, workflow.id, canaryResultSchema),
      failed: {
        ...subject,
        about: { canary: name },
        idOf,
        message: (told) => canaryRefusalMessage(name, told),
      },
      run: (token) => runAndJudge(workflow, { ...request, token, report }, startedAt, deps),
      cleanUp: (token) => cleanUpAll(workflow, { ...request, token, report }, deps),
    },
    deps,
  );
  return 'error' in answer ? { canary: name, ...answer } : answer;
}

async function runAndJudge(
  workflow: Workflow,
  begun: Omit<Run, 'holdout'>,
  startedAt: number,
  deps: CanaryDependencies,
): Promise<CanaryResult> {
  // Whatever is wrong with these is found out before a pipeline runs for hours.
  const holdout = await workflow.step('pin the holdout', () => pinHoldoutOf(begun.model, deps));
  const run: Run = { ...begun, holdout };
  const corrupted = await corruptedCopy(workflow, run, deps);
  const measured = await runBoth(workflow, run, corrupted, deps);
  return judgeAndPublish(workflow, run, { measured, corrupted, startedAt }, deps);
}

// ---------------------------------------------------------------------------------------------------------
// The two runs
// ---------------------------------------------------------------------------------------------------------

async function runBoth(
  workflow: Workflow,
  run: Run,
  corrupted: Corrupted,
  deps: CanaryDependencies,
): Promise<CanaryMeasurements> {
  // Outside of the two parts: a pipeline that does not even start is the end of the run.
  const execution = await start(workflow, run, 'known', fullUri(run.canary.value.dataset.uri, deps), deps);
  const parts = await workflow.map<Which, Partial<CanaryMeasurements>>(
    'run the pipeline',
    RUNS,
    async (part, which) => {
      if (which === 'corrupted') return { control: await runControl(part, run, corrupted, deps) };
      const known = await follow(part, run, which, execution, deps);
      const model = await evaluateKnown(part, run, known, deps);
      return { known, ...(model && { model }) };
    },
  );
  return Object.assign({}, ...parts) as CanaryMeasurements;
}

/** A dataset that the pipeline must stop at. */
interface Corrupted {
  uri: string;
  /** Whether the quality gate judges it first. */
  gated: boolean;
  /** Of the known dataset that it was made of: its version id, or else its ETag. */
  version: string | null;
}

/** Where the known dataset and its corrupted copy are; undefined where the configuration names one of its own. */
function copyOf({ canary, token }: Pick<Run, 'canary' | 'token'>, { env }: Pick<AnswerDependencies, 'env'>) {
  if (canary.value.negativeControl.corrupt === undefined) return undefined;
  const { bucket = env.DATA_BUCKET, key } = placeOf(canary.value.dataset.uri);
  if (bucket === undefined) {
    throw new GateInputError(
      `the dataset ${canary.value.dataset.uri} names no bucket, and Tocsin has created none`,
    );
  }
  const at = key.lastIndexOf('/') + 1;
  return { bucket, key, copy: `${key.slice(0, at)}${CORRUPTED}${token}-${key.slice(at)}` };
}

async function corruptedCopy(workflow: Workflow, run: Run, deps: CanaryDependencies): Promise<Corrupted> {
  const place = copyOf(run, deps);
  const { uri = '' } = run.canary.value.negativeControl;
  if (place === undefined) return { uri: fullUri(uri, deps), gated: false, version: null };
  const { bucket, key, copy } = place;
  const made = await workflow.step('corrupt the dataset', async () => {
    await run.report('corrupting the dataset');
    // What stands where the gate looks has been judged itself.
    const { quality } = await readQuality(deps.s3, { bucket, key });
    const { object } = await headObject(deps.s3, { bucket, key });
    await corruptObject(object, copy, run, deps);
    return { gated: quality !== undefined, version: object.versionId ?? object.etag };
  });
  return { uri: s3Uri({ bucket, key: copy }), ...made };
}

/** Downloads the known dataset, corrupts it, and uploads it beside itself. */
async function corruptObject(
  object: StoredObject,
  copy: string,
  { canary }: Run,
  deps: CanaryDependencies,
): Promise<void> {
  const { s3, env } = deps;
  const { bytes } = object;
  // On the disk are the original, the copy, and the copy once more while it is compressed.
  const most = Math.min(env.MAX_DATASET_BYTES, Math.floor(env.TMP_BYTES / 3));
  if (bytes > most) {
    throw new GateInputError(
      `the known dataset ${s3Uri(object)} has ${formatBytes(bytes)}, at most ${formatBytes(most)} can be corrupted`,
      { help: 'Use a smaller one, or name one that is corrupted already: negativeControl.uri.' },
    );
  }
  await inWorkspace(deps, 3 * bytes, async (directory, scratch, signal) => {
    const [file] = await downloadObjects(s3, [object], directory, { signal });
    const out = join(directory, 'corrupted');
    await deps.corrupt({ file: file!, canary, limits: limitsOf(deps, bytes), scratch, out });
    await new WorkBucket(s3, object.bucket).put(copy, { path: out });
  });
}

/** `s3://...` of a place of tocsin.yaml. */
function fullUri(uri: string, { env }: Pick<AnswerDependencies, 'env'>): string {
  const { bucket = env.DATA_BUCKET, key } = placeOf(uri);
  if (bucket === undefined) {
    throw new GateInputError(`${uri} names no bucket, and Tocsin has created none`);
  }
  return s3Uri({ bucket, key });
}

async function runControl(
  workflow: Workflow,
  run: Run,
  { uri, gated }: Corrupted,
  deps: CanaryDependencies,
): Promise<Control> {
  try {
    if (gated) {
      const judged = await gateVerdict(workflow, run, deps);
      if (judged === undefined) {
        const reason = `the quality gate did not judge ${uri} within ${formatDuration(GATE.timeoutMs)}`;
        return { kind: 'not-run', reason };
      }
      if (judged.quality === 'failed') return { kind: 'stopped-by-gate', verdict: judged.verdict };
    }
    const execution = await start(workflow, run, 'corrupted', uri, deps);
    const done = await follow(workflow, run, 'corrupted', execution, deps);
    const arn = done.end.state === 'succeeded' ? packageOf(done, run.canary) : undefined;
    if (arn === undefined) return { kind: 'run', run: done };
    const { outcome, reason } = await evaluate(workflow, run, 'corrupted', arn, deps, (measurements) => {
      const judgement = decide(measurements, run.model);
      return { outcome: judgement.outcome, reason: clip(judgement.reason, 2 * REASON) };
    });
    return { kind: 'run', run: done, model: { package: arn, outcome, reason } };
  } catch (error) {
    // Whatever keeps the control from running says nothing about the run on the known dataset.
    if (error instanceof OutOfTimeError) throw error;
    return { kind: 'not-run', reason: clip(messageOf(error), 2 * REASON) };
  }
}

async function gateVerdict(
  workflow: Workflow,
  run: Run,
  deps: CanaryDependencies,
): Promise<{ quality: string; verdict: string | null } | undefined> {
  const { bucket, copy } = copyOf(run, deps)!;
  return workflow.waitUntil(
    'the quality gate has judged the corrupted dataset',
    async () => {
      const { quality, verdict }: Quality = await readQuality(deps.s3, { bucket, key: copy });
      return quality === undefined ? undefined : { quality, verdict: verdict ?? null };
    },
    GATE,
  );
}

async function start(
  workflow: Workflow,
  { canary, token, report }: Run,
  which: Which,
  uri: string,
  deps: CanaryDependencies,
): Promise<string> {
  const { pipeline, dataset, groupParameter, modelPackageGroup, parameters } = canary.value;
  return workflow.step(`start the pipeline on the ${NAMES[which]}`, async () => {
    await report(`starting the pipeline on the ${NAMES[which]}`);
    return startPipeline(deps.sagemaker, {
      pipeline,
      token: tokenOf('start', `${which} ${token}`),
      description: `Tocsin: canary ${canary.name}, ${NAMES[which]}`,
      parameters: {
        ...parameters,
        [dataset.parameter]: uri,
        [groupParameter]: modelPackageGroup,
      },
    });
  });
}

/** SageMaker asks for 32 to 128 characters. */
function tokenOf(action: string, what: string): string {
  return `tocsin-${sha256(`${action} ${what}`).slice(0, 32)}`;
}

/** Waits for an execution to end, and takes what it registered out of everybody's way. */
async function follow(
  workflow: Workflow,
  run: Run,
  which: Which,
  execution: string,
  deps: CanaryDependencies,
): Promise<PipelineRun> {
  const { sagemaker } = deps;
  const { timeout } = run.canary.value;
  const now = await ended(workflow, run, which, execution, deps);
  // Also of one that failed: a package is registered before whatever comes after it.
  const { registered, failures } = await workflow.step(
    `read what the pipeline did on the ${NAMES[which]}`,
    () => readSteps(execution, { sagemaker }),
  );
  const packages = await settleRegistered(workflow, which, registered, run, { sagemaker });
  const end: PipelineEnd =
    now === undefined
      ? { state: 'timed-out', timeoutMs: timeout }
      : now.state === 'failed'
        ? { state: 'failed', reasons: [clip(now.reason, REASON), ...failures] }
        : now;
  return { execution, end, registered: packages };
}

/** How an execution has ended; undefined where its time was up. What does not end, or cannot be followed, is stopped. */
async function ended(
  workflow: Workflow,
  { canary, report }: Run,
  which: Which,
  execution: string,
  { sagemaker, warn }: CanaryDependencies,
): Promise<Exclude<PipelineState, { state: 'running' }> | undefined> {
  const stop = () =>
    workflow.step(`stop the pipeline on the ${NAMES[which]}`, () =>
      stopPipeline(sagemaker, execution, tokenOf('stop', execution)),
    );
  try {
    const now = await workflow.waitUntil(
      `the pipeline on the ${NAMES[which]} has ended`,
      async () => {
        const state = await pipelineState(sagemaker, execution);
        if (state.state !== 'running') return state;
        await report('the pipeline runs');
        return undefined;
      },
      { timeoutMs: canary.value.timeout, ...POLLING },
    );
    if (now === undefined) await stop();
    return now;
  } catch (error) {
    // Here rather than in the clean-up: after a replay only what a part returns is known outside of it.
    await stop().catch((failure) => warn(`${execution} could not be stopped`, failure));
    throw error;
  }
}

async function readSteps(execution: string, { sagemaker }: Pick<CanaryDependencies, 'sagemaker'>) {
  const { registered, failures } = await pipelineSteps(sagemaker, execution);
  return {
    registered,
    failures: failures.slice(0, STEPS).map(({ step, reason }) => clip(`${step}: ${reason}`, REASON)),
  };
}

/** Waits until the packages of a run are whole, and rejects those of the canary's group. */
async function settleRegistered(
  workflow: Workflow,
  which: Which,
  arns: readonly string[],
  { canary, report }: Run,
  { sagemaker }: Pick<CanaryDependencies, 'sagemaker'>,
): Promise<Registered[]> {
  const registered: Registered[] = [];
  for (const [index, arn] of arns.entries()) {
    const of = `model ${index + 1} of the ${NAMES[which]}`;
    const found = await workflow.waitUntil<Registered>(
      `${of} is registered`,
      async () => {
        const { status, group, approval, description } = await describePackage(sagemaker, arn);
        if (status === 'Pending' || status === 'InProgress') return undefined;
        // Rejected by an earlier attempt, which died before it could say so.
        const was = description === WAS_APPROVED ? 'Approved' : approval;
        return { arn, group: group ?? null, approval: was ?? null };
      },
      REGISTERING,
    );
    if (found === undefined) {
      throw new GateDependencyError(
        `${arn} was not Completed within ${formatDuration(REGISTERING.timeoutMs)}`,
      );
    }
    registered.push(found);
    // Those of another group are somebody else's; the judgement tells of them.
    if (found.group !== canary.value.modelPackageGroup) continue;
    await workflow.step(`reject ${of}`, async () => {
      await report(`rejecting the model of the ${NAMES[which]}`);
      const description = found.approval === 'Approved' ? WAS_APPROVED : NEVER_DEPLOYED;
      await setVerdict(sagemaker, arn, { approval: 'Rejected', description, metadata: {} });
    });
  }
  return registered;
}

async function evaluateKnown(
  workflow: Workflow,
  run: Run,
  known: PipelineRun,
  deps: CanaryDependencies,
): Promise<KnownModel | undefined> {
  const arn = known.end.state === 'succeeded' ? packageOf(known, run.canary) : undefined;
  if (arn === undefined) return undefined;
  return evaluate(workflow, run, 'known', arn, deps, (measurements) => ({
    package: arn,
    examples: measurements.examples,
    answers: decide(measurements, run.model).findings.filter(({ check }) => ANSWERS.includes(check)),
    metrics: expectedOf(measurements, run),
  }));
}

/** The metrics that a canary expects something of, on the whole holdout. */
function expectedOf({ metrics }: Measurements, { canary, model }: Run): KnownModel['metrics'] {
  return requestsOf(canary, model.value.task).flatMap(({ query }) => {
    const name = queryName(query);
    // The last: a threshold of the model may ask for the same, and then only of enough examples.
    const found = metrics?.metrics.findLast(
      (one) => one.slice === undefined && queryName(one.query) === name,
    );
    return found ?? [];
  });
}

/** Has a package answer the holdout. `judge` keeps what is small of the measurements. */
async function evaluate<T>(
  workflow: Workflow,
  { canary, model, holdout, token, report }: Run,
  which: Which,
  arn: string,
  deps: CanaryDependencies,
  judge: (measurements: Measurements) => T,
): Promise<T> {
  const candidate = await workflow.step(`pin the model of the ${NAMES[which]}`, () =>
    pinPackage(deps.sagemaker, arn),
  );
  const evaluation: Evaluation = {
    model,
    candidate,
    holdout,
    name: nameOf(canary.name, which, token),
    ...(which === 'known' && { also: requestsOf(canary, model.value.task) }),
    report: (phase) => report(`${NAMES[which]}: ${phase}`),
  };
  return evaluateOn(workflow, evaluation, deps, async (_inputs, measure) => judge(await measure()));
}

/** Begins the names of the temporary model and job of one evaluation. */
function nameOf(canary: string, which: Which, token: string): string {
  return temporaryName(sha256(`${canary} ${which}`), token);
}

// ---------------------------------------------------------------------------------------------------------
// The verdict, and what is left
// ---------------------------------------------------------------------------------------------------------

async function judgeAndPublish(
  workflow: Workflow,
  { canary, model, holdout, report }: Run,
  {
    measured,
    corrupted,
    startedAt,
  }: { measured: CanaryMeasurements; corrupted: Corrupted; startedAt: number },
  deps: CanaryDependencies,
): Promise<CanaryResult> {
  const { control, known } = measured;
  const verdict: Verdict<CanaryInputs> = verdictOf(
    canarySubject(canary.name),
    {
      canary: canary.name,
      pipeline: canary.value.pipeline,
      dataset: { uri: fullUri(canary.value.dataset.uri, deps), version: corrupted.version },
      executions: { known: known.execution, control: control.kind === 'run' ? control.run.execution : null },
      packages: {
        known: measured.model?.package ?? null,
        control: control.kind === 'run' ? (control.model?.package ?? null) : null,
      },
      holdout: versionOf(holdout),
      configurationSha256: sha256(canonicalJson(canary.value)),
      modelSha256: configurationHash(model),
    },
    decideCanary(measured, canary, model.value.task),
  );
  return conclude(
    workflow,
    {
      verdict,
      files: {
        'measurements.json': measured,
        'report.html': renderReport(verdict, () => canaryPage(verdict, measured, canary, model.value.task)),
      },
      resultOf: (evidence) =>
        canaryResultOf(verdict, { canary: canary.name, pipeline: canary.value.pipeline, evidence }),
      messageOf: (result) => canaryMessage(result, verdict),
      detailType: CANARY_FINISHED,
      resource: known.execution,
      name: canary.name,
      startedAt,
      report,
    },
    { ...deps, now: Date.now },
  );
}

/** Removes whatever a run has made, also what an earlier attempt at it has left. Fine where nothing is. */
async function cleanUpAll(
  workflow: Workflow,
  run: Pick<Run, 'canary' | 'token' | 'report'>,
  deps: CanaryDependencies,
): Promise<void> {
  const { canary, token, report } = run;
  await workflow.map('clean up the evaluations', RUNS, (part, which) =>
    cleanUp(part, { name: nameOf(canary.name, which, token), report }, deps),
  );
  const place = copyOf(run, deps);
  if (place !== undefined) {
    await workflow.step('delete the corrupted dataset', () =>
      new WorkBucket(deps.s3, place.bucket).deleteObject(place.copy),
    );
  }
}
