import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import {
  DescribeEndpointCommand,
  ListEndpointConfigsCommand,
  ListModelsCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand, SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import {
  ALLOWED,
  DRILL_PREFIX,
  DRILL_TAG,
  type DrillResult,
  type RollbackResult,
} from '../../functions/rollback-drill/schema.ts';
import { placeOf } from '../../functions/shared/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { loadConfig } from '../../lib/config.ts';
import { seconds } from '../console.ts';
import { REGION, ROOT_CREDENTIALS } from '../emulator.ts';
import { SandboxError } from '../errors.ts';
import { DATE_IN_UTC } from '../flights.ts';
import { ROOT } from '../paths.ts';
import { Procedure } from '../procedure.ts';
import { inService, serveFlightDelays } from '../serving.ts';
import { expect, findingOf, type Story, type World } from '../world.ts';

/** The drill of tocsin.yaml. */
const DRILL = 'flight-delay';

/** Flights of a day in May, as the endpoint is asked about them. */
const GOLDEN = [
  '2001-05-03 06:15:00,733,ATL,ORD',
  '2001-05-03 08:40:00,1846,ORD,SFO',
  '2001-05-03 11:05:00,214,DFW,IAH',
  '2001-05-03 14:30:00,2475,JFK,LAX',
  '2001-05-03 17:55:00,405,LAX,PHX',
  '2001-05-03 19:20:00,868,DEN,STL',
  '2001-05-03 21:45:00,1587,PHX,DTW',
  '2001-05-03 23:10:00,337,SFO,LAX',
];

/** What became of the procedure, and what Tocsin has to say of it. */
const BUGS = [
  {
    source: 'renamed',
    chapter: 'A refactoring later: it names variants that are called otherwise by now',
    procedure: 'fail',
  },
  {
    source: 'dry-run',
    chapter: 'A refactoring later: it reports success, and does nothing',
    procedure: 'pass',
  },
  {
    source: 'wrong-model',
    chapter: 'A refactoring later: the right weights, the right names, and the wrong model',
    procedure: 'pass',
  },
] as const;

/** Gap 2: a rollback procedure that worked when it was written. */
export const rollbackDrill: Story = {
  name: 'rollback',
  gap: 2,
  title: 'Gap 2: rollback never tested',
  plot: 'The rollback procedure worked when it was written. It has been refactored since, and nobody has run it. In an incident the endpoint says InService, the procedure says "rolled back", and the bad model goes on answering.',

  async play(world) {
    const scene = await setScene(world);
    const { transcript } = world;
    transcript.chapter('The procedure as it was written');
    proveHealthy(world, await drill(scene));
    await asFound(scene);
    for (const { source, chapter, procedure } of BUGS) {
      transcript.chapter(chapter);
      await scene.procedure.change(source);
      proveSick(world, await drill(scene, 1), procedure);
      await asFound(scene);
    }
    transcript.chapter('An incident, and nobody has time to find out what the procedure does');
    await rollBackByHand(scene);
    transcript.chapter('Nothing left behind');
    await tidy(world);
  },
};

/** Everything that the steps of the story share. */
interface Scene {
  world: World;
  endpoint: string;
  runtime: SageMakerRuntimeClient;
  procedure: Procedure;
  /** The endpoint as it was found, and what it answers. */
  found: Serves;
}

/** What an endpoint is, and what it answers to whoever names no variant. */
interface Serves {
  status: string | undefined;
  config: string | undefined;
  variants: { name: string | undefined; weight: number | undefined; instances: number | undefined }[];
  predictions: string[];
}

async function setScene(world: World): Promise<Scene> {
  const drills = loadConfig(join(ROOT, 'tocsin.yaml')).rollbackDrills;
  const config = drills.get(DRILL)?.value;
  const arn = config?.procedure?.lambda;
  if (config === undefined || arn === undefined) {
    throw new SandboxError(
      'story',
      `tocsin.yaml lacks the rollback drill ${DRILL} with procedure.lambda, which this story is about.`,
    );
  }
  const { endpoint, golden } = config;
  const { bucket = '', key } = placeOf(golden);
  const root = { region: REGION, credentials: ROOT_CREDENTIALS };
  await serveFlightDelays(world, {
    endpoint,
    bucket,
    variants: [
      { name: 'primary', weight: 1 },
      // Its flights depart in UTC, as in the story of gap 1.
      { name: 'candidate', weight: 0, learns: { date: DATE_IN_UTC } },
    ],
    tags: { [DRILL_TAG]: ALLOWED },
  });
  await world.s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: `${GOLDEN.map((body) => JSON.stringify({ body })).join('\n')}\n`,
    }),
  );
  const lambda = new LambdaClient({ ...root, endpoint: world.emulator.endpoint });
  const runtime = new SageMakerRuntimeClient({ ...root, endpoint: world.emulator.sagemaker });
  const name = arn.split(':').at(-1) ?? '';
  const procedure = await Procedure.create(world, lambda, { name, endpoint, source: 'as-written' });
  world.transcript.note(
    'staging',
    `${endpoint} serves the model primary; candidate, which learned from departures in UTC, gets no traffic`,
  );
  const scene = { world, endpoint, runtime, procedure };
  return { ...scene, found: await look(scene) };
}

