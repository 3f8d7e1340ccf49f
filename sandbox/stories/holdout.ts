import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import {
  DescribeModelPackageCommand,
  type DescribeModelPackageCommandOutput,
  ListModelPackagesCommand,
  ListModelsCommand,
} from '@aws-sdk/client-sagemaker';
import {
  EVALUATED,
  JOBS,
  type LocatedCanary,
  type LocatedModel,
  TEMPORARY,
} from '../../functions/holdout-evaluation/schema.ts';
import { verdictFolder } from '../../functions/shared/identity.ts';
import { QUALITY_TAG, QUALITY_VALUES } from '../../functions/shared/schema.ts';
import type { GateName, Verdict } from '../../functions/shared/verdict.ts';
import { type Dataset, loadConfig } from '../../lib/config.ts';
import { seconds } from '../console.ts';
import { expectNoEcho } from '../echo.ts';
import { SandboxError } from '../errors.ts';
import { DATE_IN_UTC, describeFlights, type FlightsOptions, writeFlights } from '../flights.ts';
import { Inbox } from '../inbox.ts';
import { ROOT } from '../paths.ts';
import { POLL_MS, runPipeline, setUpTraining, type Trained } from '../pipeline.ts';
import { onceJudged, short, type Upload, uploadFlights } from '../uploads.ts';
import { expect, type Story, type World } from '../world.ts';

/** How long a verdict may take from the registration on. It takes 10 seconds, a minute on a machine that is busy. */
const PATIENCE_MS = 180_000;

/** Flights of a month that are learned from, and those that a model is evaluated on. */
const LEARNED = 75_000;
const HELD_OUT = 80_000;

/** Gap 1: a model that was trained on bent features is never approved, however green its pipeline. */
export const holdout: Story = {
  name: 'holdout',
  gap: 1,
  title: 'Gap 1: no end-to-end pipeline test',
  plot: 'Upstream, departures are written in UTC from one day on. Every unit test passes, the checks of the data pass, training succeeds, and the model is worse.',

  async play(world) {
    const scene = await setScene(world);
    const { transcript } = world;

    transcript.chapter('January to April 2001 to learn from, May to be judged on');
    await uploadHistory(scene);

    transcript.chapter('The pipeline trains a model and registers it');
    const first = await train(scene);
    await evaluated(scene, first, 'Approved');
    await told(scene, first, 'approved (pass)', []);
    await tidy(scene);

    transcript.chapter('From 1 April on, upstream writes departures in UTC');
    await uploadInUtc(scene);
    const second = await train(scene);
    transcript.holds(
      'all is green',
      `validated on flights put aside from the same data: AUC ${second.validationAuc.toFixed(3)}, before ${first.validationAuc.toFixed(3)}`,
    );
    await evaluated(scene, second, 'Rejected');
    await told(scene, second, 'rejected (fail)', [
      ['auc', '% interval', 'tocsin.yaml:'],
      ['recall', ' of origin = ', '% interval', 'tocsin.yaml:'],
    ]);
    await championStays(scene, first);

    transcript.chapter(
      'The canary: the whole pipeline, on flights that are known, and on the same ones bent',
    );
    await runCanary(scene);

    transcript.chapter('Once, and nothing left behind');
    await tidy(scene);
    await noEcho(scene);
  },
};

/** Everything that the steps of the story share. */
interface Scene {
  world: World;
  model: LocatedModel;
  canary: LocatedCanary;
  /** What the model learns from. */
  history: Dataset;
  /** Subscribed to what the topic says of the model. */
  people: Inbox;
  /** Target of a rule for events about the model. */
  machines: Inbox;
}

