import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { configHash } from '../../../functions/rollback-drill/adapters/endpoint.ts';
import { type Steered, type Steering, steer } from '../../../functions/rollback-drill/steer-workflow.ts';
import { durableHandler } from '../../../functions/shared/durable.ts';
import { InProcessWorkflow } from '../../../functions/shared/in-process.ts';
import { OutOfTimeError, type Workflow } from '../../../functions/shared/workflow.ts';
import { type Death, DurableService } from '../../support/durable-service.ts';
import { EndpointModel, TRANSITION_MS } from '../../support/endpoint-model.ts';
import { sagemakerError } from '../../support/fake-sagemaker.ts';

const START = Date.UTC(2026, 0, 5);
const CLONE = 'tocsin-rollback-1a2b3c4d';
const TARGET = { config: 'churn-6', weights: { primary: 1, candidate: 0 } };

let model: EndpointModel;
let account: ReturnType<EndpointModel['answer']>;
let reports: string[];
let sagemaker: SageMakerClient;
/** What happens beside the run, whenever it waits. */
let beside: () => void;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  model = new EndpointModel(Date.now);
  for (const name of ['churn-6', 'churn-7', 'churn-8']) {
    model.configs.set(name, {
      content: `model-of-${name}`,
      variants: { primary: { weight: 1, instances: 1 }, candidate: { weight: 1, instances: 1 } },
    });
  }
  model.set({ config: 'churn-6', weights: { candidate: 0 } });
  account = model.answer();
  sagemaker = new SageMakerClient({});
  reports = [];
  beside = () => {};
});

afterEach(() => {
  account.restore();
  vi.useRealTimers();
});

const sleep = (ms: number) => {
  vi.setSystemTime(Date.now() + ms);
  beside();
};

function inProcess(deadline?: number): Workflow {
  return new InProcessWorkflow({
    id: 'run-1',
    ...(deadline !== undefined && { deadline }),
    sleep: async (ms, signal) => (signal === undefined ? sleep(ms) : new Promise(() => {})),
    random: () => 0,
  });
}

const steering = (change: Partial<Steering> = {}): Steering => ({
  endpoint: 'churn',
  target: TARGET,
  cloneName: CLONE,
  timeoutMs: 30 * 60_000,
  report: async (phase) => {
    reports.push(phase);
  },
  ...change,
});

const run = (change: Partial<Steering> = {}, workflow = inProcess()): Promise<Steered> =>
  steer(workflow, steering(change), { sagemaker, now: Date.now });

const throttled = () => sagemakerError('ThrottlingException', 'Rate exceeded');

/** Fails calls of one operation, so many times. */
function fail(operation: string, error: () => Error, times = Number.POSITIVE_INFINITY): void {
  let left = times;
  model.fails = (name) => (name === operation && left-- > 0 ? error() : undefined);
}

describe('an endpoint that is where it belongs', () => {
  it('is left alone', async () => {
    const configSha256 = (await configHash(sagemaker, 'churn-6'))!;
    expect(await run({ configSha256 })).toEqual({
      outcome: 'unneeded',
      actions: [],
      why: null,
      state: model.state,
      made: [],
    });
    expect(model.taken).toEqual([]);
    expect(reports).toEqual([]);
  });

  it('is not, where its configuration says something else by now, or was deleted', async () => {
    expect(await run({ configSha256: 'ab' })).toMatchObject({
      outcome: 'failed',
      why: 'the endpoint configuration churn-6 is no longer what it was: it was deleted, and another has its name',
    });
    model.configs.delete('churn-6');
    expect(await run({ configSha256: 'ab' })).toMatchObject({
      outcome: 'failed',
      why: 'the endpoint configuration churn-6 was deleted, and nobody can say any more what it said: create it again under this name',
    });
    expect(await run()).toMatchObject({ outcome: 'unneeded' });
    expect(model.taken).toEqual([]);
  });
});

