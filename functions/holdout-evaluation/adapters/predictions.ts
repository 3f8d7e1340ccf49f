import { createReadStream } from 'node:fs';
import { GateInputError } from '../../shared/errors.ts';
import { clip } from '../../shared/format.ts';
import type { Sample } from '../../shared/verdict.ts';
import type { PredictionProblem } from '../measurements.ts';
import type { ModelConfig } from '../schema.ts';

/*
 * The predictions of a model, as a file has them: which row each is of, and whether it is one at all.
 */

/** What predictions are expected. */
export interface Expected {
  rows: number;
  /** Predictions of a row: one, or one for each class. */
  width: number;
  /** Multiclass: in the order of the predictions, unless a header names them in another. */
  classes: readonly string[];
  /** Whether they have to be probabilities. */
  probabilities: boolean;
  content: ModelConfig['transform']['content'];
  /** JSON Lines: where in an answer the prediction is; undefined: the answer itself. */
  path: string | undefined;
  /** Columns that stand, in a joined line of CSV, between the number of the row and its predictions. */
  features: number;
  /**
   * `joined`: each line is a record of the prepared holdout and its prediction. `any`: the first line tells whether it
   * is that; else lines begin with the number of the row, or are predictions alone in the order of the rows.
   */
  layout: 'joined' | 'any';
}

/** Predictions by row, and what is wrong with them. */
export interface Predictions {
  /** `rows` x `width`; NaN where there is none. */
  values: Float64Array;
  problems: PredictionProblem[];
}

/** How far single precision may round a probability over the edge; it is then taken for 0 or 1. */
const EDGE = 1e-6;

/** How far the probabilities of all classes may add up to something else than 1. */
const SUM = 1e-3;

/** What stands where a model has no prediction. Anything else that is no number was not meant as one. */
const NO_VALUE = /^[\s"?.-]*$|\b(nan|inf|infinity|null|none|n\/?a)\b/i;

/** The name of a column, as a header has it. */
const NAME = /^(?!(nan|inf|infinity|null|none|n\/?a|true|false)$)[a-z_][\w ./-]*$/i;

/** Bytes of one line. Longer ones are predictions of nobody. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;

/** A number as CSV has it; `nan`, `inf`, hexadecimal and the empty cell are none. */
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/**
 * Reads a file of predictions. Every row has to have exactly one; the order is free where the rows are numbered.
 *
 * @throws GateInputError where any layout will do, and no line has one, or a header names other classes
 * @throws Error of the file system
 */
export async function readPredictions(path: string, expected: Expected): Promise<Predictions> {
  const collector = new Collector(expected);
  const take =
    expected.content === 'text/csv' ? csvReader(expected, collector) : jsonReader(expected, collector);
  let rest: Buffer[] = [];
  let restBytes = 0;
  let line = 0;
  const end = (bytes: Buffer) => {
    line++;
    if (restBytes > MAX_LINE_BYTES) collector.unknown(line, 'a line without an end');
    else take(bytes, line);
    rest = [];
    restBytes = 0;
  };
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, from)) {
      const part = chunk.subarray(from, at);
      end(rest.length === 0 ? part : Buffer.concat([...rest, part]));
      from = at + 1;
    }
    restBytes += chunk.length - from;
    if (restBytes <= MAX_LINE_BYTES) rest.push(chunk.subarray(from));
  }
  if (restBytes > 0) end(Buffer.concat(rest));
  const { strange } = collector;
  if (expected.layout === 'any' && strange !== undefined && !NO_VALUE.test(strange.text)) {
    const got = `got ${JSON.stringify(clip(strange.text, 60))}, expected ${layoutOf(expected)}`;
    throw new GateInputError(`${path}, line ${strange.line}: ${got}; no other line has that either`, {
      help: 'Predictions are UTF-8 text, not compressed, one line for each row of the holdout; transform.content says in which notation, transform.prediction where in JSON.',
    });
  }
  return collector.done();
}

/** What a line has to be where any layout will do, in words. */
function layoutOf({ content, rows, width, path }: Expected): string {
  const prediction = width === 1 ? 'a number' : `${width} numbers`;
  if (content === 'text/csv') {
    return `${prediction}, alone or behind the number of the row (1 to ${rows}) and a comma`;
  }
  const at = path === undefined ? '' : ` at ${path}`;
  return `JSON with ${width === 1 ? '' : 'a list of '}${prediction}${at}, and with the number of the row (1 to ${rows}) if it has an id`;
}

/** How predictions are written. */
interface Notation<T> {
  /** NaN where it is no number. */
  parse(cell: T): number;
  show(cell: T): string;
}

