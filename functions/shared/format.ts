/**
 * A share as people write it: `38.1%`, `0.012%`, `100%`; never rounded to 100% when it is not.
 *
 * @param besides a limit that stands in the same sentence: as many digits as tell the two apart
 */
export function formatShare(share: number, besides?: number): string {
  const text = (value: number, digits: number) => {
    const percent = value * 100;
    const tiny = percent !== 0 && Math.abs(percent) < 1e-4;
    return `${tiny ? percent.toExponential(digits - 2) : Number(percent.toPrecision(digits))}%`;
  };
  return tellApart(share, [1, besides], text);
}

/**
 * A count with thousands separators, or a number with three significant digits.
 *
 * @param besides as of {@link formatShare}
 */
export function formatNumber(value: number, besides?: number): string {
  const text = (number: number, digits: number) => {
    if (!Number.isFinite(number)) return String(number);
    if (Number.isInteger(number)) return number.toLocaleString('en-US');
    if (Math.abs(number) >= 1000) {
      return number.toLocaleString('en-US', { maximumFractionDigits: digits - 3 });
    }
    return String(Number(number.toPrecision(digits)));
  };
  return tellApart(value, [besides], text);
}

function tellApart(
  value: number,
  others: (number | undefined)[],
  text: (value: number, digits: number) => string,
): string {
  const same = (digits: number) =>
    others.some(
      (other) => other !== undefined && other !== value && text(other, digits) === text(value, digits),
    );
  let digits = 3;
  while (digits < 17 && same(digits)) digits++;
  return text(value, digits);
}

/**
 * An estimate and its interval with the same number of decimals: two digits of the interval's width, and as many more
 * as tell each of the three from the limits in the same sentence.
 */
export function formatInterval(
  { low, estimate, high }: { low: number; estimate: number; high: number },
  limits: readonly number[] = [],
): { low: string; estimate: string; high: string } {
  const width = high - low;
  const text = (value: number, decimals: number) =>
    width > 0 && width < Number.POSITIVE_INFINITY
      ? value.toFixed(decimals).replace(/^-(0(\.0*)?)$/, '$1')
      : formatNumber(value, nearest(value, limits));
  const merged = (decimals: number) =>
    [low, estimate, high].some((value) =>
      limits.some((limit) => limit !== value && text(limit, decimals) === text(value, decimals)),
    );
  let decimals = Math.min(Math.max(Math.ceil(-Math.log10(width)) + 1, 0), 17) || 0;
  while (decimals < 17 && merged(decimals)) decimals++;
  const [from, middle, to] = [low, estimate, high].map((value) =>
    text(value, decimals).replace(/^-?\d{4,}/, (whole) => Number(whole).toLocaleString('en-US')),
  );
  return { low: from!, estimate: middle!, high: to! };
}

function nearest(value: number, others: readonly number[]): number | undefined {
  return others.toSorted((a, b) => Math.abs(a - value) - Math.abs(b - value))[0];
}

/** `1 example`, `61,234 examples`; give the plural where it is not made with an s. */
export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatNumber(count)} ${count === 1 ? noun : plural}`;
}

/** `a`, `a and b`, `a, b and c` */
export function listOf(items: readonly string[], joint = 'and'): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} ${joint} ${items.at(-1)}`;
}

/** A text that begins with a capital letter. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
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

/** `61 s`, `2 min 10 s`, `1 h 5 min`: as finely as one watches it. */
export function timeText(ms: number): string {
  const s = Math.round(ms / 1000);
  if (s < 120) return `${s} s`;
  const [large, small, unit, rest] = s < 7200 ? [60, 1, 'min', 's'] : [3600, 60, 'h', 'min'];
  const left = Math.floor((s % large) / small);
  return `${Math.floor(s / large)} ${unit}${left === 0 ? '' : ` ${left} ${rest}`}`;
}

/** A moment in ISO 8601, whole seconds without a fraction. Years beyond 275760, which a file may hold and `Date` does not, by their number. */
export function formatTime(ms: number): string {
  const time = new Date(ms);
  return Number.isNaN(time.getTime())
    ? `about the year ${Math.round(1970 + ms / 31_556_952_000)}`
    : time.toISOString().replace('.000Z', 'Z');
}

/** The first `length` characters, counted so that none is cut in two. */
export function clip(text: string, length: number): string {
  // No character has more than two units, so the rest of a long text need not be looked at.
  const characters = [...text.slice(0, 2 * length + 1)];
  return characters.length <= length ? text : `${characters.slice(0, length - 1).join('')}…`;
}

/** `1.5 GB (1,500,000,001 bytes)`: to read, and exact, since a bound may be missed by one byte. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), units.length - 1);
  const exact = `${bytes.toLocaleString('en-US')} bytes`;
  return power === 0 ? exact : `${Number((bytes / 1000 ** power).toFixed(1))} ${units[power]} (${exact})`;
}
