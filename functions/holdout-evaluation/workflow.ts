import { randomBytes } from 'node:crypto';
import { GateDependencyError, GateInputError } from '../shared/errors.ts';
import { type Failed, tellFailure } from '../shared/failure.ts';
import { followed } from '../shared/followed.ts';
import { canonicalJson, sha256 } from '../shared/identity.ts';
import { type Outlets, tellOnce } from '../shared/outlets.ts';
import { renderReport } from '../shared/report/verdict-page.ts';
import { tellVerdict } from '../shared/telling.ts';
import type { Ignored, Outcome } from '../shared/verdict.ts';
import type { Workflow } from '../shared/workflow.ts';
import {
  evidenceUri,
  folderOf,
  publish,
  readMeasurements,
  readPublished,
  readVerdict,
  storeVerdict,
} from './adapters/publish.ts';
import { describePackage, latestApproved, type ModelPackage, setVerdict } from './adapters/registry.ts';
import { decide } from './decide.ts';
import {
  askedOf,
  configurationHash,
  type EvaluationVerdict,
  evaluationKey,
  idOf,
  type PinnedPackage,
  pinContainer,
  temporaryName,
  verdictOf,
} from './identity.ts';
import {
  type AnswerDependencies,
  CLAIM_MARGIN_MS,
  cleanUp,
  type Evaluation,
  evaluateOn,
  pinHoldoutOf,
  pinned,
  pinPackage,
  versionOf,
} from './measure-workflow.ts';
import type { Measurements } from './measurements.ts';
import {
  describeApproval,
  metadataOf,
  overruledMessage,
  refusalMessage,
  resultOf,
  VERDICT_KEY,
  verdictMessage,
} from './messages.ts';
import { evaluationPage } from './report.ts';
import {
  approvalOf,
  type EarlierVerdict,
  type EvaluationRequest,
  isPending,
  modelByArn,
  modelOf,
  taskOf,
} from './request.ts';
import type { Environment, EvaluationResult, Evaluations, LocatedModel } from './schema.ts';
import { EVALUATED } from './schema.ts';

/*
 * The evaluation of one registered model, from the event to the approval, as one function over the workflow port. Every
 * step bears to be repeated; what a crash leaves behind has a name that the next attempt knows.
 */

/** What the evaluation works with. */
export interface Dependencies extends AnswerDependencies, Outlets {
  env: Environment;
  evaluations: Evaluations;
  /** Writes metrics of a model. */
  record: (model: string, measures: Measures) => void;
  /** Logs what went wrong beside the evaluation. */
  warn: (message: string, error: unknown) => void;
}

/** What one evaluation amounts to in numbers. */
export interface Measures {
  outcome: Outcome;
  rows: number;
  bytes: number;
  durationMs: number;
}

/** The answer to a package that could not be evaluated, through somebody's mistake. Its owners were told. */
export interface Refusal {
  model: string | null;
  package: string;
  error: 'GateInputError';
  message: string;
  /** What to do next; absent where the message says it. */
  help?: string;
}

export type Answer = EvaluationResult | Ignored | Refusal;

/** A package that is to be evaluated. */
interface Subject {
  package: PinnedPackage;
  /** Whether its approval is ours to set. */
  change: boolean;
}

/** What an evaluation keeps beside its evidence. */
interface Judged {
  id: string;
  outcome: Outcome;
  rows: number;
  /** False where the champion could not answer this time: whoever asks again shall get a better answer. */
  settled: boolean;
}

/** What became of the approval. `status`: what it was before, as SageMaker calls it. */
interface Approved {
  approval: EvaluationResult['approval'];
  status: string;
}

const GONE: Approved = { approval: 'unchanged', status: 'deleted' };

/** Entries of a package's metadata that SageMaker takes, those of others included. */
const MAX_PROPERTIES = 50;
/** Those of every verdict, before its metrics. */
const PROPERTIES_OF_VERDICT = 4;

/**
 * Evaluates a registered model, and approves or rejects it.
 *
 * It answers with the verdict, which is a value also when it is bad; with why there is nothing to do; or with whose
 * mistake keeps the package from being evaluated.
 *
 * @throws GateDependencyError (and whatever is a bug) where there is no verdict through no fault of anybody's. The owners
 * were told, the package is as it was, and nothing is left behind
 */
export async function evaluatePackage(
  workflow: Workflow,
  request: EvaluationRequest,
  deps: Dependencies,
): Promise<Answer> {
  return followed(workflow, request.run, deps, (startedAt, report) =>
    answerTo(workflow, request, deps, startedAt, report),
  );
}

