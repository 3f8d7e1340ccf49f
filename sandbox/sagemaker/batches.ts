import {
  type Format,
  filterRecord,
  formatOf,
  isWhole,
  outputRecord,
  parseFilter,
  RecordError,
} from './filters.ts';
import type { TransformDefinition } from './transform-definition.ts';

const MEGABYTE = 1024 * 1024;

/** The most requests at once here: one process answers them all. */
const MOST_AT_ONCE = 16;

/** Some records that go to the container together. */
export interface Batch {
  /** As they stand in the input. */
  records: Buffer;
  /** As the container gets them. */
  payload: Buffer;
}

/** Ends a record. */
export const NEWLINE = 0x0a;

/**
 * Splits an object into what goes to the container at once.
 *
 * @throws RecordError for a record that is too large, or does not fit the input filter
 */
export function* batchesOf(input: Buffer, definition: TransformDefinition): Generator<Batch> {
  const { MaxPayloadInMB = 6, BatchStrategy = 'MultiRecord', TransformInput } = definition;
  const most = MaxPayloadInMB === 0 ? Infinity : MaxPayloadInMB * MEGABYTE;
  const filtered = inputFilterOf(definition);
  const isOne = TransformInput.SplitType === 'None';
  const pieces = isOne ? (input.length === 0 ? [] : [input]) : linesOf(input);
  let start = 0;
  let end = 0;
  let payload: Buffer[] = [];
  let size = 0;
  const batch = (): Batch => ({ records: input.subarray(start, end), payload: Buffer.concat(payload) });
  for (const piece of pieces) {
    const record = filtered === undefined ? piece : filtered(piece);
    if (record.length > most) throw new RecordError('Too much data for max payload size');
    if (payload.length > 0 && (BatchStrategy === 'SingleRecord' || size + record.length > most)) {
      yield batch();
      start = end;
      payload = [];
      size = 0;
    }
    payload.push(record);
    size += record.length;
    end += piece.length;
  }
  if (payload.length > 0) yield batch();
}

/** The lines of an object, each with its newline; the last may have none. */
function* linesOf(input: Buffer): Generator<Buffer> {
  for (let start = 0; start < input.length; ) {
    const newline = input.indexOf(NEWLINE, start);
    const end = newline === -1 ? input.length : newline + 1;
    yield input.subarray(start, end);
    start = end;
  }
}

/** Makes what the container gets of a piece; undefined where that is the piece. */
function inputFilterOf(definition: TransformDefinition): ((piece: Buffer) => Buffer) | undefined {
  const { TransformInput, DataProcessing } = definition;
  const parsed = parseFilter(DataProcessing?.InputFilter ?? '$');
  const format = formatOf(TransformInput.ContentType);
  if (parsed === undefined || isWhole(parsed) || format === undefined) return undefined;
  return (piece) => {
    const rows = rowsOf(piece, isOneValue(definition)).map((row) => filterRecord(parsed, format, row));
    return Buffer.from(`${rows.join('\n')}${piece.at(-1) === NEWLINE ? '\n' : ''}`);
  };
}

/**
 * What becomes of the container's answer to some records: joined with them, and filtered.
 *
 * Without joining and filtering it stays as it is: nobody counts the predictions.
 *
 * @throws RecordError
 */
export function processed(records: Buffer, answer: Buffer, definition: TransformDefinition): Buffer {
  const { DataProcessing, TransformOutput } = definition;
  const joins = DataProcessing?.JoinSource === 'Input';
  const parsed = parseFilter(DataProcessing?.OutputFilter ?? '$');
  const format: Format | undefined = formatOf(TransformOutput.Accept);
  if ((!joins && isWhole(parsed)) || format === undefined) return answer;
  const isOne = isOneValue(definition);
  const originals = joins ? rowsOf(records, isOne) : undefined;
  // The JSON of a single prediction may be spread over lines.
  const predictions = rowsOf(answer, isOne || (format === 'json' && originals?.length === 1));
  if (originals !== undefined && originals.length !== predictions.length) {
    throw new RecordError(
      `The container gave ${predictions.length} predictions for ${originals.length} records: they cannot be joined.`,
    );
  }
  const rows = predictions.map((prediction, index) =>
    outputRecord(format, originals?.[index], prediction, parsed),
  );
  return Buffer.from(rows.join('\n'));
}

/** Whether an object is one JSON value, and not one a line. */
function isOneValue({ TransformInput }: TransformDefinition): boolean {
  const [type = ''] = (TransformInput.ContentType ?? '').split(';');
  return TransformInput.SplitType === 'None' && type.trim().toLowerCase() === 'application/json';
}

/** @throws RecordError where the bytes are no text */
function rowsOf(bytes: Buffer, isOne: boolean): string[] {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new RecordError('a record is not UTF-8', { cause });
  }
  if (isOne) return [text];
  const rows = text.split(/\r?\n/);
  if (rows.at(-1) === '') rows.pop();
  return rows;
}

/** Maps items, at most so many at once, and keeps their order. After a failure no further one is begun. */
export async function inOrder<T, R>(
  items: Iterable<T>,
  atOnce: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const iterator = items[Symbol.iterator]();
  let next = 0;
  let failed = false;
  const work = async () => {
    while (!failed) {
      const { done, value } = iterator.next();
      if (done) return;
      const at = next++;
      results[at] = await map(value);
    }
  };
  const workers = Array.from({ length: Math.min(atOnce, MOST_AT_ONCE) }, () =>
    work().catch((error: unknown) => {
      failed = true;
      throw error;
    }),
  );
  const settled = await Promise.allSettled(workers);
  const broken = settled.find((it) => it.status === 'rejected');
  if (broken !== undefined) throw broken.reason;
  return results;
}
