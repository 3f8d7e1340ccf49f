import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { constants } from 'node:os';
import { join, relative } from 'node:path';
import { type Arguments, helpText, parseArguments } from './arguments.ts';
import { gapLines, saveBoard } from './board.ts';
import { seconds, Transcript } from './console.ts';
import { architecture, bootstrap, CONTEXT, deploy, type Outputs } from './deploy.ts';
import { ACCOUNT, type Emulator, FAILURE_LOGS, REGION, startEmulator, stopEmulator } from './emulator.ts';
import { EXIT, SandboxError } from './errors.ts';
import { ENVIRONMENT_FILE, findKept, keepRunning, OUTPUTS_FILE, stopKept } from './kept.ts';
import { ROOT, STATE } from './paths.ts';
import { playTogether } from './play.ts';
import { ensurePython } from './python.ts';
import { alarmDrill } from './stories/alarm-drill.ts';
import { holdout } from './stories/holdout.ts';
import { parity } from './stories/parity.ts';
import { qualityGate } from './stories/quality-gate.ts';
import { rollbackDrill } from './stories/rollback-drill.ts';
import { type Story, World } from './world.ts';

/** They depend on nothing that another one does. The quickest first: what the others say is read after it. */
const STORIES: readonly Story[] = [qualityGate, holdout, parity, rollbackDrill, alarmDrill];

const transcript = new Transcript(process.stdout);

/** @returns the exit code */
async function main(argv: readonly string[], signal: AbortSignal): Promise<number> {
  try {
    const options = parseArguments(argv, STORIES);
    if (options.command === 'help') process.stdout.write(helpText(STORIES));
    else if (process.platform === 'win32') {
      throw new SandboxError('world', 'The sandbox runs on Linux and macOS only.', {
        help: 'On Windows, run npm start inside WSL.',
      });
    } else if (options.command === 'stop') await stop(signal);
    else await play(options, signal);
    return EXIT.ok;
  } catch (error) {
    return report(error, signal);
  }
}

/** Says what ended the run, and returns the exit code for it. */
function report(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) {
    transcript.failure({ message: 'Interrupted. Everything that was started has been ended.' });
    return 128 + constants.signals[signal.reason as NodeJS.Signals];
  }
  if (error instanceof SandboxError) transcript.failure(error);
  else {
    // Not foreseen: a bug here, or a call that the emulator does not answer as AWS does.
    const { name, message, stack } = error as Error;
    transcript.failure({ message: `${name}: ${message}`, output: stack });
  }
  const kind = error instanceof SandboxError ? error.kind : 'world';
  // Wrong usage leaves that of an earlier run where it is.
  for (const [server, log] of Object.entries(FAILURE_LOGS)) {
    if (kind !== 'usage' && existsSync(log)) transcript.note(`${server} log`, relative(ROOT, log));
  }
  return EXIT[kind];
}

async function play({ keep, verbose, stories }: Arguments, signal: AbortSignal): Promise<void> {
  const started = performance.now();
  const kept = keep ? await findKept(signal) : undefined;
  if (kept !== undefined) {
    throw new SandboxError('usage', `A sandbox was left running already, at ${kept.endpoint}.`, {
      help: 'End it first, with npm start -- --stop; or run npm start without --keep beside it.',
    });
  }
  for (const log of Object.values(FAILURE_LOGS)) await rm(log, { force: true });
  const options = { signal, onLine: verbose ? (line: string) => transcript.raw(line) : undefined };

  transcript.heading('An AWS account, emulated on this machine');
  const { python, ministack } = await transcript.step(
    'python',
    () => ensurePython(options),
    ({ reused, ministack }) =>
      `${reused ? 'has' : 'installed'} ministack ${ministack} in ${relative(ROOT, STATE)}/`,
  );
  const emulator = await transcript.step(
    'emulator',
    () => startEmulator(python, signal),
    ({ endpoint, sagemaker, cloudwatch }) =>
      `serves ${endpoint}, SageMaker at ${sagemaker}, CloudWatch at ${cloudwatch}`,
  );
  let outputs: Outputs | undefined;
  let failed = true;
  try {
    await transcript.step(
      'cdk bootstrap',
      () => bootstrap(emulator, options),
      () => 'as in any account',
    );
    const deployed = await transcript.step(
      'cdk deploy',
      () => deploy(emulator, options),
      () => `deployed tocsin.yaml for ${architecture()}`,
    );
    outputs = deployed;
    await playTogether(
      STORIES.filter(({ name }) => stories.includes(name)),
      process.stdout,
      signal,
      async ({ name }, own) => {
        const directory = join(emulator.directory, name);
        await mkdir(directory);
        return new World({ emulator, outputs: deployed, directory, verbose, ...own });
      },
    );
    const { directory } = emulator;
    const world = new World({ emulator, outputs: deployed, transcript, signal, directory, verbose });
    if (stories.length === STORIES.length) await lookOver(world);
    transcript.heading('What was not real');
    for (const fact of notReal(ministack)) transcript.note('', fact);
    await showBoard(world);
    failed = false;
    transcript.heading(`All as it must be, in ${seconds(performance.now() - started)}.`);
  } finally {
    // A story that went wrong is what one wants to look into; a deployment that failed left nothing to use.
    if (keep && outputs !== undefined && !signal.aborted) await leaveRunning(emulator, outputs, stories);
    else await stopEmulator(emulator, { failed });
  }
}

