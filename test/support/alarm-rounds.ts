import type { Evaluated, MetricAlarm } from '../../functions/alarm-drill/alarm.ts';
import { nextRound, phasesOf, seriesOf, startOf, ticksOf } from '../../functions/alarm-drill/ladder.ts';
import type { Facts, Plan, Receipt, Round, RungResult } from '../../functions/alarm-drill/measurements.ts';
import type { LocatedDrill } from '../../functions/alarm-drill/schema.ts';
import type { Transition } from '../../functions/alarm-drill/series.ts';
import { simulate, transitionsOf } from '../../functions/alarm-drill/simulate.ts';

/*
 * Rounds of a ladder as they would go in a world that does what the simulator says.
 */

const PROBE = 'arn:aws:sns:eu-central-1:111122223333:tocsin-probe';

/**
 * One round.
 *
 * @param alarm what the shadow alarms really do: the configured alarm, or one that differs from it
 */
export function playRound(alarm: Evaluated, plan: Plan, now: number): Round {
  const startedAt = startOf(plan, now);
  const { endsAt } = phasesOf({ startedAt, plan });
  const results = plan.rungs.map((rung): RungResult => {
    const evaluations = simulate(alarm, seriesOf({ startedAt, plan }, rung), {
      from: startedAt - 1,
      to: endsAt,
      extraRange: 2,
    });
    const transitions = transitionsOf(evaluations, 'INSUFFICIENT_DATA');
    const name = `tocsin-drill-00c0ffee-1-${rung.id}`;
    return {
      id: rung.id,
      alarm: name,
      transitions,
      receipts: transitions.flatMap((transition) => receiptsOf(name, transition)),
      samples: { published: ticksOf(plan), seen: ticksOf(plan) },
      failedActions: [],
    };
  });
  return { startedAt, plan, results, lateTicks: 0 };
}

/** Shadow alarms tell of ALARM and of OK. */
export function receiptsOf(alarm: string, { at, to }: Transition): Receipt[] {
  if (to === 'INSUFFICIENT_DATA') return [];
  const hops = { changedAt: at, notifiedAt: at + 400, receivedAt: at + 650 };
  return [{ alarm, state: to, topic: PROBE, ...hops }];
}

/** All rounds, until there is nothing more to find out. */
export function playRounds(
  alarm: MetricAlarm,
  drill: LocatedDrill,
  facts: Facts,
  really: Evaluated = alarm,
): Round[] {
  const rounds: Round[] = [];
  let now = facts.readAt;
  for (;;) {
    const plan = nextRound(alarm, drill, facts, rounds);
    if (plan === null) return rounds;
    const round = playRound(really, plan, now);
    rounds.push(round);
    now = phasesOf(round).endsAt;
  }
}
