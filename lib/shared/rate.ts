const SECONDS = { minute: 60, hour: 3_600, day: 86_400 } as const;

/** Seconds between two starts of a schedule such as `rate(15 minutes)`; undefined of `cron(...)`, which has no one answer. */
export function secondsOf(schedule: string): number | undefined {
  const [, count, unit] = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(schedule) ?? [];
  return unit === undefined ? undefined : Number(count) * SECONDS[unit as keyof typeof SECONDS];
}
