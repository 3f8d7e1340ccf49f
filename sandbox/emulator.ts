import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { SandboxError } from './errors.ts';
import { ROOT, STATE } from './paths.ts';
import { adopt, endGroup, isAlive, release } from './processes.ts';

/** The account and region that the sandbox emulates. */
export const ACCOUNT = '000000000000';
export const REGION = 'us-east-1';

/** Whoever has this key is the root of the account: ministack lets root do everything. */
export const ROOT_CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

/** How long the emulator may take until it answers. It takes 1 second, 5 on a cold disk. */
const START_MS = 60_000;

/** Where the log of the last run that failed is kept: the emulator's, and those of the services beside it. */
export const FAILURE_LOGS = {
  emulator: join(STATE, 'last-failure.log'),
  sagemaker: join(STATE, 'last-failure-sagemaker.log'),
  cloudwatch: join(STATE, 'last-failure-cloudwatch.log'),
} as const;

type Server = keyof typeof FAILURE_LOGS;
const SERVERS = Object.keys(FAILURE_LOGS) as readonly Server[];

/** The services that run here beside the emulator, and how a sentence about them begins. */
const LOCAL_SERVICES = { sagemaker: 'The local SageMaker', cloudwatch: 'The local CloudWatch' } as const;

/** Addresses of the services beside the emulator: `http://127.0.0.1:port`. */
type LocalEndpoints = Record<keyof typeof LOCAL_SERVICES, string>;

const BEGIN_ANEW = `Remove ${STATE} to have it installed again, and run npm start.`;

/** Begins the name of what belongs to one run; the id of its process follows. */
const RUN = 'tocsin-sandbox-';

/** An emulated AWS account that is running. */
export interface Emulator {
  /** `https://127.0.0.1:port` */
  endpoint: string;
  /** Of the local SageMaker, control plane and runtime: `http://127.0.0.1:port` */
  sagemaker: string;
  /** Of the local CloudWatch: `http://127.0.0.1:port` */
  cloudwatch: string;
  /** Leaders of the process groups of all of them. */
  pids: number[];
  /** What belongs to this run alone; removed at its end. */
  directory: string;
  /** What a program needs in its environment to use this account, and no other. */
  env: Record<string, string>;
  /** Lets it outlive this process. */
  letGo: () => Promise<void>;
}

/** What it takes to find and end an emulator again. */
export type Handle = Pick<Emulator, 'endpoint' | 'sagemaker' | 'cloudwatch' | 'pids' | 'directory'>;

/**
 * Starts the emulator and waits until it answers. It does not outlive this process, unless it is let go.
 *
 * @throws SandboxError where it does not start
 */
export async function startEmulator(python: string, signal: AbortSignal): Promise<Emulator> {
  await sweep();
  // Outside the checkout: Lambda functions are unpacked below it, and must find neither the modules nor the
  // package.json of the checkout ("type": "module" would make their CommonJS unreadable) in a directory above.
  const directory = await realpath(await mkdtemp(join(tmpdir(), `${RUN}${process.pid}-`)));
  // Also when this process is ended by force.
  const clean = () => rmSync(directory, { recursive: true, force: true });
  process.once('exit', clean);
  await mkdir(join(directory, 'tmp'));
  const started: Running[] = [];
  try {
    // First, because Lambda functions inherit where they are from the environment of the account.
    const local: LocalEndpoints = { sagemaker: '', cloudwatch: '' };
    for (const [name, what] of Object.entries(LOCAL_SERVICES) as [keyof LocalEndpoints, string][]) {
      const port = await launch(
        {
          name,
          what,
          program: process.execPath,
          args: [join(import.meta.dirname, name, 'main.ts'), directory],
          env: ownEnvironment(directory),
          port: join(directory, `${name}.port`),
        },
        directory,
        started,
        signal,
      );
      local[name] = `http://127.0.0.1:${port}`;
    }
    const port = await launch(
      {
        name: 'emulator',
        what: 'The emulated AWS account (ministack)',
        program: python,
        args: [join(import.meta.dirname, 'emulator.py'), directory],
        env: serverEnvironment(directory, local),
        port: join(directory, 'port'),
      },
      directory,
      started,
      signal,
    );
    const endpoint = `https://127.0.0.1:${port}`;
    const certificate = join(directory, 'certificate.pem');
    trust(await readFile(certificate, 'utf8'));
    await writeFile(join(directory, 'account.json'), JSON.stringify({ endpoint, certificate }));
    const handle = { endpoint, ...local, pids: started.map(({ pid }) => pid), directory };
    return {
      ...handle,
      env: await clientEnvironment(handle),
      letGo: async () => {
        for (const running of started) await running.letGo();
        process.removeListener('exit', clean);
      },
    };
  } catch (error) {
    await stopEmulator({ pids: started.map(({ pid }) => pid), directory }, { failed: true });
    throw error;
  }
}