describe('an endpoint with another configuration', () => {
  beforeEach(() => model.set({ config: 'churn-7' }));

  it('is updated, and gets the weights that the update has reset', async () => {
    const answer = await run();
    expect(answer).toEqual({
      outcome: 'there',
      actions: [
        'updated the endpoint to the endpoint configuration churn-6',
        'set variant candidate to weight 0',
      ],
      why: null,
      state: model.state,
      made: [],
    });
    expect(account.calls('UpdateEndpoint')).toEqual([
      { EndpointName: 'churn', EndpointConfigName: 'churn-6', RetainDeploymentConfig: true },
    ]);
    expect(account.calls('UpdateEndpointWeightsAndCapacities')).toEqual([
      {
        EndpointName: 'churn',
        DesiredWeightsAndCapacities: [{ VariantName: 'candidate', DesiredWeight: 0 }],
      },
    ]);
    expect([...new Set(reports)]).toEqual([
      'updating the endpoint to the endpoint configuration churn-6',
      'the endpoint is Updating to churn-6',
      'setting variant candidate to weight 0',
      'the endpoint is Updating',
    ]);
  });

  it('is updated once more where the update came back without a word', async () => {
    model.ends.push('silent');
    expect(await run({ target: { config: 'churn-6' } })).toMatchObject({
      outcome: 'there',
      actions: [
        'updated the endpoint to the endpoint configuration churn-6, in vain: SageMaker gives no reason',
        'updated the endpoint to the endpoint configuration churn-6, without its deployment configuration',
      ],
    });
    expect(model.taken).toEqual(['update churn-6', 'update churn-6 without deployment configuration']);
  });

  it('stays, where that comes back, too; the reason says what SageMaker said', async () => {
    model.ends.push({ reason: 'an alarm rang' }, { reason: 'no capacity' });
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: 'it stays as it is: 2 updates to the endpoint configuration churn-6 failed, the last without deployment configuration: an alarm rang; then: no capacity',
      state: { config: 'churn-7', status: 'InService' },
    });
    expect(model.taken).toHaveLength(2);
  });

  it('stays, where the configuration was deleted', async () => {
    model.configs.delete('churn-6');
    expect(await run()).toMatchObject({
      outcome: 'failed',
      actions: [],
      why: 'the endpoint configuration churn-6 was deleted, and nobody can say any more what it said: create it again under this name',
    });
    expect(model.taken).toEqual([]);
  });

  it('is updated also to a configuration that says something else by now, which is then told', async () => {
    expect(await run({ configSha256: 'ab' })).toMatchObject({
      outcome: 'failed',
      actions: [expect.stringContaining('updated'), expect.stringContaining('set')],
      why: expect.stringContaining('is no longer what it was'),
      state: { config: 'churn-6' },
    });
  });
});

describe('what is under way', () => {
  it('is waited for: SageMaker maintains the endpoint', async () => {
    model.set({ status: 'SystemUpdating', config: 'churn-7' });
    expect(await run()).toMatchObject({ outcome: 'there' });
    expect(reports[0]).toBe('the endpoint is SystemUpdating');
    expect(model.violations).toEqual([]);
  });

  it('may be all that is needed', async () => {
    model.set({ status: 'Updating', config: 'churn-7', pending: 'churn-6' });
    expect(await run({ target: { config: 'churn-6' } })).toMatchObject({ outcome: 'unneeded', actions: [] });
    expect(Date.now()).toBeGreaterThanOrEqual(START + TRANSITION_MS);
  });

  it('was begun by somebody else who was faster, and is no failed try', async () => {
    model.set({ config: 'churn-7' });
    let calls = 0;
    model.fails = (operation) => {
      if (operation === 'UpdateEndpoint' && ++calls === 1) model.update('churn-8', true);
      return undefined;
    };
    expect(await run({ target: { config: 'churn-6' } })).toMatchObject({
      outcome: 'there',
      actions: ['updated the endpoint to the endpoint configuration churn-6'],
    });
    expect(model.taken).toEqual(['update churn-8', 'update churn-6']);
  });

  it('is waited for until the time is up', async () => {
    model.set({ status: 'SystemUpdating', config: 'churn-7' });
    beside = () => model.set({ status: 'SystemUpdating', config: 'churn-7' });
    expect(await run({ timeoutMs: 10 * 60_000 })).toMatchObject({
      outcome: 'failed',
      why: 'after 10 min the endpoint is SystemUpdating',
      state: { status: 'SystemUpdating' },
    });
    expect(Date.now() - START).toBe(10 * 60_000);
  });

  it('may take all the time that there is', async () => {
    model.set({ config: 'churn-7' });
    model.ends.push('silent');
    expect(await run({ timeoutMs: TRANSITION_MS })).toMatchObject({
      outcome: 'failed',
      why: 'there was no time left for updating the endpoint to the endpoint configuration churn-6',
    });
    expect(model.taken).toHaveLength(1);
  });
});

