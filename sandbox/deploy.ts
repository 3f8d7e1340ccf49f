import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { seconds } from './console.ts';
import { ACCOUNT, type Emulator, REGION } from './emulator.ts';
import { SandboxError } from './errors.ts';
import { ROOT } from './paths.ts';
import { run } from './processes.ts';

const STACK = 'Tocsin';

/** How long one command of the CDK may take. Both take 10 seconds, 30 on a machine that is busy. */
const PATIENCE_MS = 300_000;

/** What this deployment differs in: the functions run here, and the emulator has no Lambda durable functions. */
export const CONTEXT = [`architecture=${architecture()}`, 'durable=false'] as const;

/** Outputs of the deployed stack, by name. */
export type Outputs = Record<string, string>;

interface Options {
  signal: AbortSignal;
  onLine?: ((line: string) => void) | undefined;
}

/** Processor of this machine, in AWS's words. */
export function architecture(): 'arm64' | 'x86_64' {
  return process.arch === 'arm64' ? 'arm64' : 'x86_64';
}

/**
 * `cdk bootstrap`, as for any account.
 *
 * @throws SandboxError with the end of what it printed
 */
export async function bootstrap(emulator: Emulator, options: Options): Promise<void> {
  // Away from cdk.json: with an app the CDK would synthesise it first, which the account does not depend on.
  await cdk(emulator, emulator.directory, ['bootstrap', `aws://${ACCOUNT}/${REGION}`], options);
}

/** Where the outputs of the stack are, as the CLI reads them. */
export function outputsFile({ directory }: Pick<Emulator, 'directory'>): string {
  return join(directory, 'outputs.json');
}

/**
 * `cdk deploy` of the app as it is, but for {@link CONTEXT}.
 *
 * @returns the outputs of the stack
 * @throws SandboxError with the end of what it printed
 */
export async function deploy(emulator: Emulator, options: Options): Promise<Outputs> {
  const file = outputsFile(emulator);
  await cdk(
    emulator,
    ROOT,
    [
      ...['deploy', STACK, '--require-approval', 'never', '--outputs-file', file],
      ...CONTEXT.flatMap((value) => ['--context', value]),
      // Its own, so that it meets neither a `cdk synth` nor another sandbox.
      ...['--output', join(emulator.directory, 'cdk.out')],
    ],
    options,
  );
  const outputs = JSON.parse(await readFile(file, 'utf8')) as Record<string, Outputs>;
  const own = outputs[STACK];
  if (own === undefined) throw new SandboxError('world', `cdk deploy left no outputs of ${STACK}.`);
  return own;
}

async function cdk(
  { env }: Emulator,
  cwd: string,
  [command = '', ...args]: string[],
  { signal, onLine }: Options,
): Promise<void> {
  const program = join(ROOT, 'node_modules', '.bin', 'cdk');
  const result = await run(program, [command, ...args, '--no-color', '--no-notices'], {
    cwd,
    env,
    signal,
    timeoutMs: PATIENCE_MS,
    onLine,
  });
  if (result.code !== 0) {
    const how = result.code === null ? `did not end within ${seconds(PATIENCE_MS)}` : 'failed';
    throw new SandboxError('world', `cdk ${command} ${how}.`, {
      output: result.tail,
      help: 'See the end of its output below, and all of it with npm start -- --verbose.',
    });
  }
}
