import {
  InvokeEndpointCommand,
  type InvokeEndpointCommandInput,
  SageMakerRuntimeClient,
} from '@aws-sdk/client-sagemaker-runtime';
import { mockClient } from 'aws-sdk-client-mock';
import * as fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type SliceDependencies,
  type SliceRequest,
  sendSlice,
  TRAFFIC_OPTIONS,
} from '../../../functions/rollback-drill/adapters/requests.ts';
import type { EndpointState } from '../../../functions/rollback-drill/endpoint.ts';
import type { Slice, Who } from '../../../functions/rollback-drill/measurements.ts';
import { answer, modelError } from '../../support/runtime.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const START = Date.UTC(2026, 0, 5, 12);

const mockRuntime = () => mockClient(SageMakerRuntimeClient);
let runtime: ReturnType<typeof mockRuntime>;
const client = () => new SageMakerRuntimeClient({ ...TRAFFIC_OPTIONS, region: 'us-east-1' });

beforeEach(() => {
  runtime = mockRuntime();
});

afterEach(() => runtime.restore());

const inputs = () => runtime.commandCalls(InvokeEndpointCommand).map((one) => one.args[0].input);

test('each request is made once, with a connection of its own', async () => {
  const { config } = client();
  expect(await config.maxAttempts()).toBe(1);
  expect(TRAFFIC_OPTIONS.requestHandler).toEqual({
    connectionTimeout: 3_000,
    requestTimeout: 15_000,
    throwOnRequestTimeout: true,
    socketTimeout: 15_000,
    httpAgent: { keepAlive: true, maxSockets: 100 },
    httpsAgent: { keepAlive: true, maxSockets: 100 },
  });
});

