import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { durableHandler } from '../../../functions/shared/durable.ts';
import { GateDependencyError, GateInputError } from '../../../functions/shared/errors.ts';
import { InProcessWorkflow } from '../../../functions/shared/in-process.ts';
import { ConfigError } from '../../../functions/shared/schema.ts';
import {
  ATTEMPTS,
  keepError,
  MAX_RESULT_BYTES,
  OutOfTimeError,
  pauseMs,
  retryPauseMs,
  unwrap,
  type Workflow,
} from '../../../functions/shared/workflow.ts';
import { skipTime } from '../../support/durable-runner.ts';
import { type Death, DurableService } from '../../support/durable-service.ts';

type Program = (workflow: Workflow) => Promise<unknown>;

/** Runs a program to its end; what it threw is `error`. */
type Run = (program: Program) => Promise<{ result?: unknown; error?: unknown }>;

const START = Date.UTC(2026, 0, 5);
const elapsed = () => Date.now() - START;
const sleep = (ms: number) => {
  vi.setSystemTime(Date.now() + ms);
};

/** The class and the help of an error, as the program itself sees them. */
const witness = (program: Program): Program =>
  async function watched(workflow) {
    try {
      return { result: await program(workflow) };
    } catch (error) {
      const { name, message, help } = error as GateInputError;
      return { error: { class: (error as Error).constructor.name, name, message, help } };
    }
  };

const PORTS: Record<string, Run> = {
  'in process': async (program) =>
    witness(program)(
      new InProcessWorkflow({ id: 'run-1', sleep: async (ms) => sleep(ms), random: () => 0 }),
    ) as ReturnType<Run>,
  durable: async (program) => {
    const service = new DurableService(
      durableHandler((_event, workflow) => witness(program)(workflow)),
      sleep,
    );
    return ((await service.run({})) as { result: Awaited<ReturnType<Run>> }).result;
  },
};

