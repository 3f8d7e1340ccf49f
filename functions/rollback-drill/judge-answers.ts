import { capital, countOf, formatDuration, formatShare } from '../shared/format.ts';
import type { Judging } from './judging.ts';
import type { Request, Timeline } from './measurements.ts';
import { attributed, ENOUGH_ANSWERS, isWrong, requestsBetween, tallyOf, tellingAnswers } from './timeline.ts';
import { recoveryMsOf, type WayBack } from './way-back.ts';
import { idText, isDead, modelText, procedureText, said, several, statusText } from './words.ts';

/*
 * What the traffic has shown: whether the failure was real, what came of the procedure, and who has answered since. What an
 * endpoint answers counts, not what it says of itself.
 */

/** So many of the last requests say who serves, where few came since the endpoint last changed. */
const RECENT = 20;

/** Fewer requests than these tell little of a share of them. */
const FEW = 20;

/** Whether the bad model really served: else nothing was proven. */
export function judgeFailure(judging: Judging, { slices }: Timeline): void {
  const { failure, procedure, fingerprints } = judging.measurements;
  const { drill, endpoint } = judging;
  const { shiftTraffic, breakGuardrail } = drill.value.failure;
  const finding = { check: 'bad-model-serves', path: ['failure'] } as const;
  const why = failure?.why ?? null;
  const because = why === null ? '' : `: ${said(why)}`;

  if (breakGuardrail !== undefined) {
    const began = failure !== null && failure.state !== null && failure.servesAt !== null;
    judging.add({
      ...finding,
      outcome: began ? 'pass' : 'inconclusive',
      message: began
        ? `A deployment of ${endpoint} was under way when the alarm ${breakGuardrail.alarm} was set off.`
        : `Nothing was proven: no deployment of ${endpoint} was under way that the guardrail could have taken back${because}.`,
      allowed: 'a deployment under way',
      observed: began ? 'under way' : 'none',
      ...(!began && { help: 'See whether the endpoint can be deployed to, then run the drill again.' }),
    });
    return;
  }
  const bad = modelText(fingerprints, 'bad');
  const asked = requestsBetween(
    attributed(slices, drill.value.failure),
    failure?.begunAt ?? 0,
    procedure?.begunAt ?? Number.POSITIVE_INFINITY,
  );
  const { bad: count } = tallyOf(asked);
  if (failure === null || failure.servesAt === null || count === 0) {
    judging.add({
      ...finding,
      outcome: 'inconclusive',
      message: `Nothing was proven: ${bad} ${count === 0 ? 'answered nothing' : `gave only ${countOf(count, 'answer')}`}${because}.`,
      allowed: 'answers of the bad model',
      observed: countOf(count, 'answer'),
      value: count,
      help: 'Mend what the message names. Where it names nothing, see that the golden requests are answered by the bad model.',
    });
    return;
  }
  const since = asked
    .slice(asked.findIndex(({ who }) => who === 'bad'))
    .filter(({ who }) => who !== 'either');
  const share = formatShare(count / since.length);
  const meant =
    shiftTraffic === undefined || shiftTraffic.share === 1
      ? ''
      : `; it was to have ${formatShare(shiftTraffic.share)} of the traffic (${judging.at(['failure', 'shiftTraffic', 'share'])})`;
  judging.add({
    ...finding,
    outcome: 'pass',
    message: `The failure was real (${said(failure.what)}): ${bad} gave ${share} of ${countOf(since.length, 'answer')} from its first one until the procedure began${meant}.`,
    allowed: 'answers of the bad model',
    observed: share,
    value: count / since.length,
  });
}

