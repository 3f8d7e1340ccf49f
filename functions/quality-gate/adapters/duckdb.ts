import { type Engine, identifier, number, text, UnreadableError } from '../../shared/engine/duckdb.ts';
import { withFiles } from '../../shared/engine/files.ts';
import type { EngineLimits } from '../../shared/engine/limits.ts';
import { messageOf } from '../../shared/errors.ts';
import { formatTime } from '../../shared/format.ts';
import type {
  CategoricalDistribution,
  ColumnProfile,
  NumericDistribution,
  Profile,
} from '../../shared/profile.ts';
import type { Sample } from '../../shared/verdict.ts';
import { TOCSIN_VERSION } from '../../shared/version.ts';
import {
  type Cells,
  categories,
  chooseCells,
  countCategories,
  countOver,
  moments,
  type ValueCounts,
} from '../distributions.ts';
import type { Breach, ColumnMeasurements, LocalDataset, Measurements } from '../profile.ts';
import type { ColumnRule, LocatedContract } from '../schema.ts';
import { ingest, placeOf, type Source, type SourceColumn } from './ingest.ts';
import { checkRules, type RuleColumns } from './rule-sql.ts';

export interface MeasureRequest {
  dataset: LocalDataset;
  /** Of the dataset's bytes. */
  sha256: string;
  contract: LocatedContract;
  baseline?: Profile | undefined;
  /** Passed through to {@link Measurements}. */
  asOf: number | null;
  limits: EngineLimits;
  /** An existing directory for temporary files. */
  scratch: string;
}

/** Distinct values of a column that are counted one by one; a column with more is counted over cells. */
const MAX_VALUES = 250_000;
/** Rows that tell which columns have too many distinct values to count one by one. */
const PROBE_ROWS = 40_000;
const PROBE_DISTINCT = 10_000;
/** Rows among which the distinct values of such a column are counted; of more rows, a share of the values. */
const DISTINCT_ROWS = 200_000;
/** Rows from which the cells of such a column are chosen. */
const SAMPLE_ROWS = 40_000;
/** JSON bytes of all columns of a profile together, and the least that one column gets. */
const PROFILE_BYTES = 90_000;
const COLUMN_BYTES = 1_200;

/**
 * Measures a dataset: its profile, and everything that the contract asks about it.
 *
 * @throws GateInputError where a bound is hit or a rule's SQL is wrong
 * @throws GateDependencyError where the engine or the disk fails
 */
export async function measureDataset(request: MeasureRequest): Promise<Measurements> {
  const { dataset, contract, limits, scratch } = request;
  try {
    return await withFiles(dataset.files, { limits, scratch }, async (engine, files) => {
      const rules = await checkRules(engine, contract);
      const source = await ingest(engine, files, contract.value, limits);
      return new Measuring(engine, request, source, rules).run();
    });
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    return { ...nothing(request), unreadable: { file: error.file, reason: error.message } };
  }
}

/** Measurements of a dataset of which nothing could be measured. */
function nothing({ contract, sha256, asOf }: MeasureRequest): Measurements {
  return {
    malformed: { count: 0, samples: [], reasons: [] },
    actualColumns: [],
    inconsistentFiles: [],
    profile: {
      profile: 1,
      dataset: contract.value.dataset,
      tocsin: TOCSIN_VERSION,
      rows: 0,
      sha256,
      columns: {},
    },
    columns: {},
    rules: {},
    asOf,
  };
}

/** Aggregates that one scan of the source computes together. */
class Scan {
  readonly #expressions: string[] = [];
  #values: unknown[] = [];

  /** Adds an aggregate; the returned function gives its value once the scan ran. Counts must fit a double. */
  add(expression: string): () => number | null {
    const index = this.#expressions.push(`(${expression})::DOUBLE`) - 1;
    return () => this.#values[index] as number | null;
  }

  count(condition: string): () => number {
    const value = this.add(`count_if(${condition})`);
    return () => value() ?? 0;
  }

