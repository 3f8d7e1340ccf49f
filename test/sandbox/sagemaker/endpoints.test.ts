import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  type CreateEndpointConfigCommandInput,
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  ListEndpointConfigsCommand,
  ListEndpointsCommand,
  UpdateEndpointCommand,
  type UpdateEndpointCommandInput,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand, type InvokeEndpointCommandInput } from '@aws-sdk/client-sagemaker-runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { askForFault, endpointOperations } from '../../../sandbox/sagemaker/endpoints.ts';
import { invocationRoute } from '../../../sandbox/sagemaker/runtime.ts';
import { IMAGE, LocalSageMaker, ROLE } from '../../support/sagemaker.ts';

/** Expects what becomes true soon; a busy machine may take its time. */
const eventually = (look: () => unknown) => expect.poll(look, { timeout: 30_000, interval: 20 });

const ARN = 'arn:aws:sagemaker:us-east-1:000000000000:endpoint/delay';

let local: LocalSageMaker;
/** What the next choices are made by; the last one stays. */
let chances: number[];
/** Opened to let transitions go on, where a test has closed it. */
let gate: Promise<void> | undefined;

beforeEach(async () => {
  chances = [0];
  gate = undefined;
  local = await LocalSageMaker.start({
    operations: endpointOperations,
    fault: askForFault,
    routes: [invocationRoute(() => (chances.length > 1 ? (chances.shift() ?? 0) : (chances[0] ?? 0)))],
    wait: async () => gate,
  });
  await local.createModel('one', { factor: 1 });
  await local.createModel('ten', { factor: 10 });
});

afterEach(() => local.close());

type Variants = Record<string, { model?: string; weight?: number; count?: number }>;

async function createConfig(
  EndpointConfigName: string,
  variants: Variants = { live: {} },
  rest: Partial<CreateEndpointConfigCommandInput> = {},
): Promise<void> {
  const ProductionVariants = Object.entries(variants).map(
    ([VariantName, { model = 'one', weight, count = 1 }]) => ({
      VariantName,
      ModelName: model,
      InitialInstanceCount: count,
      InstanceType: 'ml.m5.large' as const,
      ...(weight !== undefined && { InitialVariantWeight: weight }),
    }),
  );
  await local.client.send(
    new CreateEndpointConfigCommand({ EndpointConfigName, ProductionVariants, ...rest } as never),
  );
}

/** Brings an endpoint into service. */
async function createEndpoint(
  variants?: Variants,
  rest?: Partial<CreateEndpointConfigCommandInput>,
): Promise<void> {
  await createConfig('first', variants, rest);
  await local.client.send(new CreateEndpointCommand({ EndpointName: 'delay', EndpointConfigName: 'first' }));
  await local.settled();
}

const describeEndpoint = () => local.client.send(new DescribeEndpointCommand({ EndpointName: 'delay' }));

async function update(input: Partial<UpdateEndpointCommandInput>) {
  await local.client.send(
    new UpdateEndpointCommand({ EndpointName: 'delay', EndpointConfigName: 'second', ...input }),
  );
  await local.settled();
}

async function invoke(body: string, rest: Partial<InvokeEndpointCommandInput> = {}) {
  const answer = await local.runtime.send(
    new InvokeEndpointCommand({
      EndpointName: 'delay',
      Body: Buffer.from(body),
      ContentType: 'text/csv',
      Accept: 'text/csv',
      ...rest,
    }),
  );
  return {
    body: Buffer.from(answer.Body ?? []).toString(),
    variant: answer.InvokedProductionVariant,
    type: answer.ContentType,
  };
}

const refused = (message: string | RegExp) => ({
  name: 'ValidationException',
  message: typeof message === 'string' ? message : expect.stringMatching(message),
});

const statuses = () =>
  local.events
    .filter(({ detailType }) => detailType === 'SageMaker Endpoint State Change')
    .map(({ detail }) => detail.EndpointStatus);

