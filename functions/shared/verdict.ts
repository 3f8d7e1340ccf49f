import { countOf } from './format.ts';

/**
 * Words that every gate and drill shares: a verdict, its findings and what was not checked.
 * Plain JSON throughout, so that evidence can be stored, diffed and read by other tools.
 */

/** Only `pass` opens a gate. `inconclusive`: the data cannot tell. */
export type Outcome = 'pass' | 'fail' | 'inconclusive';

/** How one check ended. `warn` is a failed check that the owner chose not to stop for. */
export type FindingOutcome = Outcome | 'warn';

export type GateName =
  | 'quality-gate'
  | 'holdout-evaluation'
  | 'alarm-drill'
  | 'rollback-drill'
  | 'config-parity';

/** An effect with its confidence interval; each bound is one-sided at `confidence` (0..1). */
export interface Interval {
  low: number;
  estimate: number;
  high: number;
  confidence: number;
}

/** Where in a configuration file the rule stands; line and column are 1-based. */
export interface SourceLocation {
  file: string;
  line: number;
  column: number;
}

/** `tocsin.yaml:31`, as findings show it. */
export function lineOf({ file, line }: Pick<SourceLocation, 'file' | 'line'>): string {
  return `${file}:${line}`;
}

/** One offending record. `row` is 1-based among the data rows of `file`; no `value` for `pii` columns. */
export interface Sample {
  file?: string;
  row: number;
  value?: string;
}

/** One check on one subject: what was expected, what was observed, how sure we are, what to do. */
export interface Finding {
  /** Stable machine name of the check in kebab-case, e.g. `zeros`, `drift-psi`, `missing-column`. */
  check: string;
  /** What was checked, e.g. `column delay`, `key (date, origin)`, `file`. */
  subject: string;
  /** Name of the column, where the check is on one. */
  column?: string;
  outcome: FindingOutcome;
  /** One whole sentence for someone woken at night: observed, allowed, contract line, baseline. */
  message: string;
  /** What the rule allows and what the data shows, in human units: `at most 10%`, `38.1%`. */
  allowed: string;
  observed: string;
  /** The numbers behind the two texts, where there are any (shares and effects as fractions). */
  limit?: number;
  value?: number;
  interval?: Interval;
  /** With `inconclusive`: the smallest effect that this many rows could have told from the limit. */
  smallestDetectable?: number;
  rule?: SourceLocation;
  /** At most 5. */
  samples?: Sample[];
  /** The next step. */
  help?: string;
}

/** A check that did not run, and why. Every report lists them: silence is not a pass. */
export interface NotChecked {
  subject: string;
  check: string;
  why: string;
}

/** What a pure judgement returns. */
export interface Judgement {
  outcome: Outcome;
  /** The whole verdict in one sentence. */
  reason: string;
  /** Worst first: fail, inconclusive, warn, pass. */
  findings: Finding[];
  notChecked: NotChecked[];
}

/** A judgement, bound to the exact bytes that it is about. */
export interface Verdict<Inputs = Record<string, unknown>> extends Judgement {
  verdict: 1;
  /** 32 hexadecimal digits, derived from `gate` and `inputs`; the same inputs give the same id. */
  id: string;
  gate: GateName;
  /** Name of the dataset, model or drill. */
  subject: string;
  inputs: Inputs;
  tocsin: string;
}

/** The answer where there is nothing to judge, and why. */
export interface Ignored {
  ignored: string;
}

const SEVERITY: Record<FindingOutcome, number> = { fail: 0, inconclusive: 1, warn: 2, pass: 3 };

/** Orders findings worst first; equal outcomes keep their order, so the result is deterministic. */
export function sortFindings(findings: Finding[]): Finding[] {
  return findings.toSorted((a, b) => SEVERITY[a.outcome] - SEVERITY[b.outcome]);
}

/**
 * A verdict that is no pass, in one sentence: its only failed finding or, of several, how many there are and the first.
 *
 * @param findings worst first
 * @returns undefined where none failed, and none is inconclusive
 */
export function worstOf(findings: readonly Pick<Finding, 'outcome' | 'message'>[]): string | undefined {
  const of = (outcome: FindingOutcome) => findings.filter((finding) => finding.outcome === outcome);
  for (const [some, say] of [
    [of('fail'), 'failed'],
    [of('inconclusive'), 'are inconclusive'],
  ] as const) {
    const [first] = some;
    if (first === undefined) continue;
    if (some.length === 1) return first.message;
    return `${some.length} of ${countOf(findings.length, 'check')} ${say}; first: ${first.message}`;
  }
  return undefined;
}

/** `12 checks, 1 with a warning` */
export function checksText(findings: readonly Pick<Finding, 'outcome'>[]): string {
  const warned = findings.filter(({ outcome }) => outcome === 'warn').length;
  const checks = countOf(findings.length, 'check');
  return warned > 0 ? `${checks}, ${warned} with a warning` : checks;
}

/** The verdict that a set of findings amounts to. No finding at all is no evidence: `inconclusive`. */
export function outcomeOf(findings: readonly Pick<Finding, 'outcome'>[]): Outcome {
  if (findings.some((finding) => finding.outcome === 'fail')) return 'fail';
  if (findings.length === 0 || findings.some((finding) => finding.outcome === 'inconclusive')) {
    return 'inconclusive';
  }
  return 'pass';
}
