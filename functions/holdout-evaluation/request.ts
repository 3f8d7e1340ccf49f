import { GateInputError } from '../shared/errors.ts';
import { isEvent } from '../shared/lambda.ts';
import { didYouMean, parseValue } from '../shared/schema.ts';
import type { Ignored, Outcome } from '../shared/verdict.ts';
import {
  type Evaluations,
  evaluationRequestSchema,
  type LocatedModel,
  type ModelConfig,
  packageEventSchema,
} from './schema.ts';

/*
 * From what invoked the function to what is to be done about which package. Pure.
 */

/** A package that somebody asks to be evaluated. */
export interface EvaluationRequest {
  /** Its ARN. */
  package: string;
  /** Asked for by a person or a program, rather than by an event. */
  byHand: boolean;
  /** Names the run, where somebody follows it. */
  run?: string;
}

/**
 * Reads an EventBridge event or a direct invocation.
 *
 * @throws GateInputError where it is malformed
 */
export function parseRequest(event: unknown): EvaluationRequest {
  if (isEvent(event)) {
    const { detail } = parseValue(packageEventSchema, event, 'event');
    return { package: detail.ModelPackageArn, byHand: false };
  }
  const { package: arn, run } = parseValue(evaluationRequestSchema, event, 'invocation');
  return { package: arn, byHand: true, ...(run !== undefined && { run }) };
}

/**
 * The model of tocsin.yaml that a package is one of.
 *
 * @param group as SageMaker describes it; undefined of a package without versions
 * @throws GateInputError where there is none, and somebody asked by hand
 */
export function modelOf(
  { package: arn, byHand }: EvaluationRequest,
  group: string | undefined,
  { models, canaries }: Evaluations,
): LocatedModel | Ignored {
  const model = [...models.values()].find(({ value }) => value.modelPackageGroup === group);
  if (model !== undefined) return model;
  const canary = [...canaries.values()].find(({ value }) => value.modelPackageGroup === group);
  const why =
    group === undefined
      ? `${arn} is in no model package group`
      : canary === undefined
        ? `${arn} is in the group ${group}, which no model of tocsin.yaml names`
        : `${arn} is in the group of the canary ${canary.name}, whose packages are never deployed`;
  if (!byHand) return { ignored: why };
  const groups = [...models.values()].map(({ value }) => value.modelPackageGroup);
  throw new GateInputError(`${why}${didYouMean(group ?? '', groups)}; the groups are: ${groups.join(', ')}`);
}

/** The model that a package is one of by the look of its ARN: good enough to tell people, and for nothing else. */
export function modelByArn(arn: string, { models }: Pick<Evaluations, 'models'>): LocatedModel | undefined {
  const group = /:model-package\/([^/]+)\//.exec(arn)?.[1]?.toLowerCase();
  return [...models.values()].find(({ value }) => value.modelPackageGroup.toLowerCase() === group);
}

/** What SageMaker says of a package, as far as it decides what is to be done. */
export interface Registration {
  arn: string;
  status: string;
  approval: string | undefined;
}

/** The verdict that an earlier evaluation has put on a package. */
export interface EarlierVerdict {
  id: string;
  outcome: Outcome;
}

/** What is to be done about a package. `change`: whether its approval is ours to set. */
export type Task =
  | Ignored
  | { evaluate: true; change: boolean }
  /** Somebody approved it although its verdict is not `pass`. */
  | { overruled: EarlierVerdict };

/**
 * Decides what is to be done.
 *
 * Whatever is done to a package comes as the same event: its registration, our own update, and what people do.
 *
 * @param earlier only where its evidence is there and names this package: metadata alone can be copied
 * @throws GateInputError where the package cannot be evaluated, and somebody asked by hand
 */
export function taskOf(
  { byHand }: Pick<EvaluationRequest, 'byHand'>,
  { arn, status, approval }: Registration,
  earlier: EarlierVerdict | undefined,
  approve: ModelConfig['approve'],
): Task {
  if (status !== 'Completed') {
    const why = `${arn} is ${status}, not Completed`;
    if (!byHand) return { ignored: why };
    throw new GateInputError(`${why}: there is no model to evaluate`);
  }
  const task: Task = { evaluate: true, change: approval === PENDING };
  if (byHand) return task;
  if (approval === 'Rejected') return { ignored: `${arn} is Rejected already` };
  if (earlier === undefined) return task;
  const { id, outcome } = earlier;
  if (approval === 'Approved') {
    if (outcome !== 'pass') return { overruled: earlier };
    return { ignored: `${arn} is Approved, as its verdict ${id} says` };
  }
  if (approvalOf(outcome, approve) === 'unchanged') {
    return { ignored: `${arn} has its verdict ${id} already (${outcome})` };
  }
  // Somebody has set it back to pending: that asks for another look.
  return task;
}

const PENDING = 'PendingManualApproval';

/** What an outcome does to a package that is pending. */
export function approvalOf(
  outcome: Outcome,
  approve: ModelConfig['approve'],
): 'Approved' | 'Rejected' | 'unchanged' {
  if (approve === 'recommend' || outcome === 'inconclusive') return 'unchanged';
  return outcome === 'pass' ? 'Approved' : 'Rejected';
}

/** Whether a package's approval is open. */
export function isPending(approval: string | undefined): boolean {
  return approval === PENDING;
}
