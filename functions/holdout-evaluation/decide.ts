import { clip, countOf, formatInterval, formatNumber, formatShare } from '../shared/format.ts';
import {
  checksText,
  type Finding,
  type Interval,
  type Judgement,
  lineOf,
  type NotChecked,
  type Outcome,
  outcomeOf,
  type SourceLocation,
  sortFindings,
  worstOf,
} from '../shared/verdict.ts';
import type {
  Measurements,
  MetricDifference,
  MetricMeasurements,
  MetricRequest,
  MetricResult,
  PredictionProblem,
} from './measurements.ts';
import {
  factsOf,
  type MetricFacts,
  type MetricName,
  type MetricQuery,
  NEVER_PREDICTED,
  queryName,
} from './metric.ts';
import { type LocatedModel, type ModelConfig, queryOf, type Requirement } from './schema.ts';

/*
 * What a model has to be measured by, and what the measurements amount to. Pure: the same measurements and the same
 * configuration give the same judgement, bit for bit.
 */

/** What {@link decide} needs to be measured. */
export interface Needs {
  requests: MetricRequest[];
  /** Asked of the candidate and of the champion, paired. */
  differences: MetricQuery[];
  /** Columns and expressions that the examples are divided by. */
  slicings: string[];
}

/** What the thresholds of a model need to be measured; what two of them share, once. */
export function needsOf(model: ModelConfig): Needs {
  const requests = new Map<string, MetricRequest>();
  for (const requirement of model.require) {
    const query = queryOf(requirement, model.task);
    for (const slicing of requirement.slices ?? [undefined]) {
      const key = keyOf(query, slicing);
      const minExamples = Math.min(
        requirement.minExamples,
        requests.get(key)?.minExamples ?? requirement.minExamples,
      );
      requests.set(key, { query, ...(slicing !== undefined && { slicing }), minExamples });
    }
  }
  return {
    requests: [...requests.values()],
    differences: allowances(model).map(({ query }) => query),
    slicings: [...new Set(model.require.flatMap(({ slices = [] }) => slices))],
  };
}

/**
 * Judges a model by its thresholds on a holdout.
 *
 * A metric, or its difference from the champion, is judged by its interval: it passes where the whole interval is on the
 * right side of the threshold, fails where the whole interval is on the wrong side, and is inconclusive in between.
 * A metric without a value never passes. It fails where the model is to blame, having predicted no example as what
 * the metric is about; otherwise the examples are, and it is inconclusive.
 */
export function decide(measurements: Measurements, model: LocatedModel): Judgement {
  const judging = new Judging(measurements, model);
  judging.run();
  const findings = sortFindings(judging.findings);
  return {
    outcome: outcomeOf(findings),
    reason: reasonOf(findings, measurements, model),
    findings,
    notChecked: judging.notChecked,
  };
}

function reasonOf(findings: Finding[], { examples }: Measurements, { name, value }: LocatedModel): string {
  const thresholds = value.require.length === 1 ? 'its threshold' : `all ${value.require.length} thresholds`;
  return (
    worstOf(findings) ??
    `Model ${name} meets ${thresholds} on ${countOf(examples, 'example')} (${checksText(findings)}).`
  );
}

/** A range that a metric has to lie in, and why. */
export type Threshold = Pick<Requirement, 'atLeast' | 'atMost' | 'because'>;

