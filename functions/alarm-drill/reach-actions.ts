import { GateInputError, messageOf } from '../shared/errors.ts';
import { formatDuration, formatTime, listOf } from '../shared/format.ts';
import { type Alarm, type AlarmState, alarmNameOf, type CompositeAlarm, type MetricAlarm } from './alarm.ts';
import { alarmsIn, holds, maskers, parseRule, type Rule } from './composite.ts';
import type { Proof } from './reach-proof.ts';
import { nameOf, proveTarget } from './reach-targets.ts';
import { isAsSilent, type Timing } from './reach-timing.ts';

/*
 * Whether somebody hears of the alarm: its own actions and those of the composite alarms above it, then every target of
 * them. Of the states of other alarms the present ones count.
 */

/** Proves that an ALARM of the alarm comes to somebody, and that silence does. */
export function proveActions(proof: Proof, alarm: MetricAlarm, timing: Timing): void {
  const above = new Above(proof, alarm);
  const routes = provePaths(proof, alarm, above);
  const silent = proveSilenceTold(proof, alarm, above, timing);
  for (const arn of new Set([...routes.flatMap(({ arns }) => arns), ...silent]))
    proveTarget(proof, alarm, arn);
}

/** Whether the endpoint's deployments are rolled back by the alarm, and in time. */
export function proveGuardrail(proof: Proof, alarm: MetricAlarm, { delay }: Timing): void {
  const { guards } = proof.intended;
  if (guards === undefined) return;
  const path = ['intended', 'guards'];
  const subject = `endpoint ${guards}`;
  const common = { check: 'guardrail', subject, path };
  const { guardrail } = proof.facts;
  if (!guardrail) {
    proof.skip(subject, 'guardrail', 'the endpoint was not read');
    return;
  }
  if (!guardrail.exists) {
    proof.add({
      ...common,
      outcome: 'fail',
      message: `Alarm ${alarm.name} guards endpoint ${guards} (${proof.at(path)}), which does not exist.`,
      allowed: 'an endpoint',
      observed: 'none',
      help: `Correct guards in ${proof.drill.file}, or create the endpoint.`,
    });
    return;
  }
  const above = new Above(proof, alarm);
  const via = [alarm.name, ...above.firing.map(({ name }) => name)].find((name) =>
    guardrail.alarms.includes(name),
  );
  if (via === undefined) {
    const others = guardrail.alarms.length === 0 ? 'no alarm' : `only ${listOf(guardrail.alarms)}`;
    proof.add({
      ...common,
      outcome: 'fail',
      message: `Alarm ${alarm.name} does not roll back deployments of endpoint ${guards} (${proof.at(path)}): its last deployment watched ${others}.`,
      allowed: alarm.name,
      observed: guardrail.alarms.join(', ') || 'none',
      help: `Deploy with ${alarm.name} in AutoRollbackConfiguration.Alarms of the DeploymentConfig of aws sagemaker update-endpoint.`,
    });
    return;
  }
  proof.add({
    ...common,
    outcome: 'pass',
    message: `Alarm ${via} rolls back deployments of endpoint ${guards} (${proof.at(path)}).`,
    allowed: alarm.name,
    observed: guardrail.alarms.join(', '),
  });

  const { bakeMs } = guardrail;
  if (bakeMs === undefined || delay === null) {
    const why =
      delay === null
        ? 'it is not known when the alarm fires'
        : 'its last deployment does not say how long new capacity is watched';
    proof.skip(subject, 'bake-time', why);
    return;
  }
  const inTime = delay.latest <= bakeMs;
  const watched = `new capacity is watched for ${formatDuration(bakeMs)}`;
  const fires = `alarm ${alarm.name} fires up to ${formatDuration(delay.latest)} after a bad model begins to show`;
  proof.add({
    check: 'bake-time',
    subject,
    path,
    allowed: `at most ${formatDuration(bakeMs)}`,
    observed: formatDuration(delay.latest),
    limit: bakeMs,
    value: delay.latest,
    ...(inTime
      ? {
          outcome: 'pass',
          message: `A bad deployment to endpoint ${guards} is noticed in time: ${watched}, and ${fires}.`,
        }
      : {
          outcome: 'fail',
          message: `A bad deployment to endpoint ${guards} is complete before anybody knows: ${watched}, and ${fires}.`,
          help: `Raise TerminationWaitInSeconds or the WaitIntervalInSeconds of the endpoint's BlueGreenUpdatePolicy to at least ${Math.ceil(delay.latest / 1000)} s in all, or shorten the alarm's periods.`,
        }),
  });
}

