import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nextRun } from '../../../functions/board/schedule.ts';

const at = (text: string) => Date.parse(text);
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A Tuesday. */
const NOW = at('2026-07-14T09:41:30Z');

describe('a rate', () => {
  test('is counted from the last run', () => {
    expect(nextRun('rate(7 days)', NOW - 2 * DAY, NOW)).toBe(NOW + 5 * DAY);
    expect(nextRun('rate(1 hour)', NOW - 10 * MINUTE, NOW)).toBe(NOW + 50 * MINUTE);
  });

  test('that should have run is due', () => {
    expect(nextRun('rate(7 days)', NOW - 30 * DAY, NOW)).toBe(NOW);
  });

  test('that never came to anything does so within itself', () => {
    expect(nextRun('rate(5 minutes)', undefined, NOW)).toBe(NOW + 5 * MINUTE);
  });
});

describe('a cron expression', () => {
  test.each<[expression: string, next: string | undefined]>([
    // From the documentation of EventBridge.
    ['0 10 * * ? *', '2026-07-14T10:00Z'],
    ['15 12 * * ? *', '2026-07-14T12:15Z'],
    ['0 18 ? * MON-FRI *', '2026-07-14T18:00Z'],
    ['0 8 1 * ? *', '2026-08-01T08:00Z'],
    ['0/15 * * * ? *', '2026-07-14T09:45Z'],
    ['0/10 * ? * MON-FRI *', '2026-07-14T09:50Z'],
    ['0/5 8-17 ? * MON-FRI *', '2026-07-14T09:45Z'],
    ['0/30 20-2 ? * MON-FRI *', '2026-07-14T20:00Z'],
    // Days of the week count from Sunday on, which is 1.
    ['0 6 ? * 1 *', '2026-07-19T06:00Z'],
    ['0 6 ? * SUN *', '2026-07-19T06:00Z'],
    ['0 6 ? * 7 *', '2026-07-18T06:00Z'],
    ['0 6 ? * mon *', '2026-07-20T06:00Z'],
    ['0 6 ? * FRI-MON *', '2026-07-17T06:00Z'],
    ['0 6 ? * MON,THU *', '2026-07-16T06:00Z'],
    ['41 9 * * ? *', '2026-07-15T09:41Z'],
    ['42 9 * * ? *', '2026-07-14T09:42Z'],
    // Last days, weekdays near a day, and numbered ones.
    ['0 6 L * ? *', '2026-07-31T06:00Z'],
    ['0 6 L 2 ? *', '2027-02-28T06:00Z'],
    ['0 6 L 2 ? 2028', '2028-02-29T06:00Z'],
    ['0 6 LW * ? *', '2026-07-31T06:00Z'],
    ['0 6 LW 8 ? *', '2026-08-31T06:00Z'],
    ['0 6 LW 10 ? *', '2026-10-30T06:00Z'],
    ['0 6 1W 8 ? *', '2026-08-03T06:00Z'],
    ['0 6 18W * ? *', '2026-07-17T06:00Z'],
    ['0 6 19W * ? *', '2026-07-20T06:00Z'],
    ['0 6 31W 5 ? *', '2027-05-31T06:00Z'],
    ['0 6 ? * L *', '2026-07-18T06:00Z'],
    ['0 6 ? * 6L *', '2026-07-31T06:00Z'],
    ['0 6 ? * FRIL *', '2026-07-31T06:00Z'],
    ['0 6 ? * 3#2 *', '2026-08-11T06:00Z'],
    ['0 6 ? * TUE#5 *', '2026-09-29T06:00Z'],
    ['0 6 31 * ? *', '2026-07-31T06:00Z'],
    ['0 6 1,15 * ? *', '2026-07-15T06:00Z'],
    ['0 6 29 2 ? *', '2028-02-29T06:00Z'],
    ['0 6 ? JAN/3 MON *', '2026-07-20T06:00Z'],
    ['0 0 1 1 ? 2030-2032', '2030-01-01T00:00Z'],
    // Never again.
    ['0 6 * * ? 2025', undefined],
    ['0 6 30 2 ? *', undefined],
    ['0 6 ? 2 SUN#5 2026-2027', undefined],
  ])('%s', (expression, next) => {
    const found = nextRun(`cron(${expression})`, undefined, NOW);
    expect(found === undefined ? undefined : new Date(found).toISOString()).toBe(
      next?.replace('Z', ':00.000Z'),
    );
  });

  test.each([
    'cron(0 6 * * * *)',
    'cron(0 6 ? * ? *)',
    'cron(0 6 * * ?)',
    'cron(60 6 * * ? *)',
    'cron(0 24 * * ? *)',
    'cron(0 6 0 * ? *)',
    'cron(0 6 32W * ? *)',
    'cron(0 6 ? * 8 *)',
    'cron(0 6 ? * 0L *)',
    'cron(0 6 ? * MON#6 *)',
    'cron(0 6 ? FOO MON *)',
    'cron(0/0 6 * * ? *)',
    'cron(0-1-2 6 * * ? *)',
    'cron(0, 6 * * ? *)',
    'cron(x 6 * * ? *)',
    'at(2026-07-14T10:00:00)',
    'rate(1 fortnight)',
    '',
  ])('is none: %s', (schedule) => {
    expect(nextRun(schedule, undefined, NOW)).toBeUndefined();
  });
});