describe('an endpoint that serves a mix', () => {
  it('is mended by way of a copy', async () => {
    model.set({ status: 'UpdateRollbackFailed', config: 'churn-6', pending: 'churn-7' });
    expect(await run()).toEqual({
      outcome: 'there',
      actions: [
        `copied the endpoint configuration churn-6 to ${CLONE}`,
        `updated the endpoint to the endpoint configuration ${CLONE}`,
        'updated the endpoint to the endpoint configuration churn-6',
        'set variant candidate to weight 0',
      ],
      why: null,
      state: model.state,
      made: [CLONE],
    });
    expect(account.calls('CreateEndpointConfig')).toEqual([
      {
        EndpointConfigName: CLONE,
        ProductionVariants: ['primary', 'candidate'].map((VariantName) => ({
          VariantName,
          ModelName: 'model-of-churn-6',
          InitialVariantWeight: 1,
          InitialInstanceCount: 1,
        })),
        Tags: [{ Key: 'tocsin:endpoint', Value: 'churn' }],
      },
    ]);
    expect(model.violations).toEqual([]);
  });

  it('again, where the deployment of the copy ends in one', async () => {
    model.set({ status: 'UpdateRollbackFailed', config: 'churn-7', pending: 'churn-6' });
    model.ends.push('mixed');
    expect(await run()).toMatchObject({ outcome: 'there', made: [CLONE, `${CLONE}-2`] });
    expect(model.violations).toEqual([]);
    expect(model.serves).toBe('model-of-churn-6');
  });

  it('stays under the name of the copy where its own cannot be had', async () => {
    model.set({ status: 'UpdateRollbackFailed', config: 'churn-6', pending: 'churn-7' });
    model.ends.push('done', 'silent', 'silent');
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: expect.stringMatching(
        /^it serves what churn-6 says, under the name tocsin-rollback-1a2b3c4d, but/,
      ),
      state: { config: CLONE, variants: [{ weight: 0 }, { weight: 1 }] },
      made: [CLONE],
    });
  });
});

describe('an endpoint that serves something else under the right name', () => {
  it('is deployed anew where that is asked for', async () => {
    model.set({ config: 'churn-6', serves: 'something else' });
    expect(await run()).toMatchObject({ outcome: 'there', actions: ['set variant candidate to weight 0'] });
    expect(model.serves).toBe('something else');
    expect(await run({ anew: true })).toMatchObject({ outcome: 'there', made: [CLONE] });
    expect(model.serves).toBe('model-of-churn-6');
    expect(model.state).toMatchObject({ config: 'churn-6' });
  });
});

describe('what cannot be', () => {
  it('is an endpoint that somebody deletes half-way', async () => {
    model.set({ config: 'churn-7' });
    beside = () => model.remove();
    expect(await run()).toEqual({
      outcome: 'failed',
      actions: [
        'updated the endpoint to the endpoint configuration churn-6, in vain: SageMaker gives no reason',
      ],
      why: 'the endpoint does not exist any more: create it again from the endpoint configuration churn-6',
      state: null,
      made: [],
    });
  });

  it('is an endpoint that the update makes fail', async () => {
    model.set({ config: 'churn-7' });
    model.ends.push('Failed');
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: 'the endpoint has failed (no capacity) and takes no change: delete it, and create it again from the endpoint configuration churn-6',
      state: { status: 'Failed' },
    });
  });

  it('are weights of a variant that it does not have', async () => {
    expect(await run({ target: { weights: { primry: 1 } } })).toMatchObject({
      outcome: 'failed',
      why: 'the endpoint has no variant primry: it has candidate and primary',
    });
  });

  it('is to go on when somebody undoes everything', async () => {
    model.set({ config: 'churn-7' });
    beside = () => {
      const { state } = model;
      if (state?.config === 'churn-6' && state.variants[0]?.weight === 0) {
        model.set({ config: 'churn-7', weights: { candidate: 0 } });
      }
    };
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: 'after 8 changes it is still not there',
    });
    expect(model.taken).toHaveLength(8);
  });
});

