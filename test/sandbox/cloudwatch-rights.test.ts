import { describe, expect, it } from 'vitest';
import { authorizeRole, type Role } from '../../sandbox/aws/account.ts';
import { CloudWatch } from '../../sandbox/cloudwatch/cloudwatch.ts';
import { type Operation, operations } from '../../sandbox/cloudwatch/operations.ts';
import { DRIFT } from '../support/cloudwatch.ts';

const ROLE = 'arn:aws:iam::000000000000:role/drill';
const CALLER = { arn: 'arn:aws:sts::000000000000:assumed-role/drill/function', role: ROLE };
const ALARMS = 'arn:aws:cloudwatch:us-east-1:000000000000:alarm';

const ALARM = { ...DRIFT, AlarmName: 'drill-1', Namespace: 'Drill' };
const OWN = [{ Key: 'drill', Value: 'yes' }];

/** How a call fares with a role that has one policy: `yes`, or the action that it may not. */
async function fares(name: string, input: object, ...statements: object[]): Promise<string> {
  const policy = {
    Version: '2012-10-17',
    Statement: statements.map((statement) => ({ Effect: 'Allow', Resource: '*', ...statement })),
  };
  const role: Role = { arn: ROLE, trust: {}, policies: [{ name: 'own', policy }], boundary: [] };
  const nothing = async () => undefined;
  const cloudwatch = new CloudWatch({ now: () => Date.UTC(2026, 0, 1), act: nothing, emit: nothing });
  const call = { cloudwatch, caller: CALLER };
  const anybody = { ...call, access: { authorize: nothing } };
  const put = operations.PutMetricAlarm as Operation;
  await put({ ...ALARM, AlarmName: 'drill-0', Tags: OWN }, anybody, 'PutMetricAlarm');
  await put({ ...ALARM, AlarmName: 'drift' }, anybody, 'PutMetricAlarm');
  const access = {
    authorize: (caller: typeof CALLER, action: string, resource: string, context = {}) =>
      authorizeRole(caller, role, action, resource, context),
  };
  return (operations[name] as Operation)(
    input,
    { ...call, access: access as typeof anybody.access },
    name,
  ).then(
    () => 'yes',
    ({ message }: Error) => /allows the (\S+) action/.exec(message)?.[1] ?? message,
  );
}

describe('a role may', () => {
  const onTag = { StringEquals: { 'aws:ResourceTag/drill': 'yes' } };
  const withTag = {
    StringEquals: { 'aws:RequestTag/drill': 'yes' },
    'ForAllValues:StringEquals': { 'aws:TagKeys': ['drill'] },
  };
  const publish = {
    Action: 'cloudwatch:PutMetricData',
    Condition: { StringEquals: { 'cloudwatch:namespace': 'Drill' } },
  };
  const create = { Action: 'cloudwatch:PutMetricAlarm', Resource: `${ALARMS}:drill-*` };
  const tag = { Action: 'cloudwatch:TagResource', Resource: `${ALARMS}:drill-*`, Condition: withTag };
  const remove = { Action: 'cloudwatch:DeleteAlarms', Condition: onTag };
  const data = { MetricData: [{ MetricName: 'drift', Value: 1 }] };

  it.each<[string, string, object, object[], string]>([
    ['publish in its namespace', 'PutMetricData', { Namespace: 'Drill', ...data }, [publish], 'yes'],
    [
      'not publish in another',
      'PutMetricData',
      { Namespace: 'Production', ...data },
      [publish],
      'cloudwatch:PutMetricData',
    ],
    ['create an alarm of its name', 'PutMetricAlarm', ALARM, [create], 'yes'],
    [
      'not overwrite another',
      'PutMetricAlarm',
      { ...ALARM, AlarmName: 'drift' },
      [create],
      'cloudwatch:PutMetricAlarm',
    ],
    [
      'not tag it without the right to',
      'PutMetricAlarm',
      { ...ALARM, Tags: OWN },
      [create],
      'cloudwatch:TagResource',
    ],
    ['tag it with the right to', 'PutMetricAlarm', { ...ALARM, Tags: OWN }, [create, tag], 'yes'],
    [
      'not tag it otherwise',
      'PutMetricAlarm',
      { ...ALARM, Tags: [...OWN, { Key: 'team', Value: 'ml' }] },
      [create, tag],
      'cloudwatch:TagResource',
    ],
    ['delete what has its tag', 'DeleteAlarms', { AlarmNames: ['drill-0'] }, [remove], 'yes'],
    [
      'not delete what has not',
      'DeleteAlarms',
      { AlarmNames: ['drill-0', 'drift'] },
      [remove],
      'cloudwatch:DeleteAlarms',
    ],
    [
      'not publish with a right on alarms',
      'PutMetricData',
      { Namespace: 'Drill', ...data },
      [{ ...publish, Resource: `${ALARMS}:*` }],
      'cloudwatch:PutMetricData',
    ],
    [
      'look at every alarm with a right on all',
      'DescribeAlarms',
      {},
      [{ Action: 'cloudwatch:DescribeAlarms', Resource: `${ALARMS}:*` }],
      'yes',
    ],
    ['look at every alarm', 'DescribeAlarms', {}, [{ Action: 'cloudwatch:DescribeAlarms' }], 'yes'],
    [
      'look at one by its name',
      'DescribeAlarms',
      { AlarmNames: ['drift'] },
      [{ Action: 'cloudwatch:DescribeAlarms', Resource: `${ALARMS}:drift` }],
      'yes',
    ],
    [
      'not look at all with a right on one',
      'DescribeAlarms',
      {},
      [{ Action: 'cloudwatch:DescribeAlarms', Resource: `${ALARMS}:drift` }],
      'cloudwatch:DescribeAlarms',
    ],
  ])('%s', async (_, name, input, statements, expected) => {
    expect(await fares(name, input, ...statements)).toBe(expected);
  });
});
