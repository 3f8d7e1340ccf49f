/** A share as people write it: `38.1%`, `0.012%`, `100%`; never rounded to 0% or 100% when it is not. */
export function formatShare(share: number): string {
  const percent = share * 100;
  if (percent !== 0 && Math.abs(percent) < 1e-4) return `${percent.toExponential(1)}%`;
  if (percent > 99.9 && percent < 100) return `${Math.floor(percent * 1e4) / 1e4}%`;
  return `${Number(percent.toPrecision(3))}%`;
}

/** A count with thousands separators, or a number with three significant digits. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

/** A length of time in its largest fitting unit: `40 d`, `1.5 h`. */
export function formatDuration(ms: number): string {
  const units: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
  ];
  const [size, name] = units.find(([unit]) => Math.abs(ms) >= unit) ?? [1, 'ms'];
  return `${Number((ms / size).toPrecision(3))} ${name}`;
}

/** A moment in ISO 8601. Years beyond 275760, which a file may hold and `Date` does not, by their number. */
export function formatTime(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime())
    ? `about the year ${Math.round(1970 + ms / 31_556_952_000)}`
    : time.toISOString();
}
