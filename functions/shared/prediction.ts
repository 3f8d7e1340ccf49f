import { canonicalJson, sha256 } from './identity.ts';
import { tryJson } from './schema.ts';

/*
 * What models answer, compared: by its predictions alone a model is known, since the name of a variant says nothing of it.
 * Pure.
 */

/** A prediction as it is compared: what an answer says, read as JSON or CSV where it is either. */
export type Prediction = unknown;

/** A golden request. */
export interface GoldenRequest {
  body: string;
  /** As it was recorded; absent where it is recorded now. */
  prediction?: Prediction;
}

/** The golden requests, bound to exact bytes. */
export interface Golden {
  uri: string;
  /** Version id of the object, or else its ETag. */
  version: string;
  sha256: string;
  requests: GoldenRequest[];
}

/** The longest answer to a golden request, in characters: models are told apart by a few numbers. */
export const MAX_ANSWER = 1000;

/**
 * An answer as it is compared: a JSON value where it is one, a list of them of JSON Lines; else the cells of CSV, by line,
 * with numbers as numbers; else the text itself. One number is that number, however it is written.
 *
 * It is the same after a way through JSON: a number that is none there, such as 1e999, stays text.
 */
export function predictionOf(answer: string): Prediction {
  const text = answer.trim();
  const json = jsonOf(text);
  if (json !== undefined) return json;
  const lines = text.split(/\r?\n/);
  const values = lines.map(jsonOf);
  if (values.every((value) => typeof value === 'object')) return values;
  // Cells in quotes may hold commas and lines.
  if (text.includes('"')) return text;
  const cells = lines.map((line) => line.split(',').map((cell) => numberOr(cell.trim())));
  return lines.length === 1 && cells[0]?.length === 1 ? cells[0][0] : cells;
}

function jsonOf(text: string): unknown {
  const value = tryJson(text);
  return isFiniteThroughout(value) ? value : undefined;
}

function isFiniteThroughout(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value);
  if (typeof value !== 'object' || value === null) return true;
  return Object.values(value).every(isFiniteThroughout);
}

function numberOr(text: string): number | string {
  if (!/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)) return text;
  const number = Number(text);
  return Number.isFinite(number) ? number : text;
}

/**
 * Whether two predictions are the same: numbers that differ by at most `tolerance`, absolute or relative to the larger;
 * everything else exactly.
 */
export function isSame(a: Prediction, b: Prediction, tolerance: number): boolean {
  if (typeof a === 'number' && typeof b === 'number') {
    if (!Number.isFinite(a) || !Number.isFinite(b)) return Object.is(a, b);
    return Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(a), Math.abs(b));
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((value, index) => isSame(value, b[index], tolerance));
  }
  if (isObject(a) && isObject(b)) {
    const [keys, others] = [Object.keys(a), Object.keys(b)];
    return (
      keys.length === others.length &&
      keys.every((key) => Object.hasOwn(b, key) && isSame(a[key], b[key], tolerance))
    );
  }
  return a === b;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Names a model by its predictions: eight hexadecimal digits. */
export function fingerprintId(predictions: readonly Prediction[]): string {
  return sha256(canonicalJson(predictions)).slice(0, 8);
}
