import { mapLimit } from '../shared/aws.ts';
import { chunksOf } from '../shared/chunks.ts';
import { GateInputError } from '../shared/errors.ts';
import { formatNumber } from '../shared/format.ts';
import { remembered } from '../shared/lambda.ts';
import type { Golden } from '../shared/prediction.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import type { Workflow } from '../shared/workflow.ts';
import { whoami } from './adapters/clients.ts';
import { discover } from './adapters/discovery.ts';
import { readProbe } from './adapters/probes.ts';
import { READERS } from './adapters/readers.ts';
import type { Clients, Found, Reading } from './adapters/reading.ts';
import {
  type EnvironmentConfig,
  MOST_RESOURCES,
  type Parity,
  type ParityConfig,
  pairName,
  physicalName,
  type Side,
} from './schema.ts';
import { type Snapshot, type SnapshotPart, SnapshotSink, snapshotOf } from './snapshot.ts';

/*
 * Reading an environment: who is asked, what there is, then all of it in parts, and what its endpoints answer. What a step
 * has read is kept as a part of the snapshot, since it is too large for the result of a step.
 */

/** What reading takes. */
export interface SnapshotDependencies {
  clients: (environment: EnvironmentConfig) => Clients;
  /** Keeps what was read until the snapshot is put together: texts of at most 32 MB. */
  parts: {
    put(key: string, text: string): Promise<void>;
    /** @throws GateDependencyError where there is none */
    get(key: string): Promise<string>;
  };
  /**
   * Reads golden requests, whose place is as tocsin.yaml has it.
   *
   * @throws GateInputError where there are none that can be used
   */
  golden: (place: string) => Promise<Golden>;
  /** Milliseconds since 1970. */
  now: () => number;
  /** Tells whoever follows. */
  report: (phase: string) => Promise<void>;
}

/** What is read. */
export interface Wanted {
  parity: Parity;
  side: Side;
}

/** What reading an environment has come to: where the parts of its snapshot are. Plain JSON, and small however many. */
export interface Taken extends Pick<Snapshot, 'account' | 'region' | 'takenAt'> {
  /** Beginning of the keys of its parts. */
  prefix: string;
  /** How many there are, besides what was listed and the answers to probes. */
  parts: number;
}

/** Parts of one environment that are read at a time. */
export const LANES = 4;

/** Parts that one environment is read in, unless somebody says otherwise. */
const MOST_PARTS = 1_000;

/** Parts at a time that are put together. */
const AT_A_TIME = 8;

/** The part that has what listing has taken down. */
const LISTED = 'listed';

/** Key of everything that a run keeps while it reads; several comparisons may run in one execution. */
export function partsFolder({ id }: Pick<Workflow, 'id'>, { name }: Pick<Parity, 'name'>): string {
  return `parity/${id}/${name}/`;
}

/**
 * Reads an environment.
 *
 * @returns what puts the snapshot together
 * @throws GateInputError where it is another account than tocsin.yaml says, or has more than is compared
 * @throws GateDependencyError where nobody may ask, or what was read could not be kept
 */
export async function takeSnapshot(
  workflow: Workflow,
  wanted: Wanted,
  deps: SnapshotDependencies,
): Promise<() => Promise<Snapshot>> {
  const taken = await readEnvironment(workflow, wanted, deps);
  return () => snapshotOfParts(wanted, taken, deps);
}

/**
 * Reads an environment, as {@link takeSnapshot} does.
 *
 * @param mostParts in how many parts at most, since each takes operations of an execution
 */