/** How the procedure, or the guardrail, has ended. */
export function judgeProcedure(judging: Judging): void {
  const { procedure, failure } = judging.measurements;
  const { value } = judging.drill;
  const who = procedureText(value);
  const isGuardrail = value.failure.breakGuardrail !== undefined;
  const finding = {
    check: 'procedure',
    subject: who,
    allowed: 'success',
    path: isGuardrail ? ['failure', 'breakGuardrail'] : ['procedure'],
  } as const;
  if (value.procedure?.builtin !== undefined) {
    judging.skip(
      'procedure',
      'that people find the right target by themselves is not drilled: builtin is given it',
      who,
    );
  }
  if (procedure === null && failure?.servesAt === null) {
    judging.skip('procedure', 'it was not run, since the bad model did not serve', who);
    return;
  }
  if (procedure === null) {
    judging.add({
      ...finding,
      outcome: 'inconclusive',
      message: `${capital(who)} was not run.`,
      observed: 'not run',
      help: 'Run the drill again.',
    });
    return;
  }
  const { begunAt, endedAt, outcome, said: words } = procedure;
  const after = endedAt === null ? '' : ` after ${formatDuration(Math.max(0, endedAt - begunAt))}`;
  const saying = words === null ? '' : `: ${said(words)}`;
  if (outcome === 'unknown' && isGuardrail) {
    judging.add({
      ...finding,
      outcome: 'inconclusive',
      message: `Whether the guardrail rolls back by itself is not known: the deployment was taken back${after} for a reason that names no alarm${saying}.`,
      observed: outcome,
      help: 'Mend what SageMaker says, so that a deployment gets as far as its guardrail, then run the drill again.',
    });
  } else if (outcome === 'unknown') {
    judging.add({
      ...finding,
      outcome: 'inconclusive',
      message: `How ${who} ended is not known: the drill lost sight of it, and does not start it twice${saying}.`,
      observed: outcome,
      help: `Look for its run in what it logs, then run the drill again.`,
    });
  } else if (outcome === 'timed-out' || endedAt === null) {
    judging.add({
      ...finding,
      outcome: 'fail',
      message: isGuardrail
        ? `The guardrail had not rolled back by itself when the time was up${after}${saying}.`
        : `${capital(who)} had not ended when the time was up${after}${saying}.`,
      observed: 'timed out',
      help: isGuardrail
        ? 'Compare the alarms of the guardrail with the one that was set off, and how long a deployment watches them.'
        : `Run it by hand against ${judging.endpoint} to see what it waits for; within (${judging.at(['within'])}) is all the time that it has.`,
    });
  } else if (outcome === 'failed') {
    judging.add({
      ...finding,
      outcome: 'fail',
      message: isGuardrail
        ? `The guardrail did not roll back by itself${after}${saying}.`
        : `${capital(who)} failed${after}${words === null ? ', and says nothing of why' : saying}.`,
      observed: 'failed',
      help: isGuardrail
        ? 'Give the deployment an AutoRollbackConfiguration with the alarm, and let it watch long enough before it ends.'
        : `Run it by hand against ${judging.endpoint}; compare the names that it uses with the variants and the configuration of the endpoint (${variantsText(judging)}).`,
    });
  } else {
    judging.add({
      ...finding,
      outcome: 'pass',
      message: isGuardrail
        ? `The guardrail rolled back by itself${after}${saying}.`
        : `${capital(who)} ended well${after}.`,
      observed: 'success',
    });
  }
}

/** Everything that needs a way back that was watched. */
export function judgeAnswers(judging: Judging): void {
  const { way } = judging;
  if (way === null) return;
  judgePrevious(judging, way);
  judgeRecovery(judging, way);
  judgeWrong(judging, way);
  judgeLost(judging, way);
  judgeSteady(judging, way);
}

