import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import * as z from 'zod';
import { alarmsOf, readAlarm, readAlarms } from '../../functions/alarm-drill/adapters/alarms.ts';
import type { Alarm } from '../../functions/alarm-drill/alarm.ts';
import { CLIENT_OPTIONS } from '../../functions/shared/aws.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { didYouMean, parseJson } from '../../functions/shared/schema.ts';
import { assertAwsAccess } from './aws.ts';
import { readText } from './files.ts';

/*
 * Alarms that people name: in CloudWatch, or in a file.
 */

/** So many names are looked through for the one that was meant. */
const MOST_NAMES = 1000;

/**
 * Reads an alarm from CloudWatch.
 *
 * @throws GateInputError where there is none, or the caller has no AWS region or credentials
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function liveAlarm(name: string): Promise<Alarm> {
  const cloudwatch = new CloudWatchClient(CLIENT_OPTIONS);
  await assertAwsAccess(cloudwatch);
  const alarm = await readAlarm(cloudwatch, name);
  if (alarm !== null) return alarm;
  const others = await readAlarms(cloudwatch, { prefix: '' }, MOST_NAMES);
  const names = others.map((other) => other.name);
  const region = await cloudwatch.config.region();
  throw new GateInputError(`there is no alarm "${name}" in ${region}${didYouMean(name, names)}`);
}

/** When it changed plays no part here, and is written in several ways. */
const time = z
  .unknown()
  .optional()
  .transform(() => undefined);

/** An alarm as the AWS CLI prints it, as far as it could be written wrong by hand. */
const alarmSchema = z.looseObject({
  AlarmName: z.string().min(1),
  Threshold: z.number().optional(),
  Period: z.int().optional(),
  EvaluationPeriods: z.int().optional(),
  DatapointsToAlarm: z.int().optional(),
  Dimensions: z.array(z.looseObject({ Name: z.string(), Value: z.string() })).optional(),
  Metrics: z.array(z.looseObject({ Id: z.string() })).optional(),
  AlarmRule: z.string().optional(),
  StateUpdatedTimestamp: time,
  StateTransitionedTimestamp: time,
  AlarmConfigurationUpdatedTimestamp: time,
});

const answerSchema = z.looseObject({
  MetricAlarms: z.array(alarmSchema).optional(),
  CompositeAlarms: z.array(alarmSchema).optional(),
  LogAlarms: z.array(alarmSchema).optional(),
});

/**
 * Reads an alarm from a file: what `aws cloudwatch describe-alarms` answered, or one alarm of that.
 *
 * @param name which one, where there are several
 * @throws GateInputError where it is not there
 */
export async function alarmIn(file: string, name?: string): Promise<Alarm> {
  const text = await readText(file, 'alarms');
  const answer = parseJson(answerSchema, text, `alarms ${file}`);
  const isAnswer = ['MetricAlarms', 'CompositeAlarms', 'LogAlarms'].some((kind) => kind in answer);
  const one = isAnswer ? undefined : parseJson(alarmSchema, text, `alarm ${file}`);
  const kind = one?.AlarmRule === undefined ? 'MetricAlarms' : 'CompositeAlarms';
  const page = one === undefined ? answer : { [kind]: [one] };
  const alarms = alarmsOf(page as unknown as Parameters<typeof alarmsOf>[0]);
  const names = alarms.map((alarm) => alarm.name);
  if (name !== undefined) {
    const found = alarms.find((alarm) => alarm.name === name);
    if (found) return found;
    throw new GateInputError(
      `${file} has no alarm "${name}"${didYouMean(name, names)}; it has ${names.join(', ') || 'none'}`,
    );
  }
  const [first, ...others] = alarms;
  if (first === undefined) throw new GateInputError(`${file} has no alarm`);
  if (others.length === 0) return first;
  throw new GateInputError(`${file} has ${alarms.length} alarms: ${names.join(', ')}`, {
    help: `Name one of them: tocsin alarm explain ${first.name} --from ${file} --series ...`,
  });
}