/** Lets the CLI look over the deployment: only after all stories everything is there that tocsin.yaml speaks of. */
async function lookOver(world: World): Promise<void> {
  const outputs = world.outputsFile;
  transcript.heading('The deployment, after all stories');
  await transcript.step(
    'tocsin doctor',
    () => world.tocsin(['doctor', '--outputs', outputs]),
    () => 'finds nothing wrong: buckets are locked, baselines are there, people are told',
  );
}

/** Shows how the gaps stand now, and where to look at the reports. */
async function showBoard(world: World): Promise<void> {
  transcript.heading('The board, after all stories');
  const { board } = await transcript.step(
    'tocsin board',
    () => saveBoard(world),
    ({ page }) => `shows every verdict; saved with its reports as ${page}`,
  );
  for (const { label, text } of gapLines(board)) transcript.note(label, text);
}

/** What a reader has to know about the stand-in for AWS before believing a story. */
function notReal(ministack: string): string[] {
  return [
    `AWS was ministack ${ministack}. It verifies signatures, and enforces the deployed policies of roles, bucket, topic and queues; but the root of the account, who deployed and uploaded here, may do everything, and tags that come with an upload are not held against the policy. Five condition keys and the names of parameters were corrected to be as on AWS, and events of SageMaker and CloudWatch let through (sandbox/emulator.py).`,
    'SageMaker was that of sandbox/sagemaker/. It holds the deployed policies against every call, by iam-simulate, but believes the access key in a signature; containers were Node.js processes of this machine, not cut off from its network, and instance types only names.',
    'CloudWatch was that of sandbox/cloudwatch/. It evaluates alarms by the rules that AWS documents, and acts where the policies of topics, keys and functions let it; it gets no metrics of AWS services, so the alarms of the gates themselves were deployed, not tried.',
    'Lambda ran the deployed bundle and layer as a Node.js process of this machine, with the rights of its role, but without limits on memory and /tmp, and without retries of events: dead-letter queues were deployed, not tried. It has no durable functions here: one invocation carried each evaluation.',
    ...(process.platform === 'linux'
      ? []
      : ['The library of DuckDB in the layer is for Linux: here the function took that of this checkout.']),
  ];
}

async function leaveRunning(emulator: Emulator, outputs: Outputs, played: readonly string[]): Promise<void> {
  await keepRunning(emulator);
  const file = relative(ROOT, OUTPUTS_FILE);
  transcript.heading(`Left running: ${emulator.endpoint}`);
  transcript.raw(
    [
      `. ./${relative(ROOT, ENVIRONMENT_FILE)}`,
      `aws s3 cp FILE s3://${outputs.DataBucket}/flights/2001-03.parquet`,
      `aws s3 ls --recursive s3://${outputs.EvidenceBucket}/`,
      ...(played.includes(holdout.name) ? packageCommands() : []),
      ...(played.includes(rollbackDrill.name)
        ? [`npm run -s tocsin -- drill rollback flight-delay --outputs ${file}`]
        : []),
      ...['board', 'status', 'doctor'].map((command) => `npm run -s tocsin -- ${command} --outputs ${file}`),
      ['npx cdk diff', ...CONTEXT.map((value) => `--context ${value}`)].join(' '),
      'npm start -- --stop',
    ].join('\n'),
  );
}

/** How to look at the packages that the story of the holdout leaves: the first Approved, the second Rejected. */
function packageCommands(): string[] {
  const arn = `arn:aws:sagemaker:${REGION}:${ACCOUNT}:model-package/flight-delay`;
  return [
    'aws sagemaker list-model-packages --model-package-group-name flight-delay',
    ...[1, 2].map((version) => `aws sagemaker describe-model-package --model-package-name ${arn}/${version}`),
  ];
}

async function stop(signal: AbortSignal): Promise<void> {
  const endpoint = await stopKept(signal);
  transcript.text(
    endpoint === undefined ? 'No sandbox was left running here.' : `Ended the sandbox at ${endpoint}.`,
  );
}

const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    // The second time by force: a hook on the end of this process kills what still runs.
    if (interruption.signal.aborted) process.exit(128 + constants.signals[name]);
    interruption.abort(name);
  });
}
process.exit(await main(process.argv.slice(2), interruption.signal));
