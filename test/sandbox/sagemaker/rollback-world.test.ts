import { SetAlarmStateCommand } from '@aws-sdk/client-cloudwatch';
import { InvokeCommand } from '@aws-sdk/client-lambda';
import { UpdateEndpointCommand, UpdateEndpointWeightsAndCapacitiesCommand } from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RollbackDependencies, RollbackWorld } from '../../support/rollback.ts';

/* What drills are tested in: it has to be as true as it is fast. */

let world: RollbackWorld;

beforeEach(async () => {
  world = await RollbackWorld.start();
  await world.model('one', (body) => `one ${body}`);
  await world.model('two', (body) => `two ${body}`);
  await world.endpoint('churn-staging', {
    variants: [
      { name: 'live', model: 'one' },
      { name: 'candidate', model: 'two', weight: 0 },
    ],
  });
});

afterEach(() => world.close());

const toCandidate = new UpdateEndpointWeightsAndCapacitiesCommand({
  EndpointName: 'churn-staging',
  DesiredWeightsAndCapacities: [
    { VariantName: 'live', DesiredWeight: 0 },
    { VariantName: 'candidate', DesiredWeight: 1 },
  ],
});

const ask = async ({ runtime }: Pick<RollbackDependencies, 'runtime'>, TargetVariant?: string) => {
  const answer = await runtime.send(
    new InvokeEndpointCommand({
      EndpointName: 'churn-staging',
      Body: '1',
      ...(TargetVariant && { TargetVariant }),
    }),
  );
  return Buffer.from(answer.Body ?? []).toString();
};

describe('time', () => {
  it('passes for those that sleep, and moves what takes its time', async () => {
    const begun = world.now();
    const { sagemaker, sleep } = world.deps();
    await sagemaker.send(toCandidate);
    expect((await world.describe('churn-staging')).EndpointStatus).toBe('Updating');
    expect(world.now()).toBe(begun);
    await sleep(499);
    expect((await world.describe('churn-staging')).EndpointStatus).toBe('Updating');
    await sleep(1);
    expect((await world.describe('churn-staging')).EndpointStatus).toBe('InService');
    expect(Date.now()).toBe(begun + 500);
    expect(await ask(world)).toBe('two 1');
    expect(Date.now()).toBe(begun + 520);
    expect(world.changes).toEqual([
      { at: begun, operation: 'UpdateEndpointWeightsAndCapacities', input: toCandidate.input, byDrill: true },
    ]);
  });

  it('passes for those that wait side by side', async () => {
    const begun = world.now();
    const seen: string[] = [];
    const sleeper = async (name: string, ms: number, times: number) => {
      for (let time = 0; time < times; time++) {
        await world.sleep(ms);
        seen.push(`${name} ${world.now() - begun}`);
      }
    };
    await Promise.all([sleeper('a', 300, 3), sleeper('b', 200, 3)]);
    expect(seen).toEqual(['b 200', 'a 300', 'b 400', 'a 600', 'b 600', 'a 900']);
  });

  it('costs nothing: 10 minutes of requests', async () => {
    const { runtime, sleep } = world.deps();
    const asked: Promise<string>[] = [];
    for (let request = 0; request < 3000; request++) {
      asked.push(ask({ runtime }));
      await sleep(200);
    }
    expect(new Set(await Promise.all(asked))).toEqual(new Set(['one 1']));
    expect(world.invocations).toHaveLength(3000);
  });
});

describe('the account', () => {
  it('answers with the errors of SageMaker', async () => {
    const { sagemaker, runtime } = world.deps();
    await expect(
      sagemaker.send(new UpdateEndpointCommand({ EndpointName: 'none', EndpointConfigName: 'x' })),
    ).rejects.toMatchObject({ name: 'ValidationException', $metadata: { httpStatusCode: 400 } });
    world.reprogram('one', () => {
      throw new Error('broken');
    });
    await expect(ask({ runtime })).rejects.toMatchObject({ name: 'ModelError', OriginalStatusCode: 500 });
    expect(await ask({ runtime }, 'candidate')).toBe('two 1');
    expect(world.asked.map(({ target, status, variant }) => [target, status, variant])).toEqual([
      [null, 424, null],
      ['candidate', 200, 'candidate'],
    ]);
    await world.fault({ operation: 'DescribeEndpoint', type: 'ThrottlingException', times: 4 });
    const begun = world.now();
    expect((await world.describe('churn-staging')).EndpointStatus).toBe('InService');
    // Between the attempts of the SDK.
    expect(world.now()).toBe(begun + 200 + 400 + 800 + 1600);
    await world.fault({ operation: 'DescribeEndpoint', type: 'ThrottlingException', times: 5 });
    await expect(world.describe('churn-staging')).rejects.toMatchObject({ name: 'ThrottlingException' });
  });

  it('has alarms and functions', async () => {
    const { cloudwatch, lambda } = world.deps();
    world.alarms.set('a', 'OK');
    const set = new SetAlarmStateCommand({ AlarmName: 'a', StateValue: 'ALARM', StateReason: 'r' });
    await cloudwatch.send(set);
    expect(world.alarms.get('a')).toBe('ALARM');
    world.lambda('arn:f', async ({ n }: { n: number }) => world.later(60_000, () => n + 1));
    const begun = world.now();
    const { Payload } = await lambda.send(new InvokeCommand({ FunctionName: 'arn:f', Payload: '{"n":1}' }));
    expect(Buffer.from(Payload ?? []).toString()).toBe('2');
    expect(world.now()).toBe(begun + 60_000);
  });
});

describe('a process', () => {
  it('that died gets nothing more done, and the next one goes on', async () => {
    const deps = world.deps();
    const run = async ({ sagemaker, runtime, sleep }: RollbackDependencies) => {
      await sagemaker.send(toCandidate);
      for (let request = 0; request < 20; request++) {
        await sleep(1000);
        await ask({ runtime });
      }
      return 'done';
    };
    world.aws.diesAfter = 1;
    await expect(run(deps)).rejects.toThrow('the process died');
    await expect(deps.sagemaker.send(toCandidate)).rejects.toThrow('the process died');
    // Another branch of it, which sleeps.
    const forgotten = run({ ...deps, sagemaker: world.sagemaker });
    void forgotten.catch(() => {});
    await world.revive();
    await world.settled();
    expect(await run(world.deps())).toBe('done');
    expect(world.asked).toHaveLength(20);
  });

  it('is carried through crashes by durable executions, which wait in virtual time', async () => {
    const begun = world.now();
    const service = world.durable(async (_event, workflow, { runtime, sleep }) => {
      const answers = await workflow.map('both', [1, 2], async (part, index) => {
        if (index === 1) return part.step('a long step', () => sleep(5 * 60_000));
        const said: string[] = [];
        for (let slice = 0; slice < 20; slice++) {
          said.push(await part.step(`slice ${slice}`, () => ask({ runtime })));
          await part.wait(`pause ${slice}`, 1000);
        }
        return said;
      });
      return answers[1]?.length;
    });
    const deaths = [1, 3, 8];
    service.dies = (checkpoint) => (deaths.includes(checkpoint) ? 'after it is kept' : undefined);
    expect(await service.run({})).toEqual({ result: 20 });
    expect(service.deaths).toBe(3);
    expect(world.now() - begun).toBeGreaterThan(5 * 60_000);
    expect(world.now() - begun).toBeLessThan(6 * 60_000);
    // Once a second, while the long step goes on.
    expect(world.asked.at(-1)!.at - world.asked.at(-10)!.at).toBeLessThan(15_000);
  });
});