describe('a slice of the traffic', () => {
  let clock: VirtualClock;
  /** Times at which requests began, and how many are open. */
  let begun: number[];
  let open: number;
  let mostOpen: number;

  beforeEach(() => {
    clock = new VirtualClock(START);
    [begun, open, mostOpen] = [[], 0, 0];
    answers(() => '1');
  });

  afterEach(() => clock.end());

  /** Has the endpoint answer, with a latency of `ms`. */
  function answers(reply: (input: InvokeEndpointCommandInput, n: number) => string | Error, ms = 20): void {
    runtime.on(InvokeEndpointCommand).callsFake(async (input: InvokeEndpointCommandInput) => {
      const n = begun.push(clock.time - START) - 1;
      mostOpen = Math.max(mostOpen, ++open);
      await clock.sleep(ms);
      open--;
      const said = reply(input, n);
      if (said instanceof Error) throw said;
      return answer(said, 'stable');
    });
  }

  const state = (more: Partial<EndpointState> = {}): EndpointState => ({
    at: clock.time,
    status: 'InService',
    config: 'config-1',
    failureReason: null,
    pending: null,
    variants: [],
    ...more,
  });

  const send = (request: Partial<SliceRequest> = {}, deps: Partial<SliceDependencies> = {}) =>
    sendSlice(
      {
        runtime: client(),
        readState: async () => state(),
        readStop: async () => null,
        now: () => clock.time,
        sleep: (ms) => clock.sleep(ms),
        ...deps,
      },
      {
        endpoint: 'staging',
        content: 'text/csv',
        requests: [{ body: 'a' }, { body: 'b' }, { body: 'c' }],
        indexes: [0, 1, 2],
        perSecond: 5,
        forMs: 2_000,
        fingerprints: [
          { id: 'p', variant: 'stable', part: 'previous', predictions: [1, 1, 1] },
          { id: 'b', variant: 'stable', part: 'bad', predictions: [2, 2, 1] },
        ],
        tolerance: 1e-6,
        mark: 'm-7',
        until: () => false,
        ...request,
      },
    );

  test('is even, marked, untargeted, and says who answered', async () => {
    const replies: (string | Error)[] = ['1', '2', '1', '7', modelError(500), '1.0000001'];
    answers((_, n) => replies[n] ?? '1');
    const slice = await send({ forMs: 1_200 });
    expect(begun).toEqual([0, 200, 400, 600, 800, 1_000]);
    expect(inputs()).toEqual(
      ['a', 'b', 'c', 'a', 'b', 'c'].map((Body, n) => ({
        EndpointName: 'staging',
        ContentType: 'text/csv',
        Body,
        InferenceId: `m-7-${n}`,
      })),
    );
    const request = (n: number, who: Who, error: string | null = null) => ({
      at: START + 200 * n,
      golden: n % 3,
      ms: 20,
      who,
      variant: error === null ? 'stable' : null,
      error,
    });
    expect(slice).toEqual({
      from: START,
      to: START + 1_200,
      requests: [
        request(0, 'previous'),
        request(1, 'bad'),
        request(2, 'either'),
        request(3, 'other'),
        request(4, 'nobody', 'ModelError 500'),
        request(5, 'either'),
      ],
      states: [{ at: START, state: state({ at: START }) }],
      stop: null,
    } satisfies Slice);
    expect(JSON.stringify(slice)).not.toContain('secret');
  });

  test('of an unknown bad model is another’s', async () => {
    answers(() => '2');
    const { requests } = await send({
      forMs: 300,
      fingerprints: [{ id: 'p', variant: 'stable', part: 'previous', predictions: [1, 1, 1] }],
    });
    expect(requests.map(({ who }) => who)).toEqual(['other', 'other']);
  });

  test('has nobody wait for a slow one, and waits for the last itself', async () => {
    answers(() => '1', 1_500);
    const slice = await send();
    expect(begun).toEqual([0, 200, 400, 600, 800, 1_000, 1_200, 1_400, 1_600, 1_800]);
    expect(slice.requests.map(({ ms }) => ms)).toEqual(Array(10).fill(1_500));
    expect(slice.to).toBe(START + 3_300);
    expect(open).toBe(0);
  });

  test('sends the telling ones alone, and not always the first', async () => {
    const bodies = async () => {
      const { length } = inputs();
      await send({ perSecond: 0.5, forMs: 1_000, indexes: [0, 2] });
      return inputs()
        .slice(length)
        .map(({ Body }) => Body);
    };
    const first = await bodies();
    await clock.sleep(1_000);
    expect([first, await bodies()].flat().sort()).toEqual(['a', 'c']);
  });

  test('has at most 100 open, then goes slower, and makes nothing up for at once', async () => {
    answers(() => '1', 4_000);
    const slice = await send({ perSecond: 50, forMs: 5_000 });
    expect(mostOpen).toBe(100);
    expect(slice.requests).toHaveLength(begun.length);
    expect(slice.requests.every(({ ms, error }) => ms === 4_000 && error === null)).toBe(true);
    const inSecond = (second: number) => begun.filter((at) => Math.floor(at / 1000) === second).length;
    expect([inSecond(0), inSecond(1), inSecond(2), inSecond(3)]).toEqual([50, 50, 0, 0]);
    // Those of the first second end in the fifth: as many places become free.
    expect(inSecond(4)).toBeGreaterThanOrEqual(45);
    for (let from = 0; from < 5_000; from += 100) {
      expect(begun.filter((at) => at >= from && at < from + 100).length).toBeLessThanOrEqual(5 + 13);
    }
  });

  test('after a pause of the machine goes on at its pace', async () => {
    let isFirst = true;
    await send(
      { perSecond: 50, forMs: 4_000 },
      {
        sleep: (ms) => {
          const pause = isFirst ? 2_000 : 0;
          isFirst = false;
          return clock.sleep(ms + pause);
        },
      },
    );
    expect(begun.filter((at) => at > 0 && at < 2_100).length).toBeLessThanOrEqual(20);
    expect(begun.length).toBeLessThan(120);
  });

  test('ends once there is nothing more to see, which is asked four times a second at most', async () => {
    const asked: { at: number; slice: Slice }[] = [];
    const slice = await send({
      perSecond: 50,
      forMs: 10_000,
      until: (sofar) => {
        asked.push({ at: clock.time - START, slice: sofar });
        return sofar.requests.length >= 60;
      },
    });
    expect(slice.to - START).toBeLessThan(1_700);
    expect(slice.requests.length).toBe(begun.length);
    const gaps = asked.slice(1).map(({ at }, index) => at - (asked[index]?.at ?? 0));
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(250);
    const last = asked.at(-1)?.slice;
    expect(last?.from).toBe(START);
    expect(last?.to).toBe(START + (asked.at(-1)?.at ?? 0));
    expect(last?.requests).toEqual(slice.requests.slice(0, last?.requests.length));
  });

  test('asks after a look, too, where nobody answers for a while', async () => {
    answers(() => '1', 14_000);
    const asked: number[] = [];
    await send({
      perSecond: 1,
      forMs: 7_000,
      until: () => {
        asked.push(Math.round((clock.time - START) / 1000));
        return false;
      },
    });
    expect(asked).toEqual([0, 2, 4, 6]);
  });

  test('takes down each state that differs, and an endpoint that is gone', async () => {
    const states: (EndpointState | null | Error)[] = [
      state(),
      new Error('throttled'),
      state(),
      state({ status: 'Updating' }),
      null,
    ];
    const looks: number[] = [];
    const slice = await send(
      { forMs: 10_000 },
      {
        readState: async () => {
          looks.push(clock.time - START);
          const next = states.shift() ?? null;
          if (next instanceof Error) throw next;
          return next && { ...next, at: clock.time };
        },
      },
    );
    expect(looks).toEqual([0, 2_000, 4_000, 6_000, 8_000]);
    expect(slice.states).toEqual([
      { at: START, state: state({ at: START }) },
      { at: START + 6_000, state: state({ at: START + 6_000, status: 'Updating' }) },
      { at: START + 8_000, state: null },
    ]);
  });

  test('looks once at a time, and waits for the last look', async () => {
    let looking = 0;
    let most = 0;
    const slice = await send(
      { forMs: 4_500 },
      {
        readState: async () => {
          most = Math.max(most, ++looking);
          await clock.sleep(3_000);
          looking--;
          return state({ config: `config-${clock.time - START}` });
        },
      },
    );
    expect([most, looking]).toEqual([1, 0]);
    expect(slice.states.map(({ state: seen }) => seen?.config)).toEqual(['config-3000', 'config-6000']);
    expect(begun.at(-1)).toBe(4_400);
  });

  test('ends on a stop condition', async () => {
    const looks: number[] = [];
    const slice = await send(
      { forMs: 10_000 },
      {
        readStop: async () => {
          looks.push(clock.time - START);
          return looks.length === 2 ? 'staging-unhealthy is in ALARM' : null;
        },
      },
    );
    expect(looks).toEqual([0, 5_000]);
    expect(slice.stop).toBe('staging-unhealthy is in ALARM');
    expect(begun.at(-1)).toBeLessThanOrEqual(5_000);
    expect(slice.to).toBeLessThanOrEqual(START + 5_500);
  });

  test('ends where stop conditions cannot be read three times in a row', async () => {
    const fails = [true, true, false, true, true, true];
    const looks: number[] = [];
    const slice = await send(
      { forMs: 20_000 },
      {
        readStop: async () => {
          looks.push(clock.time - START);
          if (fails.shift()) throw new Error('throttled');
          return null;
        },
      },
    );
    expect(looks).toEqual([0, 1_000, 2_000, 7_000, 8_000, 9_000]);
    expect(slice.stop).toBe('the stop conditions could not be read 3 times in a row: throttled');
  });

  test.each(['until', 'sleep'] as const)(
    'where %s throws, it is thrown when all have ended',
    async (what) => {
      answers(() => '1', 5_000);
      const fail = () => {
        throw new Error('a bug');
      };
      let slept = 0;
      const failing =
        what === 'until'
          ? send({ until: () => begun.length > 0 && fail() })
          : send({}, { sleep: async (ms) => (++slept > 5 ? fail() : clock.sleep(ms)) });
      await expect(failing).rejects.toThrow('a bug');
      expect(begun.length).toBeGreaterThan(0);
      expect(open).toBe(0);
      const { length } = begun;
      await clock.sleep(20_000);
      expect(begun).toHaveLength(length);
    },
  );

  test('loses nothing, whatever latency and pace are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0.2, max: 50, noNaN: true }),
        fc.integer({ min: 1, max: 3_000 }),
        fc.array(fc.integer({ min: 0, max: 6_000 }), { minLength: 1, maxLength: 5 }),
        async (perSecond, forMs, latencies) => {
          const from = clock.time;
          [begun, open, mostOpen] = [[], 0, 0];
          runtime.reset();
          runtime.on(InvokeEndpointCommand).callsFake(async () => {
            const n = begun.push(clock.time - from) - 1;
            mostOpen = Math.max(mostOpen, ++open);
            await clock.sleep(latencies[n % latencies.length] ?? 0);
            open--;
            return answer('1');
          });
          const { requests, to } = await send({ perSecond, forMs });
          expect(open).toBe(0);
          expect(mostOpen).toBeLessThanOrEqual(100);
          expect(requests.map(({ at }) => at - from)).toEqual(begun);
          expect(new Set(inputs().map(({ InferenceId }) => InferenceId)).size).toBe(begun.length);
          expect(requests.every(({ at, ms }) => at + ms <= to)).toBe(true);
          expect(begun.every((at) => at < forMs)).toBe(true);
          if (mostOpen < 100) expect(begun.length).toBe(Math.ceil((forMs * perSecond) / 1000));
        },
      ),
      { seed: 1, numRuns: 40 },
    );
  });
});
