import type { JS } from '@duckdb/node-api';
import { type Engine, firstSentence, identifier, isOfTheEngine, text } from '../../shared/engine/duckdb.ts';
import { readsOf } from '../../shared/engine/expression.ts';
import { messageOf } from '../../shared/errors.ts';
import { clip, formatNumber } from '../../shared/format.ts';
import { ConfigError, type ConfigIssue, didYouMean } from '../../shared/schema.ts';
import { type Examples, MAX_SLICES, type Slicing } from '../measurements.ts';
import type { LocatedModel } from '../schema.ts';
import type { Loaded } from './holdout-source.ts';

/*
 * What a model's configuration says of its holdout, held against the holdout that there is: which columns the model
 * gets, what the labels are, how the rows are weighted and divided.
 */

/** A column, or an expression over the columns of a row. */
interface Term {
  /** As the configuration has it. */
  by: string;
  /** Of the configuration, for messages. */
  path: PropertyKey[];
  sql: string;
  /** Columns that it reads. */
  reads: string[];
}

/** Which columns play which part. */
export interface Plan {
  /** What the model gets, in its order. */
  features: string[];
  label: Term;
  weight: Term | undefined;
  slicings: Term[];
}

type Complain = (path: PropertyKey[], message: string) => void;

/** A mistake with its place in the configuration. */
function issueOf(model: LocatedModel, path: PropertyKey[], message: string): ConfigIssue {
  return { ...model.locate(path), path: path.join('.'), message };
}

function mistake(model: LocatedModel, path: PropertyKey[], message: string): ConfigError {
  return new ConfigError([issueOf(model, path, message)]);
}

/** Every column or expression that the requirements divide the examples by, each once. */
export function slicingsOf({ value }: LocatedModel): string[] {
  return [...new Set(value.require.flatMap(({ slices = [] }) => slices))];
}

/**
 * Finds every column that the configuration names.
 *
 * @throws ConfigError with every name that is not there, and every expression that is none
 */
export async function planHoldout(
  engine: Engine,
  columns: string[],
  model: LocatedModel,
  slicings: readonly string[],
): Promise<Plan> {
  const { holdout, require } = model.value;
  const issues: ConfigIssue[] = [];
  const complain: Complain = (path, message) => issues.push(issueOf(model, path, message));

  const term = async (by: string, path: PropertyKey[]): Promise<Term> => {
    if (columns.includes(by)) return { by, path, sql: identifier(by), reads: [by] };
    let reads: string[] = [];
    try {
      reads = await readsOf(engine, by, columns, 'the holdout');
      const twin = reads.find((name) => columns.some((other) => other !== name && sameToSql(other, name)));
      if (twin !== undefined)
        complain(path, `SQL cannot tell the column "${twin}" from another of the holdout`);
    } catch (error) {
      if (isOfTheEngine(messageOf(error))) throw error;
      complain(path, `"${by}" is no column of the holdout, and as an expression: ${messageOf(error)}`);
    }
    return { by, path, sql: `(${by}\n)`, reads };
  };
  const known = (name: string, path: PropertyKey[]) => {
    if (!columns.includes(name)) {
      complain(path, `no column "${name}" in the holdout${didYouMean(name, columns)}`);
    }
  };

  const label = await term(holdout.label, ['holdout', 'label']);
  const weight =
    holdout.weight === undefined
      ? undefined
      : { ...plain(holdout.weight), path: ['holdout', 'weight'] as PropertyKey[] };
  if (weight !== undefined) known(weight.by, weight.path);
  const terms: Term[] = [];
  for (const by of slicings) {
    const index = require.findIndex(({ slices }) => slices?.includes(by));
    const path =
      index < 0 ? ['require'] : ['require', index, 'slices', require[index]?.slices?.indexOf(by) ?? 0];
    terms.push(await term(by, path));
  }

  const secret = [...label.reads, ...(weight?.reads ?? [])];
  for (const [index, name] of holdout.features?.entries() ?? []) {
    const path = ['holdout', 'features', index];
    known(name, path);
    if (secret.includes(name)) complain(path, `the model must not see "${name}": the label is made of it`);
  }
  const features = holdout.features ?? columns.filter((name) => !secret.includes(name));
  if (features.length === 0) complain(['holdout'], 'nothing but the label and the weight is in the holdout');
  if (issues.length > 0) throw new ConfigError(issues);
  return { features, label, weight, slicings: terms };
}

function plain(name: string): Pick<Term, 'by' | 'sql' | 'reads'> {
  return { by: name, sql: identifier(name), reads: [name] };
}

