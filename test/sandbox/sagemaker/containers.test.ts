import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { create } from 'tar';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isAlive, run } from '../../../sandbox/processes.ts';
import { type Container, runToEnd, serve, unpackModel } from '../../../sandbox/sagemaker/containers.ts';
import { type Image, ImageRegistry } from '../../../sandbox/sagemaker/images.ts';

/** Expects what becomes true soon; a busy machine may take its time. */
const eventually = (look: () => unknown) => expect.poll(look, { timeout: 30_000, interval: 20 });

const PROGRAM = join(import.meta.dirname, '../../support/container.ts');
const image: Image = { command: ['node', PROGRAM] };

let directory: string;
const containers: Container[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-containers-'));
});

afterEach(async () => {
  await Promise.all(containers.splice(0).map((container) => container.stop()));
  await rm(directory, { recursive: true, force: true });
});

async function started(env: Record<string, string> = {}, startMs?: number): Promise<Container> {
  const container = await serve(image, {
    env: { ...env, PIDS_FILE: join(directory, 'pids') },
    modelDirectory: directory,
    ...(startMs !== undefined && { startMs }),
  });
  containers.push(container);
  return container;
}

const ask = async (container: Container, body: string, timeoutMs = 10_000, signal?: AbortSignal) => {
  const answer = await container.invoke(Buffer.from(body), { accept: 'text/csv' }, { timeoutMs, signal });
  return { status: answer.status, body: answer.body.toString() };
};

/** Whole lines only: the file is there, and empty, before the first process id is in it. */
const pids = async () =>
  [...(await readFile(join(directory, 'pids'), 'utf8')).matchAll(/^(\d+)\n/gm)].map(([, pid]) => Number(pid));

async function onlyPid(): Promise<number> {
  const [pid, ...others] = await pids();
  if (pid === undefined || others.length > 0) throw new Error('not one container was started');
  return pid;
}

async function gone(pid: number): Promise<void> {
  await eventually(() => isAlive(pid)).toBe(false);
}