/** Where a way to people begins. */
interface Route {
  /** Null: the alarm itself. */
  via: CompositeAlarm | null;
  arns: string[];
}

/** At least one action of ALARM that CloudWatch takes, or the one reason why there is none. */
function provePaths(proof: Proof, alarm: MetricAlarm, above: Above): Route[] {
  const { actions, name } = alarm;
  const subject = `alarm ${name}`;
  const mute = proof.facts.mutes.find(({ active }) => active);
  const routes: Route[] = [
    ...(actions.enabled && !mute && actions.alarm.length > 0 ? [{ via: null, arns: actions.alarm }] : []),
    ...above.firing
      .filter((parent) => above.tells(parent))
      .map((parent) => ({ via: parent, arns: parent.actions.alarm })),
  ];
  if (routes.length > 0) {
    const texts = routes.map(({ via, arns }) => {
      const targets = listOf(arns.map(nameOf));
      return via ? `${targets} through composite alarm ${via.name}` : targets;
    });
    proof.add({
      check: 'actions',
      subject,
      outcome: 'pass',
      message: `ALARM of ${name} is told to ${texts.join(', and to ')}.`,
      allowed: 'at least one action',
      observed: texts.join(', '),
    });
    return routes;
  }

  const loud = [alarm, ...proof.facts.parents].filter((one) => one.actions.alarm.length > 0);
  const told = { subject, allowed: 'somebody is told' };
  if (actions.alarm.length > 0 && !actions.enabled) {
    proof.add({
      check: 'actions-enabled',
      ...told,
      outcome: 'fail',
      message: `Alarm ${name} tells nobody, as its actions are disabled: ${listOf(actions.alarm.map(nameOf))} would be told.`,
      observed: 'actions disabled',
      help: `Enable them: aws cloudwatch enable-alarm-actions --alarm-names ${name}, in CDK actionsEnabled: true.`,
    });
    return [];
  }
  if (actions.alarm.length > 0 && mute) {
    const until = mute.until === undefined ? '' : ` until ${formatTime(mute.until)}`;
    proof.add({
      check: 'mute',
      ...told,
      outcome: 'fail',
      message: `Alarm ${name} tells nobody${until}, as mute rule ${mute.name} holds its actions back.`,
      observed: `muted${until}`,
      help: `Take the alarm out of mute rule ${mute.name}, or end the rule: aws cloudwatch delete-alarm-mute-rule.`,
    });
    return [];
  }
  if (loud.length > 0) above.explain(told);
  else {
    // A composite alarm that could not be read may well have the action.
    const open = proof.facts.unread.some(({ what }) => what.includes('composite alarm'));
    proof.add({
      check: 'actions',
      ...told,
      outcome: open ? 'inconclusive' : 'fail',
      message: `Alarm ${name} ${open ? 'may tell' : 'tells'} nobody: it has no action for ALARM${above.isThere ? ', nor has a composite alarm above it' : ''}.`,
      observed: 'no action',
      help: 'Add the topic of those on call: --alarm-actions of aws cloudwatch put-metric-alarm, in CDK alarm.addAlarmAction(new SnsAction(topic)).',
    });
  }
  return [];
}