async function answerTo(
  workflow: Workflow,
  request: EvaluationRequest,
  deps: Dependencies,
  startedAt: number,
  report: Evaluation['report'],
): Promise<Answer> {
  /** Known once the package was looked at; until then by what its ARN says. */
  let model = modelByArn(request.package, deps.evaluations);
  const told = async <T>(part: Promise<T>): Promise<T> => {
    try {
      return await part;
    } catch (error) {
      if (model !== undefined) await tellFailure(workflow, failedOf(request.package, model), error, deps);
      throw error;
    }
  };
  try {
    const looked = await told(
      workflow.step('look at the package', async () => {
        await report('looking at the package');
        return look(request, deps);
      }),
    );
    if ('ignored' in looked) return looked;
    model = deps.evaluations.models.get(looked.model)!;
    if ('overruled' in looked) return await tellOverruled(workflow, looked.overruled, request, model, deps);

    const known: Known = { model, subject: looked.subject, startedAt, report };
    const begun = await told(begin(workflow, known, deps));
    if ('answer' in begun) return begun.answer;

    let ended: { answer: Answer } | { error: unknown };
    try {
      const { published } = begun;
      ended = {
        answer: await told(
          published === undefined
            ? judgeAndPublish(workflow, begun, known, deps)
            : confirm(workflow, published, request, known, deps),
        ),
      };
    } catch (error) {
      ended = { error };
    }
    try {
      await cleanUp(workflow, begun.evaluation, deps);
      // Kept where something is left: a retry of this execution then finds the same names again.
      await workflow.step('release the claim', () => deps.work.release(claimKey(begun.key), begun.owner));
    } catch (error) {
      if ('answer' in ended) throw error;
      deps.warn('the clean-up failed, too', error);
    }
    if ('error' in ended) throw ended.error;
    return ended.answer;
  } catch (error) {
    if (!(error instanceof GateInputError)) throw error;
    const { message, help } = error;
    return {
      model: model?.name ?? null,
      package: request.package,
      error: 'GateInputError',
      message,
      ...(help !== undefined && { help }),
    };
  }
}

type Looked = Ignored | { model: string; overruled: EarlierVerdict } | { model: string; subject: Subject };

async function look(
  request: EvaluationRequest,
  { sagemaker, store, work, evaluations }: Dependencies,
): Promise<Looked> {
  let found: ModelPackage;
  try {
    found = await describePackage(sagemaker, request.package);
  } catch (error) {
    // An event may be old. Whoever asks by hand means a package that is there.
    if (request.byHand || !(error instanceof GateInputError)) throw error;
    return { ignored: error.message };
  }
  const model = modelOf(request, found.group, evaluations);
  if ('ignored' in model) return model;
  const verdict = await earlierVerdict(store, model, found);
  if (verdict !== undefined && (await work.head(claimKey(evaluationKey(askedOf(verdict.inputs)))))) {
    // Whoever put it there is not done: this execution, if an earlier attempt of it died.
    return { model: model.name, subject: { package: pinned(found), change: isPending(found.approval) } };
  }
  const earlier = verdict && { id: verdict.id, outcome: verdict.outcome };
  const task = taskOf(request, found, earlier, model.value.approve);
  if ('ignored' in task) return task;
  if ('overruled' in task) return { model: model.name, overruled: task.overruled };
  return { model: model.name, subject: { package: pinned(found), change: task.change } };
}

/** The verdict that a package says it has, where that is true. */
async function earlierVerdict(
  store: Dependencies['store'],
  model: LocatedModel,
  { arn, metadata }: ModelPackage,
): Promise<EvaluationVerdict | undefined> {
  const id = metadata[VERDICT_KEY];
  // Metadata is anybody's to write: a copied id, or no id at all, must not pass for a verdict.
  if (id === undefined || !/^[0-9a-f]{32}$/.test(id)) return undefined;
  const verdict = await readVerdict(store, { subject: model.name, id });
  return verdict?.inputs.candidate.arn === arn ? verdict : undefined;
}

/** What an evaluation goes on with once its package is known. */
interface Known {
  model: LocatedModel;
  subject: Subject;
  startedAt: number;
  report: Evaluation['report'];
}

