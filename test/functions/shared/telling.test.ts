import fc from 'fast-check';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { tellFailure } from '../../../functions/shared/failure.ts';
import { distinctRuns, entryOf, historyKey, pointOf } from '../../../functions/shared/history.ts';
import { sha256 } from '../../../functions/shared/identity.ts';
import { compose, type Message } from '../../../functions/shared/message.ts';
import { type Outlets, tellOnce } from '../../../functions/shared/outlets.ts';
import { noVerdictMessage } from '../../../functions/shared/run-message.ts';
import { type Telling, tellVerdict } from '../../../functions/shared/telling.ts';
import type { Outcome } from '../../../functions/shared/verdict.ts';
import type { Workflow } from '../../../functions/shared/workflow.ts';
import { CHAT, Remembering, TOPIC } from '../../support/remembering.ts';

// Nobody waits here: whoever would have published by then has.
vi.mock('node:timers/promises', () => ({
  setTimeout: () => new Promise((resolve) => setImmediate(resolve)),
}));

const NOW = Date.UTC(2001, 2, 10, 6);
const MINUTE_MS = 60_000;

/** A verdict is named by a word; the same word is the same verdict. */
const idOf = (word: string) => sha256(word).slice(0, 32);
const outcomeOf = (word: string): Outcome =>
  word.startsWith('good') ? 'pass' : word.startsWith('bad') ? 'fail' : 'inconclusive';

function messageOf(outcome: Outcome): Message {
  return compose({
    subject: `Tocsin: dataset flights ${outcome}`,
    kind: 'verdict',
    gate: 'quality-gate',
    about: 'flights',
    of: { dataset: 'flights' },
    outcome,
    headline: 'Dataset flights is judged.',
    facts: [],
    next: 'nothing.',
  });
}

function tellingOf(word: string, run: string, at: number): Telling {
  const outcome = outcomeOf(word);
  return {
    verdict: {
      gate: 'quality-gate',
      subject: 'flights',
      id: idOf(word),
      outcome,
      reason: `the reason of ${word}`,
      inputs: {},
    },
    run,
    at,
    message: () => messageOf(outcome),
    announcement: { detailType: 'Judged', detail: { word }, resource: 'flights' },
  };
}

let world: Remembering;
let outlets: Outlets;
beforeEach(() => {
  world = new Remembering();
  outlets = world.outlets();
});

const tell = (word: string, run: string, at = NOW) => tellVerdict(outlets, tellingOf(word, run, at));
const subjects = () => world.messages.map(({ subject }) => subject);
const history = () =>
  distinctRuns(world.keys('history/').map((key) => pointOf(key)!)).map(({ verdict }) => verdict);