/** Whether anybody hears of silence that ends in INSUFFICIENT_DATA; the targets that do. */
function proveSilenceTold(
  proof: Proof,
  alarm: MetricAlarm,
  above: Above,
  { silence }: Timing,
): readonly string[] {
  const { whenSilent } = proof.intended;
  const ends = silence?.states.includes('INSUFFICIENT_DATA') && isAsSilent(whenSilent, 'INSUFFICIENT_DATA');
  if (!ends) return [];
  const { enabled, insufficientData } = alarm.actions;
  const own = enabled ? insufficientData : [];
  const parents = above.firingOn('INSUFFICIENT_DATA').filter((parent) => above.tells(parent));
  if (own.length === 0 && parents.length === 0) {
    proof.add({
      check: 'silence-told',
      subject: `alarm ${alarm.name}`,
      outcome: 'warn',
      message: `Alarm ${alarm.name} goes to INSUFFICIENT_DATA when its metric falls silent, and nobody is told of that state.`,
      allowed: 'somebody is told',
      observed: 'no action for INSUFFICIENT_DATA',
      path: ['intended', 'whenSilent'],
      help: 'Add --insufficient-data-actions (aws cloudwatch put-metric-alarm), in CDK alarm.addInsufficientDataAction(new SnsAction(topic)), or treat missing data as breaching.',
    });
  }
  return [...own, ...parents.flatMap(({ actions }) => actions.alarm)];
}

// ---------------------------------------------------------------------------------------------------------
// Composite alarms
// ---------------------------------------------------------------------------------------------------------

/** The composite alarms above an alarm, in view of the present states of all others. */
class Above {
  readonly #proof: Proof;
  readonly #alarm: MetricAlarm;
  readonly #rules = new Map<CompositeAlarm, Rule>();
  /** Those that come to ALARM because the alarm does. */
  readonly firing: CompositeAlarm[];

  constructor(proof: Proof, alarm: MetricAlarm) {
    this.#proof = proof;
    this.#alarm = alarm;
    for (const parent of proof.facts.parents) {
      try {
        this.#rules.set(parent, parseRule(parent.rule));
      } catch (error) {
        if (!(error instanceof GateInputError)) throw error;
        proof.skip(`composite alarm ${parent.name}`, 'composite', messageOf(error));
      }
    }
    this.firing = this.firingOn('ALARM');
  }

  get isThere(): boolean {
    return this.#proof.facts.parents.length > 0;
  }