/** Runs the drill as a person would, and reads its verdict. */
async function drill({ world }: Scene, code: 0 | 1 = 0): Promise<Verdict & { result: DrillResult }> {
  const outputs = world.outputsFile;
  return world.transcript.step(
    'drilled',
    async () => {
      const args = ['drill', 'rollback', DRILL, '--outputs', outputs, '--json'];
      return JSON.parse(await world.tocsin(args, code)) as Verdict & { result: DrillResult };
    },
    ({ outcome }) => `tocsin drill rollback ${DRILL}: ${outcome}`,
  );
}

function proveHealthy(
  { transcript }: World,
  { outcome, findings, result }: Verdict & { result: DrillResult },
) {
  expect('the outcome', outcome, 'pass');
  for (const [label, check] of [
    ['failure', 'bad-model-serves'],
    ['rollback', 'previous-model-serves'],
    ['recovery', 'recovery-time'],
    ['requests', 'lost-requests'],
    ['restored', 'restored'],
  ] as const) {
    transcript.holds(label, findingOf(findings, check, 'pass').message);
  }
  expect('the recovery time was measured', (result.recoveryMs ?? -1) >= 0, true);
}

function proveSick({ transcript }: World, { outcome, findings }: Verdict, procedure: 'pass' | 'fail') {
  expect('the outcome', outcome, 'fail');
  const said = findingOf(findings, 'procedure', procedure);
  transcript.holds('procedure', said.message);
  const serves = findingOf(findings, 'previous-model-serves', 'fail');
  transcript.holds('caught', 'what still serves:');
  transcript.quote(serves.message);
}

/** What the endpoint is, and what it answers. */
async function look({
  world,
  endpoint,
  runtime,
}: Pick<Scene, 'world' | 'endpoint' | 'runtime'>): Promise<Serves> {
  const {
    EndpointStatus,
    EndpointConfigName,
    ProductionVariants = [],
  } = await world.sagemaker.send(new DescribeEndpointCommand({ EndpointName: endpoint }));
  const predictions: string[] = [];
  for (const Body of GOLDEN) {
    const answer = await runtime.send(
      new InvokeEndpointCommand({ EndpointName: endpoint, ContentType: 'text/csv', Body }),
    );
    predictions.push(Buffer.from(answer.Body).toString());
  }
  return {
    status: EndpointStatus,
    config: EndpointConfigName,
    variants: ProductionVariants.map(({ VariantName, CurrentWeight, CurrentInstanceCount }) => ({
      name: VariantName,
      weight: CurrentWeight,
      instances: CurrentInstanceCount,
    })),
    predictions,
  };
}

/** The endpoint is as it was found, whatever the procedure has done to it. */
async function asFound(scene: Scene): Promise<void> {
  const now = await look(scene);
  if (!isDeepStrictEqual(now, scene.found)) {
    throw new SandboxError('story', `${scene.endpoint} is not as it was found.`, {
      output: `${JSON.stringify(scene.found)}\n${JSON.stringify(now)}`,
    });
  }
  scene.world.transcript.holds(
    'as found',
    `${scene.endpoint} has its configuration, its weights and the predictions that it had before`,
  );
}

/** The bad model serves, for once not by a drill. Tocsin's own rollback needs no procedure. */
async function rollBackByHand(scene: Scene): Promise<void> {
  const { world, endpoint, found } = scene;
  await world.sagemaker.send(
    new UpdateEndpointWeightsAndCapacitiesCommand({
      EndpointName: endpoint,
      DesiredWeightsAndCapacities: [
        { VariantName: 'primary', DesiredWeight: 0 },
        { VariantName: 'candidate', DesiredWeight: 1 },
      ],
    }),
  );
  await inService(world, endpoint);
  const sick = await look(scene);
  expect('the bad model serves', isDeepStrictEqual(sick.predictions, found.predictions), false);
  const outputs = world.outputsFile;
  const started = performance.now();
  const args = ['rollback', endpoint, '--to', 'primary', '--yes', '--outputs', outputs, '--json'];
  const result = JSON.parse(await world.tocsin(args)) as RollbackResult;
  expect('the share of primary', result.shares.primary, 1);
  world.transcript.holds(
    'rolled back',
    `tocsin rollback ${endpoint} --to primary, ${seconds(performance.now() - started)}: ${result.done}`,
  );
  await asFound(scene);
}

/** No model and no configuration of a drill is left. */
async function tidy({ sagemaker, transcript }: World): Promise<void> {
  const NameContains = DRILL_PREFIX.slice(0, -1);
  const { Models = [] } = await sagemaker.send(new ListModelsCommand({ NameContains }));
  const { EndpointConfigs = [] } = await sagemaker.send(new ListEndpointConfigsCommand({ NameContains }));
  expect('models of drills', Models.length, 0);
  expect('endpoint configurations of drills', EndpointConfigs.length, 0);
  transcript.holds('tidy', 'no model, no endpoint configuration and no traffic of a drill is left');
}
