import type { Json } from './json.ts';

/*
 * What numbers and lengths of time say, however they are written. Pure.
 */

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  millisecond: 1,
  s: 1000,
  sec: 1000,
  second: 1000,
  m: 60_000,
  min: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  w: 604_800_000,
  week: 604_800_000,
};

const WRITTEN_OUT =
  /^(?:rate\( *)?(\d+(?:\.\d+)?) ?(ms|[smhdw]|(?:millisecond|sec|second|min|minute|hour|day|week)s?)(?: *\))?$/;
const ISO = /^P(?:(\d+)W|(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?)$/;
const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;

/**
 * A length of time in milliseconds: `90s`, `1.5 h`, `2 days`, `rate(60 minutes)`, `PT1H30M`; undefined of any other text, and
 * of months and years, which have no length of their own.
 */
export function durationOf(text: string): number | undefined {
  const written = WRITTEN_OUT.exec(text);
  if (written !== null) {
    const [, amount = '', unit = ''] = written;
    if (text.startsWith('rate(') !== text.endsWith(')')) return undefined;
    const ms = UNIT_MS[unit] ?? UNIT_MS[unit.replace(/s$/, '')];
    return ms === undefined ? undefined : Number(amount) * ms;
  }
  const iso = ISO.exec(text);
  if (iso === null || text === 'P') return undefined;
  const [weeks, days, hours, minutes, seconds] = iso.slice(1).map((part) => Number(part ?? 0));
  return (
    (weeks ?? 0) * 604_800_000 +
    (days ?? 0) * 86_400_000 +
    (hours ?? 0) * 3_600_000 +
    (minutes ?? 0) * 60_000 +
    (seconds ?? 0) * 1000
  );
}

/** What can be more or less than another. */
export interface Quantity {
  /** Of a length of time its milliseconds. */
  value: number;
  unit: 'number' | 'time';
}

/** The quantity that a value is: a number, also one that is written as a text, or a length of time; undefined of others. */
export function quantityOf(value: Json | undefined): Quantity | undefined {
  if (typeof value === 'number') return { value, unit: 'number' };
  if (typeof value !== 'string') return undefined;
  const text = value.trim();
  if (NUMBER.test(text)) {
    const number = Number(text);
    return Number.isFinite(number) ? { value: number, unit: 'number' } : undefined;
  }
  const ms = durationOf(text);
  return ms === undefined ? undefined : { value: ms, unit: 'time' };
}

/**
 * How much more one value is than another.
 *
 * @returns above 0 where `a` is more, below 0 where it is less; undefined where the two cannot be compared so
 */
export function compareQuantities(a: Json | undefined, b: Json | undefined): number | undefined {
  const [one, other] = [quantityOf(a), quantityOf(b)];
  return one === undefined || other === undefined || one.unit !== other.unit
    ? undefined
    : one.value - other.value;
}
