import type { Writable } from 'node:stream';
import { formatPath } from '../../functions/config-parity/path.ts';
import type { Snapshot } from '../../functions/config-parity/snapshot.ts';
import { countOf } from '../../functions/shared/format.ts';
import { type Format, integer, printable, style, table } from './cli.ts';

const INDENT = '  ';

/** Things of one sort that are listed. */
const MOST_LISTED = 50;

/** What a snapshot has, and what it has not. */
export function renderSnapshot(stream: Writable, snapshot: Snapshot): string {
  const { parity, side, account, region, resources, unreadable, unsettled, notRead, probes } = snapshot;
  const there = resources.filter(({ value }) => value !== null);
  const counts = [...Map.groupBy(there, ({ kind }) => kind)].map(([kind, of]) => [
    { text: `${INDENT}${kind}` },
    { text: integer(of.length), align: 'right' as const },
  ]);
  const asked = probes.map(({ probe, answers }) => `${probe} (${countOf(answers.length, 'answer')})`);
  const listed = (title: string, format: Format, rows: readonly string[][]) => {
    if (rows.length === 0) return [];
    // Not as a table, which would cut paths.
    const shown = rows.slice(0, MOST_LISTED).map((row) => `${INDENT}${printable(row.join('  '))}`);
    const more = rows.length > MOST_LISTED ? [`${INDENT}and ${integer(rows.length - MOST_LISTED)} more`] : [];
    return [style(stream, format, title), ...shown, ...more];
  };
  const lines = [
    style(
      stream,
      'bold',
      `${side} of ${parity}, ${account} (${region}): ${countOf(there.length, 'resource')}`,
    ),
    ...table(stream, counts),
    ...listed(
      'probes',
      'dim',
      asked.map((probe) => [probe]),
    ),
    ...listed(
      'not there',
      'yellow',
      resources.filter(({ value }) => value === null).map(({ kind, physical }) => [kind, physical]),
    ),
    ...listed(
      'changing',
      'yellow',
      unsettled.map(({ path, status }) => [formatPath(path), status]),
    ),
    ...listed(
      'could not be read',
      ['bold', 'red'],
      unreadable.map(({ path, action, why }) => [formatPath(path) || 'anything', action, why]),
    ),
    ...listed(
      'not looked at',
      'dim',
      notRead.map(({ subject, why }) => [subject, why]),
    ),
  ];
  return `${lines.join('\n')}\n`;
}