/** One metric against one threshold, which stands at `rule`. Also for the pipeline canary. */
export function metricFinding(result: MetricResult, threshold: Threshold, rule: SourceLocation): Finding {
  const { query, slice, examples, value, interval } = result;
  const subject = `${queryName(query)}${slice === undefined ? '' : ` of ${slice.by} = ${valueText(slice.value)}`}`;
  const on = countOf(examples, 'example');
  const what = slice === undefined ? `${subject} on ${on}` : `${subject} (${on})`;
  const sides = sidesOf(threshold);
  const allowed = rangeText(threshold);
  const required = `${allowed} is required (${quote(threshold, rule)})`;
  const finding = { check: 'metric', subject, allowed, rule };

  if (value === null || !Number.isFinite(value)) {
    const why = result.undefinedBecause ?? 'it came out as no number';
    const blamed = why.startsWith(NEVER_PREDICTED);
    return {
      ...finding,
      outcome: blamed ? 'fail' : 'inconclusive',
      message: `${what} has no value: ${why}; ${required}.`,
      observed: why,
      limit: sides[0]!.limit,
      help: blamed
        ? 'Look at the scores: no threshold, or another one, would show whether the model can tell at all.'
        : MORE,
    };
  }
  if (interval === null || !isSound(interval)) {
    const why = result.undefinedBecause ?? 'it could not be computed';
    const observed = formatNumber(value, sides[0]!.limit);
    return {
      ...finding,
      outcome: 'inconclusive',
      message: `${what} is ${observed}, without an interval (${why}); ${required}.`,
      observed,
      limit: sides[0]!.limit,
      value,
      help: MORE,
    };
  }

  const judged = sides.map((side) => ({ ...side, outcome: outcomeOfSide(side, interval) }));
  const outcome = outcomeOf(judged);
  const decisive = judged.find((side) => side.outcome === outcome) ?? judged[0]!;
  const shown = formatInterval(
    { ...interval, estimate: value },
    sides.map(({ limit }) => limit),
  );
  const confidence = `${formatShare(interval.confidence)} interval ${shown.low} to ${shown.high}`;
  const open = judged.filter((side) => side.outcome === 'inconclusive');
  // What clears one limit of two may miss the other.
  const passing = sides.length > 1 ? undefined : detectable(decisive, interval, factsOf(query.metric).range);
  return {
    ...finding,
    outcome,
    message: `${what} is ${shown.estimate} (${confidence}), ${required}${outcome === 'inconclusive' ? unsettled(result, interval, open, passing) : ''}.`,
    observed: shown.estimate,
    limit: decisive.limit,
    value,
    interval,
    ...(outcome === 'inconclusive' && {
      ...(passing !== undefined && { smallestDetectable: passing }),
      help: MORE,
    }),
    ...(outcome === 'fail' && {
      help: 'Look for what changed in the training data or code; if the threshold is wrong, change it together with its reason.',
    }),
  };
}

/** Relative distance of probabilities that single precision cannot be relied on to tell apart. */
const ROUNDING = 1e-6;

const MORE =
  'Judge on a larger holdout, or set the threshold further away from what so many examples can show.';

const UNMEASURED = 'Report it: measuring left out what the configuration asks for.';

/** One side of a threshold. `sign`: 1 where the metric has to be at or above the limit, -1 where at or below. */
interface Side {
  limit: number;
  sign: 1 | -1;
}

function sidesOf({ atLeast, atMost }: Threshold): Side[] {
  return [
    ...(atLeast === undefined ? [] : [{ limit: atLeast, sign: 1 as const }]),
    ...(atMost === undefined ? [] : [{ limit: atMost, sign: -1 as const }]),
  ];
}

function outcomeOfSide({ limit, sign }: Side, { low, high }: Pick<Interval, 'low' | 'high'>): Outcome {
  const [worst, best] = sign === 1 ? [low, high] : [-high, -low];
  if (worst >= sign * limit) return 'pass';
  return best < sign * limit ? 'fail' : 'inconclusive';
}

function isSound({ low, estimate, high }: Interval): boolean {
  return [low, estimate, high].every(Number.isFinite) && low <= high;
}

/**
 * The value nearest to the limit that an interval as wide as this would have let pass.
 *
 * @param range of the values that there can be; undefined where it would be outside
 */
function detectable(
  { limit, sign }: Side,
  { low, high }: Interval,
  [least, most]: MetricFacts['range'],
): number | undefined {
  const passing = limit + (sign * (high - low)) / 2;
  return (least !== null && passing < least) || (most !== null && passing > most) ? undefined : passing;
}

/** What so many examples can show, and how many would settle it if the value stays. */
function unsettled(
  { query, slice, examples, positives, value }: MetricResult,
  interval: Interval,
  open: Side[],
  passing: number | undefined,
): string {
  const needed = Math.max(...open.map((side) => neededExamples(examples, value as number, interval, side)));
  const settle = Number.isFinite(needed)
    ? `about ${formatNumber(needed)} ${slice === undefined ? '' : 'such '}would`
    : 'and no number of examples would: the value is on the threshold';
  const few =
    positives === undefined || query.class !== undefined ? '' : `, ${formatNumber(positives)} positive,`;
  const [{ limit, sign }] = open as [Side];
  const shown =
    passing === undefined
      ? ''
      : ` (${formatNumber(passing, limit)} or ${sign === 1 ? 'more' : 'less'} would pass)`;
  return `; ${countOf(examples, 'example')}${few} cannot tell${shown}, ${settle}`;
}