/** A field of a cron expression with the values that it matches, said by themselves. */
interface Field {
  text: string;
  matches: (value: number) => boolean;
}

/** Whether a day of the month matches. */
interface DayField {
  text: { dayOfMonth: string; dayOfWeek: string };
  matches: (day: Date) => boolean;
}

const field = (from: number, to: number): fc.Arbitrary<Field> =>
  fc.oneof(
    fc.constant<Field>({ text: '*', matches: () => true }),
    fc
      .integer({ min: from, max: to })
      .map((only) => ({ text: `${only}`, matches: (value: number) => value === only })),
    fc
      .uniqueArray(fc.integer({ min: from, max: to }), { minLength: 2, maxLength: 4 })
      .map((some) => ({ text: some.join(','), matches: (value: number) => some.includes(value) })),
    fc.tuple(fc.integer({ min: from, max: to }), fc.integer({ min: from, max: to })).map(([a, b]) => ({
      text: `${a}-${b}`,
      matches: (value: number) => (a <= b ? value >= a && value <= b : value >= a || value <= b),
    })),
    fc.tuple(fc.integer({ min: from, max: to }), fc.integer({ min: 1, max: 20 })).map(([first, step]) => ({
      text: `${first}/${step}`,
      matches: (value: number) => value >= first && (value - first) % step === 0,
    })),
  );

const lastOf = (day: Date) => new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth() + 1, 0)).getUTCDate();

const dayField: fc.Arbitrary<DayField> = fc.oneof(
  field(1, 31).map(({ text, matches }) => ({
    text: { dayOfMonth: text, dayOfWeek: '?' },
    matches: (day: Date) => matches(day.getUTCDate()),
  })),
  field(1, 7).map(({ text, matches }) => ({
    text: { dayOfMonth: '?', dayOfWeek: text },
    matches: (day: Date) => matches(day.getUTCDay() + 1),
  })),
  fc.constant<DayField>({
    text: { dayOfMonth: 'L', dayOfWeek: '?' },
    matches: (day: Date) => day.getUTCDate() === lastOf(day),
  }),
  fc.tuple(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 5 })).map(([weekday, which]) => ({
    text: { dayOfMonth: '?', dayOfWeek: `${weekday}#${which}` },
    matches: (day: Date) => day.getUTCDay() + 1 === weekday && Math.ceil(day.getUTCDate() / 7) === which,
  })),
  fc.integer({ min: 1, max: 7 }).map((weekday) => ({
    text: { dayOfMonth: '?', dayOfWeek: `${weekday}L` },
    matches: (day: Date) => day.getUTCDay() + 1 === weekday && day.getUTCDate() + 7 > lastOf(day),
  })),
  fc.integer({ min: 1, max: 31 }).map((wanted) => ({
    text: { dayOfMonth: `${wanted}W`, dayOfWeek: '?' },
    matches: (day: Date) => {
      // The nearest day of its month that is no Saturday or Sunday; of two as near none is one.
      const candidates = Array.from({ length: lastOf(day) }, (_, index) => index + 1).filter((one) => {
        const weekday = new Date(Date.UTC(day.getUTCFullYear(), day.getUTCMonth(), one)).getUTCDay();
        return weekday !== 0 && weekday !== 6;
      });
      const [nearest] = candidates.toSorted((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
      return wanted <= lastOf(day) && day.getUTCDate() === nearest;
    },
  })),
);

test('every start that trying each minute finds is the next one, and nothing else', () => {
  fc.assert(
    fc.property(
      field(0, 59),
      field(0, 23),
      dayField,
      field(1, 12),
      fc.integer({ min: at('2024-01-01'), max: at('2032-01-01') }),
      (minute, hour, day, month, now) => {
        const { dayOfMonth, dayOfWeek } = day.text;
        const schedule = `cron(${minute.text} ${hour.text} ${dayOfMonth} ${month.text} ${dayOfWeek} *)`;
        const found = nextRun(schedule, undefined, now);
        const dayMatches = (time: number) => {
          const date = new Date(time);
          return month.matches(date.getUTCMonth() + 1) && day.matches(date);
        };
        // Days by themselves, then the minutes of those that match.
        let tried: number | undefined;
        const midnight = Math.floor(now / DAY) * DAY;
        for (let start = midnight; start < midnight + 1100 * DAY && tried === undefined; start += DAY) {
          if (!dayMatches(start)) continue;
          for (let time = start; time < start + DAY; time += MINUTE) {
            const date = new Date(time);
            if (time > now && minute.matches(date.getUTCMinutes()) && hour.matches(date.getUTCHours())) {
              tried = time;
              break;
            }
          }
        }
        // Three years of days: what comes later is of the 29th of February, or of nothing.
        if (tried === undefined)
          expect(found ?? Number.POSITIVE_INFINITY).toBeGreaterThan(midnight + 1099 * DAY);
        else expect(found).toBe(tried);
      },
    ),
    { numRuns: 400 },
  );
});

test('what somebody else has made up is answered, and quickly', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), fc.boolean(), (text, cron) => {
      const found = nextRun(cron ? `cron(${text})` : text, undefined, NOW);
      expect(found === undefined || found > NOW).toBe(true);
    }),
  );
});
