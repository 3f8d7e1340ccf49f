import type { Writable } from 'node:stream';
import * as z from 'zod';
import type {
  Difference,
  DocumentedUse,
  Folding,
  ProbeOutcome,
} from '../../functions/config-parity/comparison.ts';
import type { Evaluation } from '../../functions/config-parity/evaluate.ts';
import { DIFFERENCE_KINDS, type Severity, SIDES, type Side } from '../../functions/config-parity/schema.ts';
import { sideBySide } from '../../functions/config-parity/side-by-side.ts';
import { countOf } from '../../functions/shared/format.ts';
import { parseJson } from '../../functions/shared/schema.ts';
import { charactersOf, type Format, integer, printable, style, table, widthOf } from './cli.ts';

/*
 * Two environments side by side, for people: what differs, what is equal only by folding, and how the probes went. Pure.
 */

/** Differences that are shown; of a wrong selection there can be thousands. */
const MOST_SHOWN = 100;

/** A terminal that is narrower shows the sides one below the other. */
const LEAST_COLUMNS = 60;

/** Of the left side. */
const LEAST_LEFT = 12;

const INDENT = '  ';
const BETWEEN = ' | ';

const SEVERITIES = {
  critical: ['bold', 'red'],
  high: ['red'],
  medium: ['yellow'],
  low: ['dim'],
} as const satisfies Record<Severity, readonly string[]>;

const OUTCOMES = {
  pass: ['bold', 'green'],
  fail: ['bold', 'red'],
  inconclusive: ['bold', 'yellow'],
} as const satisfies Record<ProbeOutcome['outcome'], readonly string[]>;

/** Neither side is the right one: no red, no green. */
const HIGHLIGHTS = { staging: ['bold', 'yellow'], production: ['bold', 'cyan'] } as const satisfies Record<
  Side,
  readonly string[]
>;

/** A part of a line, and how it looks. */
interface Piece {
  text: string;
  format?: Format;
}

/** A difference as it is shown. */
interface Shown {
  difference: Difference;
  /** Absent: nobody has documented it. */
  use: DocumentedUse | undefined;
  sides: Record<Side, Piece[]>;
  note: string | undefined;
}

const sideSchema = z.object({ value: z.json().optional(), folded: z.json().optional() });

const evaluationSchema = z.object({
  comparison: z.object({
    comparison: z.literal(1),
    differences: z.array(
      z.object({
        path: z.array(z.string()),
        text: z.string(),
        kind: z.enum(DIFFERENCE_KINDS),
        severity: z.enum(['critical', 'high', 'medium', 'low']),
        staging: sideSchema,
        production: sideSchema,
      }),
    ),
    foldings: z.array(
      z.object({
        as: z.string(),
        staging: z.string(),
        production: z.string(),
        values: z.number(),
        examples: z.array(z.object({ text: z.string(), staging: z.json(), production: z.json() })),
      }),
    ),
    ambiguous: z.array(z.unknown()),
    missing: z.array(z.unknown()),
    resources: z.number(),
    equal: z.record(z.enum(DIFFERENCE_KINDS), z.number()),
  }),
  uses: z.array(
    z.object({
      entry: z.number(),
      path: z.string(),
      owner: z.string(),
      expires: z.string(),
      covers: z.array(z.string()),
      state: z.enum(['holds', 'expired', 'failing', 'stale', 'unknown']),
      why: z.string(),
    }),
  ),
  probes: z.array(
    z.object({
      probe: z.string(),
      outcome: z.enum(['pass', 'fail', 'inconclusive']),
      asked: z.number(),
      agreed: z.number(),
      answered: z.number(),
      why: z.string(),
      examples: z.array(
        z.object({
          golden: z.number(),
          staging: z.string(),
          production: z.string(),
          recorded: z.string().optional(),
        }),
      ),
    }),
  ),
  asOf: z.string(),
});

/**
 * Reads what a comparison has come to.
 *
 * @param where it is kept, for messages
 * @throws GateInputError where it is none
 */
export function parseEvaluation(text: string, where: string): Evaluation {
  return parseJson(evaluationSchema, text, where) as Evaluation;
}

/**
 * The differences of two environments, by kind, the worst first, each with both values side by side; how the probes went;
 * what stood for what; and how much is equal.
 *
 * @param columns of the terminal
 */