function judgePrevious(judging: Judging, way: WayBack): void {
  const { fingerprints, procedure } = judging.measurements;
  const { endpoint } = judging;
  const { requests, servesFrom, begunAt } = way;
  const previous = modelText(fingerprints, 'previous');
  const finding = {
    check: 'previous-model-serves',
    allowed: "every answer the previous model's",
    limit: 1,
    path: ['procedure'],
  } as const;
  if (servesFrom !== null) {
    const since = tellingAnswers(tallyOf(requests.filter(({ at }) => at >= servesFrom)));
    judging.add({
      ...finding,
      outcome: 'pass',
      message: `From ${formatDuration(servesFrom - begunAt)} after the procedure began every answer of ${endpoint} is that of ${previous}: ${countOf(since, 'answer')}.`,
      observed: 'every answer',
      value: 1,
    });
    return;
  }
  const recent = recentOf(way);
  const state = way.states.at(-1)?.state;
  const tally = tallyOf(recent);
  const total = recent.length - tally.either;
  const share = total === 0 ? {} : { value: tally.previous / total };
  const outage = requests.slice(-ENOUGH_ANSWERS);
  const isDark = outage.length === ENOUGH_ANSWERS && outage.every(({ who }) => who === 'nobody');
  const isWrongNow = recent.some(isWrong);
  if (!isWrongNow && !isDark && (state === undefined || !isDead(state))) {
    const { perSecond } = judging.drill.value.traffic;
    judging.add({
      ...finding,
      ...share,
      outcome: 'inconclusive',
      message: `Whether ${previous} serves ${endpoint} again is not known: ${countOf(tally.previous, 'answer')} of it since the last wrong one, or since the endpoint last changed, and ${ENOUGH_ANSWERS} are needed.`,
      observed: countOf(tally.previous, 'answer'),
      help: `Send more than ${perSecond} requests a second (traffic.perSecond, ${judging.at(['traffic'])}), or give the procedure more time (within, ${judging.at(['within'])}).`,
    });
    return;
  }
  const what =
    state === null
      ? 'there is no such endpoint any more, so nobody answers'
      : [
          ...(isDark && !isWrongNow && state !== undefined && isDead(state)
            ? [`it is ${statusText(state)}, so nobody answers`]
            : answersOf(judging, recent, total)),
          ...(state === undefined || isDead(state) || state.status === 'InService'
            ? []
            : [`it is ${statusText(state)}`]),
        ].join('; ');
  const lied =
    procedure?.outcome === 'succeeded'
      ? ' The procedure reports success all the same: have it ask the endpoint what it answers.'
      : '';
  judging.add({
    ...finding,
    ...share,
    outcome: 'fail',
    message: `${endpoint} is not back on ${previous}: ${what}.`,
    observed: observedText(recent, total),
    help: `Compare the names that the procedure uses with those of the endpoint (${variantsText(judging)}).${lied}`,
  });
}

/** The requests that say who serves in the end: those since the endpoint last changed, or the last few. */
function recentOf({ requests, settledAt, begunAt }: WayBack): Request[] {
  const since = requests.filter(({ at }) => at >= (settledAt ?? begunAt));
  return since.length >= ENOUGH_ANSWERS && settledAt !== null ? since : requests.slice(-RECENT);
}

/** Who has answered how much: `variant primary answers, under its old name, with the bad model's predictions ...`. */
function answersOf(
  { measurements: { fingerprints } }: Judging,
  requests: readonly Request[],
  total: number,
): string[] {
  const old = new Set(fingerprints.filter(({ part }) => part === 'previous').map(({ variant }) => variant));
  const groups = Map.groupBy(
    requests.filter(({ who }) => who !== 'either'),
    ({ who, variant, error }) => JSON.stringify([who, who === 'nobody' ? null : variant, error !== null]),
  );
  const rank = { bad: 0, other: 1, nobody: 2, previous: 3, either: 4 };
  const ordered = [...groups.entries()].sort(
    ([a, one], [b, other]) =>
      rank[one[0]!.who] - rank[other[0]!.who] || other.length - one.length || (a < b ? -1 : 1),
  );
  const parts = ordered.map(([, group]) => {
    const { who, variant, error } = group[0]!;
    const count = `${group.length} of ${countOf(total, 'request')} (${formatShare(group.length / total)})`;
    if (who === 'nobody') return `nobody answers ${count}${errorsText(group)}`;
    if (error !== null) return `the bad model answers ${count} with errors${errorsText(group)}`;
    const name = variant === null ? 'a variant without a name' : `variant ${variant}`;
    if (who === 'previous')
      return `${name} answers ${count} with the previous model's predictions${idText(fingerprints, 'previous')}`;
    const under = variant !== null && old.has(variant) ? ', under its old name,' : '';
    return who === 'bad'
      ? `${name} answers${under} with the bad model's predictions${idText(fingerprints, 'bad')}: ${count}`
      : `${name} answers${under} with predictions of neither the previous nor the bad model: ${count}`;
  });
  return [several(parts)];
}

