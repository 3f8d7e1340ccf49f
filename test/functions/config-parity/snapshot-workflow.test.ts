import type { GetParametersByPathCommand } from '@aws-sdk/client-ssm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Parity, parseParities } from '../../../functions/config-parity/schema.ts';
import {
  readEnvironment,
  type SnapshotDependencies,
  snapshotOfParts,
  takeSnapshot,
} from '../../../functions/config-parity/snapshot-workflow.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import type { Golden } from '../../../functions/shared/prediction.ts';
import type { Workflow } from '../../../functions/shared/workflow.ts';
import { configOf, FUNCTIONS, type ParityChange, ParityWorld } from '../../support/parity-world.ts';

const GOLDEN: Golden = {
  uri: 's3://data/golden/delay.jsonl',
  version: 'v1',
  sha256: 'c0ffee',
  requests: [{ body: '1' }],
};

let world: ParityWorld;
let parts: Map<string, string>;
let phases: string[];
let asked: string[];
let deps: SnapshotDependencies;

beforeEach(() => {
  world = new ParityWorld();
  parts = new Map();
  phases = [];
  asked = [];
  deps = {
    clients: world.clients,
    parts: {
      put: async (key, text) => void parts.set(key, text),
      get: async (key) => {
        const text = parts.get(key);
        if (text === undefined) throw new GateDependencyError(`${key} is gone`);
        return text;
      },
    },
    golden: async (place) => {
      asked.push(place);
      return GOLDEN;
    },
    now: Date.now,
    report: async (phase) => void phases.push(phase),
  };
});

afterEach(() => world.close());

function parityOf(change: ParityChange = {}): Parity {
  return parseParities({ file: 'tocsin.yaml', text: configOf(change) }).get('delay')!;
}

interface Watched extends Workflow {
  steps: string[];
  most: number;
}

/** The same workflow, which notes how many steps go on at a time. */
function watched(workflow: Workflow): Watched {
  let open = 0;
  const seen: Watched = {
    id: workflow.id,
    steps: [],
    most: 0,
    step: <T>(name: string, work: () => Promise<T>) =>
      workflow.step(name, async () => {
        seen.steps.push(name);
        seen.most = Math.max(seen.most, ++open);
        try {
          return await work();
        } finally {
          open--;
        }
      }),
    wait: (name: string, ms: number) => workflow.wait(name, ms),
    waitUntil: workflow.waitUntil.bind(workflow),
    map: <T, R>(
      name: string,
      items: readonly T[],
      part: (workflow: Workflow, item: T, index: number) => Promise<R>,
    ) => workflow.map(name, items, (_, item, index) => part(seen, item, index)),
  };
  return seen;
}

const take = (change: ParityChange = {}, workflow = world.workflow()) =>
  world.clock.until(takeSnapshot(workflow, { parity: parityOf(change), side: 'production' }, deps));

/** In as many parts as that. */
const takeIn = (mostParts: number, workflow = world.workflow()) =>
  world.clock.until(readEnvironment(workflow, { parity: parityOf(), side: 'production' }, deps, mostParts));