describe('SageMaker that does not answer, or refuses', () => {
  beforeEach(() => model.set({ config: 'churn-7' }));

  it.each([
    'DescribeEndpoint',
    'DescribeEndpointConfig',
    'UpdateEndpoint',
    'UpdateEndpointWeightsAndCapacities',
  ])('is asked again: %s was throttled', async (operation) => {
    fail(operation, throttled, 3);
    expect(await run()).toMatchObject({ outcome: 'there' });
    expect(model.taken).toEqual(['update churn-6', 'weigh candidate 0']);
  });

  it('is given up where it is throttled for ever', async () => {
    fail('UpdateEndpoint', throttled);
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: expect.stringMatching(
        /^UpdateEndpoint churn to churn-6 failed .*ThrottlingException: Rate exceeded$/,
      ),
      state: { config: 'churn-7' },
    });
    expect(account.calls('UpdateEndpoint')).toHaveLength(5);
  });

  it('is not asked again where IAM says no; the tags are named', async () => {
    fail('UpdateEndpoint', () => sagemakerError('AccessDeniedException', 'not authorized'));
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: expect.stringMatching(
        /^Tocsin may not do that; .* tagged tocsin:drill = allowed, .* tagged tocsin:rollback = allowed, too: .*not authorized$/,
      ),
    });
    expect(account.calls('UpdateEndpoint')).toHaveLength(1);
    fail('DescribeEndpoint', () => sagemakerError('AccessDeniedException', 'not authorized'));
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: expect.stringContaining('not authorized'),
      state: null,
    });
  });

  it('is taken by its word where a quota is used up: twice', async () => {
    fail('UpdateEndpoint', () => sagemakerError('ResourceLimitExceeded', 'no more instances'));
    expect(await run()).toMatchObject({
      outcome: 'failed',
      why: expect.stringContaining('ResourceLimitExceeded: no more instances'),
    });
    expect(account.calls('UpdateEndpoint')).toHaveLength(2);
  });
});

describe('the workflow', () => {
  it('has no time left: that is thrown', async () => {
    model.set({ config: 'churn-7' });
    await expect(run({}, inProcess(START + 10_000))).rejects.toThrow(OutOfTimeError);
  });

  it('throws what is a bug', async () => {
    model.set({ config: 'churn-7' });
    const report = async () => {
      throw new TypeError('a bug');
    };
    await expect(run({ report })).rejects.toThrow('a bug');
  });

  /** A long way: a mix, a copy, an update that comes back, weights. */
  async function longWay(dies: (checkpoint: number) => Death | undefined) {
    vi.setSystemTime(START);
    // Longer than the pause after a crash: what began before it is found under way.
    model.transitionMs = 5_000;
    model.configs.delete(CLONE);
    model.taken.length = 0;
    model.set({ status: 'UpdateRollbackFailed', config: 'churn-6', pending: 'churn-7' });
    model.ends.push('done', 'silent');
    const service = new DurableService(
      durableHandler((_event, workflow) => run({}, workflow)),
      sleep,
    );
    service.dies = dies;
    const ended = (await service.run({})) as { result: Steered };
    return { service, ended, taken: [...model.taken] };
  }

  it('may crash anywhere, and nothing is done twice', async () => {
    const { service, ended, taken } = await longWay(() => undefined);
    expect(taken).toEqual([
      `clone churn-6 ${CLONE}`,
      `update ${CLONE}`,
      'update churn-6',
      'update churn-6 without deployment configuration',
      'weigh candidate 0',
    ]);
    const expected = { ...ended.result, state: { ...ended.result.state, at: expect.any(Number) } };
    expect(expected).toMatchObject({ outcome: 'there', why: null, made: [CLONE] });
    for (let at = 0; at < service.checkpoints; at++) {
      for (const death of ['before it is kept', 'after it is kept'] as const) {
        const again = await longWay((checkpoint) => (checkpoint === at ? death : undefined));
        expect(again.ended.result, `${at}, ${death}`).toEqual(expected);
        expect(again.taken, `${at}, ${death}`).toEqual(taken);
        expect(again.service.deaths).toBe(1);
      }
    }
    expect(model.violations).toEqual([]);
  });
});
