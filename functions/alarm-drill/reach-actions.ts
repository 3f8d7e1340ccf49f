import { formatDuration, formatTime, listOf } from '../shared/format.ts';
import type { CompositeAlarm, MetricAlarm } from './alarm.ts';
import { CompositeParents } from './reach-composite.ts';
import type { Proof } from './reach-proof.ts';
import { nameOf, proveTarget } from './reach-targets.ts';
import { isAsSilent, type Timing } from './reach-timing.ts';

/*
 * Whether somebody hears of the alarm: its own actions and those of the composite alarms above it, then every target of
 * them. Of the states of other alarms the present ones count.
 */

/** Proves that an ALARM of the alarm comes to somebody, and that silence does. */
export function proveActions(proof: Proof, alarm: MetricAlarm, timing: Timing): void {
  const above = new CompositeParents(proof, alarm);
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
  const above = new CompositeParents(proof, alarm);
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
function provePaths(proof: Proof, alarm: MetricAlarm, above: CompositeParents): Route[] {
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
  above: CompositeParents,
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