async function setScene(world: World): Promise<Scene> {
  const { datasets, models, canaries } = loadConfig(join(ROOT, 'tocsin.yaml'));
  const history = datasets.find(({ name }) => name === 'flights-history');
  const model = models.get('flight-delay');
  const canary = canaries.get('flight-delay');
  const artifacts = model?.value.execution.artifacts[0];
  if (history === undefined || model === undefined || canary === undefined || artifacts === undefined) {
    throw new SandboxError(
      'story',
      'tocsin.yaml lacks the dataset flights-history, or the model flight-delay with its artefacts and its canary, which this story is about.',
    );
  }
  const { uri } = canary.value.dataset;
  await setUpTraining(world, {
    pipeline: canary.value.pipeline,
    groups: [model.value.modelPackageGroup, canary.value.modelPackageGroup],
    artifacts,
    reader: world.output(`QualityGateReaderPolicy${history.name.replaceAll('-', '')}`),
    ungated: uri.slice(0, uri.lastIndexOf('/') + 1),
  });
  const about = { model: [model.name] };
  return {
    world,
    model,
    canary,
    history,
    people: await Inbox.ofMessages(world, 'people-of-flight-delay', about),
    machines: await Inbox.ofEvents(world, 'machines-of-flight-delay', about),
  };
}

/** Uploads what the model learns from and is evaluated on, and waits until the quality gate has passed all of it. */
async function uploadHistory({ world, history, model }: Scene): Promise<void> {
  const { transcript, directory } = world;
  const january = await writeFlights(directory, '2001-01', { rows: LEARNED });
  const profile = join(directory, 'baseline.json');
  await world.tocsin(['profile', january.path, '--contract', history.contractFile.file, '--save', profile]);
  await world.tocsin([
    ...['baseline', 'promote', '--profile', profile, '--dataset', history.name],
    ...['--evidence-bucket', world.output('EvidenceBucket')],
  ]);
  transcript.holds('tocsin baseline', `promoted January, a sample of ${describeFlights(january)}`);

  const uploads = [await uploadFlights(world, `${history.prefix}2001-01.parquet`, january)];
  for (const month of ['2001-02', '2001-03', '2001-04'])
    uploads.push(await uploadMonth(world, history, month));
  const may = await writeFlights(directory, '2001-05', { rows: HELD_OUT });
  uploads.push(await uploadFlights(world, model.value.holdout.uri, may));
  for (const upload of uploads) await passes(world, upload);
}

/** The quality gate passes April in UTC too, and says what it has not looked at. */
async function uploadInUtc({ world, history }: Scene): Promise<void> {
  const upload = await uploadMonth(world, history, '2001-04', { replace: { date: DATE_IN_UTC } });
  const id = await passes(world, upload);
  const { verdict } = await readVerdict<Verdict>(world, 'quality-gate', history.name, id);
  const gap = verdict.notChecked.find(({ subject }) => subject === 'column date');
  expect('what its verdict says it has not checked', gap?.subject, 'column date');
  world.transcript.holds('not checked', `${gap?.subject}, its verdict says: ${gap?.check}: ${gap?.why}`);
}

async function uploadMonth(
  world: World,
  { prefix }: Dataset,
  month: string,
  options: FlightsOptions = {},
): Promise<Upload> {
  const flights = await writeFlights(world.directory, month, { rows: LEARNED, ...options });
  return uploadFlights(world, `${prefix}${month}.parquet`, flights);
}

/**
 * The quality gate passes an upload.
 *
 * @returns the id of its verdict
 */
async function passes(world: World, upload: Upload): Promise<string> {
  const { quality, id, took } = await onceJudged(world, upload);
  expect(`the tag ${QUALITY_TAG} of ${upload.key}`, quality, QUALITY_VALUES.pass);
  world.transcript.holds(
    QUALITY_VALUES.pass,
    `${upload.key} by the quality gate, ${seconds(took)} after the upload, verdict ${short(id)}`,
  );
  return id;
}

/** The pipeline trains on all of the history, and registers what it learned. */
async function train({ world, canary, history }: Scene): Promise<Trained> {
  const dataset = `s3://${world.output('DataBucket')}/${history.prefix}`;
  return world.transcript.step(
    'trained',
    () => runPipeline(world, canary.value.pipeline, dataset),
    ({ modelPackage, validationAuc }) =>
      `the pipeline succeeded: ${nameOf(modelPackage)}, AUC ${validationAuc.toFixed(3)} in its validation`,
  );
}

