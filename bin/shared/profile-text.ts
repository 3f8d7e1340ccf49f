import type { Writable } from 'node:stream';
import { formatNumber, formatShare } from '../../functions/shared/format.ts';
import type { ColumnProfile, Profile } from '../../functions/shared/profile.ts';
import { type Cell, table } from './cli.ts';

const HEADINGS = ['column', 'type', 'nulls', 'invalid', 'zeros', 'distinct', 'range', 'most frequent'];

/** A profile for people: a line for each column. */
export function renderProfile(stream: Writable, profile: Profile): string {
  const { rows } = profile;
  const lines = table(stream, [
    HEADINGS.map((text): Cell => ({ text, format: 'bold' })),
    ...Object.entries(profile.columns).map(([name, column]): Cell[] => [
      { text: name },
      { text: column.type },
      { text: share(column.nulls, rows), align: 'right' },
      { text: share(column.invalid, rows), align: 'right' },
      { text: column.zeros === undefined ? '' : share(column.zeros, rows), align: 'right' },
      { text: `${column.distinct.exact ? '' : '~'}${formatNumber(column.distinct.value)}`, align: 'right' },
      { text: rangeOf(column) },
      { text: topOf(column) },
    ]),
  ]);
  const count = Object.keys(profile.columns).length;
  return `${lines.join('\n')}\n\n${profile.dataset}: ${formatNumber(rows)} rows, ${count} columns, sha256 ${profile.sha256}\n`;
}

function share(count: number, rows: number): string {
  return rows === 0 || count === 0 ? '0%' : formatShare(count / rows);
}

function rangeOf({ type, min, max, shortest, longest }: ColumnProfile): string {
  if (min !== undefined && max !== undefined) {
    const show = (point: number) =>
      type === 'timestamp' || type === 'date' ? time(point, type === 'date') : formatNumber(point);
    return `${show(min)} to ${show(max)}`;
  }
  return shortest === undefined || longest === undefined ? '' : `${shortest} to ${longest} characters`;
}

function time(point: number, day: boolean): string {
  const date = new Date(point);
  if (Number.isNaN(date.getTime())) return String(point);
  return day ? date.toISOString().slice(0, 10) : date.toISOString().replace('.000Z', 'Z');
}

function topOf({ dominant, pii }: ColumnProfile): string {
  if (dominant === undefined) return '';
  const which = pii === true ? 'hidden' : JSON.stringify(dominant.value ?? '');
  return `${formatShare(dominant.share)} ${which}`;
}
