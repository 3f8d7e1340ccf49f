import type { Readiness } from '../../functions/board/ready.ts';
import { GAP_TITLES } from '../../functions/board/schema.ts';
import type { GapStand, Stand } from '../../functions/board/standing.ts';
import { formatTime } from '../../functions/shared/format.ts';

/*
 * Readiness as a JUnit file, which pipelines show as test results: a suite for each gap, a case for each requirement.
 */

/** A case of a suite; `failure` says why it is no pass. */
interface Case {
  name: string;
  failure?: { type: string; text: string };
}

/** The XML of a judgement. The same judgement gives the same text. */
export function junitOf({ model, environment, at, gaps }: Readiness): string {
  const suites = gaps.map((gap) => ({ gap, cases: casesOf(gap) }));
  const all = suites.flatMap(({ cases }) => cases);
  const lines = suites.flatMap(({ gap: { gap }, cases }) => {
    const { number, title } = GAP_TITLES[gap];
    const name = `${number} ${title}`;
    return [
      `  <testsuite${attributes({ name, ...counts(cases), errors: 0, skipped: 0, time: 0, timestamp: formatTime(at).slice(0, 19) })}>`,
      ...cases.flatMap((one) => caseLines(one, `tocsin.ready.${environment}.${gap}`)),
      '  </testsuite>',
    ];
  });
  return `${[
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: `tocsin ready ${model} ${environment}`, ...counts(all), errors: 0, time: 0 })}>`,
    ...lines,
    '</testsuites>',
  ].join('\n')}\n`;
}

function counts(cases: readonly Case[]): { tests: number; failures: number } {
  return { tests: cases.length, failures: cases.filter(({ failure }) => failure !== undefined).length };
}

/** A gap that nothing closes has a case, too: no test at all would pass. */
function casesOf({ standing, why, stands }: GapStand): Case[] {
  if (stands.length === 0) return [{ name: 'configured', failure: { type: standing, text: why } }];
  return stands.map((stand: Stand) => ({
    name: stand.requirement.title,
    ...(stand.standing !== 'pass' && { failure: { type: stand.standing, text: stand.why } }),
  }));
}

function caseLines({ name, failure }: Case, classname: string): string[] {
  const head = `    <testcase${attributes({ name, classname, time: 0 })}`;
  if (failure === undefined) return [`${head}/>`];
  const { type, text } = failure;
  return [
    `${head}>`,
    `      <failure${attributes({ type, message: text })}>${escaped(text)}</failure>`,
    '    </testcase>',
  ];
}

function attributes(values: Record<string, string | number>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replaceAll(/[\n\t]/g, ' ')}"`)
    .join('');
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** Text of XML 1.0, in which some characters cannot be, however they are written. */
function escaped(text: string): string {
  return (
    text
      .toWellFormed()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this is about
      .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufffe\uffff]/g, '\ufffd')
      .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
  );
}