/** `: ThrottlingException 12 times, ModelError 500 once` */
function errorsText(requests: readonly Request[]): string {
  const counts = Map.groupBy(requests, ({ error }) => error ?? 'no error');
  const texts = [...counts]
    .map(([error, { length }]) => [error, length] as const)
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .map(([error, count]) => `${said(error)} ${count === 1 ? 'once' : `${count} times`}`);
  return texts.length === 0 ? '' : `: ${several(texts)}`;
}

function observedText(requests: readonly Request[], total: number): string {
  const tally = tallyOf(requests);
  const parts = (['bad', 'other', 'nobody', 'previous'] as const).filter((who) => tally[who] > 0);
  return parts.length === 0
    ? 'no request'
    : parts.map((who) => `${who} ${formatShare(tally[who] / total)}`).join(', ');
}

/** `it has the variants candidate and primary, and the configuration churn-7` */
function variantsText({ measurements: { original } }: Judging): string {
  if (original === null) return 'aws sagemaker describe-endpoint';
  const { variants, config } = original.state;
  return `variants ${several(variants.map(({ name }) => name))}; configuration ${config}`;
}

function judgeRecovery(judging: Judging, way: WayBack): void {
  const ms = recoveryMsOf(way);
  if (ms === null) {
    judging.skip(
      'recovery-time',
      way.servesFrom === null
        ? 'the previous model does not serve again'
        : `the guardrail has not rolled back${judging.measurements.procedure?.outcome === 'unknown' ? ', as far as anybody knows' : ''}`,
    );
    return;
  }
  const { within } = judging.drill.value;
  const limit = formatDuration(within);
  const took = formatDuration(ms);
  const isLate = ms > within;
  // As finely as tells the two apart.
  const late = took === limit ? `${limit} and ${formatDuration(ms - within)}` : took;
  judging.add({
    check: 'recovery-time',
    outcome: isLate ? 'fail' : 'pass',
    message: isLate
      ? `The rollback took ${late} from the start of the procedure until the previous model answered everything; at most ${limit} is allowed (${judging.at(['within'])}).`
      : `The previous model answered everything again ${took} after the procedure began, within ${limit}.`,
    allowed: `within ${limit}`,
    observed: isLate ? late : took,
    limit: within,
    value: ms,
    path: ['within'],
    ...(isLate && {
      help: 'See in the timeline of the evidence what took the time: the procedure itself, or a deployment that shifts traffic slowly; roll back with all traffic at once.',
    }),
  });
}

function judgeWrong(judging: Judging, { requests, doneAt }: WayBack): void {
  const check = 'wrong-model-after-rollback';
  if (doneAt === null) {
    const { outcome } = judging.measurements.procedure!;
    judging.skip(
      check,
      outcome === 'succeeded'
        ? 'the endpoint was still changing when watching ended'
        : 'the procedure did not end well',
    );
    return;
  }
  const since = requests.filter(({ at, who }) => at >= doneAt && who !== 'nobody');
  if (since.length === 0) {
    judging.skip(check, 'no request was answered after the rollback was done');
    return;
  }
  const allowed = judging.drill.value.allow.wrongModelAfterRollback;
  const wrong = since.filter(isWrong);
  const isFine = wrong.length <= allowed;
  const path = ['allow', 'wrongModelAfterRollback'];
  const limit = `at most ${allowed} allowed (${judging.at(path)})`;
  const last = wrong.at(-1);
  const count = `${wrong.length} of ${countOf(since.length, 'answer')} after the rollback was done`;
  judging.add({
    check,
    outcome: isFine ? 'pass' : 'fail',
    message:
      last === undefined
        ? `None of ${countOf(since.length, 'answer')} after the rollback was done is another model's.`
        : `${count} ${wrong.length === 1 ? 'is' : 'are'} another model's, the last one ${formatDuration(last.at - doneAt)} after it; ${limit}.`,
    allowed: `at most ${allowed}`,
    observed: String(wrong.length),
    limit: allowed,
    value: wrong.length,
    path,
    ...(!isFine && {
      help: 'The procedure says that it is done, and it is not: have it wait until the endpoint is InService and answers as it should.',
    }),
  });
}