export function renderDiff(stream: Writable, evaluation: Evaluation, columns: number): string {
  const { comparison, uses, probes } = evaluation;
  const documented = new Map(uses.flatMap((use) => use.covers.map((text) => [text, use] as const)));
  const all = comparison.differences
    .map((difference) => ({ difference, use: documented.get(difference.text) }))
    .sort((a, b) => Number(isSettled(a.use)) - Number(isSettled(b.use)) || rankOf(a) - rankOf(b));
  const shown = all
    .slice(0, MOST_SHOWN)
    .map(({ difference, use }) => ({ difference, use, ...sidesOf(difference) }));
  const layout = layoutOf(shown, columns);
  const lines = [style(stream, 'bold', headline(all, comparison.resources)), ''];
  for (const kind of DIFFERENCE_KINDS) {
    const group = shown.filter(({ difference }) => difference.kind === kind);
    if (group.length === 0) continue;
    lines.push(style(stream, ['bold', 'underline'], kind), ...headOf(stream, layout));
    for (const one of group) lines.push(...differenceLines(stream, one, layout), '');
  }
  if (all.length > shown.length) {
    lines.push(`and ${integer(all.length - shown.length)} more: --json has all`, '');
  }
  lines.push(...probeLines(stream, probes), ...foldingLines(stream, comparison.foldings, columns));
  lines.push(style(stream, 'dim', countText(evaluation)));
  return `${lines.join('\n')}\n\n`;
}

function headline(all: readonly { use: DocumentedUse | undefined }[], resources: number): string {
  if (all.length === 0) {
    return resources === 0
      ? 'Nothing is in both environments'
      : 'No difference between staging and production';
  }
  const settled = all.filter(({ use }) => isSettled(use)).length;
  const many = settled === all.length ? (settled === 1 ? '' : 'all ') : `${integer(settled)} of them `;
  const documented = settled === 0 ? '' : `, ${many}documented`;
  return `Staging and production: ${countOf(all.length, 'difference')}${documented}`;
}

function isSettled(use: DocumentedUse | undefined): boolean {
  return use?.state === 'holds';
}

function rankOf({ difference }: { difference: Difference }): number {
  return DIFFERENCE_KINDS.indexOf(difference.kind);
}

// ---------------------------------------------------------------------------------------------------------
// Both values
// ---------------------------------------------------------------------------------------------------------

/** What both have in common is dim, and the rest stands out. */
function sidesOf(difference: Difference): Pick<Shown, 'sides' | 'note'> {
  const { sides, note } = sideBySide(difference, printable);
  const lookOf = (side: Side): Piece[] =>
    sides[side].map(({ text, differs }) => ({ text, format: differs ? [...HIGHLIGHTS[side]] : 'dim' }));
  return { sides: { staging: lookOf('staging'), production: lookOf('production') }, note };
}

// ---------------------------------------------------------------------------------------------------------
// Lines
// ---------------------------------------------------------------------------------------------------------

/** Columns of the whole line, and of either side; without sides they stand one below the other. */
interface Layout {
  columns: number;
  sides?: { left: number; right: number };
}

function layoutOf(shown: readonly Shown[], columns: number): Layout {
  if (columns < LEAST_COLUMNS) return { columns };
  const room = columns - INDENT.length - BETWEEN.length;
  const widest = shown.reduce((most, { sides }) => Math.max(most, widthOfAll(sides.staging)), LEAST_LEFT);
  const left = Math.min(widest, Math.floor(room / 2));
  return { columns, sides: { left, right: room - left } };
}

function widthOfAll(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { text }) => sum + widthOf(text), 0);
}

function headOf(stream: Writable, { sides }: Layout): string[] {
  if (sides === undefined) return [];
  return [`${INDENT}${style(stream, 'dim', `${'staging'.padEnd(sides.left)}${BETWEEN}production`)}`];
}

function differenceLines(
  stream: Writable,
  { difference, use, sides, note }: Shown,
  layout: Layout,
): string[] {
  const { severity, text } = difference;
  const state = stateOf(use);
  const lines = [
    style(stream, 'bold', printable(text)),
    `${style(stream, isSettled(use) ? 'dim' : [...SEVERITIES[severity]], severity)}  ${painted(stream, [state])}`,
    ...(layout.sides === undefined
      ? SIDES.flatMap((side) => labelled(stream, side, sides[side], layout.columns))
      : beside(stream, sides, layout.sides)),
  ];
  if (note !== undefined) lines.push(`${INDENT}${style(stream, 'dim', note)}`);
  return lines;
}

function stateOf(use: DocumentedUse | undefined): Piece {
  if (use === undefined) return { text: 'undocumented' };
  const { state, expires, owner, why } = use;
  switch (state) {
    case 'holds':
      return { text: printable(`documented until ${expires} by ${owner}`), format: 'green' };
    case 'expired':
      return { text: printable(`documented until ${expires} by ${owner}, which is over`), format: 'red' };
    case 'failing':
      return { text: printable(`documented by ${owner}, and failing: ${begunSmall(why)}`), format: 'red' };
    default:
      return {
        text: printable(`documented by ${owner}, and not known: ${begunSmall(why)}`),
        format: 'yellow',
      };
  }
}

