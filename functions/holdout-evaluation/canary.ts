import { clip, formatDuration, formatNumber } from '../shared/format.ts';
import {
  type Finding,
  type Judgement,
  lineOf,
  type NotChecked,
  type Outcome,
  outcomeOf,
  sortFindings,
  worstOf,
} from '../shared/verdict.ts';
import { metricFinding } from './decide.ts';
import type { MetricRequest, MetricResult } from './measurements.ts';
import { queryName } from './metric.ts';
import { type LocatedCanary, type ModelConfig, queryOf } from './schema.ts';

/*
 * What a run of the pipeline canary amounts to. Pure: the same measurements and the same configuration give the same
 * judgement, bit for bit.
 */

/** How an execution of a pipeline ended. */
export type PipelineEnd =
  | { state: 'succeeded' }
  /** `reasons`: SageMaker's, of the execution and of its steps; at most 6. */
  | { state: 'failed'; reasons: string[] }
  /** By somebody else. */
  | { state: 'stopped' }
  /** It was stopped when its time was up, milliseconds. */
  | { state: 'timed-out'; timeoutMs: number };

/** A package that an execution registered, as it was then. */
export interface Registered {
  arn: string;
  group: string | null;
  approval: string | null;
}

/** One execution of the pipeline. */
export interface PipelineRun {
  /** ARN. */
  execution: string;
  end: PipelineEnd;
  /** In the order of the steps. */
  registered: Registered[];
}

/** What the model of the known dataset answered on the holdout. */
export interface KnownModel {
  package: string;
  examples: number;
  /** About the answers themselves: whether there are any, and whether they can be used. */
  answers: Finding[];
  /** Those that the canary expects something of; none where the answers cannot be used. */
  metrics: MetricResult[];
}

/** What became of the negative control. */
export type Control =
  /** The quality gate failed the corrupted dataset. */
  | { kind: 'stopped-by-gate'; verdict: string | null }
  | { kind: 'not-run'; reason: string }
  | {
      kind: 'run';
      run: PipelineRun;
      /** What the holdout evaluation would say of its model; absent where there is none to evaluate. */
      model?: { package: string; outcome: Outcome; reason: string };
    };

/** Everything that judging a run takes, beside the configuration. */
export interface CanaryMeasurements {
  known: PipelineRun;
  /** Absent where the run registered none to evaluate. */
  model?: KnownModel;
  control: Control;
}

/** What has to be measured for a canary beside what its model needs. */
export function requestsOf({ value }: LocatedCanary, task: ModelConfig['task']): MetricRequest[] {
  return value.expect.map((expected) => ({ query: queryOf(expected, task) }));
}

/** Checks of `decide` that are about the answers of a model rather than about how good they are. */
export const ANSWERS: readonly string[] = ['transform', 'predictions', 'examples', 'constant-predictions'];

/**
 * Whether a failure says nothing about the pipeline's code and data: no capacity, throttling, rights, SageMaker itself.
 */
export function isTrouble(reasons: readonly string[]): boolean {
  return reasons.some((reason) =>
    /capacity|throttl|rate exceeded|resource ?limit|quota|internal ?(server|service)? ?(error|failure)|service ?unavailable|access ?denied|not authorized/i.test(
      reason,
    ),
  );
}

/** The package of a run that is evaluated: the last that it registered in the group of the canary. */
export function packageOf(run: PipelineRun, canary: LocatedCanary): string | undefined {
  return run.registered.findLast(({ group }) => group === canary.value.modelPackageGroup)?.arn;
}

/**
 * Judges a run of the canary.
 *
 * On the known dataset the pipeline has to succeed, and to register, in the group of the canary and not as Approved, a
 * model whose metrics lie in their documented range with their whole interval. The corrupted dataset has to be stopped:
 * by the quality gate, by the pipeline, or by the thresholds of the model.
 */
export function decideCanary(
  measured: CanaryMeasurements,
  canary: LocatedCanary,
  task: ModelConfig['task'],
): Judgement {
  const { known, model } = measured;
  const notChecked: NotChecked[] = [];
  const findings = [pipelineFinding(known, canary)];
  if (known.end.state === 'succeeded') findings.push(...registrationFindings(known, canary));
  if (model !== undefined) findings.push(...model.answers, ...metricFindings(model, canary, task));
  else {
    notChecked.push({ subject: 'every metric', check: 'metric', why: 'no model of the run was evaluated' });
    // Where the run itself is to blame, a finding says so already.
    if (findings.every(({ outcome }) => outcome === 'pass'))
      findings.push(unmeasured('every metric', canary, []));
  }
  findings.push(controlFinding(measured, canary));
  const sorted = sortFindings(findings);
  return {
    outcome: outcomeOf(sorted),
    reason: reasonOf(sorted, measured, canary),
    findings: sorted,
    notChecked,
  };
}

