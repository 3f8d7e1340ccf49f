import * as z from 'zod';
import type { Flights } from './features.ts';

/** The unit of distances in requests. */
export type DistanceUnit = 'miles' | 'km';

/** Content types that the container reads and writes. */
export const FORMATS = ['text/csv', 'application/jsonlines'] as const;
export type Format = (typeof FORMATS)[number];

/** A record that no prediction can be made of; the message begins with its line, counted from 1. */
export class RecordError extends Error {
  override readonly name = 'RecordError';
}

const FIELDS = ['date', 'distance', 'origin', 'destination'] as const;
const KM_PER_MILE = 1.609344;
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?$/;
const NUMBER = /^\d+(\.\d*)?([eE][+-]?\d+)?$/;

/** One flight; a field that is missing is null. */
type Record = z.output<typeof recordSchema>;
const recordSchema = z.strictObject({
  date: z.string().nullable(),
  distance: z.number().min(0).nullable(),
  origin: z.string().nullable(),
  destination: z.string().nullable(),
});

/**
 * Reads the flights of a request, one a line.
 *
 * CSV has no header, and the fields date, distance, origin, destination; an empty field is missing, and no field spans
 * lines. JSON Lines have an object of these fields, alone or as `features` of another; null is missing.
 *
 * @throws RecordError at the first record that is none, or where there is no record
 */
export function parseFlights(body: string, format: Format, unit: DistanceUnit): Flights {
  const lines = body.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) throw new RecordError('line 1: there is no record');
  const flights = {
    departure: new Float64Array(lines.length),
    distance: new Float64Array(lines.length),
    origin: new Array<string | null>(lines.length),
    destination: new Array<string | null>(lines.length),
  };
  const parse = format === 'text/csv' ? parseCsv : parseJson;
  const perMile = unit === 'km' ? KM_PER_MILE : 1;
  for (const [row, line] of lines.entries()) {
    try {
      const { date, distance, origin, destination } = parse(line);
      flights.departure[row] = date === null ? Number.NaN : parseTimestamp(date);
      flights.distance[row] = distance === null ? Number.NaN : distance / perMile;
      flights.origin[row] = origin;
      flights.destination[row] = destination;
    } catch (error) {
      if (!(error instanceof RecordError)) throw error;
      throw new RecordError(`line ${row + 1}: ${error.message}`);
    }
  }
  return flights;
}

/** Writes the answer to a request: a chance a line, as a number or as `{"probability": 0.25}`. */
export function formatChances(chances: Float64Array, format: Format): string {
  const lines = Array.from(chances, (chance) =>
    format === 'text/csv' ? `${chance}\n` : `${JSON.stringify({ probability: chance })}\n`,
  );
  return lines.join('');
}

/**
 * The milliseconds of a clock since 1970, from what it shows: `2001-05-01 07:30:00`. A time with a zone is refused:
 * the model knows the clock of the origin only.
 *
 * @throws RecordError
 */
function parseTimestamp(text: string): number {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = (TIMESTAMP.exec(text) ?? [])
    .slice(1)
    .map((part) => Number(part ?? 0));
  const time = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  const real = time.getUTCMonth() === month - 1 && time.getUTCDate() === day && time.getUTCHours() === hour;
  if (!real || minute > 59 || second > 59)
    throw new RecordError(`date: expected local time as YYYY-MM-DD HH:MM:SS, got ${JSON.stringify(text)}`);
  return time.getTime();
}

/** @throws RecordError */
function parseCsv(line: string): Record {
  const fields = splitCsv(line);
  if (fields.length !== FIELDS.length)
    throw new RecordError(`expected ${FIELDS.length} fields (${FIELDS.join(', ')}), got ${fields.length}`);
  const [date, distance, origin, destination] = fields.map((field) => (field === '' ? null : field)) as [
    string | null,
    string | null,
    string | null,
    string | null,
  ];
  if (distance !== null && !(NUMBER.test(distance) && Number.isFinite(Number(distance))))
    throw new RecordError(`distance: expected a number from 0, got ${JSON.stringify(distance)}`);
  return { date, distance: distance === null ? null : Number(distance), origin, destination };
}

/**
 * The fields of a line of CSV. A field in quotes may hold commas, and quotes that are doubled.
 *
 * @throws RecordError
 */
export function splitCsv(line: string): string[] {
  const fields: string[] = [];
  for (let at = 0; at <= line.length; at++) {
    if (line[at] !== '"') {
      const comma = line.indexOf(',', at);
      const end = comma < 0 ? line.length : comma;
      fields.push(line.slice(at, end));
      at = end;
      continue;
    }
    let field = '';
    for (;;) {
      const quote = line.indexOf('"', at + 1);
      if (quote < 0) throw new RecordError('a quote is not closed');
      field += line.slice(at + 1, quote);
      at = quote + 1;
      if (line[at] !== '"') break;
      field += '"';
    }
    if (at < line.length && line[at] !== ',') throw new RecordError('text follows a closing quote');
    fields.push(field);
  }
  return fields;
}

/** @throws RecordError */
function parseJson(line: string): Record {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new RecordError(`it is not JSON: ${(error as Error).message}`);
  }
  const wrapped = z.object({ features: z.unknown() }).safeParse(value);
  const result = recordSchema.safeParse(wrapped.success ? wrapped.data.features : value);
  if (result.success) return result.data;
  throw new RecordError(
    result.error.issues
      .map(({ path, message }) => (path.length > 0 ? `${path.join('.')}: ${message}` : message))
      .join('; '),
  );
}