describe('serve', () => {
  it('waits for /ping, then answers with the model of its directory', async () => {
    await writeFile(join(directory, 'model.json'), '{"factor": 10}');
    const container = await started();
    expect(await container.ping()).toBe(true);
    expect(await ask(container, '1,2\n3,4\n')).toEqual({ status: 200, body: '30\n70' });
    expect(await ask(container, 'boom')).toEqual({ status: 500, body: 'cannot predict this record' });
  });

  it('gives the container its own variables, and PATH alone of ours', async () => {
    process.env.TOCSIN_SECRET_OF_THE_USER = 'secret';
    const container = await started({ THRESHOLD: '0.5' });
    delete process.env.TOCSIN_SECRET_OF_THE_USER;
    const env = JSON.parse((await ask(container, 'env')).body);
    expect(env).toMatchObject({ THRESHOLD: '0.5', SM_MODEL_DIR: directory, PATH: process.env.PATH });
    // The shell adds its own.
    expect(
      Object.keys(env)
        .filter((name) => !['PWD', 'OLDPWD', 'SHLVL', '_'].includes(name))
        .sort(),
    ).toEqual(['HOME', 'PATH', 'PIDS_FILE', 'SAGEMAKER_BIND_TO_PORT', 'SM_MODEL_DIR', 'THRESHOLD', 'TMPDIR']);
    expect(env.HOME).not.toBe(process.env.HOME);
  });

  it('passes headers and bytes on as they are', async () => {
    const container = await started();
    const answer = await container.invoke(
      Buffer.from('echo\n'),
      { 'content-type': 'text/csv; header=absent', accept: 'application/json' },
      { timeoutMs: 10_000 },
    );
    expect(answer.headers['content-type']).toBe('application/json');
    expect(JSON.parse(answer.body.toString())).toMatchObject({
      headers: { 'content-type': 'text/csv; header=absent', 'content-length': '5' },
      body: 'echo\n',
    });
  });

  it.each([
    [{ PING: 'exit' }, undefined, 'exit', /The container ended. no model here/],
    [{ PING: '503' }, 100, 'ping', 'The container did not pass the ping health check in 0.1 s.'],
  ])('fails where the container does not become healthy: %j', async (env, startMs, kind, message) => {
    await expect(started(env, startMs)).rejects.toMatchObject({
      name: 'ContainerError',
      kind,
      message: expect.stringMatching(message),
    });
    // It may have been ended before it wrote that down.
    for (const pid of await pids().catch(() => [])) await gone(pid);
  });

  it('says that there is no such program', async () => {
    await expect(
      serve({ command: ['tocsin-no-such-program'] }, { env: {}, modelDirectory: directory }),
    ).rejects.toMatchObject({ kind: 'exit', message: expect.stringContaining('tocsin-no-such-program') });
  });

  it('tells a late answer, an aborted one and one that broke off', async () => {
    const container = await started();
    await expect(ask(container, 'hang', 50)).rejects.toMatchObject({
      kind: 'timeout',
      message: 'The container did not answer within 0.05 s.',
    });
    const interruption = new AbortController();
    const asked = ask(container, 'hang', 10_000, interruption.signal);
    interruption.abort('stopped');
    await expect(asked).rejects.toBe('stopped');
    await expect(ask(container, 'die')).rejects.toMatchObject({ kind: 'answer' });
    const pid = await onlyPid();
    await gone(pid);
    await eventually(() => container.ping()).toBe(false);
    await expect(ask(container, '1')).rejects.toMatchObject({ kind: 'exit' });
  });

  it('ends with its process, and when it is stopped', async () => {
    const container = await started();
    const pid = await onlyPid();
    await container.stop();
    expect(isAlive(pid)).toBe(false);
    await container.stop();
  });

  it('starts nothing once it is aborted, and ends what starts', async () => {
    const options = { env: { PING: 'slow', PIDS_FILE: join(directory, 'pids') }, modelDirectory: directory };
    await expect(serve(image, { ...options, signal: AbortSignal.abort('stop') })).rejects.toBe('stop');
    const interruption = new AbortController();
    const serving = serve(image, { ...options, signal: interruption.signal });
    await eventually(() => pids().catch(() => [])).toHaveLength(1);
    interruption.abort('stop');
    await expect(serving).rejects.toBe('stop');
    await gone(await onlyPid());
  });

  it('does not outlive its server, even one that is killed outright', async () => {
    const script = `
      const { serve } = await import(${JSON.stringify(join(import.meta.dirname, '../../../sandbox/sagemaker/containers.ts'))});
      await serve(${JSON.stringify(image)}, {
        env: { PIDS_FILE: ${JSON.stringify(join(directory, 'pids'))} }, modelDirectory: ${JSON.stringify(directory)},
      });
      process.kill(process.pid, 'SIGKILL');`;
    const ended = await run('node', ['--input-type=module', '--eval', script], {
      // It cannot tidy up.
      env: { ...process.env, TMPDIR: directory },
      signal: AbortSignal.timeout(20_000),
    });
    expect(ended.code).toBeNull();
    const pid = await onlyPid();
    await gone(pid);
  });
});

describe('runToEnd', () => {
  it('returns the exit code and the end of the output', async () => {
    const lines: string[] = [];
    const end = await runToEnd(image, {
      env: { SM_HP_DEPTH: '4', TRAIN: '2' },
      onLine: (line) => lines.push(line),
    });
    expect(end.code).toBe(2);
    expect(lines.sort()).toEqual(['a warning', 'training with 4']);
    expect(end.tail.split('\n').sort()).toEqual(lines);
  });

  it('is ended by its signal', async () => {
    const interruption = new AbortController();
    const running = runToEnd(image, {
      env: { TRAIN: 'hang' },
      onLine: () => interruption.abort('stopped'),
      signal: interruption.signal,
    });
    await expect(running).rejects.toBe('stopped');
  });
});