describe.each(Object.entries(PORTS))('the workflow port, %s', (name, run) => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: START });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test('a step runs once, and gives what JSON keeps of its result', async () => {
    const work = vi.fn(async () => ({ at: new Date(START), gone: undefined, count: 3 }));
    const nothing = vi.fn(async () => undefined);
    const { result } = await run(async (workflow) => [
      await workflow.step('work', work),
      await workflow.step('nothing', nothing),
    ]);
    // `undefined` in the list is null once the whole answer is JSON.
    expect(JSON.parse(JSON.stringify(result))).toEqual([{ at: '2026-01-05T00:00:00.000Z', count: 3 }, null]);
    expect(work).toHaveBeenCalledOnce();
    expect(nothing).toHaveBeenCalledOnce();
  });

  test('a broken world is tried five times with growing pauses, then thrown as what it was', async () => {
    const times: number[] = [];
    const { error } = await run((workflow) =>
      workflow.step('describe it', async () => {
        times.push(elapsed());
        throw new GateDependencyError('throttled', { help: 'Wait.' });
      }),
    );
    expect(error).toEqual({
      class: 'GateDependencyError',
      name: 'GateDependencyError',
      message: 'throttled',
      help: 'Wait.',
    });
    expect(times).toHaveLength(ATTEMPTS);
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    pauses.forEach((pause, index) => {
      const longest = retryPauseMs(index + 1, 0);
      expect(pause).toBeGreaterThanOrEqual(longest / 2);
      expect(pause).toBeLessThanOrEqual(longest + 1000);
    });
  });

  test('a step that recovers is a step that succeeded', async () => {
    let calls = 0;
    const { result } = await run((workflow) =>
      workflow.step('flaky', async () => {
        if (++calls < 3) throw new Error('ECONNRESET');
        return calls;
      }),
    );
    expect(result).toBe(3);
  });

  test("a caller's mistake is not tried again, and keeps its class", async () => {
    const work = vi.fn(async () => {
      throw new ConfigError([{ file: 'tocsin.yaml', line: 3, column: 1, path: 'a', message: 'wrong' }]);
    });
    const { error } = await run((workflow) => workflow.step('read', work));
    expect(work).toHaveBeenCalledOnce();
    expect((error as { message: string }).message).toBe('tocsin.yaml:3:1 wrong');
    const caught = await run(async (workflow) => {
      try {
        await workflow.step('read', work);
      } catch (thrown) {
        return thrown instanceof GateInputError;
      }
      return undefined;
    });
    expect(caught.result).toBe(true);
  });

  test('a bug keeps its name and message', async () => {
    const { error } = await run((workflow) =>
      workflow.step('buggy', async () => {
        throw new TypeError('x is not a function');
      }),
    );
    expect(error).toMatchObject({ name: 'TypeError', message: 'x is not a function' });
  });

  test.each([
    ['too large', 'x'.repeat(MAX_RESULT_BYTES), /returned 65538 bytes, at most 65536 are kept/],
    ['no JSON', () => 1, /returned function, which is no JSON/],
  ])('a result that is %s is a bug, told at once', async (_what, value, message) => {
    const work = vi.fn(async () => value);
    const { error } = await run((workflow) => workflow.step('large', work));
    expect((error as Error).message).toMatch(message);
    expect(work).toHaveBeenCalledOnce();
  });

  test('waits', async () => {
    await run((workflow) => workflow.wait('a while', 90_000));
    expect(elapsed()).toBe(90_000);
  });

  test('asks soon, then less often, until there is an answer', async () => {
    const times: number[] = [];
    const { result } = await run((workflow) =>
      workflow.waitUntil(
        'it is done',
        async () => {
          times.push(elapsed());
          return elapsed() >= 60_000 ? { state: 'done' } : undefined;
        },
        { timeoutMs: 600_000, firstPauseMs: 1000, longestPauseMs: 20_000 },
      ),
    );
    expect(result).toEqual({ state: 'done' });
    const pauses = times.slice(1).map((time, index) => time - times[index]!);
    expect(pauses[0]).toBe(1000);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(20_000);
    expect(pauses).toEqual(pauses.toSorted((a, b) => a - b));
  });

  test('asks a last time when the time is up', async () => {
    const times: number[] = [];
    const { result } = await run(async (workflow) => {
      const answer = await workflow.waitUntil(
        'never',
        async () => {
          times.push(elapsed());
          return undefined;
        },
        { timeoutMs: 100_000, firstPauseMs: 1000, longestPauseMs: 60_000 },
      );
      return answer === undefined ? 'time is up' : answer;
    });
    expect(result).toBe('time is up');
    expect(times.at(-1)).toBeGreaterThanOrEqual(100_000);
    expect(times.at(-1)).toBeLessThan(102_000);
  });

  test('asking bears a few errors in a row, and no more', async () => {
    let calls = 0;
    const answered = await run((workflow) =>
      workflow.waitUntil(
        'recovers',
        async () => {
          calls++;
          if (calls % 3 !== 0) throw new GateDependencyError('throttled');
          return calls === 9 ? 'done' : undefined;
        },
        { timeoutMs: 3_600_000, firstPauseMs: 1000, longestPauseMs: 1000 },
      ),
    );
    expect(answered.result).toBe('done');

    let asked = 0;
    const broken = await run((workflow) =>
      workflow.waitUntil(
        'broken',
        async () => {
          asked++;
          throw new GateDependencyError('access denied');
        },
        { timeoutMs: 3_600_000, firstPauseMs: 1000, longestPauseMs: 1000 },
      ),
    );
    expect(broken.error).toMatchObject({ class: 'GateDependencyError', message: 'access denied' });
    expect(asked).toBe(ATTEMPTS);

    let wrong = 0;
    const mistaken = await run((workflow) =>
      workflow.waitUntil(
        'wrong',
        async () => {
          wrong++;
          throw new GateInputError('no such job');
        },
        { timeoutMs: 3_600_000, firstPauseMs: 1000, longestPauseMs: 1000 },
      ),
    );
    expect(mistaken.error).toMatchObject({ class: 'GateInputError' });
    expect(wrong).toBe(1);
  });

  test('parts run side by side, and keep their order', async () => {
    const { result } = await run((workflow) =>
      workflow.map('wait for', [60_000, 30_000], async (inner, ms, index) => {
        await inner.step('begin', async () => index);
        await inner.waitUntil('the end', async () => (elapsed() >= ms ? true : undefined), {
          timeoutMs: 600_000,
          firstPauseMs: 5000,
          longestPauseMs: 5000,
        });
        return inner.step('end', async () => `${inner.id === workflow.id} ${ms}`);
      }),
    );
    expect(result).toEqual(['true 60000', 'true 30000']);
    // In one process the fake clock adds up what is slept side by side.
    expect(elapsed()).toBeLessThan(name === 'durable' ? 67_000 : 130_000);
  });

  test('of several parts that fail the first is thrown, when all have ended', async () => {
    const ended: number[] = [];
    const { error } = await run((workflow) =>
      workflow.map('fail', [3, 1, 2], async (inner, seconds) => {
        await inner.wait('a while', seconds * 1000);
        await inner.step('end', async () => void ended.push(seconds));
        throw new GateInputError(`mistake ${seconds}`, { help: 'Mend it.' });
      }),
    );
    expect(error).toEqual({
      class: 'GateInputError',
      name: 'GateInputError',
      message: 'mistake 3',
      help: 'Mend it.',
    });
    expect(ended.toSorted()).toEqual([1, 2, 3]);
  });

  test('clean-up runs after a failure', async () => {
    const cleaned = vi.fn(async () => {});
    const { error } = await run(async (workflow) => {
      try {
        await workflow.step('fail', async () => {
          throw new GateInputError('wrong');
        });
      } finally {
        await workflow.step('clean up', cleaned);
      }
    });
    expect(error).toMatchObject({ message: 'wrong' });
    expect(cleaned).toHaveBeenCalledOnce();
  });
});

