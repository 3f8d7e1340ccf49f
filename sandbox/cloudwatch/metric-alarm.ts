import { invalid } from '../aws/service.ts';
import { ExpressionError, parseExpression, type Scope } from './math.ts';
import { type MetricStore, percentOf, type Query, type Series } from './metrics.ts';
import type { MetricAlarmConfig, MetricDataQuery } from './schema.ts';

const DAY_S = 86_400;

/** What a metric alarm watches. */
export interface Watched {
  /** In seconds. */
  period: number;
  /** The statistic, where it is of a single metric. */
  query: Query | undefined;
  /**
   * @param from beginning of the first period, in milliseconds since 1970
   * @param count how many periods
   */
  read(store: MetricStore, from: number, count: number): Series;
}

/**
 * Checks the configuration of a metric alarm, as far as its members depend on each other.
 *
 * @throws ServiceError ValidationException
 */
export function watch(config: MetricAlarmConfig): Watched {
  const { Metrics, MetricName, EvaluationPeriods, DatapointsToAlarm = 1, Threshold } = config;
  if ((Metrics === undefined) === (MetricName === undefined)) {
    throw invalid('Exactly one of MetricName and Metrics must be specified.');
  }
  if (!Number.isFinite(Threshold)) throw invalid('Threshold must be a finite number.');
  if (DatapointsToAlarm > EvaluationPeriods) {
    throw invalid('DatapointsToAlarm must be at most EvaluationPeriods.');
  }
  const watched = Metrics === undefined ? watchMetric(config) : watchMath(config, Metrics);
  const { period, query } = watched;
  if (![10, 20, 30].includes(period) && period % 60 !== 0) {
    throw invalid('Period must be 10, 20, 30 or a multiple of 60.');
  }
  const window = period * EvaluationPeriods;
  if (window > (period < 3600 ? DAY_S : 7 * DAY_S)) {
    throw invalid(
      'Metrics cannot be checked across more than a day, or a week where the period is an hour or more (EvaluationPeriods * Period must be <= 86400, 604800).',
    );
  }
  if (config.EvaluateLowSampleCountPercentile !== undefined && percentOf(query?.stat ?? '') === undefined) {
    throw invalid('EvaluateLowSampleCountPercentile is for alarms on percentiles.');
  }
  return watched;
}

function watchMetric(config: MetricAlarmConfig): Watched {
  const { Namespace, MetricName, Dimensions = [], Period, Statistic, ExtendedStatistic, Unit } = config;
  const stat = Statistic ?? ExtendedStatistic;
  if (stat === undefined || (Statistic !== undefined && ExtendedStatistic !== undefined)) {
    throw invalid('Exactly one of Statistic and ExtendedStatistic must be specified.');
  }
  if (Namespace === undefined || Period === undefined) {
    throw invalid('Namespace and Period must be specified with MetricName.');
  }
  const query = {
    namespace: Namespace,
    name: MetricName as string,
    dimensions: Dimensions,
    stat,
    unit: Unit,
  };
  return {
    period: Period,
    query,
    read: (store, from, count) => store.read(query, from, Period, count),
  };
}

function watchMath(config: MetricAlarmConfig, queries: readonly MetricDataQuery[]): Watched {
  for (const member of [
    'Namespace',
    'Dimensions',
    'Period',
    'Unit',
    'Statistic',
    'ExtendedStatistic',
  ] as const) {
    if (config[member] !== undefined) throw invalid(`${member} and Metrics are mutually exclusive.`);
  }
  const byId = new Map(queries.map((query) => [query.Id, query]));
  if (byId.size < queries.length) throw invalid('The ids of Metrics must be different.');
  for (const { Id, MetricStat, Expression } of queries) {
    if ((MetricStat === undefined) === (Expression === undefined)) {
      throw invalid(`${Id} must have either MetricStat or Expression.`);
    }
  }
  const stats = queries.flatMap(({ MetricStat }) => MetricStat ?? []);
  if (stats.length > 10 || queries.length - stats.length > 10) {
    throw invalid('An alarm can have at most 10 metrics and 10 expressions.');
  }
  const [shown, ...others] = queries.filter(({ ReturnData }) => ReturnData ?? true);
  if (shown === undefined || others.length > 0) {
    throw invalid('Exactly one member of Metrics must have ReturnData true.');
  }
  const periods = new Set(queries.flatMap((query) => query.MetricStat?.Period ?? query.Period ?? []));
  const [period, ...further] = periods;
  if (period === undefined || stats.length === 0) throw invalid('Metrics must have at least one MetricStat.');
  if (further.length > 0) throw invalid('All of Metrics must have the same period.');

  const metrics = new Map(
    queries.flatMap(({ Id, MetricStat }) => (MetricStat === undefined ? [] : [[Id, queryOf(MetricStat)]])),
  );
  const expressions = new Map(
    queries.flatMap(({ Id, Expression }) =>
      Expression === undefined ? [] : [[Id, validated(() => parseExpression(Expression))]],
    ),
  );
  const compute = (read: (query: Query) => Series) => resolve(shown.Id, metrics, expressions, read);
  // That every id is there, and that one series comes out, shows without data.
  validated(() => compute(() => [undefined]));
  return {
    period,
    query: metrics.get(shown.Id),
    read: (store, from, count) => compute((query) => store.read(query, from, period, count)),
  };
}

/** The series of an id: read where it is of a metric, computed where it is of an expression. */
function resolve(
  id: string,
  metrics: ReadonlyMap<string, Query>,
  expressions: ReadonlyMap<string, (scope: Scope) => Series>,
  read: (query: Query) => Series,
): Series {
  const pending = new Set<string>();
  const scope: Scope = {
    series: (wanted) => {
      const query = metrics.get(wanted);
      if (query !== undefined) return read(query);
      const expression = expressions.get(wanted);
      if (expression === undefined) return undefined;
      if (pending.has(wanted)) throw new ExpressionError(`The expression ${wanted} depends on itself.`);
      pending.add(wanted);
      const result = expression(scope);
      pending.delete(wanted);
      return result;
    },
    metrics: () => [...metrics.values()].map(read),
  };
  return scope.series(id) as Series;
}

/** What a MetricStat asks for. */
export function queryOf({ Metric, Stat, Unit }: NonNullable<MetricDataQuery['MetricStat']>): Query {
  return {
    namespace: Metric.Namespace,
    name: Metric.MetricName,
    dimensions: Metric.Dimensions ?? [],
    stat: Stat,
    unit: Unit,
  };
}

/** What a function returns; what it finds wrong with an expression is what is wrong with the request. */
function validated<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof ExpressionError ? invalid(error.message) : error;
  }
}
