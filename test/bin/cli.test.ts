import { PassThrough } from 'node:stream';
import { WriteStream } from 'node:tty';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { bytes, EXIT, inOrder, printable, run, style, table, withProgress } from '../../bin/shared/cli.ts';
import { GateDependencyError, GateInputError } from '../../functions/shared/errors.ts';
import { capture } from './support.ts';

/** A terminal, as far as styling and progress ask. */
function terminal() {
  const stream = Object.assign(new PassThrough(), {
    isTTY: true,
    getColorDepth: WriteStream.prototype.getColorDepth,
  });
  return { stream, text: () => String(stream.read() ?? '') };
}

describe('what was thrown', () => {
  const fail = (error: unknown) => async (json: boolean) => {
    const io = capture();
    const code = await run(io, json, () => Promise.reject(error));
    return { code, out: io.out(), err: io.err() };
  };

  test('by a wrong caller is exit code 2, with the way out', async () => {
    const thrown = fail(new GateInputError('no such file', { help: 'Look again.' }));
    expect(await thrown(false)).toEqual({
      code: EXIT.caller,
      out: '',
      err: 'tocsin: no such file\n  Look again.\n',
    });
    expect(JSON.parse((await thrown(true)).out)).toEqual({
      error: { kind: 'caller', message: 'no such file', help: 'Look again.' },
    });
  });

  test('by a broken world is exit code 3', async () => {
    const { code, err } = await fail(new GateDependencyError('the disk is full'))(false);
    expect({ code, err }).toEqual({ code: EXIT.broken, err: 'tocsin: the disk is full\n' });
  });

  test('by a bug is exit code 3, with its stack', async () => {
    const { code, err } = await fail(new TypeError('x is undefined'))(false);
    expect(code).toBe(EXIT.broken);
    expect(err).toMatch(/TypeError: x is undefined\n {4}at .*cli\.test\.ts/);
    expect((await fail('just a text')(false)).err).toBe('tocsin: just a text\n');
  });
});

describe('colours', () => {
  beforeEach(() => {
    for (const name of ['NO_COLOR', 'FORCE_COLOR', 'NODE_DISABLE_COLORS', 'CI']) vi.stubEnv(name, undefined);
    vi.stubEnv('TERM', 'xterm-256color');
    return () => vi.unstubAllEnvs();
  });

  test('are for terminals', () => {
    expect(style(terminal().stream, 'red', 'x')).toBe('\u001b[31mx\u001b[39m');
    expect(style(capture().stdout, 'red', 'x')).toBe('x');
  });

  test('never go against NO_COLOR', () => {
    vi.stubEnv('NO_COLOR', '1');
    expect(style(terminal().stream, 'red', 'x')).toBe('x');
  });
});

describe('a table', () => {
  const lines = (...rows: string[][]) =>
    table(
      capture().stdout,
      rows.map((cells) => cells.map((text) => ({ text }))),
    );

  test('aligns by what a terminal shows, without trailing blanks', () => {
    expect(lines(['a', 'b'], ['wide', ''], ['東京', 'c'], ['e\u0301', 'd'])).toEqual([
      'a     b',
      'wide',
      '東京  c',
      'e\u0301     d',
    ]);
    const right = table(capture().stdout, [
      [{ text: '1', align: 'right' }],
      [{ text: '100', align: 'right' }],
    ]);
    expect(right).toEqual(['  1', '100']);
  });

  test('shortens what is long, and keeps control characters out', () => {
    const [line] = lines(['x'.repeat(500), 'a\u001b[2Jb\nc']);
    expect(line).toBe(`${'x'.repeat(47)}…  a\\u001b[2Jb c`);
  });
});

test('text from data cannot change the terminal', () => {
  expect(printable('a\u0000\u001b]0;x\u0007\u009b\u202eb\nc')).toBe(
    'a\\u0000\\u001b]0;x\\u0007\\u009b\\u202eb\nc',
  );
});

test('mistakes are told from top to end', () => {
  const at = (file: string, line: number, column: number) => ({ file, line, column, path: '', message: '' });
  const mistakes = [at('b', 1, 1), at('a', 10, 2), at('a', 10, 1), at('a', 9, 5)];
  expect(inOrder(mistakes)).toEqual([at('a', 9, 5), at('a', 10, 1), at('a', 10, 2), at('b', 1, 1)]);
});

test.each([
  [0, '0 bytes'],
  [999, '999 bytes'],
  [13_493_022, '13.5 MB'],
  [5e15, '5000 TB'],
])('%d bytes are %s', (value, text) => {
  expect(bytes(value)).toBe(text);
});

describe('progress', () => {
  afterEach(() => {
    vi.useRealTimers();
  });

  test('is shown on a terminal from the first second on, and erased', async () => {
    vi.useFakeTimers();
    const { stream, text } = terminal();
    const done = withProgress({ stdout: stream, stderr: stream }, 'Measuring x', async () => {
      await vi.advanceTimersByTimeAsync(900);
      expect(text()).toBe('');
      await vi.advanceTimersByTimeAsync(1200);
      return 7;
    });
    expect(await done).toBe(7);
    expect(text()).toBe('\r\u001b[KMeasuring x … 1 s\r\u001b[KMeasuring x … 2 s\r\u001b[K');
  });

  test('says anew each second what is done, and is never wrapped', async () => {
    vi.useFakeTimers();
    const { stream, text } = terminal();
    let part = 0;
    const what = () => `Reading part ${++part} of many`;
    await withProgress({ stdout: stream, stderr: Object.assign(stream, { columns: 26 }) }, what, () =>
      vi.advanceTimersByTimeAsync(2000),
    );
    expect(text()).toBe('\r\u001b[KReading part 1 … 1 s\r\u001b[KReading part 2 … 2 s\r\u001b[K');
  });

  test('is not shown elsewhere, nor of short steps', async () => {
    const { stream, text } = terminal();
    await withProgress({ stdout: stream, stderr: stream }, 'Measuring x', async () => 1);
    expect(text()).toBe('');
    vi.useFakeTimers();
    const io = capture();
    await withProgress(io, 'Measuring x', () => vi.advanceTimersByTimeAsync(5000));
    expect(io.err()).toBe('');
  });
});