describe('an endpoint', () => {
  it('is Creating, then serves its model', async () => {
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await createConfig('first', { live: { model: 'ten', count: 2 } });
    await local.client.send(
      new CreateEndpointCommand({
        EndpointName: 'delay',
        EndpointConfigName: 'first',
        Tags: [{ Key: 'stage', Value: 'staging' }],
      }),
    );
    const creating = await describeEndpoint();
    expect(creating).toMatchObject({ EndpointStatus: 'Creating', EndpointConfigName: 'first' });
    expect(creating.ProductionVariants).toBeUndefined();
    await expect(invoke('1')).rejects.toMatchObject({
      name: 'ValidationError',
      message: 'Endpoint delay of account 000000000000 not found.',
    });
    for (const command of [
      new DeleteEndpointCommand({ EndpointName: 'delay' }),
      new UpdateEndpointWeightsAndCapacitiesCommand({
        EndpointName: 'delay',
        DesiredWeightsAndCapacities: [{ VariantName: 'live', DesiredWeight: 2 }],
      }),
    ]) {
      await expect(local.client.send(command as DeleteEndpointCommand)).rejects.toMatchObject(
        refused(`Cannot update in-progress endpoint "${ARN}".`),
      );
    }
    open();
    await local.settled();

    const { CreationTime, LastModifiedTime, $metadata, ...endpoint } = await describeEndpoint();
    expect(endpoint).toEqual({
      EndpointName: 'delay',
      EndpointArn: ARN,
      EndpointConfigName: 'first',
      EndpointStatus: 'InService',
      ProductionVariants: [
        {
          VariantName: 'live',
          DeployedImages: [
            {
              SpecifiedImage: IMAGE,
              ResolvedImage: expect.stringMatching(/\.amazonaws\.com\/test@sha256:[0-9a-f]{64}$/),
              ResolutionTime: expect.any(Date),
            },
          ],
          CurrentWeight: 1,
          DesiredWeight: 1,
          CurrentInstanceCount: 2,
          DesiredInstanceCount: 2,
        },
      ],
    });
    expect(await invoke('1,2\n3')).toEqual({ body: '30\n30', variant: 'live', type: 'text/csv' });
    expect(statuses()).toEqual(['CREATING', 'IN_SERVICE']);
    expect(local.events.at(-1)).toMatchObject({
      resources: [ARN],
      detail: {
        EndpointName: 'delay',
        EndpointArn: ARN,
        EndpointConfigName: 'first',
        ProductionVariants: [{ VariantName: 'live', CurrentWeight: 1 }],
        CreationTime: CreationTime?.getTime(),
        LastModifiedTime: LastModifiedTime?.getTime(),
        Tags: { stage: 'staging' },
      },
    });
    // Both the endpoint and what it is made of.
    expect(local.authorized).toContain(`sagemaker:CreateEndpoint ${ARN}`);
    expect(local.authorized).toContain(
      'sagemaker:CreateEndpoint arn:aws:sagemaker:us-east-1:000000000000:endpoint-config/first',
    );
  });

  it.each([
    [
      { PING: 'exit' },
      undefined,
      'The primary container for production variant sick did not pass the ping health check. Please check CloudWatch logs for this endpoint.',
    ],
    [{}, 'GetObject models/sick', /^Could not access model data at s3:\/\/models\/sick\/model.tar.gz\. /],
  ])('that does not come up is Failed, and can be deleted only: %j %s', async (env, denied, reason) => {
    await local.createModel('sick', { env });
    if (denied !== undefined) local.denied.add(denied);
    await createEndpoint({ live: {}, sick: { model: 'sick' } });
    expect(await describeEndpoint()).toMatchObject({
      EndpointStatus: 'Failed',
      FailureReason: expect.stringMatching(reason),
    });
    expect(statuses()).toEqual(['CREATING', 'FAILED']);
    await createConfig('second');
    await expect(update({})).rejects.toMatchObject(refused(/^Cannot update failed endpoint/));
    await expect(invoke('1')).rejects.toMatchObject({ name: 'ValidationError' });
    await local.client.send(new DeleteEndpointCommand({ EndpointName: 'delay' }));
    await local.settled();
    await expect(describeEndpoint()).rejects.toMatchObject(refused(`Could not find endpoint "${ARN}".`));
  });

  it('is Deleting, then gone, and its name is free', async () => {
    await createEndpoint();
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await local.client.send(new DeleteEndpointCommand({ EndpointName: 'delay' }));
    expect((await describeEndpoint()).EndpointStatus).toBe('Deleting');
    await expect(invoke('1')).rejects.toMatchObject({ name: 'ValidationError' });
    await expect(
      local.client.send(new CreateEndpointCommand({ EndpointName: 'delay', EndpointConfigName: 'first' })),
    ).rejects.toMatchObject(refused(`Cannot create already existing endpoint "${ARN}".`));
    open();
    await local.settled();
    await expect(
      local.client.send(new DeleteEndpointCommand({ EndpointName: 'delay' })),
    ).rejects.toMatchObject(refused(`Could not find endpoint "${ARN}".`));
    await local.client.send(
      new CreateEndpointCommand({ EndpointName: 'delay', EndpointConfigName: 'first' }),
    );
    await local.settled();
    expect((await invoke('1')).body).toBe('1');
  });
});

