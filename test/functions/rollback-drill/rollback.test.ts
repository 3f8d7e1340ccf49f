import { DeleteEndpointCommand, DeleteEndpointConfigCommand } from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRollbackHandler } from '../../../functions/rollback-drill/rollback-handler.ts';
import { runRollback } from '../../../functions/rollback-drill/rollback-workflow.ts';
import {
  type RollbackRequest,
  type RollbackResult,
  rollbackResultSchema,
} from '../../../functions/rollback-drill/schema.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { progressKey, progressSchema } from '../../../functions/shared/progress.ts';
import { DurableService } from '../../support/durable-service.ts';
import { captureOutput } from '../../support/fake-aws.ts';
import { RollbackWorld } from '../../support/rollback.ts';

const ENDPOINT = 'churn-prod';

let world: RollbackWorld;

beforeEach(async () => {
  world = await RollbackWorld.start();
  await world.model('old', (body) => `old ${body}`);
  await world.model('new', (body) => `new ${body}`);
  await world.config('churn-6', [{ name: 'primary', model: 'old', instances: 2 }]);
});

afterEach(() => world.close());

/** Both models under their own variants; the new one has all traffic. */
const sideBySide = () =>
  world.endpoint(ENDPOINT, {
    config: 'churn-5',
    tags: { 'tocsin:rollback': 'allowed' },
    variants: [
      { name: 'primary', model: 'old', weight: 0 },
      { name: 'candidate', model: 'new' },
      { name: 'canary', model: 'new', weight: 0 },
    ],
  });

/** The new model under the name of the old one. */
const deployed = (deploymentConfig?: object) =>
  world.endpoint(ENDPOINT, {
    config: 'churn-7',
    tags: { 'tocsin:rollback': 'allowed' },
    variants: [{ name: 'primary', model: 'new' }],
    ...(deploymentConfig !== undefined && { deploymentConfig }),
  });

const run = (to: RollbackRequest['to'], workflow = world.workflow()): Promise<RollbackResult> =>
  runRollback(workflow, { endpoint: ENDPOINT, to, run: 'run-1' }, world.deps());

/** What untargeted requests are answered. */
async function answers(): Promise<string[]> {
  const said = new Set<string>();
  for (let request = 0; request < 20; request++) {
    const { Body } = await world.runtime.send(
      new InvokeEndpointCommand({ EndpointName: ENDPOINT, Body: '1' }),
    );
    said.add(Buffer.from(Body ?? []).toString());
  }
  return [...said].sort();
}

const changes = () => world.changes.map(({ operation, input }) => [operation, input]);
const progress = () =>
  progressSchema.parse(JSON.parse(world.aws.get('work', progressKey('run-1')).body.toString('utf8')));

