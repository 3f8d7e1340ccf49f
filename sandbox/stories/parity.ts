import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { PutMetricAlarmCommand } from '@aws-sdk/client-cloudwatch';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import {
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DescribeEndpointConfigCommand,
  DescribeModelCommand,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { PutParameterCommand, SSMClient } from '@aws-sdk/client-ssm';
import {
  DOCUMENTED_FILE,
  type ParityResult,
  physicalName,
  SIDES,
  type Side,
} from '../../functions/config-parity/schema.ts';
import { placeOf } from '../../functions/shared/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { loadConfig } from '../../lib/config.ts';
import { REGION, ROOT_CREDENTIALS } from '../emulator.ts';
import { SandboxError } from '../errors.ts';
import { Inbox } from '../inbox.ts';
import { ROOT } from '../paths.ts';
import { inService, serveFlightDelays } from '../serving.ts';
import { expect, findingOf, type Story, type World } from '../world.ts';

/** The comparison of tocsin.yaml. */
const PARITY = 'flight-delay';

/** How long the comparison may take that the change of an endpoint starts. It takes a few seconds. */
const PATIENCE_MS = 120_000;

/** Flights of a day in May, as the endpoints are asked about them. */
const GOLDEN = [
  '2001-05-03 06:15:00,733,ATL,ORD',
  '2001-05-03 11:05:00,214,DFW,IAH',
  '2001-05-03 14:30:00,2475,JFK,LAX',
  '2001-05-03 17:55:00,405,LAX,PHX',
  '2001-05-03 19:20:00,868,DEN,STL',
  '2001-05-03 21:45:00,1587,PHX,DTW',
];

/** The variable of the preprocessing that differs: the model knows miles. */
const VARIABLE = 'DISTANCE_UNIT';

/** Gap 5: staging proves nothing where production is something else. */
export const parity: Story = {
  name: 'parity',
  gap: 5,
  title: 'Gap 5: staging is not production',
  plot: 'The model passes everything in staging. In production one variable of its container has another value, so distances are scaled twice, and every prediction is wrong. Nothing fails, and nobody compares.',

  async play(world) {
    const scene = await setScene(world);
    const { transcript } = world;
    transcript.chapter('Staging and production are equal, but for what is documented');
    await proveEqual(scene);
    transcript.chapter('A hotfix later: production has another value of one variable');
    await deploy(scene, 'km');
    await proveDifferent(scene);
    transcript.chapter('The hotfix is taken back');
    await deploy(scene, 'miles');
    await proveEqual(scene);
    transcript.chapter('Months later: nobody has looked at what is documented');
    await proveExpired(scene);
  },
};

/** Everything that the steps of the story share. */
interface Scene {
  world: World;
  /** Endpoint by environment. */
  endpoints: Record<Side, string>;
  /** Subscribed to what Tocsin says of the comparison. */
  people: Inbox;
  /** Releases of production so far. */
  releases: number;
}

async function setScene(world: World): Promise<Scene> {
  const config = loadConfig(join(ROOT, 'tocsin.yaml')).parities.get(PARITY)?.value;
  const [endpoint, alarm, parameters] = [
    config?.compare.endpoints[0],
    config?.compare.alarms[0],
    config?.compare.parameters[0],
  ];
  const probe = Object.values(config?.probes ?? {})[0];
  if (
    config === undefined ||
    endpoint === undefined ||
    alarm === undefined ||
    parameters === undefined ||
    probe === undefined
  ) {
    throw new SandboxError(
      'story',
      `tocsin.yaml lacks the comparison ${PARITY} with an endpoint, an alarm, parameters and a probe, which this story is about.`,
    );
  }
  const people = await Inbox.ofMessages(world, 'people-of-parity', { parity: [PARITY] });
  const root = { region: REGION, credentials: ROOT_CREDENTIALS };
  const ssm = new SSMClient({ ...root, endpoint: world.emulator.endpoint });
  const endpoints = { staging: '', production: '' };
  for (const side of SIDES) {
    const name = physicalName(endpoint, side, config[side]);
    endpoints[side] = name;
    await world.cloudwatch.send(
      new PutMetricAlarmCommand({
        AlarmName: physicalName(alarm, side, config[side]),
        Namespace: 'FlightDelay',
        MetricName: 'Errors',
        Dimensions: [{ Name: 'Endpoint', Value: name }],
        Statistic: 'Sum',
        Period: 60,
        EvaluationPeriods: 3,
        DatapointsToAlarm: 2,
        Threshold: 5,
        ComparisonOperator: 'GreaterThanOrEqualToThreshold',
        TreatMissingData: 'breaching',
      }),
    );
    await ssm.send(
      new PutParameterCommand({
        Name: `${physicalName(parameters, side, config[side])}late-from`,
        Value: '15',
        Type: 'String',
      }),
    );
    await serveFlightDelays(world, {
      endpoint: name,
      bucket: name,
      variants: [
        {
          name: 'primary',
          weight: 1,
          instances: side === 'production' ? 2 : 1,
          environment: { [VARIABLE]: 'miles' },
        },
      ],
    });
  }
  const runtime = new SageMakerRuntimeClient({ ...root, endpoint: world.emulator.sagemaker });
  const { bucket = '', key } = placeOf(probe.golden);
  await world.s3.send(
    new PutObjectCommand({ Bucket: bucket, Key: key, Body: await record(runtime, endpoints.staging) }),
  );
  world.transcript.note(
    'serving',
    `${endpoints.staging} on one instance and ${endpoints.production} on two have the same model; parity.yaml says why the instances differ`,
  );
  return { world, endpoints, people, releases: 0 };
}

/** Golden requests with what the model answers to them, as a team records them with a release. */
async function record(runtime: SageMakerRuntimeClient, endpoint: string): Promise<string> {
  const lines: string[] = [];
  for (const body of GOLDEN) {
    const answer = await runtime.send(
      new InvokeEndpointCommand({ EndpointName: endpoint, ContentType: 'text/csv', Body: body }),
    );
    lines.push(JSON.stringify({ body, prediction: Buffer.from(answer.Body).toString().trim() }));
  }
  return `${lines.join('\n')}\n`;
}

/** Releases the same model to production, with another value of the variable. */
async function deploy(scene: Scene, value: string): Promise<void> {
  const { world, endpoints } = scene;
  const { sagemaker } = world;
  const EndpointName = endpoints.production;
  const { ProductionVariants: [variant] = [] } = await sagemaker.send(
    new DescribeEndpointConfigCommand({ EndpointConfigName: EndpointName }),
  );
  const { PrimaryContainer, ExecutionRoleArn } = await sagemaker.send(
    new DescribeModelCommand({ ModelName: variant?.ModelName }),
  );
  const release = `${EndpointName}-${++scene.releases}`;
  await sagemaker.send(
    new CreateModelCommand({
      ModelName: release,
      ExecutionRoleArn,
      PrimaryContainer: { ...PrimaryContainer, Environment: { [VARIABLE]: value } },
    }),
  );
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: release,
      ProductionVariants: [{ ...variant, VariantName: variant?.VariantName, ModelName: release }],
    }),
  );
  await scene.people.empty();
  await world.transcript.step(
    'deployed',
    async () => {
      await sagemaker.send(new UpdateEndpointCommand({ EndpointName, EndpointConfigName: release }));
      await inService(world, EndpointName);
    },
    () => `${EndpointName} has ${VARIABLE} = ${value}, and is InService`,
  );
}