/** The deployed gate sets the approval of a package, and its evidence says the same. */
async function evaluated(
  scene: Scene,
  { modelPackage }: Trained,
  approval: 'Approved' | 'Rejected',
): Promise<void> {
  const { world, model } = scene;
  const { transcript } = world;
  const described = await transcript.step(
    'evaluated',
    () => onceDecided(scene, modelPackage),
    () => `${nameOf(modelPackage)} by the deployed gate, on ${HELD_OUT.toLocaleString('en-US')} flights`,
  );
  const {
    ModelApprovalStatus: status,
    ApprovalDescription: description = '',
    CustomerMetadataProperties: properties = {},
  } = described;
  expect(`ModelApprovalStatus of ${nameOf(modelPackage)}`, status, approval);
  const { 'tocsin:verdict': id = '', 'tocsin:outcome': outcome, 'tocsin:auc': auc } = properties;
  const { verdict, uri } = await readVerdict<Evidence>(world, 'holdout-evaluation', model.name, id);
  expect('the end of ApprovalDescription', description.slice(-uri.length), uri);
  const said = description.slice(0, description.indexOf(' Evidence: '));
  transcript.holds(approval, `DescribeModelPackage says: ${said}`);

  const expected = approval === 'Approved' ? 'pass' : 'fail';
  expect('the property tocsin:outcome', outcome, expected);
  const more = Object.keys(properties).length - 2;
  transcript.holds('metadata', `tocsin:outcome=${outcome}, tocsin:auc=${auc}, and ${more} more`);

  expect('the outcome in the evidence', verdict.outcome, expected);
  expect('the package in the evidence', verdict.inputs.candidate.arn, modelPackage);
  transcript.holds(
    'evidence',
    `verdict ${short(id)}: ${verdict.findings.length} findings, bound to the digest of the image, the ETag of the model and version ${short(verdict.inputs.holdout.version)} of the holdout`,
  );
}

/** Waits until a package is pending no longer. */
async function onceDecided(
  { world }: Scene,
  modelPackage: string,
): Promise<DescribeModelPackageCommandOutput> {
  for (
    const deadline = Date.now() + PATIENCE_MS;
    ;
    await sleep(POLL_MS, undefined, { signal: world.signal })
  ) {
    const answer = await world.sagemaker.send(
      new DescribeModelPackageCommand({ ModelPackageName: modelPackage }),
    );
    if (answer.ModelApprovalStatus !== 'PendingManualApproval') return answer;
    if (Date.now() > deadline) {
      throw await world.failure(
        `expected a verdict on ${nameOf(modelPackage)} within ${seconds(PATIENCE_MS)}, got none`,
      );
    }
  }
}

/** The part of the evaluation's evidence that the story reads. */
type Evidence = Verdict<{ candidate: { arn: string }; holdout: { version: string } }>;

async function readVerdict<V extends Verdict>(
  world: World,
  gate: GateName,
  subject: string,
  id: string,
): Promise<{ verdict: V; uri: string }> {
  const bucket = world.output('EvidenceBucket');
  const key = `${verdictFolder(gate, subject, id)}verdict.json`;
  const { Body } = await world.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return { verdict: JSON.parse((await Body?.transformToString()) ?? '') as V, uri: `s3://${bucket}/${key}` };
}

/**
 * The next message to people and the next event to machines are about a package.
 *
 * @param findings the message has a finding with all texts of each
 */
async function told(
  { world, model, people, machines }: Scene,
  { modelPackage }: Trained,
  state: string,
  findings: readonly string[][],
): Promise<void> {
  const { transcript, signal } = world;
  const number = people.received.length + 1;
  const message = await people.message(number, PATIENCE_MS, signal);
  const announced = await machines.message(number, PATIENCE_MS, signal);
  if (message === undefined || announced === undefined) {
    const what = message === undefined ? 'a message' : 'an event';
    throw await world.failure(`expected ${what} within ${seconds(PATIENCE_MS)} of the verdict, got none`);
  }
  const event = JSON.parse(announced) as { 'detail-type': string; detail: { package: string } };
  expect('the type of the event', event['detail-type'], EVALUATED);
  expect('the package of the event', event.detail.package, modelPackage);
  const { Subject, Message } = JSON.parse(message) as { Subject: string; Message: string };
  expect('the subject of the message', Subject, `Tocsin: model ${model.name} ${state}`);
  transcript.holds('told', `event "${EVALUATED}", message "${Subject}"`);
  for (const facts of findings) {
    const finding = Message.split('\n').find(
      (line) => line.startsWith('- ') && facts.every((fact) => line.includes(fact)),
    );
    if (finding === undefined) {
      throw await world.failure(
        `expected a finding with ${facts.join(', ')} in the message, got: ${Message}`,
      );
    }
    transcript.quote(finding.slice(2));
  }
}

