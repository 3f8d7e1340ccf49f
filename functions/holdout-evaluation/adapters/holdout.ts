import { rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Engine, text, UnreadableError } from '../../shared/engine/duckdb.ts';
import { withFiles } from '../../shared/engine/files.ts';
import type { EngineLimits, LocalFile } from '../../shared/engine/limits.ts';
import { GateInputError } from '../../shared/errors.ts';
import { formatBytes, formatNumber } from '../../shared/format.ts';
import type { Examples, PredictionProblem } from '../measurements.ts';
import type { LocatedModel } from '../schema.ts';
import { planHoldout, readLabels, slicingsOf, termsRead } from './holdout-labels.ts';
import { openSource, type SourceColumn } from './holdout-source.ts';
import { type Expected, readPredictions } from './predictions.ts';

/** What a transform job gets to see of a holdout. */
export interface Prepared {
  rows: number;
  /** Columns that the model gets, in its order. */
  features: string[];
  /** All columns of the holdout, in their order. */
  columns: string[];
  /** Of the file that was written. */
  bytes: number;
}

/** A holdout on the local disk, and what it is for. */
export interface HoldoutQuestion {
  file: LocalFile;
  model: LocatedModel;
  limits: EngineLimits;
  /** A directory; what is written there is removed again. */
  scratch: string;
}

/** The predictions of one or two models on a holdout, and which slices they are wanted by. */
export interface JoinQuestion extends HoldoutQuestion {
  /** Path of the candidate's predictions. */
  candidate: string;
  /** Path of the champion's. */
  champion?: string | undefined;
  /** Columns, or expressions, of the holdout. */
  slicings: readonly string[];
  /**
   * `joined`, the default: the output of a transform job of what {@link prepareHoldout} wrote. `any`: that, or a row
   * number and the prediction, or the predictions alone in the order of the holdout, with or without a header.
   */
  layout?: 'joined' | 'any';
}

/** Labels and predictions, joined. */
export interface Joined {
  /** Rows of the holdout. */
  rows: number;
  /** Absent where the candidate's predictions have problems; without `champion` where the champion's have. */
  examples?: Examples;
  problems: PredictionProblem[];
  championProblems: PredictionProblem[];
}

/**
 * Writes the input of a transform job: every row with its number and the model's features, nothing that tells the label.
 *
 * Labels, weights and slices are held against the configuration, too: its mistakes are found before a model runs.
 *
 * @param out path of the file to be written, on the disk of `scratch`
 * @throws ConfigError (a GateInputError) with the line of tocsin.yaml where that does not fit the holdout
 * @throws GateInputError where the holdout cannot be read or given to a model, or a bound is hit
 * @throws GateDependencyError where the engine or the disk fails
 */
export async function prepareHoldout(question: HoldoutQuestion & { out: string }): Promise<Prepared> {
  const { model, limits, out } = question;
  return withHoldout(question, async (engine, file) => {
    const source = await openSource(engine, file, limits);
    const plan = await planHoldout(engine, source.columns, model, slicingsOf(model));
    const json = model.value.transform.content === 'application/jsonlines';
    const read = termsRead(plan);
    // Only JSON tells numbers from texts.
    const typed = json ? [...new Set([...read, ...plan.features])] : read;
    const loaded = await source.load([...new Set([...read, ...plan.features])], typed);
    await readLabels(engine, model, plan, loaded);
    const features = plan.features.flatMap((name) => loaded.columns.get(name) ?? []);
    const written = join(engine.scratch, 'prepared');
    await (json ? writeJsonLines : writeCsv)(engine, features, written);
    await rename(written, out);
    const { size } = await stat(out);
    return { rows: loaded.rows, features: plan.features, columns: source.columns, bytes: size };
  });
}

/** Runs `work` with a holdout's file, decompressed; what cannot be read is the caller's to mend. */
async function withHoldout<T>(
  { file, limits, scratch }: HoldoutQuestion,
  work: (engine: Engine, file: LocalFile) => Promise<T>,
): Promise<T> {
  try {
    return await withFiles([file], { limits, scratch }, (engine, files) => work(engine, files[0] ?? file));
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    throw new GateInputError(`the holdout ${error.file} cannot be read: ${error.message}`, { cause: error });
  }
}

