import {
  type AlarmType,
  type CloudWatchClient,
  DescribeAlarmsCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { call, dependencyError } from '../../shared/aws.ts';
import { chunksOf } from '../../shared/chunks.ts';
import { GateInputError } from '../../shared/errors.ts';
import { clip } from '../../shared/format.ts';

/*
 * CloudWatch alarms: those that stop a drill, and the one of a guardrail.
 */

/** Left out, DescribeAlarms knows of metric alarms alone. */
const EVERY_TYPE: AlarmType[] = ['MetricAlarm', 'CompositeAlarm', 'LogAlarm'];

/** Names that one call takes. */
const NAMES = 100;

/** Characters that the reason of a state may have. */
const REASON = 1023;

const STATES = ['OK', 'ALARM', 'INSUFFICIENT_DATA'] as const;

export type AlarmState = (typeof STATES)[number];

/**
 * Reads the states of alarms, of whatever kind.
 *
 * @returns by name; null where there is no such alarm
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function alarmStates(
  cloudwatch: CloudWatchClient,
  names: readonly string[],
): Promise<Record<string, AlarmState | null>> {
  const states = new Map<string, AlarmState | null>(names.map((name) => [name, null]));
  for (const AlarmNames of chunksOf([...states.keys()], NAMES)) {
    let NextToken: string | undefined;
    do {
      const page = await call(
        'DescribeAlarms',
        cloudwatch.send(
          new DescribeAlarmsCommand({
            AlarmNames,
            AlarmTypes: EVERY_TYPE,
            MaxRecords: NAMES,
            ...(NextToken !== undefined && { NextToken }),
          }),
        ),
      );
      const found = [page.MetricAlarms, page.CompositeAlarms, page.LogAlarms].flatMap((some) => some ?? []);
      for (const { AlarmName = '', StateValue } of found) {
        // An alarm that says nothing of its state is not known to be quiet.
        const state = STATES.find((one) => one === StateValue) ?? 'INSUFFICIENT_DATA';
        if (states.has(AlarmName)) states.set(AlarmName, state);
      }
      NextToken = page.NextToken;
    } while (NextToken !== undefined);
  }
  return Object.fromEntries(states);
}

/**
 * Sets an alarm to a state, which holds until CloudWatch evaluates it again.
 *
 * @param reason as people see it in the history of the alarm
 * @throws GateInputError where there is no such alarm
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function setAlarm(
  cloudwatch: CloudWatchClient,
  name: string,
  state: AlarmState,
  reason: string,
): Promise<void> {
  try {
    await cloudwatch.send(
      new SetAlarmStateCommand({ AlarmName: name, StateValue: state, StateReason: clip(reason, REASON) }),
    );
  } catch (error) {
    // The protocol decides which of the two names it has.
    if (['ResourceNotFound', 'ResourceNotFoundException'].includes((error as Error).name)) {
      throw new GateInputError(`there is no alarm ${name}`, { cause: error });
    }
    throw dependencyError(`SetAlarmState ${name}`, error);
  }
}