/**
 * How many examples would make the interval end at the limit, if the estimate stays: its width shrinks with the root
 * of their number. Rounded up to two digits; infinite where the estimate is on the limit.
 */
function neededExamples(examples: number, value: number, { low, high }: Interval, { limit }: Side): number {
  const distance = Math.abs(value - limit);
  const reach = value >= limit ? value - low : high - value;
  const needed = examples * (reach / distance) ** 2;
  // Beyond that nobody has examples.
  if (!(needed < 1e12)) return Number.POSITIVE_INFINITY;
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(needed)) - 1);
  return Math.ceil(needed / unit) * unit;
}

class Judging {
  readonly findings: Finding[] = [];
  readonly notChecked: NotChecked[] = [];
  readonly #measured: Measurements;
  readonly #located: LocatedModel;
  readonly #model: ModelConfig;

  constructor(measured: Measurements, located: LocatedModel) {
    this.#measured = measured;
    this.#located = located;
    this.#model = located.value;
  }

  run(): void {
    const answered = this.#judgeTransform();
    const usable = answered && this.#judgePredictions();
    const { metrics } = this.#measured;
    if (metrics !== undefined) {
      if (usable) this.#judgeCount(metrics);
      this.#judgeConstant(metrics);
      const results = resultsByKey(metrics.metrics);
      for (const index of this.#model.require.keys()) this.#judgeRequirement(index, results);
      this.#judgeChampion(metrics);
      this.#judgeDrift(metrics);
      this.#listAbsentClasses(metrics);
      return;
    }
    if (usable) this.#add(unmeasured('metric', 'every metric'));
    const why = !answered
      ? 'the model could not answer the holdout'
      : usable
        ? 'it was not measured'
        : 'the predictions cannot be used';
    this.notChecked.push({ subject: 'every metric', check: 'all', why });
  }

  #judgeTransform(): boolean {
    const { transform, examples } = this.#measured;
    const path = ['transform'];
    if (transform.completed) {
      this.#add({
        check: 'transform',
        subject: 'model',
        outcome: 'pass',
        message: `The model answered the holdout of ${countOf(examples, 'example')}.`,
        allowed: 'an answer to every example',
        observed: 'answered',
        path,
      });
      return true;
    }
    this.#add({
      check: 'transform',
      subject: 'model',
      outcome: 'fail',
      message: `The model could not answer the holdout: ${sentence(transform.reason)}`,
      allowed: 'an answer to every example',
      observed: transform.reason,
      path,
      help: "Read the container's log of the transform job; features that the model does not know, or in another order, are a usual cause.",
    });
    return false;
  }

  #judgePredictions(): boolean {
    const problems = this.#measured.problems.filter(({ count }) => count > 0);
    const allowed = 'one usable prediction for every example';
    for (const problem of problems) {
      const [what, help] = describe(problem, this.#model);
      this.#add({
        check: 'predictions',
        subject: problem.kind.startsWith('bad-') ? 'holdout' : 'predictions',
        outcome: 'fail',
        message: `${what}${rowsOf(problem)}.`,
        allowed,
        observed: what,
        value: problem.count,
        limit: 0,
        samples: problem.samples.slice(0, 5),
        path: ['holdout'],
        help,
      });
    }
    if (problems.length > 0) return false;
    this.#add({
      check: 'predictions',
      subject: 'predictions',
      outcome: 'pass',
      message: 'Every example has one usable prediction.',
      allowed,
      observed: 'one for every example',
      value: 0,
      limit: 0,
      path: ['holdout'],
    });
    return true;
  }

  /** Metrics of some of the examples say nothing of the holdout. */
  #judgeCount({ examples }: MetricMeasurements): void {
    const expected = this.#measured.examples;
    if (examples === expected && expected > 0) return;
    this.#add({
      check: 'examples',
      subject: 'holdout',
      outcome: 'inconclusive',
      message:
        expected === 0
          ? 'The holdout has no examples.'
          : `The metrics are of ${countOf(examples, 'example')}, the holdout has ${formatNumber(expected)}.`,
      allowed: expected === 0 ? 'at least 1 example' : 'every example',
      observed: formatNumber(examples),
      value: examples,
      limit: expected,
      path: ['holdout'],
      help: expected === 0 ? 'Take a holdout that has labelled examples.' : UNMEASURED,
    });
  }

  #judgeConstant({ examples, predictions }: MetricMeasurements): void {
    if (this.#model.sanity.constantPredictions === 'allow') return;
    const path = ['sanity', 'constantPredictions'];
    if (examples < 2) {
      this.notChecked.push({
        subject: 'predictions',
        check: 'constant-predictions',
        why: `there ${examples === 1 ? 'is 1 example' : 'are no examples'}`,
      });
      return;
    }
    const { distinct, min, max } = predictions;
    const { task } = this.#model;
    const multiclass = task === 'multiclass';
    // A container that computes in single precision may answer a constant a little differently from batch to batch.
    const rounded = distinct > 1 && task === 'binary' && max - min <= ROUNDING * max;
    const constant = !(distinct > 1) || rounded;
    const butFor = rounded ? ' but for rounding' : '';
    this.#add({
      check: 'constant-predictions',
      subject: 'predictions',
      outcome: constant ? 'fail' : 'pass',
      message: constant
        ? `The model gives each of ${countOf(examples, 'example')} the same prediction${butFor}${multiclass ? '' : `, ${formatNumber(min)}`} (${this.#line(path)}).`
        : `Predictions have ${formatNumber(distinct)} distinct values, ${multiclass ? 'of the most probable class ' : ''}${formatNumber(min, max)} to ${formatNumber(max, min)}.`,
      allowed: 'at least 2 distinct values',
      observed: `${formatNumber(distinct)} distinct${rounded ? ', equal' : ''}${butFor}`,
      value: distinct,
      limit: 2,
      path,
      ...(constant && {
        help: 'Look for features that arrive empty or in another order, or for a training run that stopped before it began.',
      }),
    });
  }

  #judgeRequirement(index: number, results: Map<string, MetricResult[]>): void {
    const requirement = this.#model.require[index]!;
    const query = queryOf(requirement, this.#model.task);
    const path = ['require', index];
    const rule = this.#located.locate(path);
    for (const slicing of requirement.slices ?? [undefined]) {
      const found = results.get(keyOf(query, slicing)) ?? [];
      const subject = slicing === undefined ? queryName(query) : `${queryName(query)} of ${slicing}`;
      if (found.length === 0) {
        this.#add({ ...unmeasured('metric', subject), allowed: rangeText(requirement), path });
        continue;
      }
      const judged = found.filter(({ examples }) => examples >= requirement.minExamples);
      const findings = judged.map((result) => metricFinding(result, requirement, rule));
      this.findings.push(...worstMissFirst(findings, requirement));
      const thin = found.filter(({ examples }) => examples < requirement.minExamples);
      if (thin.length > 0) this.#judgeThin(subject, requirement, path, { thin, all: found });
    }
  }

  /** Examples that are too few to judge. A requirement that was held against nothing is never just a warning. */
  #judgeThin(
    subject: string,
    { minExamples, onThinSlice, ...threshold }: Requirement,
    path: (string | number)[],
    { thin, all }: { thin: MetricResult[]; all: MetricResult[] },
  ): void {
    const [first] = thin;
    const needed = `at least ${countOf(minExamples, 'example')}`;
    const at = quote(threshold, this.#located.locate(path));
    if (first?.slice === undefined) {
      const observed = countOf(first?.examples ?? 0, 'example');
      this.#add({
        check: 'examples',
        subject,
        outcome: onThinSlice === 'fail' ? 'fail' : 'inconclusive',
        message: `${subject} is not judged: the holdout has ${observed}, ${needed} are needed (${at}).`,
        allowed: needed,
        observed,
        value: first?.examples ?? 0,
        limit: minExamples,
        path,
        help: MORE,
      });
      return;
    }
    const sorted = thin.toSorted((a, b) => b.examples - a.examples);
    const few = `${formatNumber(thin.length)} of ${countOf(all.length, 'slice')} ${thin.length === 1 ? 'has' : 'have'} fewer than ${countOf(minExamples, 'example')}`;
    const none = thin.length === all.length;
    const share = sumOf(thin) / Math.max(1, sumOf(all));
    this.notChecked.push({ subject, check: 'metric', why: `${few}: ${nameSlices(sorted, 50)}` });
    this.#add({
      check: 'thin-slices',
      subject,
      outcome: onThinSlice === 'fail' ? 'fail' : none ? 'inconclusive' : 'warn',
      message: `${subject}: ${few} and ${thin.length === 1 ? 'is' : 'are'} not judged (${formatShare(share)} of all): ${nameSlices(sorted, 3)} (${at}).`,
      allowed: `${needed} a slice`,
      observed: `${formatNumber(thin.length)} thin`,
      value: thin.length,
      limit: 0,
      path,
      help: 'Take a larger holdout, divide it into fewer slices, or lower minExamples to what still says something.',
    });
  }

  #judgeChampion(metrics: MetricMeasurements): void {
    const allowed = allowances(this.#model);
    const { champion } = this.#measured;
    if (allowed.length === 0) return;
    if (champion.kind === 'none') {
      this.notChecked.push({ subject: 'champion', check: 'champion', why: NO_CHAMPION });
      return;
    }
    if (champion.kind === 'unavailable') {
      this.#add(this.#withoutChampion('champion', ['champion'], champion));
      return;
    }
    for (const { metric, query, limit } of allowed) {
      const path = ['champion', 'mayBeWorseBy', metric];
      const difference = metrics.differences.find((other) => queryName(other.query) === queryName(query));
      const subject = `${queryName(query)} against the champion`;
      if (difference === undefined) {
        this.#add({ ...unmeasured('champion', subject), allowed: `at most ${limit} worse`, path });
        continue;
      }
      this.#judgeDifference(difference, { subject, limit, path, package: champion.package });
    }
  }

  #judgeDifference(
    { query, candidate, champion, value, interval, undefinedBecause }: MetricDifference,
    rule: { subject: string; limit: number; path: (string | number)[]; package: string },
  ): void {
    const { subject, limit, path } = rule;
    const allowed = `at most ${limit} worse`;
    const required = `${allowed} is allowed (${this.#line(path)})`;
    const finding = { check: 'champion', subject, allowed, limit, path };
    const compared = `the champion is ${rule.package}`;
    if (value === null || interval === null || !Number.isFinite(value) || !isSound(interval)) {
      const why = undefinedBecause ?? 'it came out as no number';
      const blamed = candidate === null && why.startsWith(NEVER_PREDICTED);
      this.#add({
        ...finding,
        outcome: blamed ? 'fail' : 'inconclusive',
        message: `${queryName(query)} cannot be compared with the champion: ${why}; ${required}; ${compared}.`,
        observed: why,
        help: blamed ? 'Look at the scores: the model does not tell at all.' : MORE,
      });
      return;
    }
    // How much worse, whichever way is better. Zero minus, for a negative zero is none.
    const higher = factsOf(query.metric).better === 'higher';
    const { low, high, confidence } = interval;
    const worse: Interval = higher
      ? { low: 0 - high, estimate: 0 - value, high: 0 - low, confidence }
      : { low, estimate: value, high, confidence };
    const outcome = outcomeOfSide({ limit, sign: -1 }, worse);
    const shown = formatInterval(worse, [limit, 0]);
    const observed = side(shown.estimate);
    const own =
      candidate === null || champion === null
        ? ''
        : `: ${formatNumber(candidate, champion)} against ${formatNumber(champion, candidate)}`;
    this.#add({
      ...finding,
      outcome,
      message: `${queryName(query)} is ${observed} than the champion's${own} (${formatShare(confidence)} interval ${side(shown.low)} to ${side(shown.high)}), ${required}; ${compared}.`,
      observed,
      value: worse.estimate,
      interval: worse,
      ...(outcome === 'inconclusive' && {
        smallestDetectable: limit - (worse.high - worse.low) / 2,
        help: 'Judge on a larger holdout, or allow a difference that so many examples can show.',
      }),
      ...(outcome === 'fail' && {
        help: 'Keep the champion, or find what the new model lost: the slices and curves in the evidence show where.',
      }),
    });
  }

  #judgeDrift({ predictionDrift: drift }: MetricMeasurements): void {
    const limit = this.#model.sanity.predictionDrift?.psi;
    if (limit === undefined) return;
    const { champion } = this.#measured;
    const path = ['sanity', 'predictionDrift'];
    const subject = 'predictions against the champion';
    if (champion.kind === 'none') {
      this.notChecked.push({ subject, check: 'prediction-drift', why: NO_CHAMPION });
      return;
    }
    if (champion.kind === 'unavailable') {
      this.#add({ ...this.#withoutChampion('prediction-drift', path, champion), subject });
      return;
    }
    const allowed = `at most ${limit}`;
    if (drift === undefined || !isSound(drift.interval)) {
      this.#add({ ...unmeasured('prediction-drift', subject), allowed, path });
      return;
    }
    const { interval } = drift;
    const outcome = outcomeOfSide({ limit, sign: -1 }, interval);
    const shown = formatInterval(interval, [limit]);
    this.#add({
      check: 'prediction-drift',
      subject,
      outcome,
      message: `The population stability index of the predictions against those of the champion (${champion.package}) is ${shown.estimate} (${formatShare(interval.confidence)} interval ${shown.low} to ${shown.high}), ${allowed} is allowed (${this.#line(path)}).`,
      allowed,
      observed: shown.estimate,
      limit,
      value: interval.estimate,
      interval,
      path,
      ...(outcome === 'inconclusive' && {
        smallestDetectable: limit - (interval.high - interval.low) / 2,
        help: MORE,
      }),
      ...(outcome === 'fail' && {
        help: 'The two models answer the same examples differently: look for a change of features or units before a change of skill.',
      }),
    });
  }

  #withoutChampion(check: string, path: string[], champion: { package: string; reason: string }): Check {
    return {
      check,
      subject: 'champion',
      outcome: 'inconclusive',
      message: `The champion (${champion.package}) could not be evaluated, so nothing is compared with it (${this.#line(path)}): ${sentence(champion.reason)}`,
      allowed: 'a comparison with the champion',
      observed: champion.reason,
      path,
      help: 'Make the champion answer the holdout again, or reject it if it must not be deployed any more.',
    };
  }

  /** Averages over classes say nothing of a class without an example. */
  #listAbsentClasses({ examples, curves: { confusion } }: MetricMeasurements): void {
    if (confusion === undefined || examples === 0) return;
    for (const [index, name] of confusion.classes.entries()) {
      if (confusion.counts[index]?.some((count) => count > 0)) continue;
      this.notChecked.push({
        subject: `class ${JSON.stringify(name)}`,
        check: 'metric',
        why: 'no example of the holdout is of it',
      });
    }
  }

  #add({ path, ...finding }: Check): void {
    this.findings.push({ ...finding, ...(path !== undefined && { rule: this.#located.locate(path) }) });
  }

  #line(path: (string | number)[]): string {
    return lineOf(this.#located.locate(path));
  }
}

const NO_CHAMPION = 'there is no approved package to compare with yet';

/** A finding whose rule is still to be located. */
type Check = Omit<Finding, 'rule'> & { path?: (string | number)[] };

/** What was asked for and not measured stays open. */
function unmeasured(check: string, subject: string): Check {
  return {
    check,
    subject,
    outcome: 'inconclusive',
    message: `${subject} cannot be judged: it was not measured.`,
    allowed: 'a measurement',
    observed: 'not measured',
    help: UNMEASURED,
  };
}

/** What `champion.mayBeWorseBy` allows, in its order. */
function allowances({
  champion,
  task,
}: ModelConfig): { metric: MetricName; query: MetricQuery; limit: number }[] {
  return Object.entries(champion?.mayBeWorseBy ?? {}).flatMap(([name, limit]) => {
    const metric = name as MetricName;
    return limit === undefined ? [] : [{ metric, query: queryOf({ metric }, task), limit }];
  });
}

function keyOf(query: MetricQuery, slicing: string | undefined): string {
  return JSON.stringify([queryName(query), slicing]);
}

function resultsByKey(results: MetricResult[]): Map<string, MetricResult[]> {
  return Map.groupBy(results, ({ query, slice }) => keyOf(query, slice?.by));
}

/** Slices by how far the value is on the wrong side, the worst first; those without a value last. */
function worstMissFirst(findings: Finding[], threshold: Threshold): Finding[] {
  const margin = ({ value }: Finding) =>
    value === undefined
      ? Number.POSITIVE_INFINITY
      : Math.min(...sidesOf(threshold).map(({ limit, sign }) => sign * (value - limit)));
  return findings.toSorted((a, b) => {
    const [first, second] = [margin(a), margin(b)];
    return first === second ? 0 : first - second;
  });
}

/** What is wrong, in numbers, and what to do. */
function describe({ kind, count }: PredictionProblem, { task }: ModelConfig): [what: string, help: string] {
  const many = formatNumber(count);
  const [predictions, examples] = [countOf(count, 'prediction'), countOf(count, 'example')];
  const [is, has] = count === 1 ? ['is', 'has'] : ['are', 'have'];
  const container = 'Have the container answer each record with one prediction, in their order.';
  switch (kind) {
    case 'missing':
      return [`${examples} ${has} no prediction`, container];
    case 'unknown':
      return [`${predictions} ${count === 1 ? 'belongs' : 'belong'} to no example`, container];
    case 'repeated':
      return [`${examples} ${has} more than one prediction`, container];
    case 'not-a-number':
      return [
        `${predictions} ${is} not a number`,
        'Look for a division by zero or a missing feature in the container.',
      ];
    case 'not-a-probability':
      return [
        `${predictions} ${is} not a probability${task === 'multiclass' ? ' for each class' : ''}`,
        'Have the container answer with probabilities, from 0 to 1, instead of classes or raw scores.',
      ];
    case 'bad-label':
      return [
        `${many} ${count === 1 ? 'label' : 'labels'} of the holdout ${count === 1 ? 'is' : 'are'} not what a ${task} model predicts`,
        'Correct the holdout, or its label in the configuration; the model is not to blame.',
      ];
    case 'bad-weight':
      return [
        `${many} ${count === 1 ? 'weight' : 'weights'} of the holdout ${is} not positive and finite`,
        'Correct the holdout, or its weight in the configuration; the model is not to blame.',
      ];
  }
}

/** ` (row 17: "NaN", row 18)`. At most five, values cut short. */
function rowsOf({ count, samples }: PredictionProblem): string {
  const shown = samples.slice(0, 5).map(({ row, value }) => {
    const text = value === undefined ? '' : `: ${JSON.stringify(clip(value, 40))}`;
    return `row ${formatNumber(row)}${text}`;
  });
  if (shown.length === 0) return '';
  return ` (${count > shown.length ? 'such as ' : ''}${shown.join(', ')})`;
}

function nameSlices(slices: MetricResult[], most: number): string {
  const names = slices
    .slice(0, most)
    .map(({ slice, examples }) => `${valueText(slice?.value ?? '')} (${formatNumber(examples)})`);
  const more = slices.length - names.length;
  return `${names.join(', ')}${more > 0 ? ` and ${formatNumber(more)} more` : ''}`;
}

/** The value of a slice, in quotes where it would be taken for nothing, or for something else, without. */
function valueText(value: string): string {
  const clipped = clip(value, 60);
  return /^[^\p{C}\p{Z},()"]+( [^\p{C}\p{Z},()"]+)*$/u.test(clipped) ? clipped : JSON.stringify(clipped);
}

/** `at least 0.62`, `0.6 to 0.75` */
export function rangeText({ atLeast, atMost }: Threshold): string {
  if (atLeast !== undefined && atMost !== undefined) return `${atLeast} to ${atMost}`;
  return atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`;
}

/** `tocsin.yaml:31: below this the rebooking team overrides the model` */
function quote({ because }: Threshold, rule: SourceLocation): string {
  return because === undefined ? lineOf(rule) : `${lineOf(rule)}: ${because.trim().replace(/\s+/g, ' ')}`;
}

/** `0.011 worse`, `0.003 better`. */
function side(text: string): string {
  return text.startsWith('-') ? `${text.slice(1)} better` : `${text} worse`;
}

function sumOf(results: MetricResult[]): number {
  return results.reduce((sum, { examples }) => sum + examples, 0);
}

/** With a full stop at its end, and only one. */
function sentence(text: string): string {
  return `${text.trim().replace(/\.+$/, '')}.`;
}
