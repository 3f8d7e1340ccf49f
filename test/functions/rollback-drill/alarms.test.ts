import {
  type AlarmType,
  CloudWatchClient,
  DescribeAlarmsCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { mockClient } from 'aws-sdk-client-mock';
import 'aws-sdk-client-mock-vitest/extend';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { alarmStates, setAlarm } from '../../../functions/rollback-drill/adapters/alarms.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';

const mockCloudWatch = () => mockClient(CloudWatchClient);
let mock: ReturnType<typeof mockCloudWatch>;
let cloudwatch: CloudWatchClient;

beforeEach(() => {
  mock = mockCloudWatch();
  cloudwatch = new CloudWatchClient({ region: 'us-east-1' });
});

afterEach(() => mock.restore());

const failure = (name: string, status: number) =>
  Object.assign(new Error('CloudWatch says no'), { name, $metadata: { httpStatusCode: status } });

const ASKED = {
  AlarmTypes: ['MetricAlarm', 'CompositeAlarm', 'LogAlarm'] satisfies AlarmType[],
  MaxRecords: 100,
};

describe('states', () => {
  test('are those of alarms of every kind; there may be none of a name', async () => {
    mock.on(DescribeAlarmsCommand).resolves({
      MetricAlarms: [
        { AlarmName: 'errors', StateValue: 'OK' },
        { AlarmName: 'new', StateValue: 'INSUFFICIENT_DATA' },
        { AlarmName: 'silent' },
      ],
      CompositeAlarms: [{ AlarmName: 'unhealthy', StateValue: 'ALARM' }],
      LogAlarms: [{ AlarmName: 'log', StateValue: 'OK' }],
    });
    const names = ['unhealthy', 'errors', 'gone', 'new', 'silent', 'log', 'errors'];
    expect(await alarmStates(cloudwatch, names)).toEqual({
      unhealthy: 'ALARM',
      errors: 'OK',
      gone: null,
      new: 'INSUFFICIENT_DATA',
      silent: 'INSUFFICIENT_DATA',
      log: 'OK',
    });
    expect(mock).toHaveReceivedCommandOnce(DescribeAlarmsCommand);
    expect(mock).toHaveReceivedCommandWith(DescribeAlarmsCommand, {
      ...ASKED,
      AlarmNames: ['unhealthy', 'errors', 'gone', 'new', 'silent', 'log'],
    });
  });

  test('of no alarms need no call, which would tell of all there are', async () => {
    expect(await alarmStates(cloudwatch, [])).toEqual({});
    expect(mock.calls()).toHaveLength(0);
  });

  test('come in pages, and of a hundred names a call', async () => {
    const names = Array.from({ length: 101 }, (_, index) => `alarm-${index}`);
    mock
      .on(DescribeAlarmsCommand)
      .resolvesOnce({ MetricAlarms: [{ AlarmName: 'alarm-0', StateValue: 'OK' }], NextToken: 'page-2' })
      .resolvesOnce({ CompositeAlarms: [{ AlarmName: 'alarm-99', StateValue: 'ALARM' }] })
      .resolvesOnce({ MetricAlarms: [{ AlarmName: 'alarm-100', StateValue: 'OK' }] });
    const states = await alarmStates(cloudwatch, names);
    expect(Object.keys(states)).toEqual(names);
    expect(Object.entries(states).filter(([, state]) => state !== null)).toEqual([
      ['alarm-0', 'OK'],
      ['alarm-99', 'ALARM'],
      ['alarm-100', 'OK'],
    ]);
    expect(mock.commandCalls(DescribeAlarmsCommand).map((one) => one.args[0].input)).toEqual([
      { ...ASKED, AlarmNames: names.slice(0, 100) },
      { ...ASKED, AlarmNames: names.slice(0, 100), NextToken: 'page-2' },
      { ...ASKED, AlarmNames: ['alarm-100'] },
    ]);
  });

  test.each([
    ['ThrottlingException', 400],
    ['AccessDeniedException', 403],
  ])('that cannot be read are the world’s: %s', async (name, status) => {
    mock.on(DescribeAlarmsCommand).rejects(failure(name, status));
    const error = await alarmStates(cloudwatch, ['errors']).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toBe(`DescribeAlarms failed (HTTP ${status}): ${name}: CloudWatch says no`);
  });
});

describe('setting an alarm', () => {
  const set = (reason = 'a drill') => setAlarm(cloudwatch, 'errors', 'ALARM', reason);

  test('gives state and reason', async () => {
    mock.on(SetAlarmStateCommand).resolves({});
    await set();
    expect(mock.commandCalls(SetAlarmStateCommand).map((one) => one.args[0].input)).toEqual([
      { AlarmName: 'errors', StateValue: 'ALARM', StateReason: 'a drill' },
    ]);
  });

  test('gives as much of a reason as CloudWatch takes', async () => {
    mock.on(SetAlarmStateCommand).resolves({});
    await set('x'.repeat(2000));
    const [input] = mock.commandCalls(SetAlarmStateCommand).map((one) => one.args[0].input);
    expect(input?.StateReason).toBe(`${'x'.repeat(1022)}…`);
  });

  test.each(['ResourceNotFound', 'ResourceNotFoundException'])('that is not there: %s', async (name) => {
    mock.on(SetAlarmStateCommand).rejects(failure(name, 404));
    const error = await set().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe('there is no alarm errors');
  });

  test.each([
    ['ThrottlingException', 400],
    ['AccessDeniedException', 403],
  ])('may fail: %s', async (name, status) => {
    mock.on(SetAlarmStateCommand).rejects(failure(name, status));
    const error = await set().catch((thrown) => thrown);
    expect(error).toBeInstanceOf(GateDependencyError);
    expect(error.message).toContain(`SetAlarmState errors failed (HTTP ${status}): ${name}`);
  });
});
