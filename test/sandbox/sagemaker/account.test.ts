import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  PutCompositeAlarmCommand,
  PutMetricAlarmCommand,
  SetAlarmStateCommand,
} from '@aws-sdk/client-cloudwatch';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { authorizeRole, readEndpoint } from '../../../sandbox/aws/account.ts';
import { AwsAccount } from '../../../sandbox/sagemaker/account.ts';
import { DRIFT, LocalCloudWatch } from '../../support/cloudwatch.ts';

let directory: string;
let cloudwatch: LocalCloudWatch;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-account-'));
  await writeFile(join(directory, 'certificate.pem'), '');
  cloudwatch = await LocalCloudWatch.start();
});

afterEach(async () => {
  await cloudwatch.close();
  await rm(directory, { recursive: true });
});

describe('the alarms of a deployment', () => {
  it('are looked up at the local CloudWatch, once that is there', async () => {
    const account = await AwsAccount.connect(
      { endpoint: 'https://127.0.0.1:1', certificate: join(directory, 'certificate.pem') },
      { log: () => {}, cloudwatch: () => readEndpoint(directory, 'cloudwatch') },
    );
    await expect(account.alarmStates(['drift'])).rejects.toMatchObject({
      type: 'ServiceUnavailable',
      status: 503,
    });
    await writeFile(join(directory, 'cloudwatch.port'), new URL(cloudwatch.endpoint).port);
    await cloudwatch.client.send(new PutMetricAlarmCommand(DRIFT));
    await cloudwatch.client.send(
      new PutCompositeAlarmCommand({ AlarmName: 'any', AlarmRule: 'ALARM("drift")' }),
    );
    await cloudwatch.client.send(
      new SetAlarmStateCommand({ AlarmName: 'drift', StateValue: 'ALARM', StateReason: 'a test' }),
    );
    expect(await account.alarmStates(['drift', 'any', 'none'])).toEqual(
      new Map([
        ['drift', 'ALARM'],
        ['any', 'ALARM'],
      ]),
    );
  });

  it('can be looked at by whom a policy lets look at them', async () => {
    const caller = {
      arn: 'arn:aws:sts::000000000000:assumed-role/release/session',
      role: 'arn:aws:iam::000000000000:role/release',
    };
    const alarm = 'arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors';
    const may = (Resource: string) => {
      const policy = {
        Version: '2012-10-17',
        Statement: [{ Effect: 'Allow', Action: 'cloudwatch:DescribeAlarms', Resource }],
      };
      const role = { arn: caller.role, trust: {}, policies: [{ name: 'p', policy }], boundary: [] };
      return authorizeRole(caller, role, 'cloudwatch:DescribeAlarms', alarm, {});
    };
    await may('*');
    await may(alarm);
    await expect(may(`${alarm}-other`)).rejects.toMatchObject({ type: 'AccessDeniedException' });
  });
});
