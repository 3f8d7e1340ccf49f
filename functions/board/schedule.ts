import { secondsOf } from '../shared/schema.ts';

/*
 * When EventBridge starts something next. Its cron expressions have six fields, in UTC: minutes, hours, day of the month,
 * month, day of the week (1 to 7, from Sunday on) and year.
 */

/** Cron expressions end here, as they do in EventBridge. */
const LAST_YEAR = 2199;

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/**
 * The next start of a schedule: of `cron(...)` to the minute, and of `rate(...)` about, since only EventBridge knows where it
 * counts from.
 *
 * @param schedule `rate(7 days)`, `cron(0 6 ? * MON *)`
 * @param last when it last came to something, if ever; milliseconds since 1970, as all times here
 * @returns `now` where it is due; of a rate that never came to anything the latest possible; undefined where it never starts again, or the schedule is none
 */
export function nextRun(schedule: string, last: number | undefined, now: number): number | undefined {
  const seconds = secondsOf(schedule);
  if (seconds !== undefined) return Math.max((last ?? now) + seconds * 1000, now);
  const [, expression] = /^cron\((.+)\)$/.exec(schedule) ?? [];
  const cron = expression === undefined ? undefined : parseCron(expression);
  return cron && nextOf(cron, now);
}

/** Which days a month has, of what a day field can say. */
interface Month {
  /** How many days. */
  days: number;
  /** 0 (Sunday) to 6, of a day from 1 on. */
  weekday: (day: number) => number;
}

/** The days of a month that a day field names; undefined where it names every day (`?`). */
type Days = (month: Month) => Set<number>;

/** A cron expression. Sets have the values that match. */
interface Cron {
  minutes: Set<number>;
  hours: Set<number>;
  days: Days;
  /** 1 to 12 */
  months: Set<number>;
  years: Set<number>;
}

function parseCron(expression: string): Cron | undefined {
  const fields = expression.trim().split(/\s+/);
  const [minute, hour, dayOfMonth, month, dayOfWeek, year] = fields;
  if (fields.length !== 6 || dayOfMonth === undefined || dayOfWeek === undefined) return undefined;
  // One of the two days has to be left open, with a question mark.
  if ((dayOfMonth === '?') === (dayOfWeek === '?')) return undefined;
  const minutes = valuesOf(minute, { from: 0, to: 59 });
  const hours = valuesOf(hour, { from: 0, to: 23 });
  const months = valuesOf(month, { from: 1, to: 12, names: MONTHS });
  const years = valuesOf(year, { from: 1970, to: LAST_YEAR });
  const days = dayOfWeek === '?' ? daysOfMonth(dayOfMonth) : daysOfWeek(dayOfWeek);
  return minutes && hours && months && years && days && { minutes, hours, days, months, years };
}

interface Range {
  from: number;
  to: number;
  /** Of the values, from the first on. */
  names?: readonly string[];
}

/** What a field matches: `*`, `5`, `MON-FRI`, `0/15`, `1-10/3`, and lists of these. */
function valuesOf(field: string | undefined, range: Range): Set<number> | undefined {
  const values = new Set<number>();
  for (const part of field?.split(',') ?? ['']) {
    const [, what = '', step] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? [];
    const [first, last, ...more] = what.split('-');
    const every = what === '*';
    const from = every ? range.from : numberOf(first, range);
    const single = step === undefined ? from : range.to;
    const to = every ? range.to : last === undefined ? single : numberOf(last, range);
    const by = Number(step ?? 1);
    if (from === undefined || to === undefined || more.length > 0 || by === 0) return undefined;
    // From Friday to Monday there are four days.
    const end = to < from ? to + range.to - range.from + 1 : to;
    for (let value = from; value <= end; value += by) {
      values.add(value > range.to ? value - range.to + range.from - 1 : value);
    }
  }
  return values;
}

