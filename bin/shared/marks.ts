import type { Writable } from 'node:stream';
import { type Format, style } from './cli.ts';

/*
 * Pictures of characters: what each one means, and how it looks. Where several could stand in one place, the worst does.
 */

/** Characters, the worst first. */
export type Marks = Record<string, { means: string; format: readonly string[] }>;

/** Who answered, as a drill's progress has it, too: what there is to be afraid of first. */
export const ANSWERS = {
  B: { means: 'the bad model', format: ['bold', 'red'] },
  O: { means: 'another model', format: ['bold', 'yellow'] },
  M: { means: 'several models', format: ['yellow'] },
  P: { means: 'the previous model', format: ['green'] },
  '=': { means: 'either model', format: ['dim'] },
  x: { means: 'nobody', format: ['dim', 'red'] },
} as const satisfies Marks;

/** How the characters look. */
export function formatsOf(marks: Marks): Record<string, Format> {
  return Object.fromEntries(Object.entries(marks).map(([mark, { format }]) => [mark, [...format] as Format]));
}

/** Styles each run of the same character. */
export function paint(stream: Writable, text: string, formats: Record<string, Format>): string {
  return text.replace(/(.)\1*/gu, (run, character: string) => {
    const format = formats[character];
    return format === undefined ? run : style(stream, format, run);
  });
}

/** The worst of some marks. */
export function worst<Mark extends string>(order: Record<Mark, unknown>, marks: readonly Mark[]): Mark {
  return (Object.keys(order) as Mark[]).find((mark) => marks.includes(mark)) as Mark;
}

/** What those marks mean that are used. */
export function legendOf(stream: Writable, marks: Marks, used: ReadonlySet<string>): string {
  return Object.entries(marks)
    .filter(([mark]) => used.has(mark))
    .map(([mark, { means }]) => `${paint(stream, mark, formatsOf(marks))} ${means}`)
    .join('  ');
}
