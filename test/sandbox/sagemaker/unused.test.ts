import {
  ApplicationAutoScalingClient,
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
  DescribeScheduledActionsCommand,
  RegisterScalableTargetCommand,
} from '@aws-sdk/client-application-auto-scaling';
import { ListMonitoringSchedulesCommand, SageMakerClient } from '@aws-sdk/client-sagemaker';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ImageRegistry } from '../../../sandbox/sagemaker/images.ts';
import { SageMakerServer } from '../../../sandbox/sagemaker/server.ts';
import { type Account, ServiceError } from '../../../sandbox/sagemaker/service.ts';
import { unusedOperations } from '../../../sandbox/sagemaker/unused.ts';

let server: SageMakerServer;
/** What was asked for permission of. */
let actions: string[];
let allowed: boolean;
let options: ConstructorParameters<typeof SageMakerClient>[0];

beforeEach(async () => {
  actions = [];
  allowed = true;
  const account = {
    identify: async () => ({ arn: 'arn:root', role: undefined }),
    authorize: async (_: unknown, action: string, arn: string) => {
      actions.push(`${action} ${arn}`);
      if (!allowed) throw new ServiceError('AccessDeniedException', 'not you', 400);
    },
  } as unknown as Account;
  server = new SageMakerServer({
    account: async () => account,
    images: new ImageRegistry(),
    operations: unusedOperations,
    routes: [],
    log: () => undefined,
  });
  const credentials = { accessKeyId: 'KNOWN', secretAccessKey: 'secret' };
  options = { endpoint: `http://127.0.0.1:${await server.listen()}`, region: 'us-east-1', credentials };
});

afterEach(() => server.close());

const resource = { ServiceNamespace: 'sagemaker', ResourceId: 'endpoint/one/variant/a' } as const;

describe('scaling and monitoring', () => {
  it('are none, by the protocol of either service', async () => {
    const scaling = new ApplicationAutoScalingClient({ ...options });
    const targets = new DescribeScalableTargetsCommand({
      ServiceNamespace: 'sagemaker',
      ResourceIds: [resource.ResourceId],
    });
    expect((await scaling.send(targets)).ScalableTargets).toEqual([]);
    expect((await scaling.send(new DescribeScalingPoliciesCommand(resource))).ScalingPolicies).toEqual([]);
    expect((await scaling.send(new DescribeScheduledActionsCommand(resource))).ScheduledActions).toEqual([]);
    const sagemaker = new SageMakerClient({ ...options });
    const { MonitoringScheduleSummaries } = await sagemaker.send(
      new ListMonitoringSchedulesCommand({ EndpointName: 'one' }),
    );
    expect(MonitoringScheduleSummaries).toEqual([]);
    expect(actions).toEqual([
      'application-autoscaling:DescribeScalableTargets *',
      'application-autoscaling:DescribeScalingPolicies *',
      'application-autoscaling:DescribeScheduledActions *',
      'sagemaker:ListMonitoringSchedules *',
    ]);
  });

  it('take a permission, and cannot be made', async () => {
    const scaling = new ApplicationAutoScalingClient({ ...options, maxAttempts: 1 });
    await expect(
      scaling.send(
        new RegisterScalableTargetCommand({
          ...resource,
          ScalableDimension: 'sagemaker:variant:DesiredInstanceCount',
        }),
      ),
    ).rejects.toMatchObject({ name: 'UnknownOperationException' });
    allowed = false;
    await expect(scaling.send(new DescribeScalingPoliciesCommand(resource))).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
  });
});
