import { mapLimit } from '../shared/aws.ts';
import { clip } from '../shared/format.ts';
import type { Patience, Workflow } from '../shared/workflow.ts';
import { deleteAlarms, historyOf, publishData, putShadow } from './adapters/alarms.ts';
import { collectReceipts } from './adapters/receipts.ts';
import type { MetricAlarm } from './alarm.ts';
import type { Delivery, Facts } from './measurements.ts';
import {
  CONCURRENCY,
  type DrillDependencies,
  FAILED_ACTIONS,
  hold,
  type Inbox,
  type MetricAlarmFacts,
  type Run,
  SENTENCE,
} from './run-workflow.ts';
import { DRILL_NAMESPACE } from './schema.ts';
import { type RoundOf, shadowData, shadowInput, shadowName } from './shadow.ts';

/*
 * `deliver: real`: one message, marked as a drill's, down the path that the real alarm takes.
 */

/** How long it may take: two evaluations, and the notification. */
const DELIVERING: Patience = { timeoutMs: 180_000, firstPauseMs: 5_000, longestPauseMs: 10_000 };

/** The same, with what comes before and after it. */
export const DELIVERY_MS = 2 * DELIVERING.timeoutMs;

/** CloudWatch takes so many actions of one state. */
const ACTIONS = 5;

/** Topics that tell people of the alarm, or of a composite alarm above it, in order. */
export function realTopics({ alarm, parents, actions }: Facts): string[] {
  const all = [...(alarm?.actions.alarm ?? []), ...parents.flatMap((parent) => parent.actions.alarm)];
  return [...new Set(all)].filter((arn) => {
    const found = actions[arn];
    return found?.kind === 'sns' && found.exists;
  });
}

/**
 * Sends one message, marked as a drill's, down the real path: an alarm with the actions of the real one, and a condition
 * that the first data point fulfils. How the real one evaluates is the ladder's matter.
 */
export async function deliver(
  workflow: Workflow,
  run: Run,
  facts: MetricAlarmFacts,
  inbox: Inbox,
  deps: DrillDependencies,
): Promise<Delivery[]> {
  const { cloudwatch, sqs, now } = deps;
  const { alarm } = facts;
  // 0, and another one after a change of the alarm: what rang before has arrived already.
  const of: RoundOf = { drill: run.drill.name, run: run.execution, token: run.token, round: run.rounds };
  const bells = Array.from({ length: Math.ceil(inbox.real.length / ACTIONS) }, (_, index) => {
    const rung = `real-${index + 1}`;
    const topics = inbox.real.slice(index * ACTIONS, (index + 1) * ACTIONS);
    return { rung, topics, name: shadowName(run.token, run.rounds, rung) };
  });
  const alarms = bells.map(({ name }) => name);
  const bell = bellOf(alarm);
  const { madeAt } = await workflow.step('make the alarm that rings the real path', async () => {
    await run.report('sending one message down the real path');
    const until = await hold(run, DELIVERY_MS, deps);
    for (const { rung, topics } of bells) {
      const description = `DRILL: nothing is wrong. Tocsin tries who hears of the alarm ${alarm.name} (drill ${run.drill.name}).`;
      const input = { ...of, rung, until, alarmActions: topics, okActions: [], description };
      await putShadow(cloudwatch, shadowInput(bell, input));
    }
    return { madeAt: now() };
  });
  const read = async () => {
    const receipts = await collectReceipts(sqs, inbox.queueUrl);
    return bells.flatMap(({ name, topics }) =>
      topics.flatMap((topic) => receipts.find((one) => one.alarm === name && one.topic === topic) ?? []),
    );
  };
  const heard =
    (await workflow.waitUntil(
      'the message has arrived',
      async () => {
        const samples = Object.fromEntries(bells.map(({ rung }) => [rung, { m1: { value: 1, count: 1 } }]));
        await publishData(cloudwatch, DRILL_NAMESPACE, shadowData(bell, of, now(), samples));
        const receipts = await read();
        return receipts.length === inbox.real.length ? receipts : undefined;
      },
      DELIVERING,
    )) ?? (await workflow.step('take the messages that have arrived', read));
  const failed = await workflow.step('read whom the real path failed', () =>
    mapLimit(alarms, CONCURRENCY, async (name) => {
      const { transitions, failedActions } = await historyOf(
        cloudwatch,
        name,
        madeAt - DELIVERING.timeoutMs,
        now(),
      );
      const silent = transitions.some(({ to }) => to === 'ALARM') ? [] : [`${name} did not come to ALARM`];
      return [...failedActions, ...silent].slice(0, FAILED_ACTIONS).map((text) => clip(text, SENTENCE));
    }),
  );
  await workflow.step('remove the alarm that rings the real path', () => deleteAlarms(cloudwatch, alarms));
  return bells.flatMap(({ name, topics }, index) =>
    topics.map((topic) => {
      const receipt = heard.find((one) => one.alarm === name && one.topic === topic) ?? null;
      const found = facts.actions[topic];
      const others = found?.kind === 'sns' ? found.subscriptions : [];
      return {
        topic,
        alarm: name,
        receipt,
        subscribers: others.filter(({ pending }) => !pending).length,
        failedActions: receipt === null ? failed[index]! : [],
      };
    }),
  );
}

/** An alarm that rings as soon as there is data. */
function bellOf(alarm: MetricAlarm): MetricAlarm {
  const { lowSamples: _, ...rest } = alarm;
  const metric = { namespace: DRILL_NAMESPACE, name: alarm.name, dimensions: {} };
  return {
    ...rest,
    math: false,
    queries: [{ id: 'm1', metric, statistic: 'Maximum' }],
    returns: 'm1',
    periodS: 10,
    evaluationPeriods: 1,
    datapointsToAlarm: 1,
    comparison: 'GreaterThanOrEqualToThreshold',
    threshold: 1,
    missingData: 'notBreaching',
  };
}
