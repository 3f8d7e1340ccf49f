import { clip, countOf, formatNumber } from '../shared/format.ts';
import type { Finding } from '../shared/verdict.ts';
import type { Difference, DocumentedUse } from './comparison.ts';
import { lineOfEntry, uncoveredOf } from './documented.ts';
import { daysBetween, type Judging } from './judging.ts';
import { DIFFERENCE_KINDS, type DifferenceKind, DOCUMENTED_FILE } from './schema.ts';
import { differenceText, valuesText } from './words.ts';

/*
 * Differences, and what is documented of them. Pure.
 */

/** Differences that have a finding each. */
const MOST = 200;

/** Days before the end of an entry from which on it warns. */
export const EXPIRES_SOON_DAYS = 14;

/** Characters of a reason, where it is quoted. */
const REASON = 300;

/** Differences that nobody has documented, the worst kinds first. */
export function judgeUndocumented(judging: Judging): void {
  const { failOn } = judging.parity.value;
  const isFailing = ({ kind }: Difference) => failOn.includes(kind);
  const byKind = Map.groupBy(uncoveredOf(judging.evaluation), ({ kind }) => kind);
  const ranked = DIFFERENCE_KINDS.flatMap((kind) => byKind.get(kind) ?? []);
  const ordered = [...ranked.filter(isFailing), ...ranked.filter((difference) => !isFailing(difference))];
  for (const difference of ordered.slice(0, MOST)) addUndocumented(judging, difference);
  const rest = Map.groupBy(ordered.slice(MOST), ({ kind }) => kind);
  for (const [kind, differences] of rest) addMore(judging, kind, differences.length);
}

function addUndocumented(judging: Judging, difference: Difference): void {
  const { kind, text } = difference;
  const { staging, production } = valuesText(difference);
  judging.add({
    check: `difference-${kind}`,
    subject: text,
    outcome: outcomeOf(judging, kind),
    message: `${differenceText(difference)}, and ${DOCUMENTED_FILE} documents no such difference.`,
    allowed: 'equal, or documented',
    observed: `${staging} in staging, ${production} in production`,
    path: ['failOn'],
    help: helpOf(judging),
  });
}

function addMore(judging: Judging, kind: DifferenceKind, count: number): void {
  judging.add({
    check: `difference-${kind}`,
    subject: kind,
    outcome: outcomeOf(judging, kind),
    message: `${countOf(count, 'more difference')} of the kind ${kind} ${count === 1 ? 'is' : 'are'} not documented: comparison.json has all.`,
    allowed: 'equal, or documented',
    observed: `${formatNumber(count)} more`,
    value: count,
    path: ['failOn'],
    help: helpOf(judging),
  });
}

function outcomeOf({ parity }: Judging, kind: DifferenceKind): 'fail' | 'warn' {
  return parity.value.failOn.includes(kind) ? 'fail' : 'warn';
}

function helpOf({ parity }: Judging): string {
  return `Make them equal, or document it: tocsin parity document ${parity.name}.`;
}

/** What became of each documented difference. */
export function judgeDocumented(judging: Judging): void {
  const { uses } = judging.evaluation;
  const order: DocumentedUse['state'][] = ['failing', 'expired', 'stale', 'unknown', 'holds'];
  for (const state of order) {
    for (const use of uses.filter((one) => one.state === state)) judgeUse(judging, use);
  }
}

function judgeUse(judging: Judging, use: DocumentedUse): void {
  const { entry, path, owner, expires, covers, state, why } = use;
  const line = lineOfEntry(judging.parity, entry);
  if (state === 'unknown' && covers.length === 0) {
    judging.skip(path, 'documented', `whether ${line} still holds is not known: ${withinSentence(why)}`);
    return;
  }
  const told = { what: covered(judging, use), line, reason: reasonOf(judging, entry) };
  judging.add({
    subject: path,
    entry,
    allowed: `documented until ${expires} by ${owner}`,
    ...TELL[state](use, told, daysBetween(judging.evaluation.asOf, expires)),
  });
}

/** What a use is told with: what it is about, its line, and why it is so. */
interface Told {
  what: string;
  line: string;
  reason: string;
}

type Telling = Pick<Finding, 'check' | 'outcome' | 'message' | 'observed' | 'help'>;

/** How each state is told; `left` are the days until it expires. */
const TELL: Record<DocumentedUse['state'], (use: DocumentedUse, told: Told, left: number) => Telling> = {
  failing: ({ owner, why }, { what, line }) => ({
    check: 'documented-failing',
    outcome: 'fail',
    message: `${what}, and what ${line} promises of that does not hold (${owner}). ${why}`,
    observed: 'its test fails',
    help: `Make the test hold, or ask ${owner} whether ${line} is still as it should be.`,
  }),
  expired: ({ owner, expires }, { what, line, reason }, left) => ({
    check: 'documented-expired',
    outcome: 'fail',
    message: `${what}, which ${line} documents no more: it held until ${expires} (${owner}: "${reason}").`,
    observed: `expired ${countOf(-left, 'day')} ago`,
    help: laterHelp(owner, line),
  }),
  stale: ({ path, owner, why }, { line }) => ({
    check: 'documented-stale',
    outcome: 'fail',
    message: `${line} documents ${path} (${owner}), and is stale. ${why}`,
    observed: 'no such difference',
    help: `Remove the entry at ${line}.`,
  }),
  unknown: ({ owner, why }, { what, line }) => ({
    check: 'documented',
    outcome: 'inconclusive',
    message: `${what}, and whether that is as ${line} documents (${owner}) is not known. ${why}`,
    observed: 'its test says nothing',
    help: 'Mend what keeps the test from saying anything.',
  }),
  holds: ({ owner, expires, why }, { what, line, reason }, left) => ({
    ...(left <= EXPIRES_SOON_DAYS
      ? {
          check: 'documented-expires-soon',
          outcome: 'warn',
          observed: left === 0 ? 'expires today' : `expires in ${countOf(left, 'day')}`,
          help: laterHelp(owner, line),
        }
      : { check: 'documented', outcome: 'pass', observed: 'as documented' }),
    message: `${what}, as ${line} documents until ${expires} (${owner}: "${reason}"). ${why}`,
  }),
};

function laterHelp(owner: string, line: string): string {
  return `Make them equal; or ask ${owner} whether the reason still holds, and write another day at ${line}.`;
}

/** The difference that an entry is about; how many, where there are several. */
function covered(judging: Judging, { covers, path }: DocumentedUse): string {
  const only = covers.length === 1 ? judging.differenceAt(covers[0]) : undefined;
  if (only !== undefined) return differenceText(only);
  return `${countOf(covers.length, 'value')} at ${path} differ`;
}

function reasonOf({ parity }: Judging, entry: number): string {
  return clip(parity.documented?.value[entry]?.reason.replace(/\s+/g, ' ') ?? '', REASON);
}

/** A sentence, to stand within another. */
function withinSentence(sentence: string): string {
  return `${sentence.charAt(0).toLowerCase()}${sentence.slice(1).replace(/\.$/, '')}`;
}