describe('a durable execution', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: START });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  /** Counts how often each effect happens. */
  function program(effects: Map<string, number>): Program {
    const effect = (name: string) => async () => {
      effects.set(name, (effects.get(name) ?? 0) + 1);
      return name;
    };
    return async (workflow) => {
      const first = await workflow.step('first', effect('first'));
      await workflow.wait('a while', 5000);
      const parts = await workflow.map('parts', ['a', 'b'], async (inner, part) => {
        const begun = await inner.step('begin', effect(`begin ${part}`));
        const since = await inner.step('look at the clock', async () => Date.now());
        const late = await inner.waitUntil(
          'late',
          async () => (Date.now() >= since + 9000 ? 'late' : undefined),
          {
            timeoutMs: 60_000,
            firstPauseMs: 1000,
            longestPauseMs: 4000,
          },
        );
        return [begun, late];
      });
      const last = await workflow.step('last', effect('last'));
      return { id: workflow.id, first, parts, last };
    };
  }

  async function execute(dies: DurableService['dies']) {
    const effects = new Map<string, number>();
    const run = program(effects);
    const service = new DurableService(
      durableHandler((_event, workflow) => run(workflow)),
      sleep,
    );
    service.dies = dies;
    return { ended: await service.run({}), effects, service };
  }

  test('ends the same wherever the process dies, and repeats at most the step that it died in', async () => {
    const plain = await execute(() => undefined);
    expect(plain.ended).toMatchObject({
      result: {
        first: 'first',
        parts: [
          ['begin a', 'late'],
          ['begin b', 'late'],
        ],
        last: 'last',
      },
    });
    expect([...plain.effects.values()]).toEqual([1, 1, 1, 1]);
    expect(plain.service.checkpoints).toBeGreaterThan(10);

    for (const death of ['before it is kept', 'after it is kept'] satisfies Death[]) {
      for (let at = 0; at < plain.service.checkpoints; at++) {
        const { ended, effects, service } = await execute((checkpoint) =>
          checkpoint === at ? death : undefined,
        );
        expect(ended, `${death}, checkpoint ${at}`).toEqual(plain.ended);
        expect(service.deaths, `${death}, checkpoint ${at}`).toBe(1);
        // The two parts share checkpoints, so both may be repeated.
        const repeated = [...effects.values()].reduce((sum, count) => sum + count, 0) - 4;
        expect(repeated, `${death}, checkpoint ${at}`).toBeLessThanOrEqual(2);
      }
    }
  });

  test('a step that takes its machine down every time is given up', async () => {
    let begun = 0;
    const cleaned = vi.fn(async () => {});
    const service = new DurableService(
      durableHandler(async (_event, workflow) => {
        try {
          return await workflow.step('measure', async () => ++begun);
        } catch (error) {
          return `${error instanceof GateDependencyError} ${(error as Error).message}`;
        } finally {
          await workflow.step('clean up', cleaned);
        }
      }),
      sleep,
    );
    service.dies = (_checkpoint, updates) =>
      updates.some(({ Name, Action }) => Name === 'measure' && Action === 'SUCCEED')
        ? 'before it is kept'
        : undefined;
    const ended = await service.run({});
    expect(ended).toEqual({
      result: expect.stringMatching(/^true "measure" did not end, 5 attempts at most: /),
    });
    expect(begun).toBe(ATTEMPTS);
    expect(cleaned).toHaveBeenCalledOnce();
  });

  test('two executions have two ids, of legal characters', async () => {
    const handler = durableHandler(async (_event, workflow) => workflow.id);
    const ids = [];
    for (const name of ['one', 'two', 'two']) {
      ids.push(((await new DurableService(handler, sleep).run({}, name)) as { result: string }).result);
    }
    expect(ids[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(ids[1]).not.toBe(ids[0]);
    expect(ids[2]).toBe(ids[1]);
  });

  test('sees the event and the invocation', async () => {
    const service = new DurableService(
      durableHandler(async (event, _workflow, invocation) => [event, invocation.getRemainingTimeInMillis()]),
      sleep,
    );
    expect(await service.run({ package: 'p' })).toEqual({ result: [{ package: 'p' }, 900_000] });
  });
});