function judgeLost(judging: Judging, { requests }: WayBack): void {
  const { errorRate } = judging.drill.value.allow;
  const path = ['allow', 'errorRate'];
  const limit = `at most ${formatShare(errorRate)}`;
  const finding = { check: 'lost-requests', allowed: limit, limit: errorRate, path } as const;
  const total = requests.length;
  if (total === 0) {
    judging.add({
      ...finding,
      outcome: 'inconclusive',
      message: `Whether requests are lost on the way back is not known: none was sent to ${judging.endpoint} while it was watched.`,
      observed: 'no request',
      help: 'Run the drill again.',
    });
    return;
  }
  const lost = requests.filter(({ who }) => who === 'nobody');
  const share = lost.length / total;
  const isFine = share <= errorRate;
  const few = total < FEW ? '; so few requests tell little' : '';
  const errors = requests.filter(({ who, error }) => who === 'bad' && error !== null).length;
  const faulty =
    errors === 0 ? '' : `; ${countOf(errors, 'error')} of the bad model, which is faulty, not counted`;
  judging.add({
    ...finding,
    outcome: isFine ? 'pass' : 'fail',
    message:
      lost.length === 0
        ? `None of ${countOf(total, 'request')} was lost from the start of the procedure on${faulty}${few}.`
        : `${lost.length} of ${countOf(total, 'request')} (${formatShare(share, errorRate)}) got no answer from the start of the procedure on${errorsText(lost)}; ${limit} allowed (${judging.at(path)})${faulty}${few}.`,
    observed: formatShare(share, errorRate),
    value: share,
    ...(!isFine && {
      help: 'See in the timeline of the evidence when they were lost: the old fleet may have gone before the new one served, or been too small.',
    }),
  });
}

function judgeSteady(judging: Judging, way: WayBack): void {
  const { servesFrom, settledAt, steadyMs, states } = way;
  const { steady } = judging.drill.value;
  const limit = formatDuration(steady);
  if (servesFrom === null) {
    judging.skip('steady', 'the previous model does not serve again');
    return;
  }
  const finding = { check: 'steady', allowed: limit, limit: steady, path: ['steady'] } as const;
  const state = states.at(-1)?.state ?? null;
  if (settledAt === null) {
    judging.add({
      ...finding,
      outcome: 'inconclusive',
      message: `Whether ${judging.endpoint} stays so is not known: ${state === null ? 'it is gone' : `it was still ${statusText(state)}`} when watching ended, and was to stay as it is for ${limit} (${judging.at(['steady'])}).`,
      observed: 'still changing',
      value: 0,
      help: `Give the drill more time: within (${judging.at(['within'])}) and steady together are how long it watches.`,
    });
    return;
  }
  const ms = steadyMs ?? 0;
  const isLong = ms >= steady;
  judging.add({
    ...finding,
    outcome: isLong ? 'pass' : 'inconclusive',
    message: isLong
      ? `${judging.endpoint} stayed so for ${formatDuration(ms)}: no wrong answer, and nothing changed.`
      : `Whether ${judging.endpoint} stays so is not known: it was watched for ${formatDuration(ms)} after ${servesFrom >= settledAt ? 'the last wrong answer' : 'it last changed'}, and was to be for ${limit} (${judging.at(['steady'])}).`,
    observed: formatDuration(ms),
    value: ms,
    ...(!isLong && {
      help: `Give the drill more time: within (${judging.at(['within'])}) and steady together are how long it watches.`,
    }),
  });
}