describe('a verdict', () => {
  test('is told, announced and written down, in this order', async () => {
    await tell('bad', 'run-1');
    const run = sha256('run-1').slice(0, 8);
    const folder = `evidence/quality-gate/flights/${idOf('bad')}/`;
    const entry = entryOf(tellingOf('bad', 'run-1', NOW).verdict, 'run-1', NOW);
    expect(world.changes).toEqual([
      `PutObject ${folder}telling-notified-${run}.json`,
      `Publish ${TOPIC}`,
      `PutObject ${folder}notified-${run}.json`,
      'PutEvents',
      `PutObject ${folder}announced-${run}.json`,
      `PutObject ${historyKey(entry)}`,
    ]);
    expect(world.events).toEqual([{ type: 'Judged', detail: { word: 'bad' } }]);
  });

  test('is told to the chat by itself, and only there again where only that failed', async () => {
    outlets = world.outlets({ chat: true });
    world.left = world.changes.length + 4;
    expect(await world.dies(() => tell('bad', 'run-1'))).toBe(true);
    world.left = Number.POSITIVE_INFINITY;
    await tell('bad', 'run-1');
    const topics = world.messages.map(({ topic }) => topic);
    // The process died after SNS had taken the message for the chat, and before it was written down.
    expect(topics).toEqual([TOPIC, CHAT, CHAT]);
    expect(world.keys('evidence/').filter((key) => key.endsWith('-chat.json'))).toHaveLength(1);
  });

  test('on a part alone that passes is told once, is no recovery, and no history', async () => {
    await tell('bad', 'run-1', NOW);
    const part = { ...tellingOf('good', 'run-2', NOW + MINUTE_MS), isPart: true };
    await tellVerdict(outlets, part);
    await tellVerdict(outlets, part);
    expect(subjects().slice(1)).toEqual(['Tocsin: dataset flights pass']);
    expect(world.events).toHaveLength(2);
    expect(history()).toEqual([idOf('bad')]);
    await tell('good whole', 'run-3', NOW + 2 * MINUTE_MS);
    expect(subjects().at(-1)).toBe('Tocsin, recovered: dataset flights pass');
  });

  test('on a part alone that fails is history', async () => {
    await tellVerdict(outlets, { ...tellingOf('bad', 'run-1', NOW), isPart: true });
    expect(history()).toEqual([idOf('bad')]);
  });

  test('that comes back is told again, and one that stays is not', async () => {
    await tell('good', 'run-1', NOW);
    await tell('good', 'run-2', NOW + 1 * MINUTE_MS);
    await tell('bad', 'run-3', NOW + 2 * MINUTE_MS);
    await tell('bad', 'run-4', NOW + 3 * MINUTE_MS);
    await tell('good', 'run-5', NOW + 4 * MINUTE_MS);
    await tell('bad', 'run-6', NOW + 5 * MINUTE_MS);
    expect(subjects()).toEqual([
      'Tocsin: dataset flights pass',
      'Tocsin: dataset flights fail',
      'Tocsin, recovered: dataset flights pass',
      'Tocsin: dataset flights fail',
    ]);
    expect(world.texts[2]).toContain(
      'Recovered: it had failed since 2001-03-10T06:02:00Z (2 verdicts in a row).',
    );
    expect(history()).toHaveLength(6);
    expect(world.events).toHaveLength(4);
  });

  test('that comes back after more verdicts than are looked at is told again', async () => {
    await tell('good', 'run-0', NOW);
    for (let number = 1; number <= 201; number++) {
      const { verdict } = tellingOf(`bad-${number}`, '', 0);
      const entry = entryOf(verdict, `run-${number}`, NOW + number);
      world.objects.set(historyKey(entry), JSON.stringify(entry));
    }
    await tell('good', 'run-202', NOW + 202);
    expect(subjects()).toEqual(['Tocsin: dataset flights pass', 'Tocsin, recovered: dataset flights pass']);
    expect(world.texts[1]).toContain('Recovered: it had failed at least since');
  });

  test('of an event that comes twice is told once, also at one time', async () => {
    await Promise.all(['run-1', 'run-1', 'run-1'].map((run) => tell('bad', run)));
    expect(subjects()).toEqual(['Tocsin: dataset flights fail']);
    expect(history()).toEqual([idOf('bad')]);
  });

  test('of the same run that comes back is told each time, once, also where it dies', async () => {
    // One version of a dataset, judged by two contracts in turn.
    const words = ['bad', 'good', 'bad', 'good', 'bad'];
    for (const [index, word] of words.entries()) {
      const work = () => tell(word, 'run-1', NOW + index * MINUTE_MS);
      for (const left of [3, 5]) {
        world.left = left;
        await world.dies(work);
      }
      world.left = Number.POSITIVE_INFINITY;
      await work();
      await work();
    }
    expect(subjects()).toEqual([
      'Tocsin: dataset flights fail',
      'Tocsin, recovered: dataset flights pass',
      'Tocsin: dataset flights fail',
      'Tocsin, recovered: dataset flights pass',
      'Tocsin: dataset flights fail',
    ]);
    expect(history()).toEqual(words.toReversed().map(idOf));
  });

  test('whose process died between two others is not told twice', async () => {
    await tell('good', 'run-1', NOW);
    world.left = 3;
    expect(await world.dies(() => tell('bad', 'run-2', NOW + 1))).toBe(true);
    expect(world.changes.at(-1)).toMatch(/\/notified-/);
    world.left = Number.POSITIVE_INFINITY;
    await tell('unclear', 'run-3', NOW + 2);
    await tell('bad', 'run-2', NOW + 3);
    expect(subjects()).toEqual([
      'Tocsin: dataset flights pass',
      'Tocsin: dataset flights fail',
      // It heard nothing of the one before, which is not history yet.
      'Tocsin: dataset flights inconclusive',
    ]);
    expect(history()).toEqual([idOf('bad'), idOf('unclear'), idOf('good')]);
    expect(world.events).toHaveLength(3);
  });

  test.each([
    ['a day ahead', 86_400_000],
    ['a day behind', -86_400_000],
    ['centuries ahead', Date.UTC(2286, 0) - NOW],
    ['at the end of all time', 1e15],
  ])('by a clock that is %s does not hide the one after it', async (_, skew) => {
    await tell('good', 'run-1', NOW);
    await tell('bad', 'run-2', NOW + 1 + skew);
    await tell('good', 'run-3', NOW + 2);
    expect(subjects()).toEqual([
      'Tocsin: dataset flights pass',
      'Tocsin: dataset flights fail',
      'Tocsin, recovered: dataset flights pass',
    ]);
  });
});