  /** Those that are in ALARM while the alarm is in a state, and would not be with it in OK. */
  firingOn(state: AlarmState): CompositeAlarm[] {
    const otherwise = this.#ringing('OK');
    return [...this.#ringing(state)].filter((parent) => !otherwise.has(parent));
  }

  /** Whether its actions are taken when it comes to ALARM. */
  tells({ actions, suppressor }: CompositeAlarm): boolean {
    return (
      actions.enabled &&
      actions.alarm.length > 0 &&
      !(suppressor && this.#present(suppressor.alarm) === 'ALARM')
    );
  }

  /** One finding: why none of them tells anybody, though some have actions. */
  explain(told: { subject: string; allowed: string }): void {
    const { name } = this.#alarm;
    const found = this.#proof.facts.parents
      .filter(({ actions }) => actions.alarm.length > 0)
      .map((parent) => ({ parent, ...this.#obstacle(parent) }));
    const open = found.find((one) => one.open);
    const { parent, why, help } = open ?? found[0]!;
    this.#proof.add({
      check: 'composite',
      ...told,
      outcome: open ? 'inconclusive' : 'fail',
      message: `Alarm ${name} ${open ? 'may tell' : 'tells'} nobody: composite alarm ${parent.name}, which has the actions, ${why}.`,
      observed: why,
      help,
    });
  }

  #obstacle(parent: CompositeAlarm): { why: string; help: string; open?: true } {
    const { name, rule: text, suppressor, actions } = parent;
    const own = `Give ${this.#alarm.name} an action of its own, or`;
    if (!actions.enabled) {
      return {
        why: 'has its actions disabled',
        help: `Enable them: aws cloudwatch enable-alarm-actions --alarm-names ${name}, in CDK actionsEnabled: true.`,
      };
    }
    if (this.firing.includes(parent)) {
      return {
        why: `holds them back while its suppressor ${alarmNameOf(suppressor!.alarm)} is in ALARM`,
        help: `Find out why ${alarmNameOf(suppressor!.alarm)} is in ALARM, or correct ActionsSuppressor of ${name}.`,
      };
    }
    const rule = this.#rules.get(parent);
    if (!rule) {
      return { why: `has a rule that cannot be read, ${text}`, help: `${own} correct the rule.`, open: true };
    }
    if (this.#ringing('OK').has(parent)) {
      return {
        why: 'is in ALARM already for another reason, so that one more makes no difference',
        help: `${own} run the proof again once ${name} is OK.`,
        open: true,
      };
    }
    const child = [this.#alarm.name, ...this.firing.map((fires) => fires.name)].find((one) =>
      alarmsIn(rule).includes(one),
    );
    if (child === undefined) {
      return {
        why: 'hangs on others that do not fire',
        help: `${own} have it named in the rule of ${name}.`,
      };
    }
    return this.#masked(rule, child, parent);
  }

  #masked(rule: Rule, child: string, { name, rule: text }: CompositeAlarm) {
    const own = `Give ${this.#alarm.name} an action of its own, or`;
    let names: string[] | null;
    try {
      names = maskers(rule, child, this.#stateOf(new Set(this.firing), 'ALARM'));
    } catch (error) {
      if (!(error instanceof GateInputError)) throw error;
      return {
        why: `has a rule that is too hard to judge, ${text}`,
        help: `${own} simplify it.`,
        open: true as const,
      };
    }
    if (names === null) {
      return {
        why: `is not in ALARM by it whatever the others are in: its rule is ${text}`,
        help: `${own} correct the rule of ${name}: ALARM("${child}") has to be enough.`,
      };
    }
    const unknown = names.filter((masker) => this.#present(masker) === undefined && !this.#isGone(masker));
    if (unknown.length > 0) {
      return {
        why: `hangs on ${listOf(unknown)}, of which the state is not known: its rule is ${text}`,
        help: `${own} let the role of the drill read all alarms.`,
        open: true as const,
      };
    }
    const states = names.map((masker) => {
      const state = this.#present(masker);
      return state ? `${masker} is ${state === 'ALARM' ? 'in ALARM' : state}` : `there is no alarm ${masker}`;
    });
    return {
      why: `is masked, as ${listOf(states)}: its rule is ${text}`,
      help: `${own} correct the rule of ${name} so that ALARM("${child}") is enough, or see to ${listOf(names)}.`,
    };
  }

  #ringing(state: AlarmState): Set<CompositeAlarm> {
    const ringing = new Set<CompositeAlarm>();
    // Children come before those above them, in whatever order they were read: after so many rounds all are settled.
    for (let round = 0; round < this.#rules.size; round++) {
      for (const [parent, rule] of this.#rules) {
        if (holds(rule, this.#stateOf(ringing, state))) ringing.add(parent);
        else ringing.delete(parent);
      }
    }
    return ringing;
  }

  /** States, were the alarm in `state` and of the composite alarms above it these in ALARM. */
  #stateOf(
    ringing: ReadonlySet<CompositeAlarm>,
    state: AlarmState,
  ): (name: string) => AlarmState | undefined {
    const parents = new Map([...this.#rules.keys()].map((parent) => [parent.name, parent]));
    return (name) => {
      if (name === this.#alarm.name) return state;
      const parent = parents.get(name);
      if (parent) return ringing.has(parent) ? 'ALARM' : 'OK';
      return this.#present(name);
    };
  }

  #isGone(alarm: string): boolean {
    return this.#proof.facts.others[alarm] === null;
  }

  #present(alarm: string): AlarmState | undefined {
    const name = alarmNameOf(alarm);
    const all: Alarm[] = [this.#alarm, ...this.#proof.facts.parents];
    return all.find((one) => one.name === name)?.state ?? this.#proof.facts.others[name] ?? undefined;
  }
}
