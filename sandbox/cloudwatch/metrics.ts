const MINUTE_MS = 60_000;

/** How long ListMetrics names a metric after its last data, in milliseconds: two weeks. */
const LISTED_MS = 14 * 24 * 60 * MINUTE_MS;

export interface Dimension {
  Name: string;
  Value: string;
}

/** What tells a metric from all others. */
export interface MetricName {
  namespace: string;
  name: string;
  dimensions: readonly Dimension[];
}

/** Values that were sent for one moment. */
export interface Sample {
  /** Milliseconds since 1970; of a metric of standard resolution the beginning of a minute, else of a second. */
  time: number;
  unit: string;
  count: number;
  sum: number;
  min: number;
  max: number;
  /** Every value with the number of times it came; undefined where only statistics were sent. */
  values: readonly (readonly [value: number, count: number])[] | undefined;
}

/** A metric, and all that was sent for it. */
export interface Metric extends MetricName {
  /** By time. */
  readonly samples: Sample[];
  /** When it was first and last written to, in milliseconds since 1970. */
  readonly firstWrite: number;
  lastWrite: number;
}

/** Which values of a metric to aggregate, and how. */
export interface Query extends MetricName {
  /** `Average`, `Sum`, `Minimum`, `Maximum`, `SampleCount`, or a percentile such as `p99.9`. */
  stat: string;
  /** Only what was sent with this unit. */
  unit?: string | undefined;
}

/** A value for each of consecutive periods; undefined where there is none. */
export type Series = readonly (number | undefined)[];

/** All metrics of the account. */
export class MetricStore {
  readonly #metrics = new Map<string, Metric>();

  /**
   * Stores values.
   *
   * @param resolution in seconds, 1 or 60: the time of the sample is rounded down to it
   * @param now milliseconds since 1970
   */
  write(
    { namespace, name, dimensions }: MetricName,
    sample: Sample,
    { resolution = 60, now }: { resolution?: number; now: number },
  ): void {
    const key = keyOf({ namespace, name, dimensions });
    const metric = this.#metrics.get(key) ?? {
      namespace,
      name,
      dimensions,
      samples: [],
      firstWrite: now,
      lastWrite: now,
    };
    metric.lastWrite = now;
    this.#metrics.set(key, metric);
    const step = resolution === 1 ? 1_000 : MINUTE_MS;
    const time = Math.floor(sample.time / step) * step;
    const { samples } = metric;
    samples.splice(firstFrom(samples, time + 1), 0, { ...sample, time });
  }

  /**
   * The metrics that ListMetrics names.
   *
   * @param delay how long a new metric goes unnamed, in milliseconds
   */
  listed(now: number, delay: number): Metric[] {
    return [...this.#metrics.values()].filter(
      ({ firstWrite, lastWrite }) => now >= firstWrite + delay && now <= lastWrite + LISTED_MS,
    );
  }

  /**
   * Aggregates a metric over consecutive periods.
   *
   * @param from beginning of the first period, in milliseconds since 1970
   * @param period in seconds
   */
  read(query: Query, from: number, period: number, count: number): Series {
    const found = this.#metrics.get(keyOf(query));
    return Array.from({ length: count }, (_, index) => {
      if (found === undefined) return undefined;
      const start = from + index * period * 1_000;
      return aggregate(query.stat, samplesOf(found, start, start + period * 1_000, query.unit));
    });
  }
}

function keyOf({ namespace, name, dimensions }: MetricName): string {
  const pairs = dimensions
    .map(({ Name, Value }) => [Name, Value])
    .sort(([a = ''], [b = '']) => (a < b ? -1 : 1));
  return JSON.stringify([namespace, name, pairs]);
}

/** The samples from one moment, inclusive, to another, exclusive. */
function samplesOf({ samples }: Metric, from: number, to: number, unit: string | undefined): Sample[] {
  const found = samples.slice(firstFrom(samples, from), firstFrom(samples, to));
  return unit === undefined ? found : found.filter((sample) => sample.unit === unit);
}

/** Index of the first sample at or after a moment. */
function firstFrom(samples: readonly Sample[], time: number): number {
  let [low, high] = [0, samples.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((samples[middle] as Sample).time < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** 99.9 of the percentile `p99.9`; undefined for any other statistic. */
export function percentOf(stat: string): number | undefined {
  const percent = Number(/^p(\d{1,3}(?:\.\d+)?)$/.exec(stat)?.[1]);
  return percent <= 100 ? percent : undefined;
}

function aggregate(stat: string, samples: readonly Sample[]): number | undefined {
  if (samples.length === 0) return undefined;
  const total = (of: (sample: Sample) => number) => samples.reduce((sum, sample) => sum + of(sample), 0);
  switch (stat) {
    case 'SampleCount':
      return total(({ count }) => count);
    case 'Sum':
      return total(({ sum }) => sum);
    case 'Average':
      return total(({ sum }) => sum) / total(({ count }) => count);
    case 'Minimum':
      return Math.min(...samples.map(({ min }) => min));
    case 'Maximum':
      return Math.max(...samples.map(({ max }) => max));
    default:
      return percentile((percentOf(stat) as number) / 100, samples);
  }
}

/**
 * A percentile, interpolated between the two values around it; how CloudWatch does that is not documented. There is none
 * where only statistics were sent.
 */
function percentile(share: number, samples: readonly Sample[]): number | undefined {
  if (samples.some(({ values }) => values === undefined)) return undefined;
  const values = samples.flatMap((sample) => sample.values ?? []).sort(([a], [b]) => a - b);
  const rank = share * (values.reduce((sum, [, count]) => sum + count, 0) - 1);
  /** The value at a whole rank, counted from 0. */
  const at = (wanted: number) => {
    let seen = 0;
    const found = values.find(([, count]) => {
      seen += count;
      return seen > wanted;
    });
    return (found ?? values.at(-1))?.[0] as number;
  };
  const low = at(Math.floor(rank));
  return low + (at(Math.ceil(rank)) - low) * (rank - Math.floor(rank));
}