/*
 * What is done is little, and what can happen is much: runs of any verdict, in any order, each of which may die after any
 * change and is tried again, by clocks that are wrong by up to a day.
 */
describe('whatever happens', () => {
  const word = fc.constantFrom('good-1', 'good-2', 'bad-1', 'bad-2', 'unclear');
  const story = fc.array(
    fc.record({
      word,
      /** After how many changes each attempt but the last one dies. */
      deaths: fc.array(fc.integer({ min: 1, max: 8 }), { maxLength: 3 }),
      skew: fc.integer({ min: -86_400_000, max: 86_400_000 }),
      chat: fc.boolean(),
    }),
    { minLength: 1, maxLength: 8 },
  );

  test('each change is told once, nothing is lost, and what was told is in order', async () => {
    await fc.assert(
      fc.asyncProperty(story, async (runs) => {
        world = new Remembering();
        let before: string | undefined;
        for (const [number, run] of runs.entries()) {
          outlets = world.outlets({ chat: run.chat });
          const work = () => tell(run.word, `run-${number}`, NOW + number * MINUTE_MS + run.skew);
          const first = { changes: world.changes.length, messages: world.messages.length };
          for (const left of run.deaths) {
            world.left = left;
            await world.dies(work);
          }
          world.left = Number.POSITIVE_INFINITY;
          await work();

          const changes = world.changes.slice(first.changes);
          const messages = world.messages.slice(first.messages);
          const isNew = run.word !== before;
          for (const topic of [TOPIC, CHAT]) {
            // Only a death right after SNS has taken it sends a message again.
            const repeated = changes.filter(
              (change, index) =>
                change === `Publish ${topic}` && changes[index + 1]?.includes('otified') === false,
            ).length;
            const once = isNew && (topic === TOPIC || run.chat) ? 1 : 0;
            expect(messages.filter((message) => message.topic === topic)).toHaveLength(once + repeated);
          }
          const recovered =
            outcomeOf(run.word) === 'pass' && before !== undefined && outcomeOf(before) !== 'pass';
          for (const { topic, subject } of messages) {
            if (topic === TOPIC) expect(subject?.startsWith('Tocsin, recovered:')).toBe(recovered);
          }
          expect(history()[0], 'the last one is the latest').toBe(idOf(run.word));
          expect(history()).toHaveLength(number + 1);
          before = run.word;
        }
      }),
      { numRuns: 150 },
    );
  });

  test('runs that wait for each other are each told at most once, and all are history', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(word, { minLength: 2, maxLength: 5 }),
        fc.array(fc.record({ run: fc.nat(4), left: fc.integer({ min: 1, max: 7 }) }), { maxLength: 12 }),
        async (words, attempts) => {
          world = new Remembering();
          outlets = world.outlets();
          const work = (number: number) => () => tell(words[number]!, `run-${number}`, NOW + number);
          let lost = 0;
          for (const { run, left } of attempts) {
            if (run >= words.length) continue;
            world.left = left;
            await world.dies(work(run));
            if (world.left === 0 && world.changes.at(-1)?.startsWith('Publish')) lost++;
          }
          world.left = Number.POSITIVE_INFINITY;
          for (const number of words.keys()) await work(number)();
          expect(world.messages.length).toBeLessThanOrEqual(words.length + lost);
          expect(history()).toHaveLength(words.length);
          // Nobody has heard of none: every verdict that there is was told.
          const told = new Set(world.events.map(({ detail }) => (detail as { word: string }).word));
          expect([...told].sort()).toEqual([...new Set(words)].sort());
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('why there is no verdict', () => {
  const runner = {
    kind: 'drill',
    gate: 'alarm-drill',
    about: 'drift',
    name: 'drift',
    title: 'alarm drill',
    question: 'the alarm fires',
    command: 'tocsin drill alarm drift',
  } as const;
  const execution = (id: string) =>
    ({ id, step: async (_: string, work: () => Promise<unknown>) => work() }) as unknown as Workflow;
  const failed = {
    gate: 'alarm-drill',
    subject: 'drift',
    about: { drill: 'drift' },
    idOf: (about: Record<string, string>) => sha256(JSON.stringify(about)).slice(0, 32),
    message: (error: Parameters<typeof noVerdictMessage>[1]) => noVerdictMessage(runner, error),
  } as const;
  const warn = () => {
    throw new Error('the owners could not be told');
  };

  test('of one mistake is told once, however many runs make it, and is no verdict', async () => {
    await tell('bad', 'run-1');
    const error = new GateInputError('there is no alarm drift');
    await Promise.all(
      ['one', 'two', 'one'].map((id) => tellFailure(execution(id), failed, error, { ...outlets, warn })),
    );
    expect(subjects()).toEqual(['Tocsin: dataset flights fail', 'Tocsin: alarm drill drift not run']);
    expect(world.keys('history/')).toHaveLength(1);
  });

  test('of trouble is told once for each execution', async () => {
    const error = new Error('throttled');
    for (const id of ['one', 'one', 'two']) {
      await tellFailure(execution(id), failed, error, { ...outlets, warn });
    }
    expect(world.messages).toHaveLength(2);
  });

  test.each([
    [undefined, 'docs/runbook.md#no-verdict'],
    ['https://wiki.example.com/tocsin', 'https://wiki.example.com/tocsin#no-verdict'],
  ])('names the runbook, %s', async (runbook, expected) => {
    outlets = world.outlets(runbook === undefined ? {} : { runbook });
    await tellFailure(execution('one'), failed, new Error('throttled'), { ...outlets, warn });
    expect(world.texts[0]).toContain(`\nRunbook:  ${expected}\n`);
    const { sqs } = JSON.parse(world.messages[0]!.message) as { sqs: string };
    expect(JSON.parse(sqs)).toMatchObject({ kind: 'no-verdict', mistake: false, runbook: expected });
  });

  test('is neither a failure nor a pass: what comes after it is compared with the verdict before it', async () => {
    await tell('bad', 'run-1', NOW);
    await tellFailure(execution('one'), failed, new Error('throttled'), { ...outlets, warn });
    await tell('good', 'run-2', NOW + MINUTE_MS);
    expect(world.texts.at(-1)).toContain(
      'Recovered: it had failed at least since 2001-03-10T06:00:00Z (1 verdict in a row).',
    );
  });
});

test('whoever dies while he tells keeps others waiting, and they tell it then', async () => {
  world.left = 1;
  const once = () => tellOnce(outlets, 'evidence/x/one.json', () => messageOf('fail'), { about: 'x' });
  expect(await world.dies(once)).toBe(true);
  world.left = Number.POSITIVE_INFINITY;
  await once();
  expect(world.messages).toHaveLength(1);
  expect(JSON.parse(world.objects.get('evidence/x/one.json') ?? '')).toEqual({
    about: 'x',
    messageId: 'message-1',
  });
});
