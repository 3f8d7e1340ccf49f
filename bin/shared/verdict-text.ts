import type { Writable } from 'node:stream';
import { formatInterval } from '../../functions/shared/format.ts';
import type { Finding, FindingOutcome, NotChecked, Verdict } from '../../functions/shared/verdict.ts';
import { type Cell, printable, style, table } from './cli.ts';

/** Findings shown in full; a file with the wrong delimiter can have thousands. */
const MAX_FINDINGS = 50;
/** Names in one line of what was not checked. */
const MAX_NAMES = 6;

const FORMATS = {
  fail: ['bold', 'red'],
  inconclusive: ['bold', 'yellow'],
  warn: ['yellow'],
  pass: ['bold', 'green'],
} as const satisfies Record<FindingOutcome, readonly string[]>;

function badge(outcome: FindingOutcome): Cell {
  return { text: outcome.toUpperCase(), format: [...FORMATS[outcome]] };
}

/** How to show a verdict. */
export interface VerdictView {
  /** What it is about, or where it is kept: `sha256 ...`. */
  of: string;
  /** Whether to list what passed, too, with the values. */
  passed?: boolean;
}

/**
 * A verdict for people: every finding that is not a pass, worst first, with its place in the configuration, its
 * samples and the next step; what was not checked; the verdict in one sentence.
 */
export function renderVerdict(
  stream: Writable,
  verdict: Verdict,
  { of, passed = false }: VerdictView,
): string {
  const open = verdict.findings.filter(({ outcome }) => outcome !== 'pass');
  const shown = open.slice(0, MAX_FINDINGS);
  const heads = table(stream, shown.map(headOf));
  const lines = shown.flatMap((finding, index) => [
    heads[index] ?? '',
    ...detailsOf(stream, finding).map((line) => `    ${line}`),
    '',
  ]);
  if (open.length > shown.length) lines.push(`and ${open.length - shown.length} more: see --json`, '');
  if (passed) {
    const good = verdict.findings.filter(({ outcome }) => outcome === 'pass');
    lines.push(
      ...table(stream, good.slice(0, MAX_FINDINGS).map(withInterval).map(headOf)),
      ...(good.length > 0 ? [''] : []),
    );
  }
  if (open.length > 0)
    lines.push(`${verdict.findings.length - open.length} of ${verdict.findings.length} checks passed.`);
  lines.push(...notChecked(stream, verdict.notChecked));
  const { text, format = 'bold' } = badge(verdict.outcome);
  lines.push(`${style(stream, format, text)} ${verdict.subject}: ${printable(verdict.reason)}`);
  lines.push(style(stream, 'dim', `verdict ${verdict.id}, of ${printable(of)}`));
  return `${lines.join('\n')}\n`;
}

/** The line that a finding begins with. */
function headOf({ outcome, subject, check, observed, allowed, rule }: Finding): Cell[] {
  return [
    badge(outcome),
    { text: subject, format: 'bold' },
    { text: check },
    { text: observed, align: 'right' },
    { text: allowed },
    { text: rule === undefined ? '' : `${rule.file}:${rule.line}`, format: 'cyan' },
  ];
}

/** Of what passed there is no message to read the interval from. */
function withInterval(finding: Finding): Finding {
  const { interval, limit } = finding;
  if (interval === undefined) return finding;
  const { estimate, low, high } = formatInterval(interval, limit === undefined ? [] : [limit]);
  return { ...finding, observed: `${estimate} (${low} to ${high})` };
}

function detailsOf(stream: Writable, { message, samples, help }: Finding): string[] {
  const lines = [printable(message)];
  if (samples !== undefined && samples.length > 0) {
    const places = samples.map(({ file, row, value }) => {
      const place = file === undefined ? `row ${row}` : `${file} row ${row}`;
      return value === undefined ? place : `${place}: ${JSON.stringify(value)}`;
    });
    lines.push(`such as ${printable(places.join(', '))}`);
  }
  if (help !== undefined) lines.push(style(stream, 'cyan', `-> ${printable(help)}`));
  return lines;
}

/** One line for each reason, with the subjects that it applies to; checks with the same of both share a line. */
function notChecked(stream: Writable, items: readonly NotChecked[]): string[] {
  const groups = [...Map.groupBy(items, ({ check, why }) => `${check}: ${why}`).values()].map((members) => {
    const names = members.slice(0, MAX_NAMES).map(({ subject }) => printable(subject));
    const more = members.length > names.length ? ` and ${members.length - names.length} more` : '';
    const { check = '', why = '' } = members[0] ?? {};
    return { check, rest: `${why} (${names.join(', ')}${more})` };
  });
  return [...Map.groupBy(groups, ({ rest }) => rest)].map(([rest, same]) =>
    style(stream, 'dim', printable(`not checked, ${same.map(({ check }) => check).join(', ')}: ${rest}`)),
  );
}