describe('a rollback to a variant', () => {
  beforeEach(sideBySide);

  it('gives it all the traffic', async () => {
    const answer = await run({ variant: 'primary' });
    expect(answer).toEqual({
      endpoint: ENDPOINT,
      done: 'churn-prod sends all its traffic to variant primary (endpoint configuration churn-5)',
      changed: true,
      config: 'churn-5',
      shares: { canary: 0, candidate: 0, primary: 1 },
    });
    expect(rollbackResultSchema.parse(answer)).toEqual(answer);
    expect(changes()).toEqual([
      [
        'UpdateEndpointWeightsAndCapacities',
        {
          EndpointName: ENDPOINT,
          DesiredWeightsAndCapacities: [
            { VariantName: 'candidate', DesiredWeight: 0 },
            { VariantName: 'primary', DesiredWeight: 1 },
          ],
        },
      ],
    ]);
    expect(await answers()).toEqual(['old 1']);
    expect(progress()).toMatchObject({ phase: 'done', result: answer });
  });

  it('changes nothing where it has it already', async () => {
    expect(await run({ variant: 'candidate' })).toMatchObject({
      done: 'churn-prod sends all its traffic to variant candidate (endpoint configuration churn-5), as it did before',
      changed: false,
    });
    expect(changes()).toEqual([]);
  });

  it('to weights: those that are not named get none', async () => {
    expect(await run({ weights: { primary: 90, canary: 10 } })).toMatchObject({
      done: 'churn-prod sends 90% of its traffic to variant primary and 10% to variant canary (endpoint configuration churn-5)',
      shares: { canary: 0.1, candidate: 0, primary: 0.9 },
    });
  });

  it('sets weights again that were taken over in part, and then says so', async () => {
    await world.fault({ endpoint: ENDPOINT, does: 'stint', part: 0.5 });
    expect(await run({ variant: 'primary' })).toMatchObject({ shares: { primary: 1 } });
    expect(changes()).toHaveLength(2);
    await world.fault({ endpoint: ENDPOINT, does: 'stint', part: 0.5, times: 'always' });
    await expect(run({ variant: 'candidate' })).rejects.toThrow(
      /setting variant .* failed twice: SageMaker gives no reason\. churn-prod sends \d+/,
    );
  });

  it('waits while SageMaker maintains the endpoint, also where that begins just now', async () => {
    await world.fault({ endpoint: ENDPOINT, does: 'maintain', ms: 120_000, from: 'change' });
    const begun = world.now();
    expect(await run({ variant: 'primary' })).toMatchObject({ changed: true });
    expect(world.now() - begun).toBeGreaterThan(120_000);
    expect(changes()).toHaveLength(1);
  });
});

describe('a rollback to an endpoint configuration', () => {
  it('deploys it, with the weights that it names itself', async () => {
    await sideBySide();
    expect(await run({ config: 'churn-6' })).toEqual({
      endpoint: ENDPOINT,
      done: 'churn-prod sends all its traffic to variant primary (endpoint configuration churn-6)',
      changed: true,
      config: 'churn-6',
      shares: { primary: 1 },
    });
    expect(changes()).toEqual([
      [
        'UpdateEndpoint',
        { EndpointName: ENDPOINT, EndpointConfigName: 'churn-6', RetainDeploymentConfig: true },
      ],
    ]);
    expect(await answers()).toEqual(['old 1']);
  });

  it('or with others, of variants that it has and the endpoint may not have yet', async () => {
    await deployed();
    await world.config('churn-5', [
      { name: 'primary', model: 'new' },
      { name: 'former', model: 'old' },
    ]);
    expect(await run({ config: 'churn-5', weights: { former: 1 } })).toMatchObject({
      config: 'churn-5',
      shares: { former: 1, primary: 0 },
    });
    expect(await answers()).toEqual(['old 1']);
  });

  it('tries once more without the guardrail, whose alarm rings because of the bad model', async () => {
    world.alarms.set('churn-5xx', 'OK');
    await deployed({
      BlueGreenUpdatePolicy: {
        TrafficRoutingConfiguration: { Type: 'ALL_AT_ONCE', WaitIntervalInSeconds: 60 },
      },
      AutoRollbackConfiguration: { Alarms: [{ AlarmName: 'churn-5xx' }] },
    });
    world.alarms.set('churn-5xx', 'ALARM');
    expect(await run({ config: 'churn-6' })).toMatchObject({ changed: true, config: 'churn-6' });
    expect(changes().map(([, input]) => (input as Record<string, unknown>).RetainDeploymentConfig)).toEqual([
      true,
      false,
    ]);
    expect(await answers()).toEqual(['old 1']);
  });

  it('is not taken for done where the endpoint is back at InService without a word', async () => {
    await deployed();
    await world.fault({ endpoint: ENDPOINT, does: 'fail', times: 2 });
    await expect(run({ config: 'churn-6' })).rejects.toThrow(
      new GateDependencyError(
        'churn-prod was not rolled back: it stays as it is: 2 updates to the endpoint configuration churn-6 failed, the last without deployment configuration: SageMaker gives no reason. churn-prod sends all its traffic to variant primary (endpoint configuration churn-7)',
      ),
    );
    expect(await answers()).toEqual(['new 1']);
    expect(progress()).toMatchObject({
      phase: 'failed',
      error: { name: 'GateDependencyError', message: expect.stringContaining('was not rolled back') },
    });
  });

  it('mends an endpoint that serves a mix, by way of a copy of a name of its own', async () => {
    await deployed();
    await world.fault({ endpoint: ENDPOINT, does: 'mix' });
    expect(await run({ config: 'churn-6' })).toMatchObject({ changed: true, config: 'churn-6' });
    const copy = /^tocsin-rollback-[0-9a-f]{8}$/;
    expect(changes()).toEqual([
      ['UpdateEndpoint', expect.objectContaining({ EndpointConfigName: 'churn-6' })],
      ['CreateEndpointConfig', expect.objectContaining({ EndpointConfigName: expect.stringMatching(copy) })],
      ['UpdateEndpoint', expect.objectContaining({ EndpointConfigName: expect.stringMatching(copy) })],
      ['UpdateEndpoint', expect.objectContaining({ EndpointConfigName: 'churn-6' })],
    ]);
    expect(await answers()).toEqual(['old 1']);
  });

  it('may be one that was deleted, and that the endpoint has', async () => {
    await deployed();
    await world.sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: 'churn-7' }));
    expect(await run({ config: 'churn-7', weights: { primary: 1 } })).toMatchObject({ changed: false });
  });
});

