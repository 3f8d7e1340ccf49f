import type { Writable } from 'node:stream';
import { styleText } from 'node:util';
import type { ConfigIssue } from '../../functions/shared/schema.ts';

/** What the exit codes of every command mean. */
export const EXIT = {
  /** The gate is open; the command did what it was asked to. */
  pass: 0,
  /** The verdict is `fail` or `inconclusive`, or the doctor found a problem. */
  failed: 1,
  /** The caller is wrong: usage, a bad contract, no such file. Trying again cannot help. */
  caller: 2,
  /** The world is broken: a full disk, access denied, a bug. Trying again may help. */
  broken: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Where a command writes: results to `stdout`, everything else to `stderr`. */
export interface Io {
  stdout: Writable;
  stderr: Writable;
}

export type Format = Parameters<typeof styleText>[0];

/** Styles a text for `stream`: only on a terminal, and never against NO_COLOR. */
export function style(stream: Writable, format: Format, text: string): string {
  return styleText(format, text, { stream });
}

/**
 * Runs a command to its exit code. What it throws is written to stderr for people and, with `json`, to stdout as
 * `{"error": {kind, message, help?, issues?}}`.
 */
export async function run(io: Io, json: boolean, command: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await command();
  } catch (error) {
    const failure = await explain(error);
    if (json) io.stdout.write(`${JSON.stringify({ error: failure }, null, 2)}\n`);
    const label = style(io.stderr, 'red', 'tocsin:');
    if (failure.issues === undefined) io.stderr.write(`${label} ${printable(failure.message)}\n`);
    else {
      const count = failure.issues.length;
      io.stderr.write(`${label} ${count} ${count === 1 ? 'mistake' : 'mistakes'}\n`);
      for (const { file, line, column, message } of failure.issues) {
        io.stderr.write(`  ${printable(`${file}:${line}:${column}`)} ${printable(message)}\n`);
      }
    }
    if (failure.help !== undefined) io.stderr.write(`  ${printable(failure.help)}\n`);
    return failure.kind === 'caller' ? EXIT.caller : EXIT.broken;
  }
}

interface Failure {
  kind: 'caller' | 'broken';
  message: string;
  help?: string;
  issues?: readonly ConfigIssue[];
}

async function explain(error: unknown): Promise<Failure> {
  // Loaded only here: they bring zod, which a good run may not need yet.
  const { GateError, GateInputError, messageOf } = await import('../../functions/shared/errors.ts');
  const { ConfigError } = await import('../../functions/shared/schema.ts');
  if (error instanceof ConfigError) {
    return { kind: 'caller', message: error.message, issues: inOrder(error.issues) };
  }
  if (error instanceof GateError) {
    return {
      kind: error instanceof GateInputError ? 'caller' : 'broken',
      message: error.message,
      ...(error.help === undefined ? {} : { help: error.help }),
    };
  }
  // Not foreseen: a bug, or an AWS error that no adapter knows. The stack is what its reader needs.
  const stack = error instanceof Error ? error.stack : undefined;
  return { kind: 'broken', message: stack ?? messageOf(error) };
}

/** Mistakes in the order of files, and in a file from its top to its end. */
export function inOrder(issues: readonly ConfigIssue[]): ConfigIssue[] {
  return issues.toSorted(
    (a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0) || a.line - b.line || a.column - b.column,
  );
}

/**
 * Text that may come from data, made safe for a terminal: control characters, which could move the cursor or
 * change its title, become `\u001b`. Line ends stay.
 */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

const WIDE =
  /^(?:\p{Emoji_Presentation}|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6])/u;
const graphemes = new Intl.Segmenter();

/** What a reader takes for one character each. */
export function* charactersOf(text: string): Generator<string> {
  for (const { segment } of graphemes.segment(text)) yield segment;
}

/** Columns that a text takes on a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of charactersOf(text)) width += WIDE.test(character) ? 2 : 1;
  return width;
}

/** One cell of {@link table}: a text, at most 48 columns of it, and how to style it. */
export interface Cell {
  text: string;
  format?: Format;
  align?: 'right';
}

const MAX_CELL = 48;

/** Columns of a terminal; of anything else 80. */
export function columnsOf(stream: Writable): number {
  // Some terminals say that they have none.
  return (stream as { columns?: number }).columns || 80;
}

/** Rows as lines of aligned columns, two spaces apart, without trailing blanks. */
export function table(stream: Writable, rows: readonly (readonly Cell[])[]): string[] {
  const shown = rows.map((cells) => cells.map((cell) => ({ ...cell, text: shorten(cell.text) })));
  const widths: number[] = [];
  for (const cells of shown) {
    cells.forEach(({ text }, index) => {
      widths[index] = Math.max(widths[index] ?? 0, widthOf(text));
    });
  }
  return shown.map((cells) =>
    cells
      .map(({ text, format, align }, index) => {
        const gap = ' '.repeat((widths[index] ?? 0) - widthOf(text));
        const styled = format === undefined ? text : style(stream, format, text);
        if (align === 'right') return gap + styled;
        return index === cells.length - 1 ? styled : styled + gap;
      })
      .join('  ')
      .trimEnd(),
  );
}

function shorten(text: string): string {
  const flat = printable(text.replaceAll('\n', ' '));
  if (flat.length <= MAX_CELL) return flat;
  return `${[...graphemes.segment(flat.slice(0, MAX_CELL - 1))].map(({ segment }) => segment).join('')}…`;
}

/** `443,268` */
export function integer(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** `13.5 MB`; decimal units. */
export function bytes(value: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
  return `${Number((value / 1000 ** power).toPrecision(3))} ${units[power]}`;
}

/**
 * Shows on a terminal what a long step is doing, and for how long, from its second second on; the line is erased
 * at the end.
 *
 * @param what a text, or what says it anew each second
 */
export async function withProgress<T>(
  { stderr }: Io,
  what: string | (() => string),
  step: () => Promise<T>,
): Promise<T> {
  if (!('isTTY' in stderr) || stderr.isTTY !== true) return step();
  const started = Date.now();
  let shown = false;
  const timer = setInterval(() => {
    shown = true;
    // A line that is wrapped would not be erased.
    const text = printable(typeof what === 'string' ? what : what()).slice(0, columnsOf(stderr) - 12);
    stderr.write(`\r\u001b[K${text} … ${Math.round((Date.now() - started) / 1000)} s`);
  }, 1000);
  try {
    return await step();
  } finally {
    clearInterval(timer);
    if (shown) stderr.write('\r\u001b[K');
  }
}