/** An evaluation that this execution has claimed, or the answer that another one gives. */
type Begun =
  | { answer: Answer }
  | {
      evaluation: Evaluation;
      /** As of `evaluationKey`. */
      key: string;
      /** Of the claim. */
      owner: string;
      /** By an earlier attempt of this execution, or before it had the claim. */
      published: EvaluationResult | undefined;
    };

async function begin(
  workflow: Workflow,
  { model, subject, report }: Known,
  deps: Dependencies,
): Promise<Begun> {
  const { holdout, champion } = await workflow.step('pin the holdout and the champion', async () => {
    await report('pinning the holdout');
    return { holdout: await pinHoldoutOf(model, deps), champion: await chooseChampion(model, subject, deps) };
  });
  const key = evaluationKey({
    package: subject.package.arn,
    configurationSha256: configurationHash(model),
    holdout: versionOf(holdout),
  });
  const { owner, published } = await workflow.step('claim the evaluation', async () => ({
    owner: await deps.work.claim(
      claimKey(key),
      `${workflow.id}.${randomBytes(6).toString('hex')}`,
      model.value.transform.timeout + CLAIM_MARGIN_MS,
    ),
    // In this order: whoever had the claim before has published by the time that it is free.
    published: await readPublished(deps.store, model.name, key),
  }));
  const [execution, token = ''] = owner.split('.');
  if (execution !== workflow.id) {
    const ignored = `${subject.package.arn} is being evaluated by the execution ${execution}`;
    return { answer: published ?? { ignored } };
  }
  const name = temporaryName(key, token);
  const evaluation = { model, candidate: subject.package, champion, holdout, name, report };
  return { evaluation, key, owner, published };
}

function claimKey(key: string): string {
  return `claims/${key}.json`;
}

/** The model that serves, where the configuration compares with it. */
async function chooseChampion(
  { value }: LocatedModel,
  subject: Subject,
  { sagemaker }: Dependencies,
): Promise<PinnedPackage | undefined> {
  if (value.champion === undefined && value.sanity.predictionDrift === undefined) return undefined;
  const arn = await latestApproved(sagemaker, value.modelPackageGroup, subject.package.arn);
  if (arn === undefined) return undefined;
  try {
    return await pinPackage(sagemaker, arn);
  } catch (error) {
    // Gone, or no model at all: that shows again when it is to answer, and then it is unavailable.
    if (error instanceof GateInputError) return { arn, containers: [] };
    throw error;
  }
}

async function judgeAndPublish(
  workflow: Workflow,
  { evaluation, key }: { evaluation: Evaluation; key: string },
  { model, subject, startedAt, report }: Known,
  deps: Dependencies,
): Promise<EvaluationResult> {
  const { store } = deps;
  const judged = await evaluateOn<Judged>(workflow, evaluation, deps, async (inputs, measure) => {
    const which = { subject: model.name, id: idOf(inputs) };
    const settled = inputs.champion?.unavailable === undefined;
    // By an attempt that died before it could say so.
    const already = await readVerdict(store, which);
    if (already !== undefined) {
      const { examples } = await measured(store, which);
      return { id: which.id, outcome: already.outcome, rows: examples, settled };
    }
    const measurements = await measure();
    const verdict = verdictOf(model.name, inputs, decide(measurements, model));
    const page = renderReport(verdict, () => evaluationPage(verdict, measurements, model));
    await storeVerdict(store, verdict, measurements, page);
    return { id: verdict.id, outcome: verdict.outcome, rows: measurements.examples, settled };
  });

  const which = { subject: model.name, id: judged.id };
  const { approval, status } = await workflow.step('set the approval', async () => {
    await report('setting the approval');
    return approve(subject, which, model, deps);
  });
  const result = await workflow.step('tell what became of it', async () => {
    const verdict = await judgedBefore(store, which);
    const evidence = evidenceUri(store, which);
    const told = resultOf(verdict, { package: subject.package.arn, approval, evidence });
    const about = { config: model.value, was: status };
    await tellVerdict(deps, {
      verdict,
      run: workflow.id,
      at: Date.now(),
      message: () => verdictMessage(told, verdict, about),
      announcement: { detailType: EVALUATED, detail: told, resource: told.package },
    });
    return told;
  });
  await workflow.step('publish the result', async () => {
    if (judged.settled) await publish(store, key, result);
    const { outcome, rows } = judged;
    const { bytes } = evaluation.holdout.object;
    deps.record(model.name, { outcome, rows, bytes, durationMs: Date.now() - startedAt });
  });
  return result;
}