describe('what a caller gets wrong', () => {
  beforeEach(sideBySide);

  it.each<[RollbackRequest['to'], string]>([
    [
      { variant: 'primry' },
      'the endpoint churn-prod has no variant primry, did you mean "primary"?; it has canary, candidate and primary',
    ],
    [
      { weights: { primary: 1, shadow: 1 } },
      'the endpoint churn-prod has no variant shadow; it has canary, candidate and primary',
    ],
    [
      { config: 'churn-4' },
      'there is no endpoint configuration churn-4; the endpoint churn-prod has churn-5',
    ],
    [
      { config: 'churn-6', weights: { candidate: 1 } },
      'the endpoint configuration churn-6 has no variant candidate; it has primary',
    ],
  ])('is told, and nothing is changed: %j', async (to, message) => {
    await expect(run(to)).rejects.toThrow(new GateInputError(message));
    expect(changes()).toEqual([]);
    expect(progress()).toMatchObject({ phase: 'failed', error: { name: 'GateInputError', message } });
  });

  it('is also an endpoint that there is not', async () => {
    const request = { endpoint: 'chrun', to: { variant: 'primary' } };
    await expect(runRollback(world.workflow(), request, world.deps())).rejects.toThrow(
      new GateInputError('there is no endpoint chrun'),
    );
  });
});

describe('a world that is broken', () => {
  it('does not let it change the endpoint: the tags are named, and what serves', async () => {
    await sideBySide();
    world.forbidden.add('sagemaker:UpdateEndpointWeightsAndCapacities');
    await expect(run({ variant: 'primary' })).rejects.toThrow(
      /^churn-prod was not rolled back: .*tagged tocsin:drill = allowed, .*tagged tocsin:rollback = allowed, too: .*\. churn-prod sends all its traffic to variant candidate \(endpoint configuration churn-5\)$/,
    );
  });

  it('has an endpoint that is deleted half-way', async () => {
    await deployed();
    await world.fault({ endpoint: ENDPOINT, does: 'fail' });
    const running = run({ config: 'churn-6' });
    const deleting = world.later(600, () =>
      world.sagemaker.send(new DeleteEndpointCommand({ EndpointName: ENDPOINT })),
    );
    await expect(running).rejects.toThrow(
      'churn-prod was not rolled back: the endpoint does not exist any more: create it again from the endpoint configuration churn-6',
    );
    await deleting;
  });

  it('has an endpoint that has failed, with what serves: nothing', async () => {
    await deployed();
    await world.fault({ endpoint: ENDPOINT, does: 'break' });
    await expect(run({ config: 'churn-6' })).rejects.toThrow(
      /delete it, and create it again from the endpoint configuration churn-6\. churn-prod is Failed and sends no traffic anywhere/,
    );
  });

  it('throttles for a while', async () => {
    await sideBySide();
    await world.fault({ operation: 'DescribeEndpoint', type: 'ThrottlingException', times: 7 });
    expect(await run({ variant: 'primary' })).toMatchObject({ changed: true });
  });
});