/** Takes one line, without its end. */
type LineReader = (bytes: Buffer, line: number) => void;

// --- CSV ---------------------------------------------------------------------------------------------------

function csvReader(expected: Expected, collector: Collector): LineReader {
  const { width, features, layout } = expected;
  /** Cells before the predictions. */
  let before = layout === 'joined' ? 1 + features : undefined;
  /** For each prediction, its place among the last cells. */
  let order = Array.from({ length: width }, (_, at) => at);
  let row = 0;
  let commas = new Int32Array(1024);
  const cells = new Array<string>(width);
  return (bytes, line) => {
    const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
    if (end === 0) return;
    let count = 0;
    let quoted = false;
    for (let at = 0; at < end; at++) {
      const byte = bytes[at];
      if (byte === 0x22) quoted = !quoted;
      else if (byte === 0x2c && !quoted) {
        if (count === commas.length) {
          const longer = new Int32Array(2 * count);
          longer.set(commas);
          commas = longer;
        }
        commas[count++] = at;
      }
    }
    const cell = (index: number) =>
      unquoted(
        bytes.toString(
          'utf8',
          index === 0 ? 0 : commas[index - 1]! + 1,
          index === count ? end : commas[index],
        ),
      );
    const found = count + 1;
    if (before === undefined) {
      before = found <= width ? 0 : found - width;
      const names = Array.from({ length: width }, (_, at) => cell(before! + at));
      const named = orderOf(names, expected);
      if (named !== undefined) order = named;
      if (named !== undefined) return;
      if (names.every((name) => NAME.test(name))) {
        refuseOtherClasses(names, expected);
        return;
      }
    }
    const id = before === 0 ? String(++row) : cell(0);
    if (found !== before + width) {
      const text =
        found <= before
          ? 'no prediction'
          : bytes.toString('utf8', before === 0 ? 0 : commas[before - 1]! + 1, end);
      collector.malformed(id, line, text);
      return;
    }
    for (let at = 0; at < width; at++) cells[at] = cell(before + order[at]!);
    collector.take(id, line, cells, CELLS);
  };
}

/** Where a header has the prediction of each class; undefined where it does not name the classes. */
function orderOf(names: readonly string[], { classes }: Expected): number[] | undefined {
  const places = classes.map((name) => names.indexOf(name));
  if (places.length === 0 || places.includes(-1)) return undefined;
  // `0,1` may be a header or an answer. Taken for an answer, a header is one too many, which is found out.
  const sum = names.reduce((total, name) => total + CELLS.parse(name), 0);
  return Math.abs(sum - 1) <= SUM ? undefined : places;
}

/** @throws GateInputError where a header names some of the classes, and something else instead of the others */
function refuseOtherClasses(names: readonly string[], { classes }: Expected): void {
  if (!names.some((name) => classes.includes(name))) return;
  const shown = (list: readonly string[]) => clip(list.map((name) => JSON.stringify(name)).join(', '), 200);
  throw new GateInputError(`the header of the predictions has ${shown(names)}, expected ${shown(classes)}`);
}

function unquoted(cell: string): string {
  const text = cell.trim();
  return text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1).trim() : text;
}

const CELLS: Notation<string> = {
  parse: (cell) => (NUMBER.test(cell) ? Number(cell) : Number.NaN),
  show: (cell) => cell,
};

// --- JSON Lines --------------------------------------------------------------------------------------------

function jsonReader({ width, path, layout }: Expected, collector: Collector): LineReader {
  const steps = path?.split('.') ?? [];
  let row = 0;
  /** A line without a number of its own is, where that is allowed, of the next row. */
  const rowOf = (id: string | undefined) => id ?? (layout === 'any' ? String(++row) : '');
  return (bytes, line) => {
    const text = bytes.toString('utf8').trim();
    if (text === '') return;
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch {
      // NaN and Infinity are no JSON, although some write them.
      const id = /"id"\s*:\s*(\d+)/.exec(text)?.[1];
      collector.malformed(rowOf(id), line, `no JSON: ${text.slice(-50)}`);
      return;
    }
    const id = isObject(record) && Object.hasOwn(record, 'id') ? JSON.stringify(record.id) : undefined;
    const found = predictionIn(record, steps, layout);
    const values = listOf(found, width);
    if (values !== undefined) collector.take(rowOf(id), line, values, JSON_VALUES);
    else collector.malformed(rowOf(id), line, JSON.stringify(found) ?? 'no prediction');
  };
}