/** Names of columns are the same to SQL in upper and lower case. */
function sameToSql(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** Columns that labels, weights and slices are made of. */
export function termsRead({ label, weight, slicings }: Plan): string[] {
  const terms = [label, ...(weight === undefined ? [] : [weight]), ...slicings];
  return [...new Set(terms.flatMap(({ reads }) => reads))];
}

/** What is known of the rows of a holdout without a model. */
export type Labels = Pick<Examples, 'count' | 'labels' | 'weights' | 'slicings'>;

/**
 * Reads labels, weights and slices, row by row, and holds them against what the configuration says of them.
 *
 * @param loaded with all of {@link termsRead}
 * @throws ConfigError where they do not fit
 */
export async function readLabels(
  engine: Engine,
  model: LocatedModel,
  plan: Plan,
  loaded: Loaded,
): Promise<Labels> {
  const reader = new TermReader(engine, model, loaded);
  const labels = await labelsOf(reader, plan.label);
  const weights = plan.weight === undefined ? undefined : await weightsOf(reader, plan.weight);
  const slicings: Slicing[] = [];
  for (const term of plan.slicings) slicings.push(await slicingOf(reader, term, slicings.length));
  return { count: loaded.rows, labels, slicings, ...(weights && { weights }) };
}

/** Asks for terms, and complains of them with their place in the configuration. */
class TermReader {
  readonly engine: Engine;
  readonly model: LocatedModel;
  readonly rows: number;
  readonly #columns: Loaded['columns'];

  constructor(engine: Engine, model: LocatedModel, { rows, columns }: Loaded) {
    this.engine = engine;
    this.model = model;
    this.rows = rows;
    this.#columns = columns;
  }

  /** SQL of a relation: `x`, the value of a term, and `n`, its row, in the order of the holdout. */
  valuesOf({ sql, reads }: Term): string {
    // A relation of the columns that it reads alone: of others a name may be the same but for its case.
    const names = reads.map((name) => name.toLowerCase());
    let row = 'n';
    while (names.includes(row)) row += '_';
    const fields = reads.flatMap((name) => {
      const column = this.#columns.get(name);
      return column === undefined ? [] : [`${column.value} AS ${identifier(name)}`];
    });
    return `(SELECT ${sql} AS x, ${row} AS n FROM (SELECT ${[...fields, `n AS ${row}`].join(', ')} FROM source))`;
  }

  /** The results of a query over a term, by column. */
  async ask(term: Term, sql: string): Promise<JS[][]> {
    try {
      return await this.engine.columns(sql);
    } catch (error) {
      if (isOfTheEngine(messageOf(error))) throw error;
      throw this.mistake(term, `${term.by}: ${firstSentence(messageOf(error))}`);
    }
  }

  async typeOf(term: Term): Promise<string> {
    const [, types] = await this.ask(term, `DESCRIBE SELECT x FROM ${this.valuesOf(term)}`);
    return String(types?.[0]);
  }

  /** @throws ConfigError where a condition on `x` holds for some row */
  async refuse(term: Term, condition: string, what: string): Promise<void> {
    const [counts] = await this.ask(
      term,
      `SELECT count(*)::DOUBLE FROM ${this.valuesOf(term)} WHERE ${condition}`,
    );
    const count = Number(counts?.[0]);
    if (count === 0) return;
    const [rows = []] = await this.ask(
      term,
      `SELECT n::DOUBLE FROM ${this.valuesOf(term)} WHERE ${condition} ORDER BY n LIMIT 5`,
    );
    const more = count > rows.length ? ', ...' : '';
    throw this.mistake(
      term,
      `${term.by} ${what} in ${formatNumber(count)} of ${formatNumber(this.rows)} rows (row ${rows.join(', ')}${more})`,
    );
  }

  mistake(term: Term, message: string): ConfigError {
    return mistake(this.model, term.path, message);
  }
}

const INTEGERS = /^U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?$/;
const FLOATS = /^(FLOAT|DOUBLE)$/;

function isNumeric(type: string): boolean {
  return INTEGERS.test(type) || FLOATS.test(type) || type.startsWith('DECIMAL');
}

async function labelsOf(reader: TermReader, term: Term): Promise<Labels['labels']> {
  const { model } = reader;
  const type = await reader.typeOf(term);
  await reader.refuse(term, FLOATS.test(type) ? 'x IS NULL OR isnan(x)' : 'x IS NULL', 'has no value');
  if (model.value.task === 'regression') {
    if (!isNumeric(type)) throw reader.mistake(term, `${term.by} is ${type.toLowerCase()}, expected numbers`);
    await reader.refuse(term, 'NOT isfinite(x::DOUBLE)', 'is infinite');
    const [values = []] = await reader.ask(term, `SELECT x::DOUBLE FROM ${reader.valuesOf(term)}`);
    return Float64Array.from(values as number[]);
  }
  // Whole numbers are named without a fraction, however they are stored: class 1, not 1.0.
  const key = /^(FLOAT|DOUBLE|DECIMAL)/.test(type)
    ? 'CASE WHEN x = floor(x) AND abs(x) < 1e15 THEN CAST(CAST(x AS BIGINT) AS VARCHAR) ELSE CAST(x AS VARCHAR) END'
    : 'CAST(x AS VARCHAR)';
  const [keys = []] = (await reader.ask(
    term,
    `SELECT ${key} AS key FROM ${reader.valuesOf(term)} GROUP BY key ORDER BY count(*) DESC, key LIMIT ${MAX_CLASSES}`,
  )) as [string[]];
  if (model.value.task === 'binary') {
    const positive = positiveOf(reader, term, type, keys);
    const [values = []] = await reader.ask(
      term,
      `SELECT (${key} = ${text(positive)})::INTEGER FROM ${reader.valuesOf(term)}`,
    );
    return Uint8Array.from(values as number[]);
  }
  const classes = model.value.classes ?? [];
  const strange = keys.filter((found) => !classes.includes(found));
  if (strange.length > 0) {
    throw reader.mistake(
      term,
      `${term.by} has ${shown(strange)}, which classes does not list: ${shown(classes)}`,
    );
  }
  await reader.engine.run(`CREATE TYPE classes AS ENUM (SELECT unnest([${classes.map(text).join(', ')}]))`);
  const [values = []] = await reader.ask(
    term,
    `SELECT enum_code(CAST(${key} AS classes))::INTEGER FROM ${reader.valuesOf(term)}`,
  );
  return Int32Array.from(values as number[]);
}

/** Values of a label that are looked at: one more than a model may have classes. */
const MAX_CLASSES = 1001;

/** The label that counts as positive, as text. */
function positiveOf(reader: TermReader, term: Term, type: string, keys: readonly string[]): string {
  const { positive } = reader.model.value.holdout;
  if (keys.length > 2) {
    throw reader.mistake(term, `${term.by} has the values ${shown(keys)}, expected two of a binary model`);
  }
  if (positive === undefined) {
    if (type === 'BOOLEAN') return 'true';
    if (isNumeric(type) && keys.every((key) => key === '0' || key === '1')) return '1';
    throw reader.mistake(
      term,
      `${term.by} has ${shown(keys)}, expected true and false, or 1 and 0: holdout.positive says which of them counts as positive`,
    );
  }
  const numeric = isNumeric(type) && typeof positive !== 'boolean' && positive !== '';
  const wanted = numeric ? String(Number(positive)) : String(positive);
  // With one value only, the other one just does not occur; but it has to be one that could.
  const possible = type === 'BOOLEAN' ? /^(true|false)$/ : isNumeric(type) ? /^-?\d/ : /^/;
  if (!keys.includes(wanted) && (keys.length === 2 || !possible.test(wanted))) {
    throw mistake(
      reader.model,
      ['holdout', 'positive'],
      `${term.by} has ${shown(keys)}, and ${JSON.stringify(positive)} is none of them${didYouMean(wanted, keys)}`,
    );
  }
  return wanted;
}

/** A few values as they may stand in a message. */
function shown(values: readonly string[]): string {
  const few = values.slice(0, 5).map((value) => JSON.stringify(clip(value, 40)));
  return `${few.join(', ')}${values.length > 5 ? ', ...' : ''}`;
}

/** Beyond these, products of sums of weights would overflow, or vanish. */
const [MIN_WEIGHT, MAX_WEIGHT] = ['1e-50', '1e50'];

const NO_WEIGHT = `is not a positive weight, ${MIN_WEIGHT} to ${MAX_WEIGHT},`;

async function weightsOf(reader: TermReader, term: Term): Promise<Float64Array> {
  const type = await reader.typeOf(term);
  if (!isNumeric(type)) throw reader.mistake(term, `${term.by} is ${type.toLowerCase()}, expected numbers`);
  await reader.refuse(term, 'x IS NULL', 'has no value');
  await reader.refuse(term, `NOT x::DOUBLE BETWEEN ${MIN_WEIGHT} AND ${MAX_WEIGHT}`, NO_WEIGHT);
  const [values = []] = await reader.ask(term, `SELECT x::DOUBLE FROM ${reader.valuesOf(term)}`);
  return Float64Array.from(values as number[]);
}

async function slicingOf(reader: TermReader, term: Term, index: number): Promise<Slicing> {
  const from = `(SELECT coalesce(CAST(x AS VARCHAR), 'null') AS slice FROM ${reader.valuesOf(term)})`;
  const [values = []] = (await reader.ask(
    term,
    `SELECT DISTINCT slice FROM ${from} ORDER BY slice LIMIT ${MAX_SLICES + 1}`,
  )) as [string[]];
  if (values.length > MAX_SLICES) {
    throw reader.mistake(
      term,
      `${term.by} divides the holdout into more than ${formatNumber(MAX_SLICES)} slices`,
    );
  }
  await reader.engine.run(
    `CREATE TYPE slices${index} AS ENUM (SELECT DISTINCT slice FROM ${from} ORDER BY slice)`,
  );
  const [of = []] = await reader.ask(
    term,
    `SELECT enum_code(CAST(slice AS slices${index}))::INTEGER FROM ${from}`,
  );
  return { by: term.by, values, of: Int32Array.from(of as number[]) };
}