  async run(engine: Engine): Promise<void> {
    if (this.#expressions.length === 0) return;
    this.#values = (await engine.columns(`SELECT ${this.#expressions.join(', ')} FROM source`)).map(
      (column) => column[0],
    );
  }
}

/** The checks of one column that count rows: the condition of a breach, and the share that is allowed. */
interface RowCheck {
  name: Exclude<keyof ColumnMeasurements, 'onBaseline' | 'newCategories'>;
  condition: string;
  allowed: number | undefined;
}

class Measuring {
  readonly #engine: Engine;
  readonly #request: MeasureRequest;
  readonly #source: Source;
  readonly #rules: RuleColumns;
  #rows = 0;
  #times: Measurements['times'];

  constructor(engine: Engine, request: MeasureRequest, source: Source, rules: RuleColumns) {
    this.#engine = engine;
    this.#request = request;
    this.#source = source;
    this.#rules = rules;
  }

  async run(): Promise<Measurements> {
    const { contract, limits } = this.#request;
    const { actualColumns, inconsistentFiles, malformed, columns } = this.#source;
    const result: Measurements = { ...nothing(this.#request), malformed, actualColumns, inconsistentFiles };
    if (actualColumns.length > limits.maxColumns) {
      const [file] = this.#request.dataset.files;
      throw new UnreadableError(
        file?.path ?? '',
        `it has ${actualColumns.length} columns or more, at most ${limits.maxColumns} can be measured (the contract names ${Object.keys(contract.value.columns).length})`,
      );
    }
    if (inconsistentFiles.length > 0 || actualColumns.length === 0) return result;

    const scan = new Scan();
    const total = scan.add('count(*)');
    const pending = columns.map((column) => this.#planColumn(scan, column));
    await scan.run(this.#engine);
    this.#rows = total() ?? 0;
    result.profile.rows = this.#rows;

    const many = await this.#probe(columns);
    for (const finish of pending) {
      const { name, profile, measurements } = await finish(many);
      result.profile.columns[name] = profile;
      result.columns[name] = measurements;
    }
    if (this.#times !== undefined) result.times = this.#times;
    result.rules = await this.#measureRules();
    await this.#measureDuplicates(result);
    return result;
  }

  /** Adds a column's aggregates to the scan; what is returned reads them and asks what needs queries of its own. */
  #planColumn(scan: Scan, column: SourceColumn) {
    const { rule, value: v, invalid } = column;
    const missing = invalid === undefined ? `${v} IS NULL` : `${v} IS NULL AND ${invalid} IS NULL`;
    const nulls = scan.count(missing);
    const invalids = invalid === undefined ? () => 0 : scan.count(`${invalid} IS NOT NULL`);
    const checks = rowChecks(column);
    const counted = checks.map((check) => ({ check, count: scan.count(check.condition) }));
    const numeric = rule.type === 'integer' || rule.type === 'number';
    // FILTER would copy every column of the scan for each aggregate.
    const point = rule.type === 'number' ? `CASE WHEN isfinite(${v}) THEN ${v} END` : pointOf(column);
    const low = point === undefined ? () => null : scan.add(`min(${point})`);
    const high = point === undefined ? () => null : scan.add(`max(${point})`);
    const shortest = rule.type === 'string' ? scan.add(`min(length(${v}))`) : () => null;
    const longest = rule.type === 'string' ? scan.add(`max(length(${v}))`) : () => null;

    return async (many: ReadonlySet<string>) => {
      const measurements: ColumnMeasurements = {};
      for (const { check, count } of counted) {
        measurements[check.name] = await this.#breach(count(), check, column);
      }
      const nan = measurements.nan?.count ?? 0;
      const profile: ColumnProfile = {
        type: rule.type,
        physical: column.physical,
        count: this.#rows - nulls() - invalids() - nan,
        nulls: nulls(),
        invalid: invalids(),
        ...(rule.type === 'number' && { nan }),
        ...(numeric && { zeros: measurements.zeros?.count ?? 0 }),
        ...(rule.type === 'string' && { empty: measurements.empty?.count ?? 0 }),
        distinct: { value: 0, exact: true },
      };
      const [least, most] = [shortest(), longest()];
      if (least !== null && most !== null) Object.assign(profile, { shortest: least, longest: most });
      const [min, max] = [low(), high()];
      if (min !== null && max !== null && column.name === this.#request.contract.value.freshness?.column) {
        this.#times = { oldest: min, newest: max };
      }
      if (rule.pii === true) profile.pii = true;
      else if (min !== null && max !== null) Object.assign(profile, { min, max });
      if (profile.count > 0) {
        const bounds = min !== null && max !== null ? { min, max } : undefined;
        await this.#distribute(column, profile, measurements, bounds, many.has(column.name));
      }
      return { name: column.name, profile, measurements };
    };
  }

  /** The columns that have too many distinct values to count one by one, told from the first rows. */
  async #probe(columns: SourceColumn[]): Promise<ReadonlySet<string>> {
    if (this.#rows <= PROBE_DISTINCT || columns.length === 0) return new Set();
    const counts = await this.#engine.columns(
      `SELECT ${columns.map(({ value }) => `approx_count_distinct(${value})::DOUBLE`).join(', ')}
       FROM (SELECT * FROM source LIMIT ${PROBE_ROWS})`,
    );
    return new Set(
      columns.filter((_, index) => Number(counts[index]?.[0]) > PROBE_DISTINCT).map(({ name }) => name),
    );
  }

  async #distribute(
    column: SourceColumn,
    profile: ColumnProfile,
    measurements: ColumnMeasurements,
    bounds: { min: number; max: number } | undefined,
    many: boolean,
  ): Promise<void> {
    const before = this.#request.baseline?.columns[column.name]?.distribution;
    if (pointOf(column) === undefined) {
      await this.#distributeStrings(
        column,
        profile,
        measurements,
        many,
        before?.kind === 'categorical' ? before : undefined,
      );
      return;
    }
    const reference = before?.kind === 'numeric' ? before : undefined;
    const counts = many ? undefined : await this.#countNumbers(column);
    if (counts === undefined)
      await this.#distributeManyNumbers(column, profile, measurements, bounds, reference);
    else distributeNumbers(column.rule, profile, measurements, counts, reference);
  }

  /** Counts of every distinct number, ascending; `undefined` where there are too many. */
  async #countNumbers(column: SourceColumn): Promise<ValueCounts<number> | undefined> {
    const point = pointOf(column);
    const [values = [], counts = []] = (await this.#engine.columns(
      `SELECT v, n FROM (SELECT (${point})::DOUBLE AS v, count(*)::DOUBLE AS n FROM ${this.#source.only(column)} WHERE ${usableOf(column)} GROUP BY ALL
       LIMIT ${MAX_VALUES + 1}) ORDER BY v`,
    )) as [number[], number[]];
    return values.length > MAX_VALUES ? undefined : { values, counts };
  }

  /** A number column with very many distinct values: cells from a sample of the rows, counts from all of them. */
  async #distributeManyNumbers(
    column: SourceColumn,
    profile: ColumnProfile,
    measurements: ColumnMeasurements,
    bounds: { min: number; max: number } | undefined,
    reference: NumericDistribution | undefined,
  ): Promise<void> {
    const point = `(${pointOf(column)})::DOUBLE`;
    const from = `${this.#source.only(column)} WHERE ${usableOf(column)}`;
    const { min, max } = bounds ?? { min: 0, max: 0 };
    // A sum of doubles depends on the order in which threads add them. Integers do not: positions between the
    // smallest and the largest value, in steps of 2^-31 of the range, squared below 2^62.
    const range = max - min;
    const step = `CAST(round((${point} - ${number(min)}) / ${number(range)} * 2147483648.0) AS BIGINT)`;
    const measurable = range > 0 && Number.isFinite(range);
    profile.distinct = await this.#countDistinct(point, from, profile.count);
    if (column.rule.pii === true) return;
    if (measurable) {
      const [sum, squares] = await this.#engine.columns(
        `SELECT sum(${step})::VARCHAR, sum(${step} * ${step})::VARCHAR FROM ${from}`,
      );
      const mean = Number(sum?.[0]) / profile.count / 2 ** 31;
      const square = Number(squares?.[0]) / profile.count / 2 ** 62;
      profile.mean = min + mean * range;
      profile.std = Math.sqrt(Math.max(0, square - mean * mean)) * range;
    }
    const keep = Math.max(1, Math.floor(this.#rows / SAMPLE_ROWS));
    const [values = [], counts = []] = (await this.#engine.columns(
      `SELECT ${point} AS v, count(*)::DOUBLE AS n FROM ${from} AND hash(pos) % ${keep} = 0 GROUP BY v ORDER BY v`,
    )) as [number[], number[]];
    const cells = chooseCells(
      { values, counts },
      column.rule.type === 'integer' || column.rule.type === 'number',
    );
    const own = await this.#histogram(point, from, cells, profile.nulls);
    profile.distribution = own;
    const top = own.atomCounts.reduce(
      (best, count, index) => (count > (own.atomCounts[best] ?? 0) ? index : best),
      0,
    );
    const topCount = own.atomCounts[top] ?? 0;
    if (topCount > 0)
      profile.dominant = {
        share: topCount / profile.count,
        value: showPoint(column.rule, own.atoms[top] ?? 0),
      };
    if (reference !== undefined) {
      measurements.onBaseline = await this.#histogram(point, from, reference, profile.nulls);
    }
  }

  /**
   * Distinct values among `count` rows; of many rows an estimate from the values whose hash ends in some zero bits.
   * Its standard error is the root of `share / distinct`: 0.9 % for 200,000 values among 3 million rows.
   *
   * @param from a relation, with its condition
   */
  async #countDistinct(value: string, from: string, count: number): Promise<ColumnProfile['distinct']> {
    const share = 2 ** Math.max(0, Math.ceil(Math.log2(count / DISTINCT_ROWS)));
    const [counted] = await this.#engine.columns(
      `SELECT count(*)::DOUBLE FROM (SELECT 1 FROM ${from} AND hash(${value}) % ${share} = 0 GROUP BY ${value})`,
    );
    const distinct = Number(counted?.[0] ?? 0) * share;
    // The estimate must not exceed what there is.
    return { value: Math.min(distinct, count), exact: share === 1 };
  }

  async #histogram(point: string, from: string, cells: Cells, nulls: number): Promise<NumericDistribution> {
    const { edges, atoms } = cells;
    const list = (numbers: number[]) => `[${numbers.map((value) => `${number(value)}::DOUBLE`).join(', ')}]`;
    const one = async (sql: string) => {
      const [keys = [], counts = []] = (await this.#engine.columns(
        `SELECT unnest(map_keys(h)), unnest(map_values(h))::DOUBLE FROM (SELECT ${sql} AS h FROM ${from})`,
      )) as [number[], number[]];
      return new Map(keys.map((key, index) => [key, counts[index] ?? 0]));
    };
    const inCells =
      edges.length === 0 ? new Map<number, number>() : await one(`histogram(${point}, ${list(edges)})`);
    const onAtoms =
      atoms.length === 0 ? new Map<number, number>() : await one(`histogram_exact(${point}, ${list(atoms)})`);
    const atomCounts = atoms.map((atom) => onAtoms.get(atom) ?? 0);
    const counts = [...edges, Number.POSITIVE_INFINITY].map((edge) => {
      const atom = atoms.indexOf(edge);
      return (inCells.get(edge) ?? 0) - (atom < 0 ? 0 : (atomCounts[atom] ?? 0));
    });
    return { kind: 'numeric', edges, cells: counts, atoms, atomCounts, nulls };
  }

  async #distributeStrings(
    column: SourceColumn,
    profile: ColumnProfile,
    measurements: ColumnMeasurements,
    many: boolean,
    reference: CategoricalDistribution | undefined,
  ): Promise<void> {
    const { value: v, rule } = column;
    const from = `${this.#source.only(column)} WHERE ${v} IS NOT NULL`;
    if (many) profile.distinct = await this.#countDistinct(v, from, profile.count);
    const wanted = Math.max(COLUMN_BYTES, PROFILE_BYTES / Math.max(1, this.#source.columns.length));
    // More values than fit into the profile are of no use; the count of all of them is, where it is exact.
    const limit = many ? 100 : Math.ceil(wanted / 6);
    const grouped = `SELECT ${rule.type === 'boolean' ? `CAST(${v} AS VARCHAR)` : v} AS v, count(*)::DOUBLE AS n FROM ${from} GROUP BY ALL`;
    if (!many) {
      const [distinct] = await this.#engine.columns(`SELECT count(*)::DOUBLE FROM (${grouped})`);
      profile.distinct = { value: Number(distinct?.[0] ?? 0), exact: true };
    }
    const [values = [], counts = []] = (await this.#engine.columns(
      `${grouped} ORDER BY n DESC, v LIMIT ${limit}`,
    )) as [string[], number[]];
    const share = (counts[0] ?? 0) / profile.count;
    if (rule.pii === true) {
      profile.dominant = { share };
      return;
    }
    profile.dominant = { share, value: (values[0] ?? '').slice(0, 60) };
    profile.distribution = categories(
      { values, counts },
      { rows: profile.count, distinct: profile.distinct.value, nulls: profile.nulls },
      wanted,
    );
    if (reference === undefined) return;
    const found = new Map(values.map((value, index) => [value, counts[index] ?? 0]));
    const unseen = reference.values.filter((value) => !found.has(value));
    if (values.length >= limit && unseen.length > 0) {
      const [more = [], moreCounts = []] = (await this.#engine.columns(
        `SELECT * FROM (${grouped}) WHERE v IN (${unseen.map(text).join(', ')})`,
      )) as [string[], number[]];
      for (const [index, value] of more.entries()) found.set(value, moreCounts[index] ?? 0);
    }
    const onBaseline = countCategories(found, reference, { rows: profile.count, nulls: profile.nulls });
    measurements.onBaseline = onBaseline;
    if (rule.newCategories !== undefined && reference.otherDistinct === 0) {
      const known = `[${reference.values.map(text).join(', ')}]::VARCHAR[]`;
      const fresh = `${v} IS NOT NULL AND NOT list_contains(${known}, CAST(${v} AS VARCHAR))`;
      measurements.newCategories = await this.#breach(
        onBaseline.other,
        { name: 'values', condition: fresh, allowed: rule.newCategories },
        column,
      );
    }
  }

  /** A count, with the first offending records where there are more than the contract allows. */
  async #breach(count: number, check: RowCheck, column: SourceColumn): Promise<Breach> {
    const { condition, allowed } = check;
    if (count === 0 || allowed === undefined || count <= allowed * this.#rows) return { count, samples: [] };
    const shown = column.rule.pii === true ? undefined : column;
    return { count, samples: await this.#samples(this.#source.only(column), condition, shown) };
  }

  async #samples(from: string, condition: string, shown?: SourceColumn): Promise<Sample[]> {
    const value =
      shown === undefined
        ? 'NULL'
        : `left(CAST(${shown.invalid === undefined ? shown.value : `coalesce(CAST(${shown.value} AS VARCHAR), ${shown.invalid})`} AS VARCHAR), 80)`;
    const rows = await this.#engine.rows(
      `SELECT pos::DOUBLE AS pos, ${value} AS value FROM ${from} WHERE ${condition} ORDER BY pos LIMIT 5`,
    );
    return rows.map((row) => ({
      ...placeOf(Number(row.pos), this.#request.dataset),
      ...(typeof row.value === 'string' && { value: row.value }),
    }));
  }

  async #measureRules(): Promise<Measurements['rules']> {
    const result: Measurements['rules'] = {};
    for (const rule of this.#request.contract.value.rules) {
      const reads = this.#rules.get(rule.name) ?? [];
      const absent = reads.find((name) => !this.#source.columns.some((column) => column.name === name));
      if (absent !== undefined) {
        result[rule.name] = { error: `column ${absent} is missing` };
        continue;
      }
      const named = reads.map((name) => {
        const column = this.#source.columns.find((candidate) => candidate.name === name);
        return `${column?.value} AS ${identifier(name)}`;
      });
      // Longer than any column that the rule reads, so it is none of them.
      const place = identifier(`place of ${reads.join()}`);
      const from = `FROM (SELECT ${[...named, `pos AS ${place}`].join(', ')} FROM source) WHERE (${rule.sql}\n) IS NOT TRUE`;
      try {
        const [counts] = await this.#engine.columns(`SELECT count(*)::DOUBLE ${from}`);
        const count = Number(counts?.[0] ?? 0);
        const positions =
          count > rule.violations * this.#rows
            ? await this.#engine.columns(`SELECT ${place}::DOUBLE ${from} ORDER BY ${place} LIMIT 5`)
            : [];
        const samples = ((positions[0] ?? []) as number[]).map((pos) => placeOf(pos, this.#request.dataset));
        result[rule.name] = { count, samples };
      } catch (error) {
        const [message = ''] = messageOf(error).split('\n');
        const [, kind, detail = ''] =
          /^(Conversion|Out of Range|Invalid Input) Error: (.*)/.exec(message) ?? [];
        if (kind === undefined) throw error;
        // The detail quotes the value.
        const secret = reads.some((name) => this.#request.contract.value.columns[name]?.pii === true);
        result[rule.name] = { error: secret ? 'it fails on a value of this data' : detail.slice(0, 200) };
      }
    }
    return result;
  }

  /**
   * Rows that repeat an earlier one in the key, and in every column. Compared by a 64-bit hash: among ten million
   * rows the chance that two different ones are taken for equal is 3 in a million, for a third of the time and memory.
   */
  async #measureDuplicates(result: Measurements): Promise<void> {
    const { key, duplicateRows } = this.#request.contract.value;
    const { record } = this.#source;
    const parts =
      key?.columns.flatMap(
        (name) => this.#source.columns.find((column) => column.name === name)?.value ?? [],
      ) ?? [];
    let candidates = '';
    if (key !== undefined && parts.length === key.columns.length) {
      const repeats = await this.#findRepeats(
        'repeated_keys',
        `hash(${parts.join(', ')})`,
        '',
        key.duplicates,
      );
      result.key = repeats;
      // Rows that are equal in every column are equal in the key: only those need a second look.
      candidates = `WHERE hash(${parts.join(', ')}) IN (SELECT h FROM repeated_keys)`;
    }
    if (duplicateRows !== undefined && record.length > 0) {
      result.duplicateRows = await this.#findRepeats(
        'repeated_rows',
        `hash(${record.join(', ')})`,
        candidates,
        duplicateRows,
      );
    }
  }

  /** Counts rows whose `hash` occurred before, and leaves the repeated hashes in `table`. */
  async #findRepeats(table: string, hash: string, where: string, allowed: number): Promise<Breach> {
    await this.#engine.run(
      `CREATE TEMP TABLE ${table} AS SELECT ${hash} AS h, count(*) - 1 AS n FROM source ${where} GROUP BY h HAVING count(*) > 1`,
    );
    const [repeats] = await this.#engine.columns(`SELECT sum(n)::DOUBLE FROM ${table}`);
    const count = Number(repeats?.[0] ?? 0);
    if (count <= allowed * this.#rows) return { count, samples: [] };
    return { count, samples: await this.#samples('source', `${hash} IN (SELECT h FROM ${table})`) };
  }
}

