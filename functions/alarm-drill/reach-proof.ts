import { formatDuration } from '../shared/format.ts';
import { lineAt } from '../shared/schema.ts';
import type { Finding, FindingOutcome, NotChecked } from '../shared/verdict.ts';
import { type Evaluated, type MetricAlarm, thresholdText } from './alarm.ts';
import type { Facts } from './measurements.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * What all parts of the static proof share: where findings go, and how a fix is named.
 */

/** A finding whose rule is still to be located. */
export interface Draft extends Omit<Finding, 'rule'> {
  /** Of the rule, below the drill: `['intended', 'fires']`. */
  path?: readonly PropertyKey[];
}

/** Collects findings about one drill's alarm. */
export class Proof {
  readonly facts: Facts;
  readonly drill: LocatedDrill;
  readonly findings: Finding[] = [];
  readonly notChecked: NotChecked[] = [];

  constructor(facts: Facts, drill: LocatedDrill) {
    this.facts = facts;
    this.drill = drill;
  }

  get intended(): LocatedDrill['value']['intended'] {
    return this.drill.value.intended;
  }

  /** `tocsin.yaml:12` */
  at(path: readonly PropertyKey[]): string {
    return lineAt(this.drill, path);
  }

  add({ path, ...finding }: Draft): FindingOutcome {
    this.findings.push({ ...finding, ...(path !== undefined && { rule: this.drill.locate(path) }) });
    return finding.outcome;
  }

  skip(subject: string, check: string, why: string): void {
    this.notChecked.push({ subject, check, why });
  }

  /** `>= 0.2` */
  fires(): string {
    return thresholdText(this.intended.fires);
  }
}

/** A setting of an alarm, as PutMetricAlarm takes it. */
export type Setting =
  | { name: 'threshold' | 'evaluationPeriods' | 'datapointsToAlarm' | 'period'; value: number }
  | { name: 'comparisonOperator' | 'treatMissingData' | 'statistic' | 'namespace'; value: string }
  | { name: 'metricName'; value: string }
  | { name: 'dimensions'; value: Record<string, string> };

/** Those that each metric of metric math has for itself, and their names there. */
const OF_METRICS: Partial<Record<Setting['name'], string>> = {
  period: 'Period',
  statistic: 'Stat',
  namespace: 'Namespace',
  metricName: 'MetricName',
  dimensions: 'Dimensions',
};

/** How to change a setting: `Set --threshold 0.2 of aws cloudwatch put-metric-alarm, in CDK threshold: 0.2.` */
export function howToSet({ math }: Pick<MetricAlarm, 'math'>, setting: Setting): string {
  const { name } = setting;
  const inside = math ? OF_METRICS[name] : undefined;
  const set = inside
    ? `Set ${inside} in --metrics of aws cloudwatch put-metric-alarm to ${onCommandLine(setting)}`
    : `Set --${optionOf(setting)} ${onCommandLine(setting)} of aws cloudwatch put-metric-alarm`;
  return `${set}, in CDK ${inCdk(setting)}.`;
}

function optionOf({ name, value }: Setting): string {
  if (name === 'statistic' && !PLAIN.includes(value)) return 'extended-statistic';
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

const PLAIN = ['Average', 'Sum', 'Minimum', 'Maximum', 'SampleCount'];

function onCommandLine({ name, value }: Setting): string {
  if (name !== 'dimensions') return String(value);
  return Object.entries(value)
    .map(([dimension, is]) => `Name=${dimension},Value=${is}`)
    .join(' ');
}

function inCdk({ name, value }: Setting): string {
  switch (name) {
    case 'period':
      return `period: Duration.seconds(${value})`;
    case 'comparisonOperator':
      return `comparisonOperator: ComparisonOperator.${constant(value)}`;
    case 'treatMissingData':
      return `treatMissingData: TreatMissingData.${constant(value)}`;
    case 'dimensions': {
      const entries = Object.entries(value).map(([dimension, is]) => `${dimension}: '${is}'`);
      return `dimensionsMap: { ${entries.join(', ')} }`;
    }
    case 'statistic':
    case 'namespace':
    case 'metricName':
      return `${name}: '${value}'`;
    default:
      return `${name}: ${value}`;
  }
}

/** `GreaterThanThreshold` -> `GREATER_THAN_THRESHOLD` */
function constant(value: string): string {
  return value.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase();
}

/** `1 data point of 5 min`, `3 of 5 data points of 1 min` */
export function windowText({ datapointsToAlarm: m, evaluationPeriods: n, periodS }: Evaluated): string {
  const of = `of ${formatDuration(periodS * 1000)}`;
  return n === 1 ? `1 data point ${of}` : `${m} of ${n} data points ${of}`;
}
