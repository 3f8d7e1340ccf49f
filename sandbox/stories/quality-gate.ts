import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand, GetObjectTaggingCommand } from '@aws-sdk/client-s3';
import { ACCEPTED, REJECTED } from '../../functions/quality-gate/schema.ts';
import { verdictFolder } from '../../functions/shared/identity.ts';
import { QUALITY_TAG, QUALITY_VALUES } from '../../functions/shared/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { type Dataset, loadConfig } from '../../lib/config.ts';
import { seconds } from '../console.ts';
import { expectNoEcho } from '../echo.ts';
import { SandboxError } from '../errors.ts';
import { describeFlights, type Flights, writeFlights } from '../flights.ts';
import { Inbox } from '../inbox.ts';
import { ROOT } from '../paths.ts';
import { DENIED, Training } from '../training.ts';
import { onceJudged, short, type Upload, uploadFlights } from '../uploads.ts';
import { expect, type Story, type World } from '../world.ts';

/** How long a message may take from the verdict on. */
const PATIENCE_MS = 60_000;

/** Gap 4: the quality gate stops a dataset whose key feature an ETL bug has filled with zeros. */
export const qualityGate: Story = {
  name: 'quality',
  gap: 4,
  title: 'Gap 4: no data quality gate',
  plot: 'An ETL bug fills a key feature with zeros. Training runs on it, everything is green, and the model is worse.',

  async play(world) {
    const { transcript } = world;
    const dataset = flightsOf(join(ROOT, 'tocsin.yaml'));
    const scene = await setScene(world, dataset);
    const { directory } = world;
    const january = await writeFlights(directory, '2001-01');
    const february = await writeFlights(directory, '2001-02');
    const zeroed = await writeFlights(directory, '2001-02', { replace: { delay: '0::BIGINT' } });

    transcript.chapter('January 2001 becomes the baseline');
    await promote(scene, january);

    transcript.chapter('February 2001, as it was');
    const first = await upload(scene, february);
    await readUnjudged(scene, first);
    await judged(scene, first, 'pass');
    await told(scene, 'accepted (pass)', ACCEPTED, []);
    await readOpen(scene, first, 'training reads');

    transcript.chapter('February 2001 again, after an ETL bug: delay is 0 in every row');
    const second = await upload(scene, zeroed);
    await judged(scene, second, 'fail');
    await told(scene, 'rejected (fail)', REJECTED, factsOfZeros(dataset));
    await readLocked(scene, second, 'training reads');
    await cannotUnlock(scene, second);
    await readOpen(scene, first, 'training reads the version from before', first.versionId);

    transcript.chapter('The same bytes, sent once more');
    const third = await upload(scene, zeroed);
    await judgedAsBefore(scene, third, second);
    await readLocked(scene, third, 'training reads');
    await noEcho(scene);
    transcript.holds(
      'second opinion',
      `iam-simulate, given the deployed bucket policy and the real tags, says the same of all ${scene.training.opinions} readings`,
    );
  },
};

/** Everything that the steps of the story share. */
interface Scene {
  world: World;
  dataset: Dataset;
  bucket: string;
  training: Training;
  /** Subscribed to the topic. */
  people: Inbox;
  /** Target of a rule for the events of the gate. */
  machines: Inbox;
}

function flightsOf(config: string): Dataset {
  const dataset = loadConfig(config).datasets.find(({ name }) => name === 'flights');
  if (dataset !== undefined) return dataset;
  throw new SandboxError('story', 'tocsin.yaml has no dataset flights, which this story is about.');
}

async function setScene(world: World, dataset: Dataset): Promise<Scene> {
  const about = { dataset: [dataset.name] };
  const bucket = world.output('DataBucket');
  return {
    world,
    dataset,
    bucket,
    training: await Training.create(world, bucket),
    people: await Inbox.ofMessages(world, 'people-of-flights', about),
    machines: await Inbox.ofEvents(world, 'machines-of-flights', about),
  };
}

/** Makes a month the baseline, as a person would. */
async function promote({ world, dataset }: Scene, flights: Flights): Promise<void> {
  const { transcript } = world;
  const profile = join(world.directory, 'baseline.json');
  await world.tocsin(['profile', flights.path, '--contract', dataset.contractFile.file, '--save', profile]);
  transcript.holds('tocsin profile', `measured ${describeFlights(flights)}, of real US air traffic`);
  await world.tocsin([
    ...['baseline', 'promote', '--profile', profile, '--dataset', dataset.name],
    ...['--evidence-bucket', world.output('EvidenceBucket')],
  ]);
  transcript.holds('tocsin baseline', 'promoted it: what comes next is compared with January');
}

function upload({ world, dataset }: Scene, flights: Flights): Promise<Upload> {
  return uploadFlights(world, `${dataset.prefix}2001-02.parquet`, flights);
}

