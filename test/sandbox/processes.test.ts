import { describe, expect, it } from 'vitest';
import { run } from '../../sandbox/processes.ts';

const never = new AbortController().signal;
const shell = (script: string, signal = never, onLine?: (line: string) => void) =>
  run('/bin/sh', ['-c', script], { env: process.env, signal, onLine });

describe('run', () => {
  it('returns the exit code, standard output, and the end of all output', async () => {
    const lines: string[] = [];
    const result = await shell('seq 100; echo problem >&2; exit 7', never, (line) => lines.push(line));
    expect(result.code).toBe(7);
    expect(result.stdout.split('\n')).toHaveLength(100);
    expect(result.tail.split('\n')).toHaveLength(40);
    expect(lines).toHaveLength(101);
    expect(lines).toContain('problem');
  });

  it('fails where there is no such program', async () => {
    await expect(
      run('tocsin-no-such-program', [], { env: process.env, signal: never }),
    ).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  it('starts nothing once it is aborted', async () => {
    await expect(shell('exit 0', AbortSignal.abort('stop'))).rejects.toBe('stop');
  });

  // In both, what was started in the background holds standard output, and `run` waits for the end of that.
  it('ends what the program started as well, when it is aborted', async () => {
    const interruption = new AbortController();
    const started = Date.now();
    const result = shell('sleep 60 & echo ready; wait', interruption.signal, () =>
      interruption.abort('stop'),
    );
    await expect(result).rejects.toBe('stop');
    expect(Date.now() - started).toBeLessThan(20_000);
  });

  it('ends a program whose time is up', async () => {
    const result = await run('/bin/sh', ['-c', 'trap "exit 0" TERM; echo begun; sleep 60 & wait'], {
      env: process.env,
      signal: never,
      timeoutMs: 100,
    });
    expect(result).toEqual({ code: null, stdout: 'begun', tail: 'begun' });
  });

  it('ends what the program left behind', async () => {
    const started = Date.now();
    expect((await shell('sleep 60 & echo done')).stdout).toBe('done');
    expect(Date.now() - started).toBeLessThan(20_000);
  });
});