export async function readEnvironment(
  workflow: Workflow,
  { parity, side }: Wanted,
  deps: SnapshotDependencies,
  mostParts = MOST_PARTS,
): Promise<Taken> {
  const { report } = deps;
  const config = parity.value;
  const environment = config[side];
  const clients = deps.clients(environment);
  const prefix = `${partsFolder(workflow, parity)}${side}-`;
  const keyOf = (part: string) => `${prefix}${part}.json`;

  /** Keeps what is read as a part. Returns how many resources that has. */
  const keep = async (part: string, read: (reading: Reading) => Promise<unknown>): Promise<number> => {
    const sink = new SnapshotSink(parity.name);
    await read({ side, parity: config, clients, sink });
    await deps.parts.put(keyOf(part), JSON.stringify(sink.part));
    return sink.part.resources.length;
  };

  const who = await workflow.step(`read ${side}: who is asked`, async () => {
    await report(`reading ${side}`);
    return { ...(await whoami(clients, environment)), takenAt: deps.now() };
  });

  const things = await workflow.step(`read ${side}: what there is`, async () => {
    let found: Found[] = [];
    await keep(LISTED, async (reading) => {
      found = await discover(reading);
    });
    refuseTooMany(side, found.length);
    const parts = partsOf(found, mostParts);
    await deps.parts.put(keyOf('found'), JSON.stringify(parts));
    return { count: found.length, parts: parts.length };
  });

  const found = remembered(async () => JSON.parse(await deps.parts.get(keyOf('found'))) as Part[]);
  let begun = 0;
  const readPart = (part: Workflow, number: number) =>
    part.step(`read ${side}: part ${number + 1} of ${things.parts}`, async () => {
      const { before = 0, batches = [] } = (await found())[number] ?? {};
      // Parts are read side by side: what is told never goes backwards.
      begun = Math.max(begun, before);
      await report(`reading ${side}: ${formatNumber(begun)} of ${formatNumber(things.count)}`);
      return keep(String(number), async (reading) => {
        for (const batch of batches) await readerOf(batch).read(reading, batch);
      });
    });
  const read = await workflow.map(`read ${side}`, lanesOf(things.parts), async (lane, mine) => {
    let resources = 0;
    for (const number of mine) resources += await readPart(lane, number);
    return resources;
  });
  refuseTooMany(
    side,
    read.reduce((sum, resources) => sum + resources, 0),
  );

  for (const [probe, { golden, endpoint, content }] of Object.entries(config.probes)) {
    await workflow.step(`ask ${side}: ${probe}`, async () => {
      await report(`asking the endpoint ${endpoint} of ${side} golden requests`);
      const requests = await deps.golden(golden);
      const asked = endpointOf(config, endpoint, side);
      await keep(partOfProbe(probe), (reading) =>
        readProbe(reading, { probe, endpoint: asked, golden: requests, content }),
      );
    });
  }
  return { ...who, prefix, parts: things.parts };
}

/**
 * Puts a snapshot together from its parts.
 *
 * @throws GateDependencyError where one of them is gone
 */
export async function snapshotOfParts(
  { parity, side }: Wanted,
  { prefix, parts: count, ...who }: Taken,
  { parts }: Pick<SnapshotDependencies, 'parts'>,
): Promise<Snapshot> {
  const probes = Object.keys(parity.value.probes).map(partOfProbe);
  const read = await mapLimit(
    [LISTED, ...numbersTo(count).map(String), ...probes],
    AT_A_TIME,
    // It is what this run has written, and nobody else writes there.
    async (part) => JSON.parse(await parts.get(`${prefix}${part}.json`)) as SnapshotPart,
  );
  return snapshotOf({ parity: parity.name, side, ...who, tocsin: TOCSIN_VERSION }, read);
}

/** @throws GateInputError */
function refuseTooMany(side: Side, count: number): void {
  if (count <= MOST_RESOURCES) return;
  throw new GateInputError(
    `${side} has ${formatNumber(count)} things to compare: at most ${formatNumber(MOST_RESOURCES)}`,
    { help: 'Narrow compare in tocsin.yaml, or make two comparisons of it.' },
  );
}

/** What one step reads. */
interface Part {
  /** How many things the parts before it have. */
  before: number;
  /** Things of one kind each. */
  batches: Found[][];
}

/** As many parts as there are batches, where that is not too many. */
function partsOf(found: readonly Found[], most: number): Part[] {
  const kinds = Map.groupBy(found, ({ kind }) => kind);
  const all = [...kinds.values()].flatMap((some) => chunksOf(some, readerOf(some).batch));
  let count = 0;
  return chunksOf(all, Math.ceil(all.length / most)).map((batches) => {
    const before = count;
    for (const { length } of batches) count += length;
    return { before, batches };
  });
}

/** Models and monitors are never found by themselves: they come with their endpoints. */
function readerOf([first]: readonly Found[]): (typeof READERS)[keyof typeof READERS] {
  return READERS[first?.kind as keyof typeof READERS];
}

/** Numbers of parts, dealt out so that all lanes end at about the same time. */
function lanesOf(parts: number): number[][] {
  return numbersTo(Math.min(LANES, parts)).map((lane) =>
    numbersTo(parts).filter((number) => number % LANES === lane),
  );
}

function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}

function partOfProbe(probe: string): string {
  return `probe-${probe}`;
}

/** What the endpoint of a probe is called in an environment. */
function endpointOf({ compare, ...config }: ParityConfig, called: string, side: Side): string {
  const pair = compare.endpoints.find((one) => pairName(one) === called);
  return pair === undefined ? called : physicalName(pair, side, config[side]);
}
