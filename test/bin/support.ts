import { Writable } from 'node:stream';
import type { Io } from '../../bin/shared/cli.ts';

/** What a command writes, instead of a terminal. */
export interface Capture extends Io {
  out(): string;
  err(): string;
}

export function capture(): Capture {
  const texts = { out: '', err: '' };
  const sink = (name: 'out' | 'err') =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        texts[name] += chunk.toString('utf8');
        done();
      },
    });
  return { stdout: sink('out'), stderr: sink('err'), out: () => texts.out, err: () => texts.err };
}

/** What the engine gets in tests that are not about limits. */
export const ENGINE = { memory: 5e8, disk: 1e9, threads: 2, timeout: 60_000 };