/**
 * Answers with a verdict that was reached before, on the same package, configuration and holdout. Where somebody asks for it
 * by hand, it is history once more: a release may wait for a verdict that is young.
 */
async function confirm(
  workflow: Workflow,
  published: EvaluationResult,
  { byHand }: EvaluationRequest,
  { model }: Known,
  deps: Dependencies,
): Promise<EvaluationResult> {
  if (!byHand) return published;
  await workflow.step('say that it holds', async () => {
    const verdict = await judgedBefore(deps.store, { subject: model.name, id: published.verdict });
    await tellVerdict(deps, {
      verdict,
      run: workflow.id,
      at: Date.now(),
      message: () => verdictMessage(published, verdict, { config: model.value, was: undefined }),
      announcement: { detailType: EVALUATED, detail: published, resource: published.package },
    });
  });
  return published;
}

type Which = Parameters<typeof readVerdict>[1];

async function judgedBefore(store: Dependencies['store'], which: Which): Promise<EvaluationVerdict> {
  const verdict = await readVerdict(store, which);
  if (verdict !== undefined) return verdict;
  throw new GateDependencyError(`${evidenceUri(store, which)} has vanished`);
}

async function measured(store: Dependencies['store'], which: Which): Promise<Measurements> {
  const measurements = await readMeasurements(store, which);
  if (measurements !== undefined) return measurements;
  throw new GateDependencyError(`the measurements beside ${evidenceUri(store, which)} have vanished`);
}

/** Puts a verdict on its package, unless somebody has decided in the meantime. */
async function approve(
  { package: candidate, change }: Subject,
  which: Which,
  model: LocatedModel,
  { sagemaker, store }: Dependencies,
): Promise<Approved> {
  const verdict = await judgedBefore(store, which);
  const intended = approvalOf(verdict.outcome, model.value.approve);
  let now: ModelPackage;
  try {
    now = await describePackage(sagemaker, candidate.arn);
  } catch (error) {
    if (error instanceof GateInputError) return GONE;
    throw error;
  }
  const unchanged: Approved = { approval: 'unchanged', status: now.approval ?? 'unknown' };
  // An earlier attempt has done it, and died before it could say so.
  if (now.metadata[VERDICT_KEY] === verdict.id) return { ...unchanged, approval: intended };
  if (!change) return unchanged;
  if (!isPending(now.approval)) return unchanged;
  // What was judged is not what would be approved.
  if (canonicalJson(now.containers.map(pinContainer)) !== canonicalJson(candidate.containers))
    return unchanged;
  const set = await setVerdict(sagemaker, candidate.arn, {
    ...(intended !== 'unchanged' && { approval: intended }),
    description: describeApproval(verdict, evidenceUri(store, which)),
    metadata: metadataOf(verdict, {
      evidence: evidenceUri(store, which),
      holdout: verdict.inputs.holdout.sha256,
      metrics: (await measured(store, which)).metrics?.metrics ?? [],
      entries: roomIn(now.metadata),
    }),
  });
  return set === 'gone' ? GONE : { ...unchanged, approval: intended };
}

/** Properties that a package has room for; those that an earlier verdict has left are written over. */
function roomIn(metadata: Record<string, string>): number {
  const left = MAX_PROPERTIES - Object.keys(metadata).length;
  return VERDICT_KEY in metadata ? Math.max(left, PROPERTIES_OF_VERDICT) : left;
}

// ---------------------------------------------------------------------------------------------------------
// Who is told when there is no verdict
// ---------------------------------------------------------------------------------------------------------

async function tellOverruled(
  workflow: Workflow,
  { id, outcome }: EarlierVerdict,
  { package: arn }: EvaluationRequest,
  { name }: LocatedModel,
  deps: Dependencies,
): Promise<Ignored> {
  const which = { subject: name, id };
  await workflow.step('tell that it was approved against its verdict', () =>
    tellOnce(deps, `${folderOf(which)}overruled.json`, () =>
      overruledMessage(name, arn, { outcome, evidence: evidenceUri(deps.store, which) }),
    ),
  );
  return {
    ignored: `${arn} was Approved by hand although its verdict ${id} is ${outcome}; people were told`,
  };
}

function failedOf(arn: string, { name }: LocatedModel): Failed {
  return {
    gate: 'holdout-evaluation',
    subject: name,
    about: { package: arn },
    idOf: (about) => sha256(canonicalJson(about)).slice(0, 32),
    message: (told) => refusalMessage(name, arn, told),
  };
}
