import { type CloudWatchClient, ListAlarmMuteRulesCommand } from '@aws-sdk/client-cloudwatch';
import {
  type CapacitySize,
  type DeploymentConfig,
  DescribeEndpointCommand,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { distance } from 'fastest-levenshtein';
import { call, dependencyError, mapLimit } from '../../shared/aws.ts';
import { GateInputError, messageOf } from '../../shared/errors.ts';
import { isGone } from '../../shared/sagemaker.ts';
import { type Alarm, type AlarmState, type CompositeAlarm, readsMetric } from '../alarm.ts';
import { alarmsIn, parseRule } from '../composite.ts';
import type { ActionFacts, Facts, GuardrailFacts, MetricFacts } from '../measurements.ts';
import { type LocatedDrill, SHADOW } from '../schema.ts';
import { type ActionClients, actionFacts } from './action-facts.ts';
import { parentsOf, readAlarm, readAlarms } from './alarms.ts';
import { metricFacts } from './metric-facts.ts';

/*
 * Everything that an alarm depends on, read and not judged. What cannot be read is said, and the rest goes on.
 */

export interface FactsClients extends ActionClients {
  cloudwatch: CloudWatchClient;
  sagemaker: SageMakerClient;
}

/** Alarms that are looked through for a name like the one that does not exist, and how many of them are told. */
const LOOKED_THROUGH = 2000;
const NEAREST = 5;

/** Data points that are kept, of all metrics and of one. */
const RECENT = 300;
const RECENT_OF_ONE = 200;

/** Metrics, and actions, at a time. */
const CONCURRENCY = 3;

/**
 * Bytes of JSON that all may have, since the result of a step is kept by the workflow; and those of each part, which leave
 * enough for data points and the alarm itself.
 */
const BYTES = 60_000;
const PARENT_BYTES = 8_000;
const OTHERS_BYTES = 4_000;
const NEAR_BYTES = 1_500;
const ACTION_BYTES = 16_000;
const MUTE_BYTES = 1_500;
const UNREAD_BYTES = 3_000;

/** Tries to read one part; says what it could not read. */
type Attempt = <T>(what: string, read: () => Promise<T>) => Promise<T | undefined>;

/**
 * Reads the alarm of a drill and everything that it depends on, as of now. At most 60 KB of JSON.
 *
 * @throws GateDependencyError where the alarm itself cannot be read: nothing would be left to judge
 * @throws GateInputError where the alarm is too large
 */
export async function readFacts(
  clients: FactsClients,
  drill: LocatedDrill,
  now: () => number,
): Promise<Facts> {
  const readAt = now();
  const { cloudwatch } = clients;
  const { alarm: name, intended } = drill.value;
  const unread: Facts['unread'] = [];
  const attempt: Attempt = async (what, read) => {
    try {
      return await read();
    } catch (error) {
      unread.push({ what, why: reasonOf(error) });
      return undefined;
    }
  };

  const alarm = await readAlarm(cloudwatch, name);
  const near = (await attempt('names of other alarms', () => nearTo(cloudwatch, name, alarm))) ?? [];
  // An alarm's ARN tells where it is; without one the client knows the region, and nobody the account.
  const [, , , region = await cloudwatch.config.region(), account = ''] = alarm?.arn.split(':') ?? [];

  const above =
    alarm === null
      ? []
      : ((await attempt('composite alarms above it', () => parentsOf(cloudwatch, name))) ?? []);
  const parents = fitting(above.map(shortened), PARENT_BYTES);
  if (parents.length < above.length) {
    const why = `only ${parents.length} of ${above.length} are looked at`;
    unread.push({ what: 'composite alarms above it', why });
  }
  const others = await statesOf(cloudwatch, name, parents, attempt, unread);
  const metrics = await metricsOf(cloudwatch, alarm, readAt, attempt);
  const actions = await actionsOf(clients, alarm, parents, { account, region }, attempt, unread);
  const mutes = alarm === null ? [] : ((await attempt('mute rules', () => mutesOf(cloudwatch, name))) ?? []);
  const guarded = intended.guards;
  const guardrail =
    guarded === undefined
      ? undefined
      : await attempt(`deployments of ${guarded}`, () => guardrailOf(clients.sagemaker, guarded));
  return bounded({
    readAt,
    account,
    region,
    alarm,
    near: fitting(near, NEAR_BYTES),
    parents,
    others,
    metrics,
    actions,
    mutes: fitting(mutes, MUTE_BYTES),
    ...(guardrail !== undefined && { guardrail }),
    unread: fitting(unread, UNREAD_BYTES),
  });
}

/**
 * Facts that can be kept. An alarm on many metrics with many dimensions leaves room for few data points.
 *
 * @throws GateInputError where the alarm alone is too large
 */
function bounded(facts: Facts): Facts {
  for (const most of [RECENT_OF_ONE, 10, 1]) {
    const metrics = Object.fromEntries(
      Object.entries(facts.metrics).map(([id, one]) => [id, { ...one, recent: one.recent.slice(-most) }]),
    );
    const fits = { ...facts, metrics };
    if (sizeOf(fits) <= BYTES) return fits;
  }
  throw new GateInputError(
    `the configuration of the alarm ${facts.alarm?.name} is too large to be kept: ${sizeOf(facts.alarm)} bytes`,
    { help: 'Give its metrics fewer or shorter dimensions.' },
  );
}

/** Why something could not be read, in a line. */
function reasonOf(error: unknown): string {
  return messageOf(error).replace(/\s+/g, ' ').slice(0, 300);
}

/** As many of the first items as fit. */
function fitting<T>(items: readonly T[], bytes: number): T[] {
  let left = bytes;
  const end = items.findIndex((item) => {
    left -= sizeOf(item);
    return left < 0;
  });
  return end === -1 ? [...items] : items.slice(0, end);
}

function sizeOf(value: unknown): number {
  return Buffer.byteLength(JSON.stringify(value)) + 1;
}

// ---------------------------------------------------------------------------------------------------------
// Other alarms
// ---------------------------------------------------------------------------------------------------------

/** Names like that of an alarm that does not exist; the children of a composite alarm. */
async function nearTo(cloudwatch: CloudWatchClient, name: string, alarm: Alarm | null): Promise<string[]> {
  if (alarm?.kind === 'composite') return alarmsIn(parseRule(alarm.rule)).slice(0, NEAREST);
  if (alarm !== null) return [];
  const all = await readAlarms(cloudwatch, { prefix: '' }, LOOKED_THROUGH);
  return all
    .map((other) => other.name)
    .filter((other) => !other.startsWith(SHADOW))
    .map((other) => ({ other, far: distance(other.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.far - b.far || (a.other < b.other ? -1 : 1))
    .slice(0, NEAREST)
    .map(({ other }) => other);
}

/** Without a description, which may be long and says nothing that is judged. */
function shortened({ description: _, ...alarm }: CompositeAlarm): CompositeAlarm {
  return alarm;
}

/** The states of all other alarms that composite alarms depend on. */
async function statesOf(
  cloudwatch: CloudWatchClient,
  name: string,
  parents: readonly CompositeAlarm[],
  attempt: Attempt,
  unread: Facts['unread'],
): Promise<Facts['others']> {
  const names = new Set<string>();
  for (const { name: parent, rule, suppressor } of parents) {
    const children = await attempt(`the rule of ${parent}`, async () => alarmsIn(parseRule(rule)));
    for (const child of children ?? []) names.add(child);
    if (suppressor !== undefined) names.add(suppressor.alarm);
  }
  names.delete(name);
  if (names.size === 0) return {};
  const longest: AlarmState = 'INSUFFICIENT_DATA';
  const entries = [...names].map((one) => [one, longest] as const);
  const asked = fitting(entries, OTHERS_BYTES).map(([one]) => one);
  if (asked.length < names.size) {
    const why = `only ${asked.length} of ${names.size} are looked at`;
    unread.push({ what: 'states of the alarms that composite alarms depend on', why });
  }
  const states = await attempt('states of the alarms that composite alarms depend on', async () => {
    const found = await readAlarms(cloudwatch, { names: asked });
    return new Map<string, AlarmState>(found.map((alarm) => [alarm.name, alarm.state]));
  });
  if (states === undefined) return {};
  return Object.fromEntries(asked.map((one) => [one, states.get(one) ?? null]));
}

// ---------------------------------------------------------------------------------------------------------
// What it watches, and whom it tells
// ---------------------------------------------------------------------------------------------------------

async function metricsOf(
  cloudwatch: CloudWatchClient,
  alarm: Alarm | null,
  now: number,
  attempt: Attempt,
): Promise<Record<string, MetricFacts>> {
  if (alarm?.kind !== 'metric') return {};
  const queries = alarm.queries.filter(readsMetric);
  const most = Math.min(RECENT_OF_ONE, Math.floor(RECENT / Math.max(1, queries.length)));
  const facts = await mapLimit(queries, CONCURRENCY, async (query) => {
    const found = await attempt(`data of ${query.id}`, () =>
      metricFacts(cloudwatch, query, alarm, now, most),
    );
    return found === undefined
      ? []
      : [[query.id, { ...found, near: fitting(found.near, NEAR_BYTES) }] as const];
  });
  return Object.fromEntries(facts.flat());
}

/** Actions for ALARM and for INSUFFICIENT_DATA, those of the alarm first: all that fit, read or not. */
async function actionsOf(
  clients: ActionClients,
  alarm: Alarm | null,
  parents: readonly CompositeAlarm[],
  place: { account: string; region: string },
  attempt: Attempt,
  unread: Facts['unread'],
): Promise<Record<string, ActionFacts>> {
  const tellers = new Map<string, string[]>();
  for (const { arn, actions } of alarm === null ? [] : [alarm, ...parents]) {
    for (const action of new Set([...actions.alarm, ...actions.insufficientData])) {
      tellers.set(action, [...(tellers.get(action) ?? []), arn]);
    }
  }
  const facts = await mapLimit([...tellers], CONCURRENCY, async ([arn, alarms]): Promise<ActionFacts> => {
    const found = await attempt(`the action ${arn}`, () => actionFacts(clients, arn, { ...place, alarms }));
    return found ?? { kind: 'unchecked', arn, why: 'it could not be looked at' };
  });
  const kept = fitting(
    facts.map((one) => [one.arn, one] as const),
    ACTION_BYTES,
  );
  if (kept.length < facts.length) {
    unread.push({ what: 'actions', why: `only ${kept.length} of ${facts.length} are looked at` });
  }
  return Object.fromEntries(kept);
}

/** Mute rules that are active, or are to be. Where CloudWatch does not know of any, there are none. */
async function mutesOf(cloudwatch: CloudWatchClient, name: string): Promise<Facts['mutes']> {
  const mutes: Facts['mutes'] = [];
  let NextToken: string | undefined;
  do {
    try {
      const page = await cloudwatch.send(
        new ListAlarmMuteRulesCommand({
          AlarmName: name,
          Statuses: ['ACTIVE', 'SCHEDULED'],
          ...(NextToken !== undefined && { NextToken }),
        }),
      );
      for (const { AlarmMuteRuleArn = '', Status, ExpireDate } of page.AlarmMuteRuleSummaries ?? []) {
        mutes.push({
          name: AlarmMuteRuleArn.replace(/^.*:alarm-mute-rule:/, ''),
          active: Status === 'ACTIVE',
          ...(ExpireDate !== undefined && { until: ExpireDate.getTime() }),
        });
      }
      NextToken = page.NextToken;
    } catch (error) {
      if ((error as Error).name === 'UnknownOperationException') return [];
      throw dependencyError(`ListAlarmMuteRules ${name}`, error);
    }
  } while (NextToken !== undefined);
  return mutes;
}

// ---------------------------------------------------------------------------------------------------------
// Deployments
// ---------------------------------------------------------------------------------------------------------

async function guardrailOf(sagemaker: SageMakerClient, endpoint: string): Promise<GuardrailFacts> {
  try {
    const { LastDeploymentConfig, ProductionVariants = [] } = await call(
      `DescribeEndpoint ${endpoint}`,
      sagemaker.send(new DescribeEndpointCommand({ EndpointName: endpoint })),
    );
    const alarms = (LastDeploymentConfig?.AutoRollbackConfiguration?.Alarms ?? []).flatMap(
      ({ AlarmName }) => AlarmName ?? [],
    );
    const bakeMs = bakeOf(
      LastDeploymentConfig,
      ProductionVariants.map(({ CurrentInstanceCount = 1 }) => CurrentInstanceCount),
    );
    return { endpoint, exists: true, alarms, ...(bakeMs !== undefined && { bakeMs }) };
  } catch (error) {
    if (isGone((error as Error).cause)) return { endpoint, exists: false, alarms: [] };
    throw error;
  }
}

/**
 * How long a deployment watches new capacity, milliseconds. SageMaker waits once after each step of the shift: after the
 * only one of all at once, after both of a canary, after each of a linear or a rolling one. Blue/green then keeps the old
 * fleet for the termination wait, into which an alarm may still fire. Starting instances takes time, too, but nobody
 * watches it.
 *
 * @param instances of each variant: the smallest takes the fewest steps
 * @returns undefined without an update policy
 */
export function bakeOf(
  config: DeploymentConfig | undefined,
  instances: readonly number[],
): number | undefined {
  const fewest = Math.max(1, Math.min(...instances));
  const { BlueGreenUpdatePolicy: blueGreen, RollingUpdatePolicy: rolling } = config ?? {};
  if (rolling !== undefined) {
    return stepsOf(rolling.MaximumBatchSize, fewest) * (rolling.WaitIntervalInSeconds ?? 0) * 1000;
  }
  if (blueGreen === undefined) return undefined;
  const { Type, WaitIntervalInSeconds = 0, LinearStepSize } = blueGreen.TrafficRoutingConfiguration ?? {};
  const steps = { ALL_AT_ONCE: 1, CANARY: 2, LINEAR: stepsOf(LinearStepSize, fewest) }[Type ?? 'ALL_AT_ONCE'];
  return (steps * WaitIntervalInSeconds + (blueGreen.TerminationWaitInSeconds ?? 0)) * 1000;
}

function stepsOf(size: CapacitySize | undefined, instances: number): number {
  const whole = size?.Type === 'INSTANCE_COUNT' ? instances : 100;
  return Math.ceil(whole / Math.max(1, size?.Value ?? whole));
}