/** A sentence, to stand behind a colon. */
function begunSmall(sentence: string): string {
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1)}`;
}

/** Both sides in two columns, as many lines as the longer one takes. */
function beside(
  stream: Writable,
  sides: Record<Side, Piece[]>,
  { left, right }: NonNullable<Layout['sides']>,
): string[] {
  const staging = wrap(sides.staging, left);
  const production = wrap(sides.production, right);
  return Array.from({ length: Math.max(staging.length, production.length) }, (_, index) => {
    const [one = [], other = []] = [staging[index], production[index]];
    const gap = ' '.repeat(left - widthOfAll(one));
    const line = `${INDENT}${painted(stream, one)}${gap}${style(stream, 'dim', BETWEEN)}${painted(stream, other)}`;
    return line.trimEnd();
  });
}

/** One side below the other: its name, and what it says. */
function labelled(stream: Writable, side: Side, pieces: readonly Piece[], columns: number): string[] {
  const label = side.padEnd('production  '.length);
  const room = Math.max(LEAST_LEFT, columns - INDENT.length - label.length);
  return wrap(pieces, room).map((line, index) => {
    const start = index === 0 ? style(stream, 'dim', label) : ' '.repeat(label.length);
    return `${INDENT}${start}${painted(stream, line)}`;
  });
}

/** Pieces as lines of at most so many columns. */
function wrap(pieces: readonly Piece[], columns: number): Piece[][] {
  let line: Piece[] = [];
  const lines = [line];
  let used = 0;
  for (const { text, ...look } of pieces) {
    let part = '';
    for (const character of charactersOf(text)) {
      const width = widthOf(character);
      if (used + width > columns && used > 0) {
        line.push({ text: part, ...look });
        line = [];
        lines.push(line);
        part = '';
        used = 0;
      }
      part += character;
      used += width;
    }
    line.push({ text: part, ...look });
  }
  return lines;
}

function painted(stream: Writable, pieces: readonly Piece[]): string {
  return pieces
    .map(({ text, format }) => (format === undefined || text === '' ? text : style(stream, format, text)))
    .join('');
}

// ---------------------------------------------------------------------------------------------------------
// Below the differences
// ---------------------------------------------------------------------------------------------------------

function probeLines(stream: Writable, probes: readonly ProbeOutcome[]): string[] {
  if (probes.length === 0) return [];
  const heads = table(
    stream,
    probes.map(({ probe, outcome, asked, agreed }) => [
      { text: outcome.toUpperCase(), format: [...OUTCOMES[outcome]] },
      { text: probe, format: 'bold' },
      { text: `${integer(agreed)} of ${countOf(asked, 'golden request')} agreed` },
    ]),
  );
  return [
    style(stream, ['bold', 'underline'], 'probes'),
    ...probes.flatMap(({ outcome, why, examples }, index) => [
      heads[index] ?? '',
      ...(outcome === 'pass' ? [] : [`    ${printable(why)}`]),
      ...table(
        stream,
        examples.map(({ golden, staging, production, recorded }) => [
          { text: `  golden ${golden}` },
          { text: `staging ${staging}`, format: [...HIGHLIGHTS.staging] },
          { text: `production ${production}`, format: [...HIGHLIGHTS.production] },
          ...(recorded === undefined ? [] : [{ text: `recorded ${recorded}` }]),
        ]),
      ),
    ]),
    '',
  ];
}

function foldingLines(stream: Writable, foldings: readonly Folding[], columns: number): string[] {
  if (foldings.length === 0) return [];
  const head = style(stream, ['bold', 'underline'], 'equal by folding');
  if (columns < LEAST_COLUMNS) {
    return [
      head,
      ...foldings.map(({ as, staging, production, values }) =>
        printable(`${as}  ${staging}${BETWEEN}${production}  ${countOf(values, 'value')}`),
      ),
      '',
    ];
  }
  const rows = foldings.map(({ as, staging, production, values, examples }) => [
    { text: as, format: 'bold' as const },
    { text: staging },
    { text: production },
    { text: integer(values), align: 'right' as const },
    { text: examples[0] === undefined ? '' : `such as ${examples[0].text}`, format: 'dim' as const },
  ]);
  const titles = ['', 'staging', 'production', 'values', ''].map((text) => ({
    text,
    format: 'dim' as const,
  }));
  return [head, ...table(stream, [titles, ...rows]), ''];
}

function countText({ comparison: { resources, equal } }: Evaluation): string {
  const kinds = DIFFERENCE_KINDS.filter((kind) => equal[kind] > 0).map(
    (kind) => `${integer(equal[kind])} ${kind}`,
  );
  const values = kinds.length === 0 ? 'no value is equal' : `equal values: ${kinds.join(', ')}`;
  return `${countOf(resources, 'resource')} in both environments; ${values}`;
}
