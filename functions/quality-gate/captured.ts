import * as z from 'zod';
import type { Window } from './monitor-request.ts';

/*
 * What SageMaker's data capture writes, a request and its answer a line. Pure.
 */

/** A line that cannot be read, and why; no value of it. */
export class CapturedLineError extends Error {
  override readonly name = 'CapturedLineError';
}

/** The values of one record as text, in the order of the features. */
export type RecordTexts = (string | null)[];

const lineSchema = z.object({
  captureData: z.object({
    endpointInput: z
      .object({
        observedContentType: z.string().optional(),
        data: z.string(),
        encoding: z.enum(['CSV', 'JSON', 'BASE64']),
      })
      .optional(),
  }),
  eventMetadata: z.object({ inferenceTime: z.iso.datetime({ offset: true }) }),
});

/**
 * Reads a line of a capture.
 *
 * CSV has the features in their order, with or without a header; an empty field is null, one in quotes is an empty text.
 * JSON is an object or a list of values, one a line or several in a list, alone or as `features`, `instances` or `inputs`
 * of an object; objects have the features by name, and what they do not have is null.
 *
 * @returns undefined where it was captured outside of the window
 * @throws CapturedLineError where it cannot be read
 */
export function recordsOf(
  line: string,
  features: readonly string[],
  window: Window,
): RecordTexts[] | undefined {
  const parsed = lineSchema.safeParse(jsonOf(line, 'it'));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new CapturedLineError(`its ${issue?.path.join('.') || 'line'} is not that of a captured request`);
  }
  const { captureData, eventMetadata } = parsed.data;
  const time = Date.parse(eventMetadata.inferenceTime);
  if (time < window.from || time >= window.to) return undefined;
  const { endpointInput } = captureData;
  if (endpointInput === undefined) throw new CapturedLineError('it has no input: only answers are captured');
  const { data, encoding, observedContentType } = endpointInput;
  const text = encoding === 'BASE64' ? decoded(data) : data;
  return formatOf(observedContentType, encoding, text) === 'csv'
    ? csvRecords(text, features)
    : jsonRecords(text, features);
}

function decoded(data: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(data, 'base64'));
  } catch {
    throw new CapturedLineError('its input is not text');
  }
}

function formatOf(contentType: string | undefined, encoding: string, text: string): 'csv' | 'json' {
  const [type = ''] = (contentType ?? '').toLowerCase().split(';');
  if (/^[\w.-]+\/(x-)?csv$/.test(type.trim())) return 'csv';
  if (/^[\w.-]+\/([\w.-]+\+)?(x-)?(json|jsonlines|jsonl|ndjson)$/.test(type.trim())) return 'json';
  if (encoding !== 'BASE64') return encoding === 'CSV' ? 'csv' : 'json';
  if (type.trim() !== '')
    throw new CapturedLineError(`its content type ${type.trim()} is neither CSV nor JSON`);
  return /^\s*[[{]/.test(text) ? 'json' : 'csv';
}

// ---------------------------------------------------------------------------------------------------------
// CSV
// ---------------------------------------------------------------------------------------------------------

/** One field and what ends it. */
const FIELD = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/y;

function csvRecords(text: string, features: readonly string[]): RecordTexts[] {
  const records: RecordTexts[] = [];
  const source = text.replace(/(\r?\n)+$/, '');
  let record: RecordTexts = [];
  FIELD.lastIndex = 0;
  for (let done = false; !done; ) {
    const match = FIELD.exec(source);
    if (match === null) throw new CapturedLineError('its input has quotes that no CSV has');
    const [, quoted, plain = '', end = ''] = match;
    record.push(quoted === undefined ? plain || null : quoted.replaceAll('""', '"'));
    if (end === ',') continue;
    if (record.length !== features.length) {
      throw new CapturedLineError(
        `a record of it has ${record.length} values, and the drift monitor names ${features.length} features`,
      );
    }
    const isHeader = records.length === 0 && record.every((value, index) => value === features[index]);
    if (!isHeader) records.push(record);
    record = [];
    done = end === '';
  }
  return records;
}

// ---------------------------------------------------------------------------------------------------------
// JSON
// ---------------------------------------------------------------------------------------------------------

const LISTS = ['instances', 'inputs', 'features'] as const;

function jsonRecords(text: string, features: readonly string[]): RecordTexts[] {
  let values: unknown[];
  try {
    values = [JSON.parse(text)];
  } catch {
    values = text
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => jsonOf(line, 'its input'));
  }
  return values.flatMap((value) => recordsIn(value, features));
}

function jsonOf(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The message of JSON.parse quotes the text.
    throw new CapturedLineError(`${what} is not JSON`);
  }
}

function recordsIn(value: unknown, features: readonly string[]): RecordTexts[] {
  if (Array.isArray(value)) {
    const isRecord = value.every((item) => item === null || typeof item !== 'object');
    return isRecord ? [inOrder(value, features)] : value.flatMap((item) => recordsIn(item, features));
  }
  if (typeof value !== 'object' || value === null) {
    throw new CapturedLineError('a record of it is neither an object nor a list');
  }
  if (features.some((feature) => Object.hasOwn(value, feature))) {
    return [features.map((feature) => textOf((value as Record<string, unknown>)[feature]))];
  }
  const list = LISTS.find((name) => Object.hasOwn(value, name));
  if (list === undefined) throw new CapturedLineError('a record of it has none of the features');
  return recordsIn((value as Record<string, unknown>)[list], features);
}

function inOrder(values: unknown[], features: readonly string[]): RecordTexts {
  if (values.length === features.length) return values.map(textOf);
  throw new CapturedLineError(
    `a record of it has ${values.length} values, and the drift monitor names ${features.length} features`,
  );
}

function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'object') throw new CapturedLineError('a value of it is a list or an object');
  return String(value);
}