/** A server to start. */
interface Launch {
  name: Server;
  /** Begins a sentence about it. */
  what: string;
  program: string;
  args: readonly string[];
  env: Record<string, string>;
  /** File that it writes its port into. */
  port: string;
}

/** A server that runs, and ends with this process unless it is let go. */
interface Running {
  pid: number;
  letGo: () => Promise<void>;
}

/**
 * Starts a server and waits until it listens.
 *
 * @param started gets it, as soon as it has to be ended
 * @returns its port
 * @throws SandboxError where it does not start
 */
async function launch(
  { name, what, program, args, env, port }: Launch,
  directory: string,
  started: Running[],
  signal: AbortSignal,
): Promise<string> {
  const log = openSync(logOf(directory, name), 'a');
  const child = spawn(program, args, {
    cwd: directory,
    env,
    detached: true,
    // It ends when its standard input does: also when this process is killed outright.
    stdio: ['pipe', log, log],
  });
  closeSync(log);
  await once(child, 'spawn').catch((cause: unknown) => {
    throw new SandboxError('world', `${program} does not start.`, { help: BEGIN_ANEW, cause });
  });
  adopt(child);
  const stdin = child.stdin as Writable;
  // That the server has ended is noticed elsewhere, and not by a pipe that broke.
  stdin.on('error', () => undefined);
  const pid = child.pid as number;
  started.push({
    pid,
    letGo: async () => {
      await new Promise<void>((resolve) => stdin.end('let go', resolve));
      release(child);
    },
  });
  await writeFile(pidFileOf(directory, name), String(pid));
  for (const deadline = Date.now() + START_MS; ; await sleep(50, undefined, { signal })) {
    // It listens when this file is there: what connects from now on is served.
    const found = await readFile(port, 'utf8').catch(() => '');
    if (found !== '') return found;
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (!ended && Date.now() < deadline) continue;
    const how = ended ? 'ended while it was starting' : `did not start within ${START_MS / 1000} s`;
    throw new SandboxError('world', `${what} ${how}.`, {
      output: endOfLog(directory, 15, { of: name }).join('\n'),
      help: BEGIN_ANEW,
    });
  }
}

/** Ends an emulator with all its processes, and removes its files; of a failed run the logs are kept. */
export async function stopEmulator(
  { pids, directory }: Pick<Handle, 'pids' | 'directory'>,
  { failed = false } = {},
): Promise<void> {
  await Promise.all(pids.map(endGroup));
  if (failed) {
    for (const server of SERVERS) {
      await copyFile(logOf(directory, server), FAILURE_LOGS[server]).catch(() => undefined);
    }
  }
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

/** The last lines that a server logged, at most `count`; only those that contain a text, where one is given. */
export function endOfLog(
  directory: string,
  count: number,
  { of = 'emulator', text = '' }: { of?: Server; text?: string } = {},
): string[] {
  const lines = readFileSync(logOf(directory, of), 'utf8').trimEnd().split('\n');
  return lines.filter((line) => line.includes(text)).slice(-count);
}

/** Makes every connection that this process opens from now on accept a certificate. */
function trust(certificate: string): void {
  setDefaultCACertificates([...getCACertificates('default'), certificate]);
}

function logOf(directory: string, server: Server): string {
  return join(directory, server === 'emulator' ? 'ministack.log' : `${server}.log`);
}

/** The id of a server that a run belongs to. */
function pidFileOf(directory: string, server: Server): string {
  return join(directory, `${server}.pid`);
}

/** Removes what runs that were killed outright left behind, of this and of other checkouts. */
async function sweep(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const starter = Number(new RegExp(`^${RUN}(\\d+)-`).exec(name)?.[1]);
    if (Number.isNaN(starter) || isAlive(starter)) continue;
    const directory = join(tmpdir(), name);
    const pids = await Promise.all(
      SERVERS.map(async (server) =>
        Number(await readFile(pidFileOf(directory, server), 'utf8').catch(() => 0)),
      ),
    );
    if (pids.some((pid) => pid !== 0 && isAlive(pid))) continue;
    // Another user's cannot be removed, and is not ours to remove.
    await rm(directory, { recursive: true, force: true }).catch(() => undefined);
  }
}

