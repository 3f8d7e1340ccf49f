/** A JSON value; of CSV, a row is an array of its cells as they stand in the file. */
type Json = unknown;

/** One step into a value. */
type Step =
  /** One name: the value there. Several: an object of just these. */
  | { kind: 'names'; names: readonly string[] }
  /** One index: the value there. Several, or a range: an array. Negative ones count from the end. */
  | { kind: 'items'; parts: readonly (number | { from: number; to: number | undefined })[] }
  /** All values of an object or an array, as an array. */
  | { kind: 'all' };

/** What `InputFilter` and `OutputFilter` select; made by {@link parseFilter}. */
export interface Filter {
  readonly text: string;
  readonly steps: readonly Step[];
}

/** A record that a filter does not fit, or that is not in the format that was announced. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}

/** One step, at the start of what is left of an expression. */
const STEPS: readonly [RegExp, (text: string) => Step][] = [
  [/^\.([\p{L}_][\p{L}\p{N}_-]*)/u, (name) => ({ kind: 'names', names: [name] })],
  [/^\.?\[\s*('[^']+'(?:\s*,\s*'[^']+')*)\s*\]/, (list) => ({ kind: 'names', names: namesOf(list) })],
  [
    /^\[\s*((?:-?\d+|-?\d*\s*:\s*-?\d*)(?:\s*,\s*(?:-?\d+|-?\d*\s*:\s*-?\d*))*)\s*\]/,
    (list) => ({ kind: 'items', parts: list.split(',').map(partOf) }),
  ],
  [/^(?:\.\*|\[\*\])/, () => ({ kind: 'all' })],
];

/**
 * Parses the part of JSONPath that SageMaker documents: `$`, `.name`, `*`, `['name','name']`, `[0,-1]`, `[1:3]`.
 *
 * @returns undefined where the text is anything else
 */
export function parseFilter(text: string): Filter | undefined {
  if (!text.startsWith('$')) return undefined;
  const steps: Step[] = [];
  for (let rest = text.slice(1); rest !== ''; ) {
    const found = STEPS.flatMap(([pattern, make]) => {
      const match = pattern.exec(rest);
      return match === null ? [] : [{ length: match[0].length, step: make(match[1] ?? '') }];
    })[0];
    if (found === undefined) return undefined;
    steps.push(found.step);
    rest = rest.slice(found.length);
  }
  return { text, steps };
}

/** Whether a filter lets everything through. */
export function isWhole(filter: Filter | undefined): boolean {
  return filter === undefined || filter.steps.length === 0;
}

/** @throws RecordError where the value has no such name or index */
export function select(filter: Filter, value: Json): Json {
  return filter.steps.reduce((inner: Json, step) => take(filter, step, inner), value);
}

function take(filter: Filter, step: Step, value: Json): Json {
  if (typeof value !== 'object' || value === null) {
    throw new RecordError(`${filter.text} looks into ${JSON.stringify(value)}`);
  }
  if (step.kind === 'all') return Object.values(value);
  if (step.kind === 'names') {
    const entries = step.names.map((name): [string, Json] => {
      if (Array.isArray(value) || !Object.hasOwn(value, name)) {
        throw new RecordError(`${filter.text} needs "${name}", which a record has not`);
      }
      return [name, (value as Record<string, Json>)[name]];
    });
    return entries.length === 1 ? entries[0]?.[1] : Object.fromEntries(entries);
  }
  if (!Array.isArray(value))
    throw new RecordError(`${filter.text} needs an array, and a record is an object`);
  const items = step.parts.flatMap((part) => {
    if (typeof part !== 'number') return value.slice(part.from, part.to);
    const index = part < 0 ? value.length + part : part;
    if (index < 0 || index >= value.length) {
      throw new RecordError(`${filter.text} needs index ${part}, and a record has ${value.length} values`);
    }
    return [value[index]];
  });
  return step.parts.length === 1 && typeof step.parts[0] === 'number' ? items[0] : items;
}

/** Formats that records can be filtered and joined in. */
export type Format = 'csv' | 'json';

/** The format of a content type; undefined where it is none that can be filtered. */
export function formatOf(contentType: string | undefined): Format | undefined {
  const [type = ''] = (contentType ?? '').split(';');
  return FORMATS.get(type.trim().toLowerCase());
}

const FORMATS: ReadonlyMap<string, Format> = new Map([
  ['text/csv', 'csv'],
  ['application/json', 'json'],
  ['application/jsonlines', 'json'],
]);

/**
 * What the container gets of a record.
 *
 * @throws RecordError
 */
export function filterRecord(filter: Filter, format: Format, record: string): string {
  return write(format, select(filter, read(format, record)));
}

/**
 * The line of the output for a record and its prediction.
 *
 * A CSV row gets the prediction's columns at its end. A JSON object gets `SageMakerOutput`; of any other JSON value
 * there is an object of `SageMakerInput` and `SageMakerOutput`.
 *
 * @param record undefined where input and output are not joined
 * @throws RecordError
 */
export function outputRecord(
  format: Format,
  record: string | undefined,
  prediction: string,
  filter: Filter | undefined,
): string {
  const predicted = read(format, prediction);
  const joined = record === undefined ? predicted : join(read(format, record), predicted, format);
  return write(format, filter === undefined ? joined : select(filter, joined));
}

function join(record: Json, prediction: Json, format: Format): Json {
  if (format === 'csv') return [...(record as string[]), ...(prediction as string[])];
  return typeof record === 'object' && record !== null && !Array.isArray(record)
    ? { ...record, SageMakerOutput: prediction }
    : { SageMakerInput: record, SageMakerOutput: prediction };
}

function read(format: Format, text: string): Json {
  if (format === 'csv') return cellsOf(text);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RecordError('a record is not JSON', { cause });
  }
}

function write(format: Format, value: Json): string {
  if (format === 'json') return JSON.stringify(value);
  const cells = Array.isArray(value) ? value : [value];
  // An empty line would be no record, and what follows would belong to the record before.
  if (cells.length === 0) throw new RecordError('nothing is left of a record');
  return cells.join(',');
}

/** The cells of a CSV row, each as it stands there, with its quotes. */
function cellsOf(row: string): string[] {
  const cells: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < row.length; at++) {
    const letter = row[at];
    // A doubled quote closes and opens again.
    if (letter === '"') quoted = !quoted;
    else if (letter === ',' && !quoted) {
      cells.push(row.slice(start, at));
      start = at + 1;
    }
  }
  if (quoted) throw new RecordError('a quote of a record does not end');
  return [...cells, row.slice(start)];
}

function namesOf(list: string): string[] {
  return [...list.matchAll(/'([^']+)'/g)].map(([, name = '']) => name);
}

function partOf(text: string): number | { from: number; to: number | undefined } {
  const [from = '', to] = text.split(':').map((side) => side.trim());
  if (to === undefined) return Number(from);
  return { from: Number(from), to: to === '' ? undefined : Number(to) };
}