describe('UpdateEndpoint', () => {
  it('goes on serving, then serves the new configuration with its own weights', async () => {
    await createEndpoint({ live: { weight: 3, count: 2 } });
    await createConfig('second', { live: { model: 'ten', weight: 5 }, extra: {} });
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const updated = update({});
    await eventually(async () => (await describeEndpoint()).EndpointStatus).toBe('Updating');
    expect(await describeEndpoint()).toMatchObject({
      EndpointConfigName: 'first',
      PendingDeploymentSummary: { EndpointConfigName: 'second', StartTime: expect.any(Date) },
    });
    expect((await invoke('1')).body).toBe('1');
    await expect(update({})).rejects.toMatchObject(refused(`Cannot update in-progress endpoint "${ARN}".`));
    open();
    await updated;
    const endpoint = await describeEndpoint();
    expect(endpoint).toMatchObject({
      EndpointStatus: 'InService',
      EndpointConfigName: 'second',
      ProductionVariants: [
        { VariantName: 'live', CurrentWeight: 5, DesiredWeight: 5, CurrentInstanceCount: 1 },
        { VariantName: 'extra', CurrentWeight: 1 },
      ],
    });
    expect(endpoint.PendingDeploymentSummary).toBeUndefined();
    expect((await invoke('1', { TargetVariant: 'live' })).body).toBe('10');
    expect(statuses()).toEqual(['CREATING', 'IN_SERVICE', 'UPDATING', 'IN_SERVICE']);
  });

  it.each([
    [[], { weight: 7, count: 4 }],
    [['DesiredWeight'], { weight: 5, count: 4 }],
    [['DesiredInstanceCount'], { weight: 7, count: 1 }],
  ] as const)('retains what the variants have, except %j', async (excluded, { weight, count }) => {
    await createEndpoint({ live: { weight: 3, count: 2 } });
    await local.client.send(
      new UpdateEndpointWeightsAndCapacitiesCommand({
        EndpointName: 'delay',
        DesiredWeightsAndCapacities: [{ VariantName: 'live', DesiredWeight: 7, DesiredInstanceCount: 4 }],
      }),
    );
    await local.settled();
    await createConfig('second', { live: { weight: 5 } });
    await update({
      RetainAllVariantProperties: true,
      ExcludeRetainedVariantProperties: excluded.map((VariantPropertyType) => ({ VariantPropertyType })),
    });
    expect((await describeEndpoint()).ProductionVariants).toMatchObject([
      {
        CurrentWeight: weight,
        DesiredWeight: weight,
        CurrentInstanceCount: count,
        DesiredInstanceCount: count,
      },
    ]);
  });

  it('that fails is InService again, on the configuration that it had', async () => {
    await createEndpoint();
    await local.createModel('sick', { env: { PING: 'exit' } });
    await createConfig('second', { live: { model: 'ten' }, sick: { model: 'sick' } });
    await update({});
    expect(await describeEndpoint()).toMatchObject({
      EndpointStatus: 'InService',
      EndpointConfigName: 'first',
      FailureReason: expect.stringContaining('production variant sick did not pass the ping health check'),
    });
    expect((await invoke('1')).body).toBe('1');
    expect(statuses()).toEqual(['CREATING', 'IN_SERVICE', 'UPDATING', 'IN_SERVICE']);
    await createConfig('third', { live: { model: 'ten' } });
    await update({ EndpointConfigName: 'third' });
    expect((await describeEndpoint()).FailureReason).toBeUndefined();
  });

  it('refuses what it cannot do', async () => {
    await createEndpoint();
    await createConfig('second', { live: { model: 'ten' } });
    const cases: [Partial<UpdateEndpointCommandInput>, string | RegExp][] = [
      [{ EndpointName: 'none' }, /^Could not find endpoint "/],
      [{ EndpointConfigName: 'none' }, /^Could not find endpoint configuration ".*endpoint-config\/none"\.$/],
      [{ EndpointConfigName: 'first' }, /that it has, ".*endpoint-config\/first"/],
      [
        { ExcludeRetainedVariantProperties: [{ VariantPropertyType: 'DesiredWeight' }] },
        'ExcludeRetainedVariantProperties needs RetainAllVariantProperties to be true.',
      ],
      [{ DeploymentConfig: { BlueGreenUpdatePolicy: {} as never } }, /trafficRoutingConfiguration/],
    ];
    for (const [input, message] of cases) await expect(update(input)).rejects.toMatchObject(refused(message));
    await local.client.send(new DeleteModelCommand({ ModelName: 'ten' }));
    await expect(update({})).rejects.toMatchObject(refused(/^Could not find model ".*model\/ten"\.$/));
    expect((await describeEndpoint()).EndpointStatus).toBe('InService');
    local.forbidden.add('sagemaker:UpdateEndpoint');
    await expect(update({})).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });
});

describe('a deployment', () => {
  it('goes on between two containers, by the draw of each request', async () => {
    await createEndpoint();
    await createConfig('second', { live: { model: 'ten' } });
    local.alarms.set('errors', 'OK');
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    const updated = update({
      DeploymentConfig: {
        BlueGreenUpdatePolicy: {
          TrafficRoutingConfiguration: {
            Type: 'CANARY',
            WaitIntervalInSeconds: 60,
            CanarySize: { Type: 'CAPACITY_PERCENT', Value: 25 },
          },
        },
        AutoRollbackConfiguration: { Alarms: [{ AlarmName: 'errors' }] },
      },
    });
    await eventually(async () => (await describeEndpoint()).EndpointStatus).toBe('Updating');
    expect(local.authorized).toContain(
      'cloudwatch:DescribeAlarms arn:aws:cloudwatch:us-east-1:000000000000:alarm:errors',
    );
    // The new fleet starts; then the gate of the canary closes.
    let bake = () => {};
    const baking = new Promise<void>((resolve) => {
      bake = resolve;
    });
    gate = baking;
    open();
    chances = [0.249];
    await eventually(async () => (await invoke('1')).body).toBe('10');
    chances = [0.25];
    expect((await invoke('1')).body).toBe('1');
    bake();
    await updated;
    expect((await invoke('1')).body).toBe('10');
    expect((await describeEndpoint()).EndpointConfigName).toBe('second');
  });

  it('goes wrong where that was asked for', async () => {
    await createEndpoint();
    await createConfig('second', { live: { model: 'ten' } });
    await local.fault({ endpoint: 'delay', does: 'fail' });
    await update({});
    const endpoint = await describeEndpoint();
    expect(endpoint).toMatchObject({ EndpointStatus: 'InService', EndpointConfigName: 'first' });
    expect(endpoint.FailureReason).toBeUndefined();
    await expect(local.fault({ endpoint: 'delay', does: 'explode' })).rejects.toThrow('ValidationException');
    await local.fault({ operation: 'UpdateEndpoint', type: 'ThrottlingException', times: 'always' });
    await expect(update({})).rejects.toMatchObject({ name: 'ThrottlingException' });
  });
});

describe('UpdateEndpointWeightsAndCapacities', () => {
  const reweigh = (
    ...changes: { VariantName: string; DesiredWeight?: number; DesiredInstanceCount?: number }[]
  ) =>
    local.client.send(
      new UpdateEndpointWeightsAndCapacitiesCommand({
        EndpointName: 'delay',
        DesiredWeightsAndCapacities: changes,
      }),
    );

  it('is Updating with what is desired, then has it', async () => {
    await createEndpoint({ old: {}, new: { model: 'ten', weight: 0 } });
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    chances = [0.99];
    expect((await invoke('1')).variant).toBe('old');
    await reweigh({ VariantName: 'old', DesiredWeight: 0 }, { VariantName: 'new', DesiredWeight: 1 });
    expect(await describeEndpoint()).toMatchObject({
      EndpointStatus: 'Updating',
      ProductionVariants: [
        { VariantName: 'old', CurrentWeight: 1, DesiredWeight: 0 },
        { VariantName: 'new', CurrentWeight: 0, DesiredWeight: 1 },
      ],
    });
    expect((await invoke('1')).variant).toBe('old');
    open();
    await local.settled();
    expect(await describeEndpoint()).toMatchObject({
      EndpointStatus: 'InService',
      EndpointConfigName: 'first',
      ProductionVariants: [
        { VariantName: 'old', CurrentWeight: 0, DesiredWeight: 0 },
        { VariantName: 'new', CurrentWeight: 1, DesiredWeight: 1 },
      ],
    });
    chances = [0];
    expect(await invoke('1')).toMatchObject({ variant: 'new', body: '10' });
    expect(statuses()).toEqual(['CREATING', 'IN_SERVICE', 'UPDATING', 'IN_SERVICE']);
  });

  it('refuses variants that are not there or named twice, and weights that serve nobody', async () => {
    await createEndpoint();
    await expect(reweigh({ VariantName: 'none', DesiredWeight: 1 })).rejects.toMatchObject(
      refused(`Could not find variant "none" of endpoint "${ARN}".`),
    );
    const twice = { VariantName: 'live', DesiredWeight: 1 };
    await expect(reweigh(twice, twice)).rejects.toMatchObject(refused('Variant names must be unique.'));
    await expect(reweigh({ VariantName: 'live', DesiredWeight: 0 })).rejects.toMatchObject(
      refused('At least one weight of an endpoint must be greater than 0.'),
    );
    await expect(reweigh({ VariantName: 'live', DesiredWeight: -1 })).rejects.toMatchObject(
      refused(/desiredWeight.*greater than or equal to 0/),
    );
    await expect(reweigh({ VariantName: 'live', DesiredInstanceCount: 0 })).rejects.toMatchObject(
      refused(/desiredInstanceCount.*greater than or equal to 1/),
    );
    await expect(reweigh()).rejects.toMatchObject(refused(/length greater than or equal to 1/));
    expect((await describeEndpoint()).EndpointStatus).toBe('InService');
  });
});

describe('InvokeEndpoint', () => {
  it('chooses variants by their share of the weights, unless one is targeted', async () => {
    await createEndpoint({ a: { weight: 1 }, b: { weight: 0 }, c: { weight: 3 } });
    const chosen = async (chance: number) => {
      chances = [chance];
      return (await invoke('1')).variant;
    };
    expect(await Promise.all([0, 0.2499].map(chosen))).toEqual(['a', 'a']);
    for (const chance of [0.25, 0.5, 0.999_999]) expect(await chosen(chance)).toBe('c');
    expect((await invoke('1', { TargetVariant: 'b' })).variant).toBe('b');
    await expect(invoke('1', { TargetVariant: 'd' })).rejects.toMatchObject({
      name: 'ValidationError',
      message: 'Variant d of endpoint delay not found.',
    });
    expect(local.authorized).toContain(`sagemaker:InvokeEndpoint ${ARN}`);
    local.forbidden.add('sagemaker:InvokeEndpoint');
    await expect(invoke('1')).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });

  it('says what the model itself did wrong', async () => {
    await createEndpoint();
    await expect(invoke('boom')).rejects.toMatchObject({
      name: 'ModelError',
      message: 'Received server error (500) from primary with message "cannot predict this record".',
      OriginalStatusCode: 500,
      OriginalMessage: 'cannot predict this record',
      LogStreamArn: expect.stringContaining('/aws/sagemaker/Endpoints/delay'),
      $metadata: { httpStatusCode: 424 },
    });
    await expect(invoke('bad')).rejects.toMatchObject({
      name: 'ModelError',
      message: 'Received client error (400) from primary with message "bad record".',
      OriginalStatusCode: 400,
    });
    await expect(invoke('die')).rejects.toMatchObject({ name: 'ModelError', OriginalStatusCode: 0 });
    await eventually(() => invoke('1').catch(({ message }: Error) => message)).toContain(
      'as the model process exited',
    );
  });

  it('passes on headers, and refuses what it does not serve', async () => {
    await createEndpoint();
    const { body } = await invoke('echo', {
      ContentType: 'text/csv; header=absent',
      Accept: 'application/json',
      CustomAttributes: 'trace=7',
      InferenceId: 'mine',
    });
    const { headers } = JSON.parse(body);
    expect(headers).toMatchObject({
      'content-type': 'text/csv; header=absent',
      accept: 'application/json',
      'x-amzn-sagemaker-custom-attributes': 'trace=7',
    });
    expect(headers.authorization).toBeUndefined();
    await expect(invoke('1', { TargetModel: 'a.tar.gz' })).rejects.toMatchObject({ name: 'ValidationError' });
    await expect(invoke('1', { CustomAttributes: 'x'.repeat(1025) })).rejects.toMatchObject({
      name: 'ValidationError',
    });
    await expect(invoke('1', { EndpointName: 'none' })).rejects.toMatchObject({
      message: 'Endpoint none of account 000000000000 not found.',
    });
  });

  it('takes a body of 6,291,456 bytes, and not one more', async () => {
    await createEndpoint();
    const largest = `1${'x'.repeat(6_291_455)}`;
    expect(await invoke(largest)).toMatchObject({ variant: 'live' });
    await expect(invoke(`${largest}x`)).rejects.toMatchObject({
      name: 'ValidationError',
      $metadata: { httpStatusCode: 413 },
    });
  });

  it('answers what it has begun before an update ends the old variant', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tocsin-endpoints-'));
    const GO_FILE = join(directory, 'go');
    await local.createModel('slow', { env: { GO_FILE } });
    await createEndpoint({ live: { model: 'slow' } });
    await createConfig('second', { live: { model: 'ten' } });
    const slow = invoke('slow');
    await eventually(() => local.log.join('\n')).toContain('a slow request');
    const updated = update({});
    await eventually(async () => (await invoke('1')).body).toBe('10');
    await writeFile(GO_FILE, '');
    await updated;
    expect((await slow).body).toBe('0');
    await rm(directory, { recursive: true });
  });
});