describe("the SDK's own test runner", () => {
  beforeAll(skipTime);
  afterAll(() => LocalDurableTestRunner.teardownTestEnvironment());

  test('agrees on steps, retries, waits, parts and errors', async () => {
    let calls = 0;
    const runner = new LocalDurableTestRunner({
      handlerFunction: durableHandler(async (_event, workflow) => {
        const flaky = await workflow.step('flaky', async () => {
          if (++calls < 2) throw new GateDependencyError('throttled');
          return calls;
        });
        await workflow.wait('a while', 5000);
        let asked = 0;
        const parts = await workflow.map('parts', ['a', 'b'], async (inner, part) => {
          await inner.waitUntil('two answers', async () => (++asked > 3 ? asked : undefined), {
            timeoutMs: 3_600_000,
            firstPauseMs: 1000,
            longestPauseMs: 2000,
          });
          return inner.step('name it', async () => part);
        });
        try {
          await workflow.step('wrong', async () => {
            throw new GateInputError('no such object', { help: 'Upload it.' });
          });
        } catch (error) {
          const { message, help } = error as GateInputError;
          return { flaky, parts, caught: [error instanceof GateInputError, message, help] };
        }
        return undefined;
      }),
    });
    const execution = await runner.run({ payload: {} });
    expect(execution.getResult()).toEqual({
      flaky: 2,
      parts: ['a', 'b'],
      caught: [true, 'no such object', 'Upload it.'],
    });
    expect(execution.getStatus()).toBe('SUCCEEDED');
  });

  test('an error that nobody handles fails the execution with its name and message', async () => {
    const runner = new LocalDurableTestRunner({
      handlerFunction: durableHandler(async (_event, workflow) =>
        workflow.step('wrong', async () => {
          throw new GateInputError('no such object');
        }),
      ),
    });
    const execution = await runner.run({ payload: {} });
    expect(execution.getStatus()).toBe('FAILED');
    expect(execution.getError()).toMatchObject({
      errorType: 'GateInputError',
      errorMessage: 'no such object',
    });
  });
});

