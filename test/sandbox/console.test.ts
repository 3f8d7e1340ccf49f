import { Writable } from 'node:stream';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type Output, seconds, Transcript, Turns, wrap } from '../../sandbox/console.ts';

const ERASE = '\r\u001b[K';

/** An output that keeps what is written. */
function capture(terminal?: { columns: number }): { output: Output; text: () => string } {
  const chunks: string[] = [];
  const output: Output = new Writable({
    decodeStrings: false,
    write(chunk, _encoding, done) {
      chunks.push(chunk);
      done();
    },
  });
  if (terminal !== undefined) Object.assign(output, { isTTY: true, columns: terminal.columns });
  return { output, text: () => chunks.join('') };
}

describe('Turns', () => {
  it('let the first be read at once, and the others in their order', () => {
    const { output, text } = capture();
    const turns = new Turns(output);
    const [first, second, third] = [turns.take(), turns.take(), turns.take()];
    second.output.write('2a ');
    first.output.write('1a ');
    third.output.write('3a ');
    expect(text()).toBe('1a ');
    second.end();
    first.output.write('1b ');
    expect(text()).toBe('1a 1b ');
    first.end();
    expect(text()).toBe('1a 1b 2a 3a ');
    third.output.write('3b ');
    expect(text()).toBe('1a 1b 2a 3a 3b ');
  });

  it('let one that comes when all have ended write at once', () => {
    const { output, text } = capture();
    const turns = new Turns(output);
    turns.take().end();
    turns.take().output.write('next');
    expect(text()).toBe('next');
  });

  it('are as wide as the terminal', () => {
    const { output } = capture({ columns: 72 });
    expect(new Turns(output).take().output).toMatchObject({ isTTY: true, columns: 72 });
  });
});

describe('Transcript', () => {
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });

  it('aligns texts behind their labels, and goes on below them', () => {
    const { output, text } = capture();
    const transcript = new Transcript(output);
    transcript.heading('A part');
    transcript.holds('locked', `${'word '.repeat(20)}end`);
    transcript.note('', 'no label');
    transcript.quote('said');
    expect(text()).toBe(
      [
        '',
        'A part',
        `  ✓ locked          ${Array(18).fill('word').join(' ')}`,
        `${' '.repeat(20)}word word end`,
        '  · no label',
        `${' '.repeat(20)}said`,
        '',
      ].join('\n'),
    );
  });

  it('writes neither colours nor a spinner where there is no terminal', async () => {
    const { output, text } = capture();
    await new Transcript(output).step(
      'slow',
      () => new Promise((resolve) => setTimeout(resolve, 250)),
      () => 'done',
    );
    expect(text()).toMatch(/^ {2}✓ slow {12}done, 0\.[23] s\n$/);
  });

  it('shows on a terminal how long a step has taken, and erases that at its end', async () => {
    vi.stubEnv('NO_COLOR', undefined);
    vi.stubEnv('FORCE_COLOR', '1');
    vi.useFakeTimers();
    const { output, text } = capture({ columns: 80 });
    const transcript = new Transcript(output);
    let finish = (_result: string) => {};
    const step = transcript.step(
      'slow',
      () => new Promise<string>((resolve) => (finish = resolve)),
      (result) => result,
    );
    await vi.advanceTimersByTimeAsync(100);
    expect(text()).toBe(`${ERASE}  \u001b[36m⠋\u001b[39m slow            \u001b[2m0.1 s\u001b[22m`);
    transcript.raw('output of a program');
    expect(text().endsWith(`${ERASE}    output of a program\n`)).toBe(true);
    finish('done');
    await step;
    expect(text().endsWith(`${ERASE}  \u001b[32m✓\u001b[39m slow            done, 0.1 s\n`)).toBe(true);
    const length = text().length;
    await vi.advanceTimersByTimeAsync(1000);
    expect(text()).toHaveLength(length);
  });

  it('marks a step that failed, and passes the error on', async () => {
    const { output, text } = capture();
    const step = new Transcript(output).step(
      'cdk deploy',
      () => Promise.reject(new Error('no')),
      () => 'never',
    );
    await expect(step).rejects.toThrow('no');
    expect(text()).toBe('  ✗ cdk deploy      after 0.0 s\n');
  });

  it('ends with what is wrong, how to mend it, and what the program printed, within bounds', () => {
    const { output, text } = capture();
    new Transcript(output).failure({
      message: 'cdk deploy failed.',
      help: 'See below.',
      output: `first\n${'x'.repeat(5000)}`,
    });
    expect(text()).toBe(`\n  ✗ cdk deploy failed.\n    See below.\n\n    first\n    ${'x'.repeat(1000)}…\n`);
  });

  it('fits a narrow terminal, and does not use all of a wide one', () => {
    for (const [columns, widest] of [
      [72, 72],
      [300, 110],
      [20, 60],
    ] as const) {
      const { output, text } = capture({ columns });
      new Transcript(output).text('word '.repeat(100));
      const widths = text()
        .split('\n')
        .map((line) => line.length);
      expect(Math.max(...widths)).toBeLessThanOrEqual(widest);
      expect(Math.max(...widths)).toBeGreaterThan(widest - 6);
    }
  });
});

describe('wrap', () => {
  it('breaks between words only', () => {
    expect(wrap('aa bbb cccccccc d', 6)).toEqual(['aa bbb', 'cccccccc', 'd']);
  });
});

describe('seconds', () => {
  it.each([
    [0, '0.0 s'],
    [949, '0.9 s'],
    [9_949, '9.9 s'],
    [9_950, '10 s'],
    [59_400, '59 s'],
    [59_600, '1 min 0 s'],
    [125_000, '2 min 5 s'],
  ])('%d ms is %s', (milliseconds, text) => {
    expect(seconds(milliseconds)).toBe(text);
  });
});
