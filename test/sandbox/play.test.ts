import { Writable } from 'node:stream';
import { expect, it } from 'vitest';
import type { Output } from '../../sandbox/console.ts';
import { SandboxError } from '../../sandbox/errors.ts';
import { playTogether } from '../../sandbox/play.ts';
import type { Story, World } from '../../sandbox/world.ts';

type Part = Pick<World, 'transcript' | 'signal'>;

/** A story of which only what it writes and how it ends matters. */
function story(name: string, play: (part: Part) => Promise<void>): Story {
  return { name, gap: 1, title: `Gap ${name}`, plot: `How ${name} goes wrong.`, play };
}

function capture(): { output: Output; lines: () => string[] } {
  const chunks: string[] = [];
  const output: Output = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  return { output, lines: () => chunks.join('').split('\n').filter(Boolean) };
}

/** Rejects when a story is told to end, and not before. */
function untilAborted({ signal }: Part): Promise<void> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

const enter = async (_: Story, part: Part) => part as World;

it('plays stories at the same time, and they read as if one had followed the other', async () => {
  const { output, lines } = capture();
  const gate = Promise.withResolvers<void>();
  await playTogether(
    [
      // The first goes on only when the second has ended.
      story('1', async ({ transcript }) => {
        transcript.holds('begin', 'one');
        await gate.promise;
        transcript.holds('end', 'one');
      }),
      story('2', async ({ transcript }) => {
        transcript.holds('all', 'two');
        gate.resolve();
      }),
    ],
    output,
    new AbortController().signal,
    enter,
  );
  expect(lines()).toEqual([
    'Gap 1',
    '  How 1 goes wrong.',
    '  ✓ begin           one',
    '  ✓ end             one',
    'Gap 2',
    '  How 2 goes wrong.',
    '  ✓ all             two',
  ]);
});

it('ends all stories when one goes wrong, and shows what each had to say', async () => {
  const { output, lines } = capture();
  const failure = new SandboxError('story', 'expected a, got b');
  const playing = playTogether(
    [
      story('1', untilAborted),
      story('2', async ({ transcript }) => {
        transcript.note('seen', 'b');
        throw failure;
      }),
      story('3', untilAborted),
    ],
    output,
    new AbortController().signal,
    enter,
  );
  await expect(playing).rejects.toBe(failure);
  expect(lines()).toEqual([
    'Gap 1',
    '  How 1 goes wrong.',
    '  · This story ended early: another one went wrong.',
    'Gap 2',
    '  How 2 goes wrong.',
    '  · seen            b',
    '  · This story went wrong here.',
    'Gap 3',
    '  How 3 goes wrong.',
    '  · This story ended early: another one went wrong.',
  ]);
});

it('ends all stories with the reason of whoever interrupts', async () => {
  const { output, lines } = capture();
  const interruption = new AbortController();
  const playing = playTogether(
    [story('1', untilAborted), story('2', untilAborted)],
    output,
    interruption.signal,
    enter,
  );
  setImmediate(() => interruption.abort('SIGINT'));
  await expect(playing).rejects.toBe('SIGINT');
  expect(lines().some((line) => line.includes('ended early'))).toBe(false);
});