describe('data capture', () => {
  const capturing = (changes: object = {}) => ({
    DataCaptureConfig: {
      EnableCapture: true,
      InitialSamplingPercentage: 100,
      DestinationS3Uri: 's3://captured/data/',
      CaptureOptions: [{ CaptureMode: 'Input' as const }, { CaptureMode: 'Output' as const }],
      CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'], JsonContentTypes: ['application/json'] },
      ...changes,
    },
  });
  const files = () => [...local.objects.keys()].filter((name) => name.startsWith('captured/'));
  const lines = () =>
    files().flatMap((name) =>
      (local.text(name) ?? '')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );

  it('writes inputs and outputs as SageMaker does', async () => {
    await createEndpoint({ live: {} }, capturing({ KmsKeyId: 'alias/captured' }));
    let open = () => {};
    gate = new Promise((resolve) => {
      open = resolve;
    });
    await invoke('1,2', { InferenceId: 'mine' });
    await invoke('{"a":1}', { ContentType: 'application/json; charset=utf-8', Accept: 'application/json' });
    await invoke('garbage', { Accept: 'application/octet-stream' });
    open();
    await local.settled();
    expect(files()).toHaveLength(1);
    expect(files()[0]).toMatch(
      /^captured\/data\/delay\/live\/\d{4}\/\d\d\/\d\d\/\d\d\/\d\d-\d\d-\d{3}-[0-9a-f-]{36}\.jsonl$/,
    );
    expect(local.written[0]).toEqual({
      Bucket: 'captured',
      Key: files()[0]?.slice('captured/'.length),
      ServerSideEncryption: 'aws:kms',
      SSEKMSKeyId: 'alias/captured',
    });
    const eventMetadata = {
      eventId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      inferenceTime: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    };
    expect(lines()).toEqual([
      {
        captureData: {
          endpointInput: { observedContentType: 'text/csv', mode: 'INPUT', data: '1,2', encoding: 'CSV' },
          endpointOutput: { observedContentType: 'text/csv', mode: 'OUTPUT', data: '3', encoding: 'CSV' },
        },
        eventMetadata: { ...eventMetadata, inferenceId: 'mine' },
        eventVersion: '0',
      },
      {
        captureData: {
          endpointInput: {
            observedContentType: 'application/json; charset=utf-8',
            mode: 'INPUT',
            data: '{"a":1}',
            encoding: 'JSON',
          },
          endpointOutput: {
            observedContentType: 'application/json',
            mode: 'OUTPUT',
            data: '{"score":1,"parts":[1,1]}',
            encoding: 'JSON',
          },
        },
        eventMetadata,
        eventVersion: '0',
      },
      {
        captureData: {
          endpointInput: { observedContentType: 'text/csv', mode: 'INPUT', data: 'garbage', encoding: 'CSV' },
          endpointOutput: {
            observedContentType: 'application/octet-stream',
            mode: 'OUTPUT',
            data: '//4A',
            encoding: 'BASE64',
          },
        },
        eventMetadata,
        eventVersion: '0',
      },
    ]);
    const { DataCaptureConfig } = await describeEndpoint();
    expect(DataCaptureConfig).toEqual({
      EnableCapture: true,
      CaptureStatus: 'Started',
      CurrentSamplingPercentage: 100,
      DestinationS3Uri: 's3://captured/data/',
      KmsKeyId: 'alias/captured',
    });
  });

  it('takes the share that is asked for, of the sides that are asked for', async () => {
    const options = { InitialSamplingPercentage: 40, CaptureOptions: [{ CaptureMode: 'Output' }] };
    await createEndpoint({ live: {} }, capturing({ ...options, CaptureContentTypeHeader: undefined }));
    // Each request takes one for the variant and one for the sample.
    for (const chance of [0.399, 0.4]) {
      chances = [0, chance];
      await invoke('1');
    }
    await local.settled();
    expect(lines().map(({ captureData }) => captureData)).toEqual([
      {
        endpointOutput: {
          observedContentType: 'text/csv',
          mode: 'OUTPUT',
          data: Buffer.from('1').toString('base64'),
          encoding: 'BASE64',
        },
      },
    ]);
  });

  it('captures nothing where it is off, and answers where S3 refuses it', async () => {
    await createEndpoint({ live: {} }, capturing({ EnableCapture: false }));
    await invoke('1');
    await createConfig('second', { live: {} }, capturing());
    await update({});
    local.denied.add('PutObject captured');
    await invoke('1');
    await local.settled();
    expect(files()).toEqual([]);
    expect(local.log.join('\n')).toContain(
      'data capture: 1 requests of delay/live are lost: the fake says AccessDenied',
    );
  });

  it('is retained with the variant properties, unless it is excluded', async () => {
    await createEndpoint({ live: {} }, capturing());
    await createConfig('second');
    await update({ RetainAllVariantProperties: true });
    expect((await describeEndpoint()).DataCaptureConfig?.CaptureStatus).toBe('Started');
    await createConfig('third');
    await update({
      EndpointConfigName: 'third',
      RetainAllVariantProperties: true,
      ExcludeRetainedVariantProperties: [{ VariantPropertyType: 'DataCaptureConfig' }],
    });
    expect((await describeEndpoint()).DataCaptureConfig).toBeUndefined();
  });
});