/** Nothing of the user's own, so that no secret and no setting of this machine reaches what a server starts. */
function ownEnvironment(directory: string): Record<string, string> {
  return {
    HOME: directory,
    LANG: 'C.UTF-8',
    // Lambda functions and containers run on the first `node` on it.
    PATH: toolPath(),
    TMPDIR: join(directory, 'tmp'),
  };
}

/** The environment of the emulator, and of the Lambda processes that it starts, which inherit it. */
function serverEnvironment(directory: string, local: LocalEndpoints): Record<string, string> {
  return {
    ...ownEnvironment(directory),
    ...localEndpoints(local),
    // The layer has DuckDB for Linux. A function that runs on another system finds the one of this checkout.
    ...(process.platform === 'linux' ? {} : { NODE_PATH: join(ROOT, 'node_modules') }),
    PYTHONUNBUFFERED: '1',
    AWS_ACCESS_KEY_ID: ROOT_CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ROOT_CREDENTIALS.secretAccessKey,
    MINISTACK_REGION: REGION,
    MINISTACK_ACCOUNT_ID: ACCOUNT,
    // As it appears in the addresses of queues; `localhost` may be ::1, where nobody listens.
    MINISTACK_HOST: '127.0.0.1',
    BIND_HOST: '127.0.0.1',
    // Verify signatures, and evaluate the policies of roles, buckets, queues and topics. Lambda functions then
    // run with the rights of their own role, so the grants of the stack are tested, too.
    AUTH: 'true',
    LAMBDA_EXECUTOR: 'local',
    PERSIST_STATE: '0',
    STATE_DIR: join(directory, 'state'),
    // Listeners on fixed ports, which two sandboxes would fight over.
    IOT_MTLS_ENABLED: '0',
    SFTP_ENABLED: '0',
  };
}

/** The variables that lead every SDK to the services beside the emulator, and past what it has of them. */
function localEndpoints({ sagemaker, cloudwatch }: LocalEndpoints): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_SAGEMAKER: sagemaker,
    AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: sagemaker,
    AWS_ENDPOINT_URL_APPLICATION_AUTO_SCALING: sagemaker,
    AWS_ENDPOINT_URL_CLOUDWATCH: cloudwatch,
  };
}

/** The PATH with the Node.js of this project first: that of the machine may be too old. */
function toolPath(): string {
  return [join(ROOT, 'node_modules', '.bin'), process.env.PATH].filter(Boolean).join(delimiter);
}

/** What a client has to know of an emulator. */
type ClientHandle = Omit<Handle, 'pids'>;

/** The user's environment without anything that leads to a real AWS account, and with what leads to this one. */
async function clientEnvironment(handle: ClientHandle): Promise<Record<string, string>> {
  const own = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !/^(AWS|CDK)_/.test(entry[0]),
  );
  const noProxy = [process.env.NO_PROXY ?? process.env.no_proxy, '127.0.0.1'].filter(Boolean).join(',');
  // One bundle for both: a program that installs from a registry may need the user's certificates as well.
  const certificate = await readFile(join(handle.directory, 'certificate.pem'), 'utf8');
  // A shell that still has the variables of a sandbox that was ended names a file that is gone.
  const others = await readFile(process.env.NODE_EXTRA_CA_CERTS ?? '', 'utf8').catch(() => '');
  const variables = exportsFor(handle);
  await writeFile(variables.AWS_CA_BUNDLE as string, `${certificate}\n${others}`);
  return {
    ...Object.fromEntries(own),
    PATH: toolPath(),
    ...variables,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    // A proxy would look for 127.0.0.1 on its own machine.
    NO_PROXY: noProxy,
    no_proxy: noProxy,
    CDK_DISABLE_CLI_TELEMETRY: 'true',
    CDK_DISABLE_VERSION_CHECK: 'true',
  };
}

/** The variables that lead the AWS CLI, the CDK and every SDK to the emulator. */
export function exportsFor({ endpoint, directory, ...local }: ClientHandle): Record<string, string> {
  const bundle = join(directory, 'trusted.pem');
  return {
    AWS_ENDPOINT_URL: endpoint,
    ...localEndpoints(local),
    AWS_REGION: REGION,
    AWS_DEFAULT_REGION: REGION,
    AWS_ACCESS_KEY_ID: ROOT_CREDENTIALS.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ROOT_CREDENTIALS.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
    // Of the CDK and the AWS CLI; the SDK for JavaScript trusts what Node trusts.
    AWS_CA_BUNDLE: bundle,
    NODE_EXTRA_CA_CERTS: bundle,
  };
}