/** SQL of a column's value on the number line: times in milliseconds; `undefined` for strings and booleans. */
function pointOf({ rule, value }: SourceColumn): string | undefined {
  if (rule.type === 'integer' || rule.type === 'number') return value;
  return rule.type === 'timestamp' || rule.type === 'date' ? `epoch_ms(${value})` : undefined;
}

function usableOf({ rule, value }: SourceColumn): string {
  return rule.type === 'number' ? `isfinite(${value})` : `${value} IS NOT NULL`;
}

/** A point on the number line as a person writes it. */
function showPoint(rule: ColumnRule, point: number): string {
  return rule.type === 'timestamp' || rule.type === 'date' ? formatTime(point) : String(point);
}

const DAY_MS = 86_400_000;

function rowChecks(column: SourceColumn): RowCheck[] {
  const { rule, value: v, invalid } = column;
  const missing = invalid === undefined ? `${v} IS NULL` : `${v} IS NULL AND ${invalid} IS NULL`;
  const checks: RowCheck[] = [
    { name: 'nulls', condition: missing, allowed: rule.required === true ? 0 : rule.nulls },
  ];
  if (invalid !== undefined)
    checks.push({ name: 'invalid', condition: `${invalid} IS NOT NULL`, allowed: rule.invalid ?? 0 });
  if (rule.type === 'string')
    checks.push({ name: 'empty', condition: `trim(${v}) = ''`, allowed: rule.empty });
  if (rule.type === 'number')
    checks.push({ name: 'nan', condition: `NOT isfinite(${v})`, allowed: rule.nan ?? 0 });
  if (rule.type === 'integer' || rule.type === 'number')
    checks.push({ name: 'zeros', condition: `${v} = 0`, allowed: rule.zeros });
  const point = pointOf(column);
  if (rule.range !== undefined && point !== undefined) {
    const [low, high] = rule.range.map((end, index) => {
      if (typeof end !== 'string') return end;
      // A day without a time means all of that day.
      const whole = index === 1 && rule.type === 'timestamp' && /^\d{4}-\d{2}-\d{2}$/.test(end);
      return Date.parse(end) + (whole ? DAY_MS - 1 : 0);
    });
    const outside = [
      ...(typeof low === 'number' ? [`${point} < ${number(low)}`] : []),
      ...(typeof high === 'number' ? [`${point} > ${number(high)}`] : []),
    ];
    if (outside.length > 0) {
      checks.push({
        name: 'range',
        condition: `${usableOf(column)} AND (${outside.join(' OR ')})`,
        allowed: rule.outOfRange ?? 0,
      });
    }
  }
  if (rule.values !== undefined) {
    const list = rule.values
      .map((value) =>
        typeof value === 'string' ? text(value) : typeof value === 'number' ? number(value) : String(value),
      )
      .join(', ');
    checks.push({ name: 'values', condition: `${v} NOT IN (${list})`, allowed: rule.otherValues ?? 0 });
  }
  if (rule.pattern !== undefined) {
    checks.push({
      name: 'pattern',
      condition: `NOT regexp_full_match(${v}, ${text(rule.pattern)})`,
      allowed: rule.mismatches ?? 0,
    });
  }
  if (rule.length !== undefined) {
    const [shortest, longest] = rule.length;
    checks.push({
      name: 'length',
      condition: `length(${v}) NOT BETWEEN ${shortest} AND ${longest}`,
      allowed: rule.outOfLength ?? 0,
    });
  }
  return checks;
}

function distributeNumbers(
  rule: ColumnRule,
  profile: ColumnProfile,
  measurements: ColumnMeasurements,
  counts: ValueCounts<number>,
  reference: NumericDistribution | undefined,
): void {
  profile.distinct = { value: counts.values.length, exact: true };
  const top = counts.counts.reduce(
    (best, count, index) => (count > (counts.counts[best] ?? 0) ? index : best),
    0,
  );
  const share = (counts.counts[top] ?? 0) / profile.count;
  if (rule.pii === true) {
    profile.dominant = { share };
    return;
  }
  profile.dominant = { share, value: showPoint(rule, counts.values[top] ?? 0) };
  Object.assign(profile, moments(counts));
  const numeric = rule.type === 'integer' || rule.type === 'number';
  profile.distribution = countOver(counts, chooseCells(counts, numeric), profile.nulls);
  if (reference !== undefined) measurements.onBaseline = countOver(counts, reference, profile.nulls);
}