function reasonOf(
  findings: Finding[],
  { model }: CanaryMeasurements,
  { name, value }: LocatedCanary,
): string {
  const passed = `Canary ${name}: on the known dataset the pipeline ${value.pipeline} yields a model within its documented range (${formatNumber(model?.examples ?? 0)} examples), and the corrupted dataset is stopped.`;
  return worstOf(findings) ?? passed;
}

function pipelineFinding({ end, execution }: PipelineRun, { value, locate }: LocatedCanary): Finding {
  const finding = {
    check: 'pipeline',
    subject: `pipeline ${value.pipeline}`,
    allowed: 'an execution that succeeds',
    rule: locate(['pipeline']),
  };
  const what = `The pipeline ${value.pipeline} (${execution})`;
  switch (end.state) {
    case 'succeeded':
      return {
        ...finding,
        outcome: 'pass',
        message: `The pipeline ${value.pipeline} succeeded on the known dataset.`,
        observed: 'succeeded',
      };
    case 'failed':
      return {
        ...finding,
        outcome: isTrouble(end.reasons) ? 'inconclusive' : 'fail',
        message: `${what} failed on the known dataset: ${because(end.reasons)}`,
        observed: 'failed',
        help: isTrouble(end.reasons)
          ? 'Mend what the reason names, then run the canary again.'
          : 'The known dataset has not changed, so the pipeline or what it uses has: look at the step that failed.',
      };
    case 'stopped':
      return {
        ...finding,
        outcome: 'inconclusive',
        message: `${what} was stopped by somebody.`,
        observed: 'stopped',
        help: 'Run the canary again.',
      };
    case 'timed-out':
      return {
        ...finding,
        outcome: 'fail',
        message: `${what} did not end within ${formatDuration(end.timeoutMs)} and was stopped (${lineOf(locate(['timeout']))}).`,
        observed: 'still running',
        rule: locate(['timeout']),
        help: 'Look at the step that hangs; raise timeout where it only takes longer.',
      };
  }
}

function registrationFindings(run: PipelineRun, canary: LocatedCanary): Finding[] {
  const { modelPackageGroup: group, groupParameter, pipeline } = canary.value;
  const rule = canary.locate(['modelPackageGroup']);
  const finding = { check: 'registration', subject: 'model package', rule };
  const allowed = `a package in the group ${group}`;
  const strays = run.registered.filter((registered) => registered.group !== group);
  const findings: Finding[] = [];
  if (strays.length > 0) {
    const places = strays.map(({ arn }) => arn).join(', ');
    findings.push({
      ...finding,
      outcome: 'fail',
      message: `The pipeline ${pipeline} registered a model outside of the group of the canary, ${group}: ${clip(places, 500)}.`,
      allowed,
      observed: `in ${strays[0]?.group ?? 'no group'}`,
      help: `Have the pipeline register its model in the group that its parameter ${groupParameter} names, and reject what stands elsewhere.`,
    });
  } else if (run.registered.length === 0) {
    findings.push({
      ...finding,
      outcome: 'fail',
      message: `The pipeline ${pipeline} succeeded on the known dataset, and registered no model.`,
      allowed,
      observed: 'none',
      help: 'Look at its conditions: on the known dataset it has to come to its RegisterModel step.',
    });
  } else {
    findings.push({
      ...finding,
      outcome: 'pass',
      message: `The pipeline ${pipeline} registered its model in the group ${group}.`,
      allowed,
      observed: `in ${group}`,
    });
  }
  const approved = run.registered.find(({ approval }) => approval === 'Approved');
  if (approved !== undefined) {
    findings.push({
      check: 'approval',
      subject: 'model package',
      outcome: 'fail',
      message: `The pipeline ${pipeline} registers its models as Approved (${approved.arn}): they can be deployed before anybody has evaluated them.`,
      allowed: 'PendingManualApproval',
      observed: 'Approved',
      rule,
      help: 'Set the ModelApprovalStatus of its RegisterModel step to PendingManualApproval.',
    });
  }
  return findings;
}