/** Compares as a person would, and reads the verdict. */
async function compare({ world }: Scene, code: 0 | 1): Promise<Verdict & { result: ParityResult }> {
  const outputs = world.outputsFile;
  return world.transcript.step(
    'compared',
    async () =>
      JSON.parse(await world.tocsin(['parity', PARITY, '--outputs', outputs, '--json'], code)) as Verdict & {
        result: ParityResult;
      },
    ({ outcome }) => `tocsin parity ${PARITY}: ${outcome}`,
  );
}

async function proveEqual(scene: Scene): Promise<void> {
  const { transcript } = scene.world;
  const { outcome, findings } = await compare(scene, 0);
  expect('the outcome', outcome, 'pass');
  transcript.holds('documented', findingOf(findings, 'documented', 'pass').message);
  transcript.holds('behaviour', findingOf(findings, 'behaviour', 'pass').message);
  transcript.holds('folded', findingOf(findings, 'folded', 'pass').message);
}

/** The deployment alone has started it. Then the same by hand. */
async function proveDifferent(scene: Scene): Promise<void> {
  const { world, people } = scene;
  const { transcript, signal } = world;
  const message = await transcript.step(
    'told',
    async () => {
      for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline; ) {
        const said = await people.message(people.received.length + 1, 1_000, signal);
        if (said?.includes(VARIABLE)) return said;
      }
      throw await world.failure('Nobody was told of the difference.');
    },
    () => 'the deployment started the comparison, and somebody was told',
  );
  const [reason = ''] = message.split('\\n').filter((line) => line.includes(VARIABLE));
  transcript.quote(reason);
  const { outcome, findings } = await compare(scene, 1);
  expect('the outcome', outcome, 'fail');
  const found = findingOf(findings, 'difference-environment', 'fail');
  expect('the path', found.subject, `models.flight-delay-booking.containers[0].environment.${VARIABLE}`);
  transcript.holds('caught', 'by its configuration:');
  transcript.quote(found.message);
  transcript.holds('caught', 'by its behaviour:');
  transcript.quote(findingOf(findings, 'behaviour', 'fail').message);
  expect('other findings that fail', findings.filter((finding) => finding.outcome === 'fail').length, 2);
}

