import type { ColumnProfile, Distribution, Profile } from '../shared/profile.ts';
import { effectOf } from './decide.ts';
import type { Window } from './monitor-request.ts';
import type { Measurements } from './profile.ts';
import {
  DRIFT_METRIC,
  LARGEST_DRIFT_METRIC,
  type LocatedContract,
  type LocatedMonitor,
  RECORDS_METRIC,
} from './schema.ts';

/*
 * What a drift monitor makes of the records that it measured. Pure.
 */

/** Drift of one feature, in the unit of the monitor's measure. The bounds are one-sided. */
export interface FeatureDrift {
  estimate: number;
  low: number;
  high: number;
}

/** What the function answers. */
export interface MonitorAnswer {
  monitor: string;
  /** In the window. */
  records: number;
  /** ISO 8601: from `from`, up to before `to`. */
  window: { from: string; to: string };
  /** Drift by feature; empty where there are too few records to compare. */
  features: Record<string, FeatureDrift>;
  /** Of the feature that has drifted most; null where nothing was compared. */
  largest: { feature: string; estimate: number } | null;
  /** Features whose drift is not known, and why. */
  notCompared: Record<string, string>;
  /** Captured requests of the window that could not be read. */
  damaged: number;
}

/** Without an alarm; it only says how large a drift could have been seen. */
const SOME_LIMIT = 0.1;

/**
 * The drift of each feature.
 *
 * @param measured the records, over the cells of `baseline`
 */
export function driftsOf(
  measured: Measurements,
  { value }: LocatedMonitor,
  contract: LocatedContract,
  baseline: Profile,
): Pick<MonitorAnswer, 'features' | 'notCompared' | 'largest'> {
  const features: MonitorAnswer['features'] = {};
  const notCompared: MonitorAnswer['notCompared'] = {};
  const limit = value.alarm?.threshold ?? SOME_LIMIT;
  const confidence = 1 - (1 - contract.value.confidence) / value.features.length;
  let isLost = false;
  for (const feature of value.features) {
    const now = measured.profile.columns[feature];
    const before = Object.hasOwn(baseline.columns, feature) ? baseline.columns[feature] : undefined;
    const reference = before && withUnusable(before);
    const counted = countsOf(measured, feature, before);
    const effect = effectOf(value.measure, limit, confidence, now, reference, counted);
    if (effect !== undefined) {
      const { estimate, low, high } = effect;
      features[feature] = { estimate, low, high };
      continue;
    }
    notCompared[feature] = whyNot(now, before, value.measure);
    isLost ||= before?.distribution !== undefined && now?.count === 0;
  }
  const [largest] = Object.entries(features).sort(([, a], [, b]) => b.estimate - a.estimate);
  return {
    features,
    notCompared,
    // Of a feature without any value left nobody can say how far it has moved, nor that another has moved most.
    largest: largest === undefined || isLost ? null : { feature: largest[0], estimate: largest[1].estimate },
  };
}

function whyNot(now: ColumnProfile | undefined, before: ColumnProfile | undefined, measure: string): string {
  if (before === undefined) return 'the baseline does not have it';
  if (before.pii === true) return 'it is personal data, of which nothing is kept';
  if (before.count === 0) return 'it has no value in the baseline';
  if ((now?.count ?? 0) === 0) return 'no record has a value of its type';
  return `${measure} does not compare columns of its type, or it does not vary`;
}

/** A feature counted over the cells of its baseline; where no value is left, all records are in the cell of nulls. */
function countsOf(
  { profile, columns }: Measurements,
  feature: string,
  before: ColumnProfile | undefined,
): Distribution | undefined {
  const now = profile.columns[feature];
  if (now === undefined) return undefined;
  const counted = columns[feature]?.onBaseline;
  if (counted !== undefined) return unusableAsNull(counted, now);
  const reference = before?.distribution;
  if (now.count > 0 || reference === undefined) return undefined;
  const none = (counts: readonly number[]) => counts.map(() => 0);
  const empty: Distribution =
    reference.kind === 'numeric'
      ? { ...reference, cells: none(reference.cells), atomCounts: none(reference.atomCounts) }
      : { ...reference, counts: none(reference.counts), other: 0 };
  return unusableAsNull({ ...empty, nulls: now.nulls }, now);
}

/**
 * Nobody judges the records of an endpoint by a contract, so what does not convert has to show as drift: it counts as null,
 * which is what most models take it for.
 */
function unusableAsNull(counts: Distribution, { invalid, nan = 0 }: ColumnProfile): Distribution {
  return { ...counts, nulls: counts.nulls + invalid + nan };
}

function withUnusable(column: ColumnProfile): ColumnProfile {
  const { distribution } = column;
  return distribution === undefined
    ? column
    : { ...column, distribution: unusableAsNull(distribution, column) };
}

/** One value of a metric. */
export interface MetricValue {
  metric: string;
  dimensions: Record<string, string>;
  value: number;
  unit: 'None' | 'Count';
}

/** What is published. */
export function metricsOf({ monitor, records, features, largest }: MonitorAnswer): MetricValue[] {
  const of = { Monitor: monitor };
  const drifts = Object.entries(features).map(
    ([feature, { estimate }]): MetricValue => ({
      metric: DRIFT_METRIC,
      dimensions: { ...of, Feature: dimensionValue(feature) },
      value: estimate,
      unit: 'None',
    }),
  );
  return [
    { metric: RECORDS_METRIC, dimensions: of, value: records, unit: 'Count' },
    ...(largest === null
      ? []
      : [{ metric: LARGEST_DRIFT_METRIC, dimensions: of, value: largest.estimate, unit: 'None' } as const]),
    ...drifts,
  ];
}

/** CloudWatch takes ASCII that can be seen, at most 1,024 characters, and no colon at the beginning. */
function dimensionValue(feature: string): string {
  return feature
    .replace(/^:|%|[^\x20-\x7e]+/g, (part) => (part === ':' ? '%3A' : encodeURIComponent(part)))
    .slice(0, 1024);
}

/** A window as it is answered. */
export function windowText({ from, to }: Window): MonitorAnswer['window'] {
  return { from: new Date(from).toISOString(), to: new Date(to).toISOString() };
}
