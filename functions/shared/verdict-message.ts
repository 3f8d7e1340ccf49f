import { countOf, formatTime } from './format.ts';
import { type HistoryPoint, type Judged, streakOf } from './history.ts';
import { type Before, compose, type Message } from './message.ts';

/*
 * What the message of a verdict says beside what its gate says of it: what has changed since the last one, and where the
 * report is. Pure.
 */

/** What the message of a verdict says beside what its gate says. */
export interface VerdictContext {
  verdict: Judged;
  /** What the gate answers, as its event has it. */
  result: unknown;
  report: { uri: string; link: string };
  /** The verdicts before this one, the latest first. A run without a verdict is none. */
  history: readonly Pick<HistoryPoint, 'outcome' | 'at'>[];
}

/** The message of a verdict, with what has changed since the last one and where the report is. */
export function messageOfVerdict(message: Message, context: VerdictContext): Message {
  const { verdict, result, report, history } = context;
  const before = beforeOf(history);
  const passes = verdict.outcome === 'pass';
  const recovered = passes && before !== undefined && before.outcome !== 'pass';
  const still = !passes && before !== undefined && before.outcome !== 'pass';
  const marker = recovered ? 'recovered' : still ? 'still' : undefined;
  const change = changeOf(verdict.outcome, before);
  return compose({
    ...message,
    subject: subjectOf(message.subject, marker),
    ...(change !== undefined && { change }),
    facts: [['Report', report.link], ...message.facts],
    verdict: { id: verdict.id, reason: verdict.reason, recovered, before, report, result },
  });
}

/**
 * How it was until now. Whether it passed is what counts: verdicts that failed and verdicts that were inconclusive in turn
 * are one streak without a pass.
 */
function beforeOf(history: VerdictContext['history']): Before | undefined {
  const streak = streakOf(history, (one, other) => (one === 'pass') === (other === 'pass'));
  return streak && { ...streak, outcome: streak.outcome ?? 'no pass' };
}

const HAS = {
  pass: 'passed',
  fail: 'failed',
  inconclusive: 'been inconclusive',
  'no pass': 'not passed',
} as const;

/** What is new; undefined where nothing is that the message does not say itself. */
function changeOf(outcome: Judged['outcome'], before: Before | undefined): string | undefined {
  if (before === undefined) return undefined;
  const since = `${before.open ? 'at least ' : ''}since ${formatTime(before.since)}`;
  const inARow = `${countOf(before.runs, 'verdict')} in a row`;
  if (before.outcome === 'pass') {
    return outcome === 'pass' ? undefined : `New: until now it had passed, ${since} (${inARow}).`;
  }
  if (outcome === 'pass') return `Recovered: it had ${HAS[before.outcome]} ${since} (${inARow}).`;
  const has = HAS[before.outcome === outcome ? outcome : 'no pass'];
  return `Still: it has ${has} ${since} (${countOf(before.runs + 1, 'verdict')} in a row, with this one).`;
}

/** Characters that SNS takes. */
const SUBJECT = 100;

/** `Tocsin, recovered: dataset ...`: whoever reads subjects alone shall know. A name that is too long is cut in its middle. */
function subjectOf(subject: string, marker: string | undefined): string {
  if (marker === undefined) return subject;
  const marked = subject.replace(/^Tocsin:/, `Tocsin, ${marker}:`);
  const over = marked.length - SUBJECT;
  if (over <= 0) return marked;
  const name = marked.split(' ').reduce((long, word) => (word.length > long.length ? word : long));
  const left = Math.max(0, name.length - over - 2);
  const cut = `${name.slice(0, Math.ceil(left / 2))}..${name.slice(name.length - Math.floor(left / 2))}`;
  return marked.replace(name, cut);
}