describe('unpackModel', () => {
  const unpack = (archive: Uint8Array) => unpackModel(Readable.from([archive]), join(directory, 'out'));

  beforeEach(() => mkdir(join(directory, 'out')));

  it('unpacks files and directories', async () => {
    await mkdir(join(directory, 'in/code'), { recursive: true });
    await writeFile(join(directory, 'in/code/trees.json'), '[]');
    await create({ gzip: true, cwd: join(directory, 'in'), file: join(directory, 'model.tar.gz') }, ['.']);
    await unpack(await readFile(join(directory, 'model.tar.gz')));
    expect(await readFile(join(directory, 'out/code/trees.json'), 'utf8')).toBe('[]');
  });

  it.each([
    ['../evil', '0', 'path contains'],
    ['/tmp/evil', '0', 'absolute'],
    ['link', '2', 'neither a file nor a directory'],
    ['hard', '1', 'neither a file nor a directory'],
    ['pipe', '6', 'neither a file nor a directory'],
  ])('refuses %s of type %s', async (path, type, message) => {
    await expect(
      unpack(gzipSync(entry(path, type, '12'.includes(type) ? '/etc/passwd' : ''))),
    ).rejects.toThrow(message);
  });

  it('refuses what is no archive', async () => {
    await expect(unpack(Buffer.from('hello'))).rejects.toThrow(/archive/i);
    await expect(unpack(gzipSync(Buffer.alloc(1024, 'x')))).rejects.toThrow(/archive|checksum/i);
    await expect(unpack(gzipSync(Buffer.alloc(4096, 'x')).subarray(0, 20))).rejects.toThrow();
  });

  it('refuses an entry that is too large, before it is unpacked', async () => {
    await expect(unpack(gzipSync(entry('big', '0', '', 5 * 1024 ** 3)))).rejects.toThrow(
      /more than 4294967296 bytes/,
    );
  });
});

/** An archive of one entry without content, by the format of POSIX. */
function entry(path: string, type: string, link: string, size = 0): Buffer {
  const header = Buffer.alloc(512);
  header.write(path, 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write(link, 157);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, Buffer.alloc(1024)]);
}

describe('ImageRegistry', () => {
  const address = '000000000000.dkr.ecr.us-east-1.amazonaws.com/models/delay';
  const definition = (source: string, tag = 'v1') => ({
    repository: 'models/delay',
    tag,
    command: ['node', source],
    sources: [source],
  });

  it('resolves by tag and by digest, which an edited program changes', async () => {
    const source = join(directory, 'model.ts');
    await writeFile(source, 'one');
    const images = new ImageRegistry();
    const registered = await images.register(definition(source));
    expect(registered).toEqual({
      address: `${address}:v1`,
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    const byTag = await images.resolve(`${address}:v1`);
    expect(byTag).toEqual({
      digest: registered.digest,
      address: `${address}@${registered.digest}`,
      image: { command: ['node', source] },
    });
    expect(await images.resolve(`${address}@${registered.digest}`)).toEqual(byTag);

    await writeFile(source, 'two');
    expect((await images.resolve(`${address}:v1`))?.digest).not.toBe(registered.digest);
    expect(await images.resolve(`${address}@${registered.digest}`)).toBeUndefined();
    await rm(source);
    expect(await images.resolve(`${address}:v1`)).toBeUndefined();
  });

  it('finds a program of the checkout, and tells commands apart', async () => {
    const images = new ImageRegistry();
    const { digest } = await images.register(definition('test/support/container.ts', 'latest'));
    const other = await images.register({
      ...definition('test/support/container.ts'),
      command: ['node', 'test/support/container.ts', '--fast'],
    });
    expect(other.digest).not.toBe(digest);
    expect(await images.resolve(address)).toMatchObject({ digest, image });
    // The tag has moved; the digest stays.
    await images.register({ ...definition('sandbox/paths.ts', 'latest') });
    expect((await images.resolve(`${address}:latest`))?.digest).not.toBe(digest);
    expect(await images.resolve(`${address}@${digest}`)).toMatchObject({ digest, image });
  });

  it('knows no image of another account, and none that was not registered', async () => {
    const images = new ImageRegistry();
    await images.register(definition(PROGRAM));
    for (const none of [
      '111111111111.dkr.ecr.us-east-1.amazonaws.com/models/delay:v1',
      'models/delay:v1',
      `${address}:v2`,
      `${address}@sha256:${'0'.repeat(64)}`,
      `${address}-other:v1`,
    ]) {
      expect(await images.resolve(none), none).toBeUndefined();
    }
  });

  it('refuses what is no image', async () => {
    const images = new ImageRegistry();
    await expect(images.register({ ...definition(PROGRAM), repository: 'Models' })).rejects.toThrow(
      'image: repository: expected a repository name of ECR, got "Models"',
    );
    await expect(images.register(definition(join(directory, 'none.ts')))).rejects.toThrow(
      /image models\/delay:v1: ENOENT/,
    );
  });
});
