import { clip, countOf, formatTime } from './format.ts';
import type { Judged, Streak } from './history.ts';
import { type Message, SENTENCE } from './message.ts';

/*
 * What the message of a verdict says beside what its gate says of it: what has changed since the last one, and where the
 * report is. Pure.
 */

/** What the message of a verdict says beside what its gate says. */
export interface VerdictContext {
  verdict: Judged;
  result: unknown;
  report: { uri: string; link: string };
  /** Of the verdicts before this one; undefined where it is the first. */
  streak: Streak | undefined;
}

/**
 * The message of a verdict, with what has changed since the last one and where the report is; and the same for programs.
 */
export function messageOfVerdict(message: Message, context: VerdictContext): Message {
  const { verdict, result, report, streak } = context;
  const recovered = verdict.outcome === 'pass' && streak !== undefined && streak.outcome !== 'pass';
  const said = changeText(verdict.outcome, streak);
  const text = `${said === undefined ? '' : `${said}\n\n`}${message.text}\nReport: ${report.link}\n(${report.uri}; all of them: tocsin board)\n`;
  return {
    ...message,
    text,
    attributes: { ...message.attributes, ...(recovered && { recovered: 'true' }) },
    document: {
      tocsin: 1,
      subject: message.subject,
      text,
      gate: verdict.gate,
      about: verdict.subject,
      outcome: verdict.outcome,
      recovered,
      ...(streak !== undefined && {
        before: { outcome: streak.outcome, since: formatTime(streak.since), runs: streak.runs },
      }),
      reason: clip(verdict.reason, SENTENCE),
      verdict: verdict.id,
      report,
      result,
    },
  };
}

/** What is new; undefined where nothing is that the message does not say itself. */
function changeText(outcome: Judged['outcome'], streak: Streak | undefined): string | undefined {
  if (streak === undefined) return undefined;
  const state = { pass: 'passed', fail: 'failed', inconclusive: 'inconclusive' }[streak.outcome];
  const since = `${streak.open ? 'at least ' : ''}since ${formatTime(streak.since)} (${countOf(streak.runs, 'verdict')} in a row)`;
  if (outcome === 'pass')
    return streak.outcome === 'pass' ? undefined : `Recovered: it had been ${state} ${since}.`;
  return streak.outcome === 'pass' ? `New: it had passed ${since}.` : `Still: it has been ${state} ${since}.`;
}