describe('in one process', () => {
  function clocked(deadline: number) {
    let now = 0;
    const timers: { at: number; ring: () => void }[] = [];
    const workflow = new InProcessWorkflow({
      id: 'run-1',
      deadline,
      now: () => now,
      random: () => 0,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason));
          timers.push({ at: now + ms, ring: () => resolve(undefined) });
        }),
    });
    return {
      workflow,
      timers,
      pass: (ms: number) => {
        now += ms;
        for (const timer of timers) if (timer.at <= now) timer.ring();
      },
    };
  }

  test('a step that runs into the deadline is abandoned, and what cleans up still runs', async () => {
    const { workflow, pass } = clocked(1000);
    const cleaned = vi.fn(async () => 'cleaned');
    const work = (async () => {
      try {
        return await workflow.step('measure', () => new Promise<never>(() => {}));
      } finally {
        await workflow.step('clean up', cleaned);
      }
    })();
    const outcome = work.catch((error: unknown) => error);
    pass(1000);
    expect(await outcome).toBeInstanceOf(OutOfTimeError);
    expect(await outcome).toBeInstanceOf(GateDependencyError);
    expect((await outcome) as Error).toHaveProperty(
      'message',
      'out of time at "measure": one invocation has to do it all here',
    );
    expect(cleaned).toHaveBeenCalledOnce();
  });

  test('a wait that would end after the deadline is not begun', async () => {
    const { workflow, timers } = clocked(1000);
    await expect(workflow.wait('a while', 1001)).rejects.toThrow(OutOfTimeError);
    await expect(
      workflow.waitUntil('done', async () => undefined, {
        timeoutMs: 60_000,
        firstPauseMs: 2000,
        longestPauseMs: 2000,
      }),
    ).rejects.toThrow('out of time at "done"');
    // The pause before another attempt is one, too.
    await expect(
      workflow.step('flaky', async () => {
        throw new Error('ECONNRESET');
      }),
    ).rejects.toThrow(OutOfTimeError);
    expect(timers.filter(({ at }) => at !== 1000)).toEqual([]);
  });

  test('waits with real timers by default', async () => {
    const workflow = new InProcessWorkflow({ id: 'run-1', deadline: Date.now() + 60_000 });
    await workflow.wait('a moment', 1);
    expect(await workflow.step('work', async () => 1)).toBe(1);
  });
});

describe('pauses', () => {
  test('before attempts grow threefold to a minute, and chance takes up to a half off', () => {
    expect([1, 2, 3, 4, 5].map((attempt) => retryPauseMs(attempt, 0))).toEqual([
      2000, 6000, 18_000, 54_000, 60_000,
    ]);
    expect(retryPauseMs(1, 1)).toBe(1000);
  });

  test('between questions grow by half to the longest', () => {
    const patience = { timeoutMs: 1, firstPauseMs: 1000, longestPauseMs: 3000 };
    expect([1, 2, 3, 4].map((asked) => pauseMs(patience, asked))).toEqual([1000, 1500, 2250, 3000]);
  });
});

test.each([
  new GateInputError('a', { help: 'b' }),
  new OutOfTimeError('a'),
  new GateDependencyError('a'),
  new RangeError('a'),
])('an error survives as JSON: %s', (error) => {
  const kept = JSON.parse(JSON.stringify(keepError(error)));
  let thrown: unknown;
  try {
    unwrap({ error: kept });
  } catch (caught) {
    thrown = caught;
  }
  const { name, message } = error;
  expect(thrown).toMatchObject({ name, message });
  expect(thrown instanceof GateInputError).toBe(error instanceof GateInputError);
  expect(thrown instanceof GateDependencyError).toBe(error instanceof GateDependencyError);
  expect(thrown instanceof OutOfTimeError).toBe(error instanceof OutOfTimeError);
});