async function writeCsv(engine: Engine, features: readonly SourceColumn[], path: string): Promise<void> {
  for (const { name, type, cell, nested } of features) {
    const column = `column ${JSON.stringify(name)}`;
    if (type === 'nested' || type === 'binary') {
      throw unsuitable(
        `${column} holds ${type === 'nested' ? 'lists or objects' : 'bytes'}, which CSV cannot carry`,
      );
    }
    if (type !== 'text' && type !== 'other') continue;
    if (nested !== undefined)
      await refuseRow(engine, nested, `${column} is a list or an object, which CSV cannot carry`);
    // A batch transform splits its input at line ends, whether or not there are quotes around them.
    await refuseRow(
      engine,
      `regexp_matches(${cell}, '[\\n\\r\\x00]')`,
      `${column} has a line end or a NUL, which no record of CSV may have`,
    );
  }
  const [only] = features;
  if (features.length === 1 && only !== undefined) {
    await refuseRow(
      engine,
      `${only.cell} IS NULL`,
      'its only feature has no value: the record would be an empty line',
    );
  }
  const cells = ['n', ...features.map(({ cell }) => cell)].map((sql, at) => `${sql} AS f${at}`);
  await engine.run(
    `COPY (SELECT ${cells.join(', ')} FROM source) TO ${text(path)} (FORMAT csv, HEADER false, DELIMITER ',', QUOTE '"', ESCAPE '"', NULLSTR '')`,
  );
}

async function writeJsonLines(
  engine: Engine,
  features: readonly SourceColumn[],
  path: string,
): Promise<void> {
  for (const { name, type, value } of features) {
    const column = `column ${JSON.stringify(name)}`;
    if (type === 'binary') throw unsuitable(`${column} holds bytes, which JSON cannot carry`);
    if (type === 'float')
      await refuseRow(engine, `isinf(${value})`, `${column} is infinite, which JSON cannot say`);
  }
  const members = features.map(
    ({ name, json }, at) =>
      `${text(`${at === 0 ? '' : ','}${JSON.stringify(name)}:`)} || coalesce(${json}, 'null')`,
  );
  const record = [`'{"id":' || n || ',"features":{'`, ...members, `'}}'`].join(' || ');
  // JSON has neither quotes to be doubled here nor a control character that is not escaped.
  await engine.run(
    `COPY (SELECT ${record} AS record FROM source) TO ${text(path)} (FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '')`,
  );
}

/** @throws GateInputError with the first row for which a condition holds */
async function refuseRow(engine: Engine, condition: string, what: string): Promise<void> {
  const [found] = await engine.columns(`SELECT min(n)::DOUBLE FROM source WHERE ${condition}`);
  const row = found?.[0];
  if (row !== null && row !== undefined) throw unsuitable(`row ${row}: ${what}`);
}

function unsuitable(what: string): GateInputError {
  return new GateInputError(`the holdout cannot be given to the model: ${what}`, {
    help: 'Leave such columns out with holdout.features, correct the holdout, or use transform.content: application/jsonlines.',
  });
}

/** @throws GateInputError where predictions, and what is made of them to compute metrics, cannot be held in memory */
function refuseTooMany({ rows, width }: Expected, models: number, { memoryBytes }: EngineLimits): void {
  const bytes = 2 * models * rows * width * Float64Array.BYTES_PER_ELEMENT;
  if (bytes <= memoryBytes) return;
  throw new GateInputError(
    `predictions of ${formatNumber(rows)} rows and ${formatNumber(width)} classes take ${formatBytes(bytes)} of memory, at most ${formatBytes(memoryBytes)} are allowed`,
    { help: 'Take a smaller holdout, or allow more memory (engine.memory).' },
  );
}

/**
 * Joins predictions with the labels of their rows, and proves that each row has exactly one.
 *
 * Errors as of {@link prepareHoldout}; what is wrong with predictions is no error but a problem, unless their layout may
 * be any and is none.
 */
export async function joinPredictions(question: JoinQuestion): Promise<Joined> {
  const { model, limits, candidate, champion, slicings, layout = 'joined' } = question;
  const { task, classes = [], transform } = model.value;
  const { labels, features } = await withHoldout(question, async (engine, file) => {
    const source = await openSource(engine, file, limits);
    const plan = await planHoldout(engine, source.columns, model, slicings);
    const read = termsRead(plan);
    const loaded = await source.load(read, read);
    return { labels: await readLabels(engine, model, plan, loaded), features: plan.features.length };
  });
  const expected: Expected = {
    rows: labels.count,
    width: task === 'multiclass' ? classes.length : 1,
    classes: task === 'multiclass' ? classes : [],
    probabilities: task !== 'regression',
    content: transform.content,
    path: transform.prediction,
    features,
    layout,
  };
  refuseTooMany(expected, champion === undefined ? 1 : 2, limits);
  const ours = await readPredictions(candidate, expected);
  const theirs = champion === undefined ? undefined : await readPredictions(champion, expected);
  const joined: Joined = {
    rows: labels.count,
    problems: ours.problems,
    championProblems: theirs?.problems ?? [],
  };
  if (ours.problems.length > 0) return joined;
  const compared = theirs?.problems.length === 0 ? { champion: theirs.values } : {};
  return { ...joined, examples: { ...labels, task, classes, predictions: ours.values, ...compared } };
}
