import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const MAIN = 'sandbox/sagemaker/main.ts';
const TRAINER = 'test/sandbox/sagemaker/trainer.ts';

let directory: string;
let child: ChildProcess;
let ended: Promise<unknown>;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-sagemaker-'));
  child = spawn(process.execPath, [MAIN, directory], {
    env: { PATH: process.env.PATH, TMPDIR: directory },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  ended = once(child, 'exit');
});

afterEach(async () => {
  child.kill('SIGKILL');
  await ended;
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
});

async function endpoint(): Promise<string> {
  for (;;) {
    const port = await readFile(join(directory, 'sagemaker.port'), 'utf8').catch(() => '');
    if (port !== '') return `http://127.0.0.1:${port}`;
    await sleep(10);
  }
}

/** The status of ListModels, with the key of root. */
async function listModels(at: string): Promise<number> {
  const { status } = await fetch(at, {
    method: 'POST',
    headers: {
      'x-amz-target': 'SageMaker.ListModels',
      authorization: 'AWS4-HMAC-SHA256 Credential=test/20010101/us-east-1/sagemaker/aws4_request',
    },
    body: '{}',
  });
  return status;
}

describe('the process of the local SageMaker', () => {
  it('finds the account when it is there, and ends when its standard input does', async () => {
    const at = await endpoint();
    expect(await listModels(at)).toBe(503);
    await writeFile(join(directory, 'certificate.pem'), '');
    const account = { endpoint: 'https://127.0.0.1:1', certificate: join(directory, 'certificate.pem') };
    await writeFile(join(directory, 'account.json'), JSON.stringify(account));
    expect(await listModels(at)).toBe(200);
    const image = { repository: 'x', tag: 'y', command: ['node', TRAINER], sources: [TRAINER] };
    const { status } = await fetch(`${at}/_sandbox/images`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(image),
    });
    expect(status).toBe(200);
    (child.stdin as Writable).end();
    expect(await ended).toEqual([0, null]);
  });

  it('stays when it is let go, until it is told to end', async () => {
    const at = await endpoint();
    (child.stdin as Writable).end('let go');
    // Its standard input has been read to its end once it is closed.
    await once(child.stdin as Writable, 'close');
    expect(await listModels(at)).toBe(503);
    child.kill('SIGTERM');
    expect(await ended).toEqual([0, null]);
  });
});