function metricFindings(
  { metrics, answers }: KnownModel,
  canary: LocatedCanary,
  task: ModelConfig['task'],
): Finding[] {
  // The findings on the answers say why there is no metric.
  if (metrics.length === 0 && answers.some(({ outcome }) => outcome !== 'pass')) return [];
  return canary.value.expect.map((expected, index) => {
    const name = queryName(queryOf(expected, task));
    const rule = canary.locate(['expect', index]);
    const result = metrics.find(({ query, slice }) => slice === undefined && queryName(query) === name);
    return result === undefined ? unmeasured(name, canary, [index]) : metricFinding(result, expected, rule);
  });
}

/** What was asked for and not measured stays open. */
function unmeasured(subject: string, { locate }: LocatedCanary, path: number[]): Finding {
  return {
    check: 'metric',
    subject,
    outcome: 'inconclusive',
    message: `${subject} cannot be judged: it was not measured.`,
    allowed: 'a measurement',
    observed: 'not measured',
    rule: locate(['expect', ...path]),
  };
}

/** Whether the corrupted dataset was stopped, and by what. */
function controlFinding({ known, control }: CanaryMeasurements, { value, locate }: LocatedCanary): Finding {
  const finding = {
    check: 'negative-control',
    subject: 'corrupted dataset',
    allowed: 'stopped by the quality gate, the pipeline or the thresholds',
    rule: locate(['negativeControl']),
  };
  const stopped = (message: string, observed: string): Finding => ({
    ...finding,
    outcome: 'pass',
    message,
    observed,
  });
  const open = (why: string): Finding => ({
    ...finding,
    outcome: 'inconclusive',
    message: `Whether the corrupted dataset would be stopped is not known: ${why}`,
    observed: 'not known',
    help: 'Mend what the reason names, then run the canary again.',
  });
  if (control.kind === 'not-run') return open(sentence(control.reason));
  if (control.kind === 'stopped-by-gate') {
    const verdict = control.verdict === null ? '' : ` (verdict ${control.verdict})`;
    return stopped(
      `The quality gate stopped the corrupted dataset${verdict}.`,
      'stopped by the quality gate',
    );
  }
  const { run, model } = control;
  const { end } = run;
  const what = `the pipeline ${value.pipeline} (${run.execution})`;
  if (end.state === 'timed-out') {
    return open(`${what} did not end within ${formatDuration(end.timeoutMs)} and was stopped.`);
  }
  if (end.state === 'stopped') return open(`${what} was stopped by somebody.`);
  if (end.state === 'failed') {
    if (isTrouble(end.reasons)) return open(`${what} failed: ${because(end.reasons)}`);
    // What fails on good data, too, has not noticed that this one is bad.
    if (known.end.state !== 'succeeded')
      return open(`${what} failed, and does so on the known dataset, too.`);
    return stopped(
      `The pipeline failed on the corrupted dataset: ${because(end.reasons)}`,
      'stopped by the pipeline',
    );
  }
  if (run.registered.length === 0) {
    if (known.registered.length === 0) return open(`${what} registers no model of the known dataset either.`);
    return stopped('The pipeline registered no model of the corrupted dataset.', 'stopped by the pipeline');
  }
  if (model === undefined) return open(`the model of ${what} was not evaluated.`);
  switch (model.outcome) {
    case 'fail':
      return stopped(
        `The thresholds stopped the model of the corrupted dataset: ${sentence(model.reason)}`,
        'stopped by the thresholds',
      );
    case 'inconclusive':
      return open(`the evaluation of its model is inconclusive: ${sentence(model.reason)}`);
    case 'pass':
      return {
        ...finding,
        outcome: 'fail',
        message: `The pipeline accepted a corrupted dataset (${lineOf(finding.rule)}): ${what} made a model of it that would be approved (${model.package}).`,
        observed: 'accepted',
        help: 'Add what notices this corruption: a rule in the contract of the dataset, or a threshold or a slice of the model.',
      };
  }
}

function because(reasons: readonly string[]): string {
  return sentence(clip(reasons.join('; '), 600));
}

/** With a full stop at its end, and only one. */
function sentence(text: string): string {
  return `${text.trim().replace(/\.+$/, '')}.`;
}