describe('as a function', () => {
  let output: ReturnType<typeof captureOutput>;

  beforeEach(async () => {
    await sideBySide();
    output = captureOutput();
  });
  afterEach(() => output.restore());

  const handlerOf = (WORKFLOW: 'durable' | 'in-process') => {
    const { s3, sagemaker, now } = world.deps();
    return createRollbackHandler({ env: { WORK_BUCKET: 'work', WORKFLOW }, s3, sagemaker, now });
  };
  const invoke = (event: unknown) =>
    handlerOf('in-process')(event, { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 900_000 });
  const metrics = () =>
    output
      .lines()
      .flatMap((line) => (line.includes('"_aws"') ? [JSON.parse(line) as Record<string, unknown>] : []))
      .map(({ gate, rollback, Errors }) => ({ gate, rollback, Errors }));

  it('does what a direct invocation asks for', async () => {
    const event = { endpoint: ENDPOINT, to: { variant: 'candidate' }, run: 'run-1' };
    expect(await invoke(event)).toMatchObject({ endpoint: ENDPOINT, changed: false });
    expect(progress()).toMatchObject({ phase: 'done' });
    expect(metrics()).toEqual([]);
    expect(output.lines().join('\n')).toContain('sends all its traffic to variant candidate');
  });

  it('throws what went wrong, and counts it', async () => {
    await expect(invoke({ endpoint: ENDPOINT, to: { variant: 'x' } })).rejects.toThrow(GateInputError);
    expect(metrics()).toEqual([{ gate: 'rollback-drill', rollback: ENDPOINT, Errors: 1 }]);
  });

  it.each([
    [{ endpoint: ENDPOINT, to: { varient: 'x' } }, /to: expected .*"variant".*, got \{"varient":"x"\}/],
    [{ endpoint: ENDPOINT, to: { weights: { primary: 0 } } }, /a weight above 0/],
    [{ endpoint: ENDPOINT, to: { variant: 'primary' }, force: true }, /unknown key "force"/],
    [{ 'detail-type': 'Scheduled Event' }, /endpoint/],
  ])('refuses %j', async (event, message) => {
    await expect(invoke(event)).rejects.toThrow(message);
    expect(changes()).toEqual([]);
  });

  it.each([1, 2])('survives a crash at change %i, and changes nothing twice', async (change) => {
    await world.config('churn-7', [
      { name: 'primary', model: 'old' },
      { name: 'candidate', model: 'new' },
    ]);
    world.changes.length = 0;
    const service = world.durable((event, workflow, deps) =>
      runRollback(workflow, event as RollbackRequest, deps),
    );
    world.aws.diesAfter = world.aws.changes.length + change;
    const to = { config: 'churn-7', weights: { primary: 1 } };
    expect(await service.run({ endpoint: ENDPOINT, to })).toMatchObject({
      result: { changed: true, config: 'churn-7', shares: { candidate: 0, primary: 1 } },
    });
    expect(service.deaths).toBe(1);
    expect(changes().map(([operation]) => operation)).toEqual([
      'UpdateEndpoint',
      'UpdateEndpointWeightsAndCapacities',
    ]);
  });

  it('runs as a durable execution', async () => {
    const service = new DurableService(
      handlerOf('durable') as ConstructorParameters<typeof DurableService>[0],
      () => {},
    );
    const event = { endpoint: ENDPOINT, to: { variant: 'candidate' } };
    expect(await service.run(event)).toMatchObject({ result: { changed: false } });
  });
});
