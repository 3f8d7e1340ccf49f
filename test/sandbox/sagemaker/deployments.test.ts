import {
  CreateModelCommand,
  DeleteEndpointCommand,
  type DeploymentConfig,
  ListTagsCommand,
  UpdateEndpointCommand,
  type UpdateEndpointCommandInput,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { shiftOf } from '../../../sandbox/sagemaker/deployments.ts';
import type { EndpointConfig } from '../../../sandbox/sagemaker/endpoint-configs.ts';
import { ROLE, RollbackWorld } from '../../support/rollback.ts';

const ARN = 'arn:aws:sagemaker:us-east-1:000000000000:endpoint/churn';

let world: RollbackWorld;

beforeEach(async () => {
  world = await RollbackWorld.start();
  world.alarms.set('errors', 'OK');
  await world.model('old', () => 'old');
  await world.model('new', () => 'new');
  await world.endpoint('churn', {
    config: 'first',
    variants: [{ name: 'live', model: 'old', instances: 4 }],
  });
  await world.config('second', [{ name: 'live', model: 'new', instances: 4 }]);
});

afterEach(() => world.close());

const update = (input: Partial<UpdateEndpointCommandInput> = {}) =>
  world.sagemaker.send(
    new UpdateEndpointCommand({ EndpointName: 'churn', EndpointConfigName: 'second', ...input }),
  );

const reweigh = (weights: Record<string, number>) =>
  world.sagemaker.send(
    new UpdateEndpointWeightsAndCapacitiesCommand({
      EndpointName: 'churn',
      DesiredWeightsAndCapacities: Object.entries(weights).map(([VariantName, DesiredWeight]) => ({
        VariantName,
        DesiredWeight,
      })),
    }),
  );

const remove = () => world.sagemaker.send(new DeleteEndpointCommand({ EndpointName: 'churn' }));

const ask = async (TargetVariant?: string) => {
  const command = new InvokeEndpointCommand({
    EndpointName: 'churn',
    Body: '1',
    ...(TargetVariant !== undefined && { TargetVariant }),
  });
  return Buffer.from((await world.runtime.send(command)).Body ?? []).toString();
};

/** Part of 200 requests at once that the new model answers. */
async function share(): Promise<number> {
  const answers = await Promise.all(Array.from({ length: 200 }, () => ask()));
  return answers.filter((answer) => answer === 'new').length / 200;
}

/** Expects the new model to have a part of the traffic, as far as chance can tell. */
async function expectShare(part: number): Promise<void> {
  expect(Math.abs((await share()) - part)).toBeLessThan(part === 0 || part === 1 ? 1e-9 : 0.12);
}

/** Statuses that events have told of since the endpoint was made. */
const told = () =>
  world.emitted
    .filter(({ detailType }) => detailType === 'SageMaker Endpoint State Change')
    .map(({ detail }) => detail.EndpointStatus);

async function status(): Promise<string> {
  const { EndpointStatus, EndpointConfigName, FailureReason } = await world.describe('churn');
  return [EndpointStatus, EndpointConfigName, FailureReason].filter(Boolean).join(' ');
}

const refused = (message: string | RegExp) => ({
  name: 'ValidationException',
  message: typeof message === 'string' ? message : expect.stringMatching(message),
});

const IN_PROGRESS = `Cannot update in-progress endpoint "${ARN}".`;

const percent = (Value: number) => ({ Type: 'CAPACITY_PERCENT' as const, Value });
const instances = (Value: number) => ({ Type: 'INSTANCE_COUNT' as const, Value });
const alarmed = { AutoRollbackConfiguration: { Alarms: [{ AlarmName: 'errors' }] } };

/** 20 % for a minute, then everything, which is watched for a minute and a half. */
const canary: DeploymentConfig = {
  BlueGreenUpdatePolicy: {
    TrafficRoutingConfiguration: { Type: 'CANARY', WaitIntervalInSeconds: 60, CanarySize: percent(20) },
    TerminationWaitInSeconds: 30,
  },
  ...alarmed,
};

const linear = (LinearStepSize: ReturnType<typeof percent | typeof instances>): DeploymentConfig => ({
  BlueGreenUpdatePolicy: {
    TrafficRoutingConfiguration: { Type: 'LINEAR', WaitIntervalInSeconds: 10, LinearStepSize },
  },
});

const rolling = (MaximumBatchSize: ReturnType<typeof percent | typeof instances>): DeploymentConfig => ({
  RollingUpdatePolicy: { MaximumBatchSize, WaitIntervalInSeconds: 10 },
});

describe('traffic', () => {
  it('shifts at once where nothing else is said', async () => {
    await update();
    expect(await world.describe('churn')).toMatchObject({
      EndpointStatus: 'Updating',
      EndpointConfigName: 'first',
      PendingDeploymentSummary: {
        EndpointConfigName: 'second',
        ProductionVariants: [
          {
            VariantName: 'live',
            DesiredWeight: 1,
            DesiredInstanceCount: 4,
            VariantStatus: [{ Status: 'Creating' }],
          },
        ],
      },
    });
    await expectShare(0);
    await world.settled();
    await expectShare(1);
    const endpoint = await world.describe('churn');
    expect(endpoint).toMatchObject({ EndpointStatus: 'InService', EndpointConfigName: 'second' });
    expect(endpoint.PendingDeploymentSummary).toBeUndefined();
    expect(endpoint.LastDeploymentConfig).toBeUndefined();
  });

  it('shifts by a canary, with both fleets side by side', async () => {
    await update({ DeploymentConfig: canary });
    await world.sleep(1_000);
    await expectShare(0.2);
    const endpoint = await world.describe('churn');
    expect(endpoint).toMatchObject({
      EndpointStatus: 'Updating',
      EndpointConfigName: 'first',
      PendingDeploymentSummary: {
        ProductionVariants: [
          {
            DeployedImages: [{ ResolvedImage: expect.stringContaining('@sha256:') }],
            CurrentWeight: 1,
            CurrentInstanceCount: 4,
            VariantStatus: [{ Status: 'ActivatingTraffic' }],
          },
        ],
      },
    });
    expect(endpoint.LastDeploymentConfig).toEqual(canary);
    await world.sleep(61_000);
    await expectShare(1);
    await world.sleep(60_000);
    expect(await status()).toBe('Updating first');
    await world.sleep(30_000);
    expect(await status()).toBe('InService second');
  });

  it.each([
    ['linearly by percent', linear(percent(30)), [0.3, 0.6, 0.9, 1]],
    ['linearly by instances', linear(instances(1)), [0.25, 0.5, 0.75, 1]],
    ['in rolling batches', rolling(percent(50)), [0.5, 1]],
    ['in rolling batches of instances', rolling(instances(2)), [0.5, 1]],
  ])('shifts %s', async (_, DeploymentConfig, expected) => {
    await update({ DeploymentConfig });
    await world.sleep(1_000);
    for (const part of expected) {
      if ((await status()).startsWith('InService')) break;
      await expectShare(part);
      await world.sleep(10_000);
    }
    await world.settled();
    await expectShare(1);
    expect(await status()).toBe('InService second');
  });

  it('to a target goes to one of the fleets too, and to the fleet that has it', async () => {
    await world.config('third', [
      { name: 'live', model: 'new', instances: 2 },
      { name: 'extra', model: 'new', weight: 0 },
    ]);
    await update({
      EndpointConfigName: 'third',
      DeploymentConfig: {
        BlueGreenUpdatePolicy: {
          TrafficRoutingConfiguration: {
            Type: 'CANARY',
            WaitIntervalInSeconds: 60,
            CanarySize: percent(50),
          },
        },
      },
    });
    await world.sleep(1_000);
    const answers = new Set(await Promise.all(Array.from({ length: 50 }, () => ask('live'))));
    expect(answers).toEqual(new Set(['old', 'new']));
    await world.settled();
    expect(await ask('extra')).toBe('new');
  });
});

describe('a guardrail', () => {
  it('turns the traffic back as soon as an alarm fires, and says which', async () => {
    await update({ DeploymentConfig: canary });
    await world.sleep(10_000);
    world.alarms.set('errors', 'ALARM');
    await world.sleep(3_000);
    await expectShare(0);
    await world.settled();
    expect(await status()).toBe('InService first Alarms that turn the deployment back: errors.');
    expect(told()).toEqual(['UPDATING', 'ROLLING_BACK', 'IN_SERVICE']);
    expect((await world.describe('churn')).PendingDeploymentSummary).toBeUndefined();
  });

  it('is RollingBack meanwhile, when nothing may be changed', async () => {
    await world.fault({ endpoint: 'churn', does: 'linger', ms: 20_000, times: 2 });
    await update({ DeploymentConfig: canary });
    await world.sleep(21_000);
    world.alarms.set('errors', 'ALARM');
    await world.sleep(5_000);
    expect(await status()).toBe('RollingBack first');
    for (const changing of [update, remove, () => reweigh({ live: 2 })]) {
      await expect(changing()).rejects.toMatchObject(refused(IN_PROGRESS));
    }
    await world.settled();
    expect(await status()).toMatch(/^InService first/);
  });

  it('may keep silent', async () => {
    await world.fault({ endpoint: 'churn', does: 'hush' });
    await update({ DeploymentConfig: canary });
    await world.sleep(70_000);
    world.alarms.set('errors', 'ALARM');
    await world.settled();
    expect(await status()).toBe('InService first');
    await expectShare(0);
  });

  it('lets nothing pass while an alarm is in ALARM, and looks until the old fleet ends', async () => {
    world.alarms.set('errors', 'ALARM');
    await update({ DeploymentConfig: canary });
    await world.settled();
    expect(await status()).toMatch(/^InService first Alarms/);
    world.alarms.set('errors', 'INSUFFICIENT_DATA');
    await update({ DeploymentConfig: canary });
    await world.sleep(140_000);
    await expectShare(1);
    world.alarms.delete('errors');
    await world.settled();
    expect(await status()).toMatch(/^InService first Alarms/);
    await expectShare(0);
  });

  it('wants alarms that exist, and a caller who may look at them', async () => {
    world.alarms.delete('errors');
    await expect(update({ DeploymentConfig: canary })).rejects.toMatchObject(
      refused('Could not find the alarms errors.'),
    );
    world.forbidden.add('cloudwatch:DescribeAlarms');
    await expect(update({ DeploymentConfig: canary })).rejects.toMatchObject({
      name: 'AccessDeniedException',
    });
    expect(await status()).toBe('InService first');
    await update();
    await world.settled();
    expect(await status()).toBe('InService second');
  });

  it('holds for the next update where that retains it', async () => {
    await update({ DeploymentConfig: canary });
    await world.settled();
    await world.config('third', [{ name: 'live', model: 'old', instances: 4 }]);
    await update({ EndpointConfigName: 'third', RetainDeploymentConfig: true });
    await world.sleep(1_000);
    await expectShare(0.8);
    world.alarms.set('errors', 'ALARM');
    await world.settled();
    expect(await status()).toMatch(/^InService second Alarms/);
    await update({ EndpointConfigName: 'third' });
    await world.settled();
    expect(await status()).toBe('InService third');
    expect((await world.describe('churn')).LastDeploymentConfig).toEqual(canary);
  });

  it('turns back what takes too long', async () => {
    await world.fault({ endpoint: 'churn', does: 'linger', ms: 601_000 });
    const DeploymentConfig = linear(percent(50));
    await update({
      DeploymentConfig: {
        BlueGreenUpdatePolicy: {
          ...DeploymentConfig.BlueGreenUpdatePolicy!,
          MaximumExecutionTimeoutInSeconds: 600,
        },
      },
    });
    await world.settled();
    expect(await status()).toBe('InService first The deployment took too long.');
  });
});

describe('a deployment configuration', () => {
  const routed = (routing: object, rest: object = {}): DeploymentConfig => ({
    BlueGreenUpdatePolicy: {
      TrafficRoutingConfiguration: { WaitIntervalInSeconds: 0, ...routing } as never,
      ...rest,
    },
  });

  it.each<[string, DeploymentConfig, RegExp]>([
    ['two policies', { ...canary, ...rolling(percent(20)) }, /^Only one of/],
    ['a canary of no size', routed({ Type: 'CANARY' }), /^CanarySize must be provided/],
    ['a large canary', routed({ Type: 'CANARY', CanarySize: percent(51) }), /^CanarySize .* at most 50%/],
    ['a large canary', routed({ Type: 'CANARY', CanarySize: instances(3) }), /^CanarySize .* at most 50%/],
    ['small steps', routed({ Type: 'LINEAR', LinearStepSize: percent(9) }), /between 10% and 50%/],
    ['no steps', routed({ Type: 'LINEAR' }), /^LinearStepSize must be provided/],
    ['steps of nothing', routed({ Type: 'ALL_AT_ONCE', LinearStepSize: percent(10) }), /type LINEAR only/],
    ['small batches', rolling(percent(4)), /^MaximumBatchSize must be between 5% and 50%/],
    ['large batches', rolling(instances(3)), /^MaximumBatchSize must be between 5% and 50%/],
    [
      'a long wait',
      routed({ Type: 'ALL_AT_ONCE', WaitIntervalInSeconds: 3601 }),
      /waitIntervalInSeconds.*less than or equal to 3600/,
    ],
    [
      'a short limit',
      routed({ Type: 'ALL_AT_ONCE' }, { MaximumExecutionTimeoutInSeconds: 599 }),
      /maximumExecutionTimeoutInSeconds.*greater than or equal to 600/,
    ],
    [
      'a limit below its waits',
      routed(
        { Type: 'CANARY', CanarySize: percent(10), WaitIntervalInSeconds: 300 },
        { TerminationWaitInSeconds: 300, MaximumExecutionTimeoutInSeconds: 600 },
      ),
      /^MaximumExecutionTimeoutInSeconds must be larger/,
    ],
    ['no alarm', { AutoRollbackConfiguration: { Alarms: [] } }, /alarms.*length greater than or equal to 1/],
    [
      'many alarms',
      {
        AutoRollbackConfiguration: {
          Alarms: Array.from({ length: 11 }, (_, index) => ({ AlarmName: `a${index}` })),
        },
      },
      /alarms.*length less than or equal to 10/,
    ],
    [
      'a large rollback',
      {
        RollingUpdatePolicy: {
          MaximumBatchSize: percent(20),
          WaitIntervalInSeconds: 0,
          RollbackMaximumBatchSize: percent(101),
        },
      },
      /^RollbackMaximumBatchSize/,
    ],
  ])('is refused with %s', async (_, DeploymentConfig, message) => {
    await expect(update({ DeploymentConfig })).rejects.toMatchObject(refused(message));
    expect(await status()).toBe('InService first');
  });

  it('is given or retained', async () => {
    await expect(update({ DeploymentConfig: canary, RetainDeploymentConfig: true })).rejects.toMatchObject(
      refused(/^DeploymentConfig cannot be provided/),
    );
  });

  it('shifts in growing steps that end in everything', () => {
    const config = {
      definition: { ProductionVariants: [{ InitialInstanceCount: 20 }] },
    } as unknown as EndpointConfig;
    fc.assert(
      fc.property(fc.integer({ min: 10, max: 50 }), fc.integer({ min: 0, max: 3600 }), (size, seconds) => {
        for (const deployment of [linear(percent(size)), rolling(percent(size))]) {
          const { shares, bakeMs } = shiftOf(deployment as never, config);
          expect(shares.at(-1)).toBe(1);
          expect(bakeMs).toHaveLength(shares.length);
          for (const [step, part] of shares.entries()) {
            const grown = part - (shares[step - 1] ?? 0);
            expect(grown).toBeGreaterThan(0);
            expect(grown).toBeLessThanOrEqual(size / 100 + 1e-9);
          }
        }
        const { bakeMs } = shiftOf(
          {
            BlueGreenUpdatePolicy: {
              TrafficRoutingConfiguration: { Type: 'ALL_AT_ONCE', WaitIntervalInSeconds: 0 },
              TerminationWaitInSeconds: seconds,
            },
          },
          config,
        );
        expect(bakeMs).toEqual([seconds * 1000]);
      }),
    );
  });
});

describe('an update that was asked to go wrong', () => {
  it('is InService on the old configuration, and says why or nothing', async () => {
    await world.fault({ endpoint: 'churn', does: 'fail', reason: 'no capacity', times: 1 });
    await update();
    await world.settled();
    expect(await status()).toBe('InService first no capacity');
    await world.fault({ endpoint: 'churn', does: 'fail', times: 'always' });
    for (let time = 0; time < 3; time++) {
      await update();
      await world.settled();
      expect(await status()).toBe('InService first');
    }
    await world.fault({ endpoint: 'churn', does: 'fail', times: 0 });
    await update();
    await world.settled();
    expect(await status()).toBe('InService second');
  });

  it('may end in Failed, which serves nobody and can be deleted only', async () => {
    await world.fault({ endpoint: 'churn', does: 'break', reason: 'gone wrong' });
    await update();
    await world.settled();
    expect(await status()).toBe('Failed first gone wrong');
    await expect(ask()).rejects.toMatchObject({ name: 'ValidationError' });
    for (const changing of [update, () => reweigh({ live: 2 })]) {
      await expect(changing()).rejects.toMatchObject(refused(/can only be deleted/));
    }
    await remove();
    await world.settled();
    await expect(status()).rejects.toMatchObject(refused(`Could not find endpoint "${ARN}".`));
    await expect(ask()).rejects.toMatchObject({ name: 'ValidationError', message: /churn .* not found/ });
  });

  it('may end in UpdateRollbackFailed with a mix of both, which a further update mends', async () => {
    await world.fault({ endpoint: 'churn', does: 'mix', reason: 'stuck' });
    await update({ DeploymentConfig: linear(percent(50)) });
    await world.settled();
    expect(await status()).toBe('UpdateRollbackFailed first stuck');
    await expectShare(0.5);
    await expect(reweigh({ live: 2 })).rejects.toMatchObject(refused(/its rollback has failed/));
    await expect(update({ EndpointConfigName: 'first' })).rejects.toMatchObject(refused(/that it has/));
    // A further failure leaves it as it is.
    await world.fault({ endpoint: 'churn', does: 'fail', reason: 'again' });
    await update();
    await world.settled();
    expect(await status()).toBe('UpdateRollbackFailed first again');
    await world.config('third', [{ name: 'live', model: 'old' }]);
    await update({ EndpointConfigName: 'third' });
    await world.settled();
    expect(await status()).toBe('InService third');
    await expectShare(0);
  });

  it('may take its time', async () => {
    await world.fault({ endpoint: 'churn', does: 'linger', ms: 300_000 });
    await update();
    await world.sleep(299_000);
    expect(await status()).toBe('Updating first');
    await world.sleep(1_000);
    expect(await status()).toBe('InService second');
  });
});

describe('a change of weights that was asked to go wrong', () => {
  beforeEach(async () => {
    await world.config('both', [
      { name: 'live', model: 'old' },
      { name: 'candidate', model: 'new', weight: 0 },
    ]);
    await update({ EndpointConfigName: 'both' });
    await world.settled();
    world.emitted.length = 0;
  });

  const weights = async () => {
    const { ProductionVariants = [] } = await world.describe('churn');
    return ProductionVariants.map(({ CurrentWeight, DesiredWeight }) => [CurrentWeight, DesiredWeight]);
  };

  it('comes in part', async () => {
    await world.fault({ endpoint: 'churn', does: 'stint', part: 0.75 });
    await reweigh({ live: 0, candidate: 1 });
    await world.settled();
    expect(await status()).toBe('InService both');
    expect(await weights()).toEqual([
      [0.25, 0],
      [0.75, 1],
    ]);
    await expectShare(0.75);
    await reweigh({ live: 0, candidate: 1 });
    await world.settled();
    await expectShare(1);
  });

  it('is rolled back', async () => {
    await world.fault({ endpoint: 'churn', does: 'fail' });
    await reweigh({ live: 0, candidate: 1 });
    await world.settled();
    expect(await status()).toBe('InService both');
    expect(await weights()).toEqual([
      [1, 1],
      [0, 0],
    ]);
    expect(told()).toEqual(['UPDATING', 'ROLLING_BACK', 'IN_SERVICE']);
  });

  it('ends in Failed', async () => {
    await world.fault({ endpoint: 'churn', does: 'break' });
    await reweigh({ live: 0, candidate: 1 });
    await world.settled();
    expect(await status()).toMatch(/^Failed both/);
  });
});

describe('an endpoint that was asked to', () => {
  it('is in maintenance from now on, serves, and cannot be changed', async () => {
    await world.fault({ endpoint: 'churn', does: 'maintain', ms: 60_000 });
    expect(await status()).toBe('SystemUpdating first');
    expect(await ask()).toBe('old');
    for (const changing of [update, remove, () => reweigh({ live: 2 })]) {
      await expect(changing()).rejects.toMatchObject(refused(IN_PROGRESS));
    }
    await expect(world.fault({ endpoint: 'churn', does: 'maintain', ms: 1 })).rejects.toThrow(/in-progress/);
    await world.sleep(60_000);
    await update();
    await world.settled();
    expect(await status()).toBe('InService second');
  });

  it('is in maintenance as soon as somebody wants to change it', async () => {
    await world.fault({ endpoint: 'churn', does: 'maintain', ms: 60_000, from: 'change' });
    expect(await status()).toBe('InService first');
    await expect(update()).rejects.toMatchObject(refused(IN_PROGRESS));
    expect(await status()).toBe('SystemUpdating first');
    await world.settled();
    await update();
    await world.settled();
    expect(await status()).toBe('InService second');
  });

  it('is out of service', async () => {
    await world.fault({ endpoint: 'churn', does: 'maintain', ms: 60_000, status: 'OutOfService' });
    expect(await status()).toBe('OutOfService first');
    await expect(ask()).rejects.toMatchObject({ name: 'ValidationError' });
    await world.settled();
    expect(await ask()).toBe('old');
  });

  it('refuses requests, each or every so many', async () => {
    await world.fault({ endpoint: 'churn', does: 'refuse', times: 2 });
    const answers = async (count: number) => {
      const said: string[] = [];
      for (let request = 0; request < count; request++) {
        said.push(await ask().catch(({ name }: Error) => name));
      }
      return said;
    };
    expect(await answers(3)).toEqual(['InternalFailure', 'InternalFailure', 'old']);
    const throttling = { type: 'ThrottlingException', status: 400, every: 3, times: 'always' };
    await world.fault({ endpoint: 'churn', does: 'refuse', ...throttling });
    const third = ['old', 'old', 'ThrottlingException'];
    expect(await answers(6)).toEqual([...third, ...third]);
    expect(world.asked.at(-1)).toMatchObject({ status: 400, variant: null });
  });

  it('says what it does not know', async () => {
    await expect(world.fault({ endpoint: 'churn', does: 'explode' })).rejects.toThrow(/ValidationException/);
    await expect(world.fault({ endpoint: 'churn', does: 'linger' })).rejects.toThrow(/ms/);
    await expect(world.fault({ endpoint: 'none', does: 'maintain', ms: 1 })).rejects.toThrow(
      /Could not find endpoint/,
    );
  });
});

describe('an operation that is throttled for ever', () => {
  it('is until that is taken back', async () => {
    await world.fault({ operation: 'UpdateEndpoint', type: 'ThrottlingException', times: 'always' });
    await expect(update()).rejects.toMatchObject({ name: 'ThrottlingException' });
    await expect(update()).rejects.toMatchObject({ name: 'ThrottlingException' });
    await world.fault({ operation: 'UpdateEndpoint', type: 'ThrottlingException', times: 0 });
    await update();
    await world.settled();
    expect(await status()).toBe('InService second');
  });
});

describe('beside deployments', () => {
  it('an endpoint has tags', async () => {
    expect(await world.sagemaker.send(new ListTagsCommand({ ResourceArn: ARN }))).toMatchObject({
      Tags: [{ Key: 'tocsin:drill', Value: 'allowed' }],
    });
  });

  it('a model is made of an approved package only', async () => {
    const modelOf = (ModelPackageName: string) =>
      world.sagemaker.send(
        new CreateModelCommand({
          ModelName: 'of-package',
          ExecutionRoleArn: ROLE,
          PrimaryContainer: { ModelPackageName },
        }),
      );
    const pending = await world.package('bad', () => 'bad', {}, 'PendingManualApproval');
    await expect(modelOf(pending)).rejects.toMatchObject(refused(/is not approved/));
    await modelOf(await world.package('bad', () => 'bad'));
    await world.config('third', [{ name: 'live', model: 'of-package' }]);
    await update({ EndpointConfigName: 'third' });
    await world.settled();
    expect(await ask()).toBe('bad');
  });
});