/** Of the models in the group, the one that may be deployed is the one from before. */
async function championStays({ world, model }: Scene, { modelPackage }: Trained): Promise<void> {
  const { ModelPackageSummaryList = [] } = await world.sagemaker.send(
    new ListModelPackagesCommand({
      ModelPackageGroupName: model.value.modelPackageGroup,
      ModelApprovalStatus: 'Approved',
    }),
  );
  const approved = ModelPackageSummaryList.map(({ ModelPackageArn = '' }) => nameOf(ModelPackageArn));
  expect('the Approved packages', approved.join(', '), nameOf(modelPackage));
  world.transcript.holds(
    'the champion',
    `${nameOf(modelPackage)} is still the only package that is Approved`,
  );
}

/** Runs the canary as a person would, and reads in its verdict what became of its two runs. */
async function runCanary({ world, canary }: Scene): Promise<void> {
  const { transcript, directory, outputsFile } = world;
  const known = await writeFlights(directory, '2001-01', { months: 4, rows: LEARNED });
  await uploadFlights(world, canary.value.dataset.uri, known);
  const printed = await transcript.step(
    'tocsin canary',
    () => world.tocsin(['canary', canary.name, '--outputs', outputsFile, '--json']),
    () => `${canary.name} passes: the deployed canary ran the pipeline twice`,
  );
  const { outcome, findings } = JSON.parse(printed) as Verdict;
  expect('the outcome of the canary', outcome, 'pass');
  for (const [label, check] of [
    ['known flights', 'metric'],
    ['bent flights', 'negative-control'],
  ] as const) {
    const finding = findings.find((it) => it.check === check);
    expect(`the finding ${check} of the canary`, finding?.outcome, 'pass');
    transcript.holds(label, finding?.message ?? '');
  }
  const packages = await packagesIn(world, canary.value.modelPackageGroup);
  expect('the packages of the canary', packages.join(', '), 'Rejected, Rejected');
  transcript.holds('never deployed', 'both packages of the canary are Rejected, in a group of their own');
}

/** `ModelApprovalStatus` of the packages in a group. */
async function packagesIn({ sagemaker }: World, group: string): Promise<(string | undefined)[]> {
  const { ModelPackageSummaryList = [] } = await sagemaker.send(
    new ListModelPackagesCommand({ ModelPackageGroupName: group }),
  );
  return ModelPackageSummaryList.map(({ ModelApprovalStatus }) => ModelApprovalStatus);
}

/** Evaluations leave neither models nor inputs and outputs of jobs. */
async function tidy({ world }: Scene): Promise<void> {
  for (
    const deadline = Date.now() + PATIENCE_MS;
    ;
    await sleep(POLL_MS, undefined, { signal: world.signal })
  ) {
    const { Models = [] } = await world.sagemaker.send(new ListModelsCommand({ NameContains: TEMPORARY }));
    const { Contents = [] } = await world.s3.send(
      new ListObjectsV2Command({ Bucket: world.output('WorkBucket'), Prefix: JOBS }),
    );
    if (Models.length + Contents.length === 0) break;
    if (Date.now() > deadline) {
      const left = [...Models.map(({ ModelName }) => ModelName), ...Contents.map(({ Key }) => Key)];
      throw await world.failure(`expected no temporary model and no object of a job, got ${left.join(', ')}`);
    }
  }
  world.transcript.holds('tidy', 'the temporary models, and the inputs and outputs of their jobs, are gone');
}

/** Two packages were registered: two verdicts, two messages, two events. What the gate set came back as events. */
async function noEcho({ world, model, people, machines }: Scene): Promise<void> {
  await expectNoEcho(world, { gate: 'holdout-evaluation', subject: model.name, people, machines }, 2);
  world.transcript.holds('no echo', 'one verdict, one message and one event of each package');
}

/** `flight-delay/2` of an ARN. */
function nameOf(modelPackage: string): string {
  return modelPackage.slice(modelPackage.indexOf('/') + 1);
}