describe('endpoint configurations', () => {
  it('are described as they were made, listed and deleted', async () => {
    await createConfig('b', { live: { weight: 0.5 } });
    await createConfig('a');
    await createConfig('c');
    await local.settled();
    const { CreationTime, $metadata, ...config } = await local.client.send(
      new DescribeEndpointConfigCommand({ EndpointConfigName: 'b' }),
    );
    const arn = 'arn:aws:sagemaker:us-east-1:000000000000:endpoint-config/b';
    const described = {
      EndpointConfigName: 'b',
      EndpointConfigArn: arn,
      ProductionVariants: [
        {
          VariantName: 'live',
          ModelName: 'one',
          InitialInstanceCount: 1,
          InstanceType: 'ml.m5.large',
          InitialVariantWeight: 0.5,
        },
      ],
    };
    expect(config).toEqual(described);
    expect(local.events[0]).toEqual({
      detailType: 'SageMaker Endpoint Config State Change',
      resources: [arn],
      detail: { ...described, CreationTime: CreationTime?.getTime(), Tags: {} },
    });
    const names = async (query: object) => {
      const answer = await local.client.send(new ListEndpointConfigsCommand(query));
      return [answer.EndpointConfigs?.map((it) => it.EndpointConfigName), answer.NextToken] as const;
    };
    const sorting = { SortBy: 'Name', SortOrder: 'Ascending', MaxResults: 2 };
    const [first, NextToken] = await names(sorting);
    expect(first).toEqual(['a', 'b']);
    expect(await names({ ...sorting, NextToken })).toEqual([['c'], undefined]);
    await local.client.send(new DeleteEndpointConfigCommand({ EndpointConfigName: 'b' }));
    for (const command of [
      new DeleteEndpointConfigCommand({ EndpointConfigName: 'b' }),
      new DescribeEndpointConfigCommand({ EndpointConfigName: 'b' }),
    ]) {
      await expect(local.client.send(command as DeleteEndpointConfigCommand)).rejects.toMatchObject(
        refused(`Could not find endpoint configuration "${arn}".`),
      );
    }
  });

  it('refuses what does not hold', async () => {
    await createConfig('taken');
    await expect(createConfig('taken')).rejects.toMatchObject(
      refused(/^Cannot create already existing endpoint configuration "/),
    );
    await expect(createConfig('a', { live: { model: 'none' } })).rejects.toMatchObject(
      refused(/^Could not find model ".*model\/none"\.$/),
    );
    await expect(createConfig('a', {})).rejects.toMatchObject(refused(/productionVariants/));
    await expect(createConfig('a', { live: { weight: 0 } })).rejects.toMatchObject(
      refused('At least one InitialVariantWeight must be greater than 0.'),
    );
    await expect(createConfig('a', { live: { weight: -1 } })).rejects.toMatchObject(
      refused(/initialVariantWeight/),
    );
    await expect(createConfig('a', { live: { count: 0 } })).rejects.toMatchObject(
      refused(/initialInstanceCount/),
    );
    const variant = {
      VariantName: 'live',
      ModelName: 'one',
      InitialInstanceCount: 1,
      InstanceType: 'ml.m5.large' as const,
    };
    const cases: [Partial<CreateEndpointConfigCommandInput>, RegExp][] = [
      [{ ProductionVariants: [variant, variant] }, /^Variant names must be unique\.$/],
      [
        { ProductionVariants: [{ ...variant, InstanceType: 'ml.huge' as never }] },
        /instanceType.*enum value set/,
      ],
      [{ ShadowProductionVariants: [variant] }, /no ShadowProductionVariants/],
      [{ ExecutionRoleArn: ROLE }, /no inference components/],
      [
        {
          DataCaptureConfig: {
            InitialSamplingPercentage: 101,
            DestinationS3Uri: 's3://captured',
            CaptureOptions: [{ CaptureMode: 'Input' }],
          },
        },
        /initialSamplingPercentage.*less than or equal to 100/,
      ],
    ];
    for (const [rest, message] of cases) {
      await expect(createConfig('a', { live: {} }, rest)).rejects.toMatchObject(refused(message));
    }
  });

  it('that are deleted go on in their endpoint', async () => {
    await createEndpoint();
    await local.client.send(new DeleteEndpointConfigCommand({ EndpointConfigName: 'first' }));
    expect((await invoke('1')).body).toBe('1');
    expect((await describeEndpoint()).EndpointConfigName).toBe('first');
  });
});

describe('ListEndpoints', () => {
  it('filters and sorts', async () => {
    await createEndpoint();
    local.denied.add('GetObject models');
    await local.client.send(
      new CreateEndpointCommand({ EndpointName: 'broken', EndpointConfigName: 'first' }),
    );
    await local.settled();
    const names = async (query: object) => {
      const { Endpoints = [] } = await local.client.send(new ListEndpointsCommand(query));
      return Endpoints.map(({ EndpointName, EndpointStatus }) => `${EndpointName} ${EndpointStatus}`);
    };
    expect(await names({ SortBy: 'Name', SortOrder: 'Ascending' })).toEqual([
      'broken Failed',
      'delay InService',
    ]);
    expect(await names({ SortBy: 'Status' })).toEqual(['delay InService', 'broken Failed']);
    expect(await names({ StatusEquals: 'InService' })).toEqual(['delay InService']);
    expect(await names({ NameContains: 'rok' })).toEqual(['broken Failed']);
  });
});