function numberOf(text: string | undefined, { from, to, names = [] }: Range): number | undefined {
  const named = names.indexOf(text?.toUpperCase() ?? '');
  const value = named >= 0 ? named + from : /^\d+$/.test(text ?? '') ? Number(text) : Number.NaN;
  return value >= from && value <= to ? value : undefined;
}

/** `L` is the last day, `15W` the weekday (Monday to Friday) nearest to the 15th in its month, `LW` the last weekday. */
function daysOfMonth(field: string): Days | undefined {
  const parts: Days[] = [];
  for (const part of field.split(',')) {
    const [, near] = /^(L|\d+)W$/.exec(part) ?? [];
    if (part === 'L') parts.push(({ days }) => new Set([days]));
    else if (near !== undefined) {
      const day = near === 'L' ? undefined : numberOf(near, { from: 1, to: 31 });
      if (near !== 'L' && day === undefined) return undefined;
      parts.push((month) => new Set(nearestWeekday(month, day ?? month.days)));
    } else {
      const values = valuesOf(part, { from: 1, to: 31 });
      if (values === undefined) return undefined;
      parts.push(({ days }) => new Set([...values].filter((day) => day <= days)));
    }
  }
  return (month) => new Set(parts.flatMap((days) => [...days(month)]));
}

/** None where the month has no such day. */
function nearestWeekday({ days, weekday }: Month, day: number): number[] {
  if (day > days) return [];
  if (weekday(day) === 6) return [day > 1 ? day - 1 : day + 2];
  if (weekday(day) === 0) return [day < days ? day + 1 : day - 2];
  return [day];
}

/** `3#2` is the second Tuesday, `6L` the last Friday of a month; `L` alone is Saturday. */
function daysOfWeek(field: string): Days | undefined {
  const range = { from: 1, to: 7, names: WEEKDAYS };
  const parts: Days[] = [];
  for (const part of field.split(',')) {
    const [, named, which] = /^([^#]+?)(?:#([1-5])|L)$/.exec(part) ?? [];
    if (part === 'L') parts.push((month) => new Set(onWeekday(month, 6)));
    else if (named !== undefined) {
      const value = numberOf(named, range);
      if (value === undefined) return undefined;
      parts.push((month) => {
        const found = onWeekday(month, value - 1);
        return new Set(which === undefined ? found.slice(-1) : found.slice(Number(which) - 1, Number(which)));
      });
    } else {
      const values = valuesOf(part, range);
      if (values === undefined) return undefined;
      parts.push((month) => new Set([...values].flatMap((value) => onWeekday(month, value - 1))));
    }
  }
  return (month) => new Set(parts.flatMap((days) => [...days(month)]));
}

/** All of a month, in order. */
function onWeekday({ days, weekday }: Month, wanted: number): number[] {
  return Array.from({ length: days }, (_, index) => index + 1).filter((day) => weekday(day) === wanted);
}

/** The first moment after `now` that matches. */
function nextOf({ minutes, hours, days, months, years }: Cron, now: number): number | undefined {
  const after = new Date(now);
  for (let year = after.getUTCFullYear(); year <= LAST_YEAR; year++) {
    if (!years.has(year)) continue;
    const present = year === after.getUTCFullYear();
    for (let month = present ? after.getUTCMonth() : 0; month < 12; month++) {
      if (!months.has(month + 1)) continue;
      const first = Date.UTC(year, month, 1);
      const matching = days({
        days: (Date.UTC(year, month + 1, 1) - first) / DAY_MS,
        weekday: (day) => new Date(first + (day - 1) * DAY_MS).getUTCDay(),
      });
      for (const day of [...matching].sort((a, b) => a - b)) {
        const midnight = first + (day - 1) * DAY_MS;
        if (midnight + DAY_MS <= now) continue;
        for (const hour of [...hours].sort((a, b) => a - b)) {
          for (const minute of [...minutes].sort((a, b) => a - b)) {
            const time = midnight + (hour * 60 + minute) * MINUTE_MS;
            if (time > now) return time;
          }
        }
      }
    }
  }
  return undefined;
}