/** The gate judges an upload: its tags and its evidence say the same. */
async function judged(scene: Scene, upload: Upload, outcome: 'pass' | 'fail'): Promise<void> {
  const { world, dataset } = scene;
  const { quality, id, took } = await onceJudged(world, upload);
  expect(`the tag ${QUALITY_TAG} of ${upload.key}`, quality, QUALITY_VALUES[outcome]);
  const { Body } = await world.s3.send(
    new GetObjectCommand({
      Bucket: world.output('EvidenceBucket'),
      Key: `${verdictFolder('quality-gate', dataset.name, id)}verdict.json`,
    }),
  );
  const verdict = JSON.parse((await Body?.transformToString()) ?? '') as Verdict;
  expect('the outcome in the evidence', verdict.outcome, outcome);
  world.transcript.holds(
    QUALITY_VALUES[outcome],
    `${seconds(took)} after the upload, verdict ${short(id)}: ${verdict.reason}`,
  );
}

/** The gate puts the verdict on an upload that it gave on an earlier one of the same bytes. */
async function judgedAsBefore({ world }: Scene, upload: Upload, before: Upload): Promise<void> {
  const { id, took } = await onceJudged(world, upload);
  const { id: expected } = await onceJudged(world, before);
  expect('the verdict on the same bytes', id, expected);
  world.transcript.holds('one verdict', `${seconds(took)} after the upload, verdict ${short(id)} again`);
}

/**
 * The next message to people, and the next event to machines.
 *
 * @param facts texts that one finding in the message has
 */
async function told(
  { world, dataset, people, machines }: Scene,
  state: string,
  event: string,
  facts: readonly string[],
): Promise<void> {
  const { transcript, signal } = world;
  const number = people.received.length + 1;
  const message = await people.message(number, PATIENCE_MS, signal);
  const announced = await machines.message(number, PATIENCE_MS, signal);
  if (message === undefined || announced === undefined) {
    const what = message === undefined ? 'a message' : 'an event';
    throw await world.failure(`expected ${what} within ${seconds(PATIENCE_MS)} of the verdict, got none`);
  }
  const { 'detail-type': type } = JSON.parse(announced) as { 'detail-type': string };
  expect('the type of the event', type, event);
  const { Subject, Message } = JSON.parse(message) as { Subject: string; Message: string };
  expect('the subject of the message', Subject, `Tocsin: dataset ${dataset.name} ${state}`);
  transcript.holds('told', `event "${type}", message "${Subject}"`);
  if (facts.length === 0) return;
  const finding = Message.split('\n').find(
    (line) => line.startsWith('- ') && facts.every((fact) => line.includes(fact)),
  );
  if (finding === undefined) {
    throw await world.failure(`expected a finding with ${facts.join(', ')} in the message, got: ${Message}`);
  }
  transcript.quote(finding.slice(2));
}

/** What people must learn of zeros in `delay`: the column, its share, the limit, and the line of the rule. */
function factsOfZeros({ contract, contractFile }: Dataset): string[] {
  const limit = contractFile.value.columns.delay?.zeros ?? 0;
  const { line } = contractFile.locate(['columns', 'delay', 'zeros']);
  return ['olumn delay', '100% zeros', `at most ${limit * 100}%`, `${contract}:${line}`];
}

/** Training does not get what the gate has not come to yet: the first verdict takes a second at the very least. */
async function readUnjudged(scene: Scene, upload: Upload): Promise<void> {
  await readLocked(scene, upload, 'training reads at once, before there is a verdict');
  const { TagSet = [] } = await scene.world.s3.send(
    new GetObjectTaggingCommand({ Bucket: scene.bucket, Key: upload.key, VersionId: upload.versionId }),
  );
  expect(`the tags of ${upload.key} right after its upload`, TagSet.length, 0);
}

async function readLocked({ world, training }: Scene, { key }: Upload, text: string): Promise<void> {
  const got = await training.read({ key });
  expect(`what training gets of ${key}`, got, DENIED);
  world.transcript.holds('locked', `${text}: ${got}`);
}

/** Training gets the bytes that were uploaded, and no others. */
async function readOpen(
  { world, training }: Scene,
  upload: Upload,
  text: string,
  versionId?: string,
): Promise<void> {
  const got = await training.read({ key: upload.key, ...(versionId !== undefined && { versionId }) });
  expect(`what training gets of ${upload.key}`, got, upload.sha256);
  world.transcript.holds('open', `${text}: the very bytes, sha256 ${short(got)}`);
}

/** A role that may tag everything cannot put the verdict on. */
async function cannotUnlock({ world, training }: Scene, upload: Upload): Promise<void> {
  const got = await training.tag(upload, QUALITY_TAG, QUALITY_VALUES.pass);
  expect(`what training gets when it sets ${QUALITY_TAG}`, got, DENIED);
  world.transcript.holds('no way round', `training sets ${QUALITY_TAG}=${QUALITY_VALUES.pass}: ${got}`);
}

/** After one good upload and two of the same bad bytes there are two of everything. */
async function noEcho({ world, dataset, people, machines }: Scene): Promise<void> {
  // Another message would be on its way by now: the tags are the last that a repeated verdict writes.
  await sleep(1_000, undefined, { signal: world.signal });
  await expectNoEcho(world, { gate: 'quality-gate', subject: dataset.name, people, machines }, 2);
  world.transcript.holds('no echo', 'no other verdict in the evidence, no other message, no other event');
}