describe('a snapshot', () => {
  test('has all that there is, by kind and name, and what the endpoint has answered', async () => {
    const assemble = await take();
    const { resources, probes, ...head } = await assemble();
    expect(head).toMatchObject({
      parity: 'delay',
      side: 'production',
      account: '444455556666',
      unreadable: [],
    });
    expect(
      Object.fromEntries(
        Object.entries(Object.groupBy(resources, ({ kind }) => kind)).map(([kind, some]) => [
          kind,
          some.length,
        ]),
      ),
    ).toEqual({
      endpoints: 1,
      models: 1,
      functions: FUNCTIONS,
      parameters: 2,
    });
    const names = resources.map(({ kind, name }) => `${kind} ${name}`);
    expect(names).toEqual(names.toSorted());
    expect(probes).toEqual([
      {
        probe: 'delay',
        uri: GOLDEN.uri,
        version: 'v1',
        sha256: 'c0ffee',
        answers: [{ prediction: 0.25 }],
        recorded: [null],
      },
    ]);
    expect(asked).toEqual(['golden/delay.jsonl']);
  });

  test('is the same in however many parts it is read', async () => {
    const all: unknown[] = [];
    for (const most of [1, 2, 1_000]) {
      const taken = await takeIn(most);
      expect(taken.parts).toBeLessThanOrEqual(most);
      // It is kept as the result of a step.
      expect(JSON.stringify(taken).length).toBeLessThan(200);
      const wanted = { parity: parityOf(), side: 'production' } as const;
      const { takenAt: _, ...snapshot } = await snapshotOfParts(wanted, taken, deps);
      all.push(snapshot);
    }
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
  });

  test('keeps its parts under the execution, the comparison and the environment', async () => {
    await take();
    expect(parts.size).toBeGreaterThan(4);
    for (const key of parts.keys())
      expect(key).toMatch(/^parity\/run-1\/delay\/production-[a-z0-9-]+\.json$/);
  });

  test('is read four parts at a time', async () => {
    const endpoints = Array.from({ length: 100 }, (_, number) => `gone-${number}-{environment}`);
    const workflow = watched(world.workflow());
    const { put } = deps.parts;
    // The others are at the end when its lane goes on.
    deps.parts.put = async (key, text) => {
      if (key.endsWith('-0.json')) await world.clock.sleep(1_000);
      await put(key, text);
    };
    const assemble = await take({ compare: { endpoints }, probes: {} }, workflow);
    expect((await assemble()).resources.map(({ value }) => value)).toEqual(endpoints.map(() => null));
    expect(workflow.steps.filter((name) => /part \d+ of 10$/.test(name))).toHaveLength(10);
    expect(workflow.most).toBe(4);
    const counts = phases.flatMap((phase) => /: (\d+) of 100$/.exec(phase)?.[1] ?? []).map(Number);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect([counts[0], counts.at(-1)]).toEqual([0, 90]);
  });

  test('has nothing of an attempt that failed', async () => {
    const { put } = deps.parts;
    const failed = new Set<string>();
    deps.parts.put = async (key, text) => {
      await put(key, text);
      if (failed.has(key)) return;
      failed.add(key);
      throw new GateDependencyError('S3 is slow');
    };
    const assemble = await take();
    const { resources } = await assemble();
    expect(resources).toHaveLength(new Set(resources.map(({ kind, name }) => `${kind} ${name}`)).size);
    expect(resources.filter(({ kind }) => kind === 'functions')).toHaveLength(FUNCTIONS);
  });

  test('of nothing is empty, and says so', async () => {
    const tags = [{ staging: { stage: 'staging' }, production: { stage: 'production' } }];
    const assemble = await take({ compare: { tags }, probes: {} });
    const unreadable = [{ path: ['tags', 'stage=production'], action: 'tag:GetResources' }];
    expect(await assemble()).toMatchObject({ resources: [], unreadable, probes: [] });
  });

  test('asks the endpoint that a pair names', async () => {
    const endpoints = [{ name: 'delay', staging: 'delay-staging', production: 'late-eu' }];
    world.estates.production.data.answers['late-eu'] = { '1': '7' };
    const { data } = world.estates.production;
    data.endpoints['late-eu'] = { ...data.endpoints['delay-production']!, EndpointName: 'late-eu' };
    const assemble = await take({ compare: { endpoints } });
    expect((await assemble()).probes).toMatchObject([{ probe: 'delay', answers: [{ prediction: 7 }] }]);
  });

  test('cannot be put together where a part is gone', async () => {
    const assemble = await take();
    parts.delete('parity/run-1/delay/production-1.json');
    await expect(assemble()).rejects.toThrow(
      new GateDependencyError('parity/run-1/delay/production-1.json is gone'),
    );
  });

  test('of more than is compared is refused, also where that is seen only once it is read', async () => {
    // In one page each: there would be a thousand.
    const send = async ({ input: { Path } }: GetParametersByPathCommand) => ({
      Parameters: Array.from({ length: Path === undefined ? 0 : 5_001 }, (_, number) => ({
        Name: `${Path}/${number}`,
        Type: 'String',
        Value: '7',
      })),
    });
    deps.clients = (of) => ({ ...world.clients(of), ssm: { send } as never });
    const compare = { parameters: ['/one/{environment}/', '/two/{environment}/'] };
    const refused = await take({ compare, probes: {} }).catch((error: Error) => error);
    expect(refused).toBeInstanceOf(GateInputError);
    expect((refused as Error).message).toBe('production has 10,002 things to compare: at most 10,000');
  });
});