/** What a record says its prediction is: in `SageMakerOutput` where it is joined, else in itself. */
function predictionIn(record: unknown, steps: readonly string[], layout: Expected['layout']): unknown {
  const joined = layout === 'joined' || (isObject(record) && Object.hasOwn(record, 'SageMakerOutput'));
  const named = !joined && isObject(record) && steps.length === 0 ? ['prediction'] : steps;
  return (joined ? ['SageMakerOutput', ...steps] : named).reduce<unknown>(
    (value, key) => (isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined),
    record,
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The predictions of a row; a list of one is often put around them. */
function listOf(found: unknown, width: number): unknown[] | undefined {
  let value = found;
  while (Array.isArray(value) && value.length === 1 && (width === 1 || Array.isArray(value[0])))
    value = value[0];
  if (width === 1)
    return value === undefined || Array.isArray(value) || isObject(value) ? undefined : [value];
  return Array.isArray(value) && value.length === width ? value : undefined;
}

const JSON_VALUES: Notation<unknown> = {
  parse: (value) => (typeof value === 'number' ? value : Number.NaN),
  show: (value) => JSON.stringify(value),
};

// --- What was found ----------------------------------------------------------------------------------------

const KINDS = ['missing', 'unknown', 'repeated', 'not-a-number', 'not-a-probability'] as const;
type Kind = (typeof KINDS)[number];

/** Puts predictions where they belong, and counts what is wrong with them. */
class Collector {
  readonly #expected: Expected;
  readonly #values: Float64Array;
  readonly #seen: Uint8Array;
  readonly #problems = new Map<Kind, PredictionProblem>();
  #numbers = 0;
  #strange: { line: number; text: string } | undefined;

  constructor(expected: Expected) {
    this.#expected = expected;
    this.#values = new Float64Array(expected.rows * expected.width).fill(Number.NaN);
    this.#seen = new Uint8Array(expected.rows);
  }

  /** The first line, where not one has numbers for a row. */
  get strange(): { line: number; text: string } | undefined {
    return this.#numbers === 0 ? this.#strange : undefined;
  }

  /** A prediction of the row that `id` names. */
  take<T>(id: string, line: number, cells: readonly T[], { parse, show }: Notation<T>): void {
    const row = this.#claim(id, line);
    if (row === undefined) return;
    const { width, probabilities } = this.#expected;
    const at = (row - 1) * width;
    let sum = 0;
    let valid = true;
    for (let index = 0; index < width; index++) {
      let value = parse(cells[index] as T);
      if (!Number.isFinite(value)) {
        this.#values.fill(Number.NaN, at, at + width);
        this.#notANumber(row, line, cells.map(show).join(', '));
        return;
      }
      if (probabilities && (value < 0 || value > 1)) {
        if (value < -EDGE || value > 1 + EDGE) valid = false;
        else value = value < 0 ? 0 : 1;
      }
      this.#values[at + index] = value;
      sum += value;
    }
    this.#numbers++;
    if (probabilities && (!valid || (width > 1 && Math.abs(sum - 1) > SUM))) {
      this.#add('not-a-probability', { row, value: clip(cells.map(show).join(', '), 60) });
    }
  }

  /** Something for a row that is no prediction. */
  malformed(id: string, line: number, text: string): void {
    const row = this.#claim(id, line);
    if (row !== undefined) this.#notANumber(row, line, text);
  }

  #notANumber(row: number, line: number, text: string): void {
    this.#strange ??= { line, text };
    this.#add('not-a-number', { row, value: clip(text, 60) });
  }

  /** A line for no row. */
  unknown(line: number, text: string): void {
    this.#strange ??= { line, text };
    this.#add('unknown', { row: line, value: clip(text, 60) });
  }

  /** The row of an id; undefined where there is none, or it had its prediction. */
  #claim(id: string, line: number): number | undefined {
    const row = /^\d{1,15}$/.test(id) ? Number(id) : 0;
    if (row < 1 || row > this.#expected.rows) {
      this.unknown(line, id === '' ? 'no row number' : id);
      return undefined;
    }
    if (this.#seen[row - 1] === 1) {
      this.#add('repeated', { row });
      return undefined;
    }
    this.#seen[row - 1] = 1;
    return row;
  }

  #add(kind: Kind, sample: Sample): void {
    const problem = this.#problems.get(kind) ?? { kind, count: 0, samples: [] };
    problem.count++;
    if (problem.samples.length < MAX_SAMPLES) problem.samples.push(sample);
    this.#problems.set(kind, problem);
  }

  done(): Predictions {
    for (let at = this.#seen.indexOf(0); at >= 0; at = this.#seen.indexOf(0, at + 1)) {
      this.#add('missing', { row: at + 1 });
    }
    return { values: this.#values, problems: KINDS.flatMap((kind) => this.#problems.get(kind) ?? []) };
  }
}

const MAX_SAMPLES = 5;