/** The same two environments, saved, and compared by a parity.yaml whose entry has run out. */
async function proveExpired({ world }: Scene): Promise<void> {
  const { directory, transcript } = world;
  const folder = join(directory, 'later');
  await mkdir(folder);
  const files = SIDES.map((side) => join(folder, `${side}.json`));
  for (const [index, side] of SIDES.entries()) {
    const outputs = world.outputsFile;
    await world.tocsin([
      ...['parity', 'snapshot', PARITY, '--of', side, '--out', files[index] as string, '--outputs', outputs],
    ]);
  }
  // With the contracts, which are part of the configuration.
  const config = join(folder, 'tocsin.yaml');
  await copyFile(join(ROOT, 'tocsin.yaml'), config);
  await copyContracts(folder);
  const documented = await readFile(join(ROOT, DOCUMENTED_FILE), 'utf8');
  await writeFile(
    join(folder, DOCUMENTED_FILE),
    documented.replaceAll(/expires: \S+/g, 'expires: 2026-01-31'),
  );
  const verdict = await transcript.step(
    'compared',
    async () =>
      JSON.parse(
        await world.tocsin(['parity', PARITY, '--offline', ...files, '--config', config, '--json'], 1),
      ) as Verdict,
    ({ outcome }) => `tocsin parity ${PARITY} --offline staging.json production.json: ${outcome}`,
  );
  expect('the outcome', verdict.outcome, 'fail');
  transcript.holds('caught', 'what was documented has expired:');
  transcript.quote(findingOf(verdict.findings, 'documented-expired', 'fail').message);
}

async function copyContracts(folder: string): Promise<void> {
  const { datasets } = loadConfig(join(ROOT, 'tocsin.yaml'));
  for (const { contract } of datasets) {
    await mkdir(dirname(join(folder, contract)), { recursive: true });
    await copyFile(join(ROOT, contract), join(folder, contract));
  }
}
