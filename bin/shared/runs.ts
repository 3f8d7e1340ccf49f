import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { S3Client } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { CLIENT_OPTIONS, dependencyError, statusOf } from '../../functions/shared/aws.ts';
import { GateDependencyError, GateInputError, messageOf } from '../../functions/shared/errors.ts';
import { parseVerdict, readText } from '../../functions/shared/evidence.ts';
import { type Progress, progressKey, progressSchema, runId } from '../../functions/shared/progress.ts';
import { parseJson, parseValue, placeOf } from '../../functions/shared/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { assertAwsAccess, connectS3 } from './aws.ts';
import { EXIT, type ExitCode, type Io, printable, style } from './cli.ts';
import { readOutputs } from './deployment.ts';
import { writeWhole } from './files.ts';
import { withNotice } from './interrupt.ts';
import type { RunOptions } from './options.ts';
import { durationText, RunScreen } from './run-screen.ts';
import { renderVerdict } from './verdict-text.ts';

/*
 * Runs of deployed functions that take longer than anybody wants to hold a connection: started here, followed by the
 * progress that they write down, and read from the evidence once they are over.
 */

/** A deployed function, by the output of the stack that has its alias. */
export interface FunctionOutput {
  alias:
    | 'HoldoutEvaluationAlias'
    | 'PipelineCanaryAlias'
    | 'AlarmDrillAlias'
    | 'RollbackDrillAlias'
    | 'RollbackAlias'
    | 'ConfigParityAlias';
  /** What the stack lacks where there is no such output: `a model in tocsin.yaml`. */
  missing: string;
}

/** Which deployed function to start, and on what. */
export interface RunRequest extends FunctionOutput {
  /** Undefined where the run goes on already. */
  payload: Record<string, string> | undefined;
  /** The command that looks at a run again, without the run: `tocsin canary --follow`. */
  again: string;
  /** What the function does (default `evaluated`), for where it did not. */
  done?: string;
  /** What to do where the function did nothing. */
  instead?: string;
  /** Whether to look at the run until it ends (default true). */
  wait?: boolean;
  /** A file beside the verdict that people get a picture of. */
  picture?: {
    /** `timeline.json` */
    file: string;
    /** Whether what is in it is printed with the verdict as JSON, too (default false): it is a JSON object. */
    inJson?: boolean;
    /** @param where it is kept, for messages */
    render: (stream: Io['stdout'], text: string, where: string) => Promise<string>;
  };
}

/** Time and its passing; tests have another. */
export interface Clock {
  now: () => number;
  sleep: (ms: number) => Promise<unknown>;
}

const CLOCK: Clock = { now: Date.now, sleep };

/** A function that has not begun after this long does not: a new one begins within seconds. */
const BEGIN_MS = 15 * 60_000;

/** Pause between two looks: at first one second, of a run that takes its time five. */
const pauseAfter = (elapsedMs: number) => (elapsedMs < 60_000 ? 1000 : 5000);

/** What a run of each function can end with. */
const endSchema = z.union([
  z.object({
    outcome: z.enum(['pass', 'fail', 'inconclusive']),
    evidence: z.string().startsWith('s3://'),
    approval: z.exactOptional(z.string()),
    package: z.exactOptional(z.string()),
    drill: z.exactOptional(z.string()),
    endpoint: z.exactOptional(z.string()),
    restored: z.exactOptional(z.boolean()),
  }),
  z.object({ done: z.string() }),
  z.object({ ignored: z.string() }),
  z.object({ error: z.literal('GateInputError'), message: z.string() }),
]);

/**
 * Starts a run, or joins one, follows it to its end and prints its verdict.
 *
 * @throws GateInputError where the function refuses, or is not deployed
 * @throws GateDependencyError where there is no verdict, or AWS does not answer
 */
export async function runDeployed(
  request: RunRequest,
  options: RunOptions,
  io: Io,
  clock: Clock = CLOCK,
): Promise<ExitCode> {
  const deployed = await findDeployed(request, options.outputs);
  const run =
    options.follow === undefined
      ? await startRun(deployed, { ...request.payload })
      : parseValue(runId, options.follow, '--follow');
  const again = `${request.again} ${run} --outputs ${options.outputs}`;
  if (request.wait === false) {
    io.stdout.write(
      options.json === true
        ? `${JSON.stringify({ run }, null, 2)}\n`
        : `It runs. Look at it with: ${again}\n`,
    );
    return EXIT.pass;
  }
  const begun = options.follow !== undefined;
  const result = await followRun(deployed, { run, begun, patienceMs: options.patience, again }, io, clock);
  return conclude(deployed.s3, result, request, options, io);
}

/** Where a deployed function is, and where its runs write down how far they are. */
export interface Deployed {
  alias: string;
  bucket: string;
  s3: S3Client;
}

/**
 * Finds a function by the outputs of its stack.
 *
 * @param outputs what `cdk deploy --outputs-file` wrote
 * @throws GateInputError where it is not deployed, or the caller has no AWS region or credentials
 */
export async function findDeployed(output: FunctionOutput, outputs: string): Promise<Deployed> {
  const { [output.alias]: alias, WorkBucket: bucket } = await readOutputs(outputs);
  if (alias === undefined || bucket === undefined) {
    throw new GateInputError(`${outputs} has no output ${output.alias}`, {
      help: `Deploy again with ${output.missing}, and with --outputs-file ${outputs}.`,
    });
  }
  return { alias, bucket, s3: await connectS3() };
}

/**
 * Starts a run.
 *
 * @returns its name
 * @throws GateInputError where there is no such function
 * @throws GateDependencyError where Lambda does not answer, or refuses
 */
export async function startRun({ alias }: Deployed, payload: object): Promise<string> {
  const lambda = new LambdaClient(CLIENT_OPTIONS);
  await assertAwsAccess(lambda);
  const run = randomUUID();
  const Payload = JSON.stringify({ ...payload, run });
  try {
    await lambda.send(new InvokeCommand({ FunctionName: alias, InvocationType: 'Event', Payload }));
  } catch (error) {
    if (statusOf(error) === 404) {
      throw new GateInputError(`there is no function ${alias}`, {
        cause: error,
        help: 'Deploy again, or give the outputs of the deployment in this account and region.',
      });
    }
    throw dependencyError(`Invoke ${alias}`, error);
  }
  return run;
}

/** Which run to follow. */
export interface Followed {
  run: string;
  /** Whether it was begun earlier, so that its progress has to be there. */
  begun: boolean;
  patienceMs: number;
  /** The command that looks at it again. */
  again: string;
}

/**
 * Follows a run to its end, and says how to look at it again where a signal ends this process before.
 *
 * @returns what the function has answered
 * @throws GateInputError where it has refused, or there is no such run
 * @throws GateDependencyError where it has failed, or the patience is at its end
 */
export async function followRun(
  deployed: Deployed,
  followed: Followed,
  io: Io,
  clock: Clock = CLOCK,
): Promise<unknown> {
  const goesOn = () => io.stderr.write(`\nThe run goes on. Look at it again with: ${followed.again}\n`);
  const { result, error } = await withNotice(goesOn, () => follow(deployed, followed, io, clock));
  if (error === undefined) return result;
  // The classes have the same meaning here as there.
  const Failure = error.name === 'GateInputError' ? GateInputError : GateDependencyError;
  throw new Failure(error.message, error.help === undefined ? {} : { help: error.help });
}

/** Shows each phase of a run as it begins, and how long the run has taken by then, until it has ended. */
async function follow(
  { s3, bucket }: Deployed,
  { run, begun, patienceMs, again }: Followed,
  io: Io,
  { now, sleep: pause }: Clock,
): Promise<Progress> {
  const key = progressKey(run);
  const startedAt = now();
  const screen = new RunScreen(io);
  try {
    for (;;) {
      const stored = await readText(s3, bucket, key);
      const progress = stored && parseJson(progressSchema, stored.text, `s3://${bucket}/${key}`);
      if (progress?.result !== undefined || progress?.error !== undefined) return progress;
      const elapsed = now() - (progress?.startedAt ?? startedAt);
      if (progress === undefined && begun) {
        throw new GateInputError(`there is no run ${run}`, {
          help: 'Its progress is kept for some days only; its verdict is in the evidence bucket.',
        });
      }
      if (progress === undefined && elapsed >= BEGIN_MS) {
        throw new GateDependencyError(`the function has not begun after ${durationText(elapsed)}`, {
          help: 'Read its logs and its dead-letter queue.',
        });
      }
      if (now() - startedAt >= patienceMs) {
        throw new GateDependencyError(
          `the run has not ended after ${durationText(now() - startedAt)}; it goes on`,
          {
            help: `Look at it again with: ${again}`,
          },
        );
      }
      screen.show(progress?.phase ?? 'waiting for the function to begin', elapsed);
      await pause(pauseAfter(now() - startedAt));
    }
  } finally {
    screen.end();
  }
}

async function conclude(
  s3: S3Client,
  result: unknown,
  { done = 'evaluated', instead, picture }: RunRequest,
  options: RunOptions,
  io: Io,
): Promise<ExitCode> {
  const end = parseValue(endSchema, result, 'the answer of the function');
  if ('ignored' in end) {
    throw new GateInputError(
      `nothing was ${done}: ${end.ignored}`,
      instead === undefined ? {} : { help: instead },
    );
  }
  if ('error' in end) throw new GateInputError(end.message);
  if ('done' in end) {
    const text = options.json === true ? JSON.stringify(end, null, 2) : printable(end.done);
    io.stdout.write(`${text}\n`);
    return EXIT.pass;
  }

  const { evidence } = end;
  const stored = await readEvidence(s3, evidence);
  if (stored === undefined) throw new GateDependencyError(`there is no ${evidence}`);
  const verdict = parseVerdict<Verdict>(stored, evidence);
  if (options.out !== undefined) {
    await writeWhole(join(options.out, 'verdict.json'), stored, 'verdict');
    await keepReport(s3, evidence, options.out, io);
  }
  const more = picture === undefined ? {} : await showPicture(s3, evidence, picture, options, io);
  if (options.json === true) io.stdout.write(`${JSON.stringify({ ...verdict, result, ...more }, null, 2)}\n`);
  else {
    io.stdout.write(renderVerdict(io.stdout, verdict, { of: evidence, passed: true }));
    if (end.approval !== undefined) {
      const what = end.approval === 'unchanged' ? 'keeps its approval' : `is ${end.approval}`;
      io.stdout.write(`${printable(`${end.package} ${what}`)}\n`);
    }
  }
  if (end.restored === false) {
    const label = style(io.stderr, ['bold', 'red'], 'NOT RESTORED:');
    const restore = `tocsin drill rollback ${end.drill} --restore --outputs ${options.outputs}`;
    io.stderr.write(
      `${label} ${printable(`the endpoint ${end.endpoint} is not as it was found.\n  Restore it: ${restore}`)}\n`,
    );
  }
  return verdict.outcome === 'pass' ? EXIT.pass : EXIT.failed;
}

/** Keeps the report of a verdict. Where there is none, that is said: no verdict depends on it. */
async function keepReport(s3: S3Client, evidence: string, out: string, io: Io): Promise<void> {
  const uri = besideOf(evidence, 'report.html');
  let text: string | undefined;
  try {
    text = await readEvidence(s3, uri);
    if (text === undefined) io.stderr.write(`${printable(`no report: there is no ${uri}`)}\n`);
  } catch (error) {
    io.stderr.write(`${printable(`no report: ${messageOf(error)}`)}\n`);
  }
  if (text !== undefined) await writeWhole(join(out, 'report.html'), text, 'report');
}

/** A file beside a verdict. */
function besideOf(evidence: string, file: string): string {
  return `${evidence.slice(0, evidence.lastIndexOf('/') + 1)}${file}`;
}

/**
 * Shows the picture of a run, and keeps what it is made of. No verdict depends on it.
 *
 * @returns what is printed with the verdict as JSON
 */
async function showPicture(
  s3: S3Client,
  evidence: string,
  { file, inJson = false, render }: NonNullable<RunRequest['picture']>,
  { out, json }: RunOptions,
  io: Io,
): Promise<object> {
  const uri = besideOf(evidence, file);
  let text: string | undefined;
  let more: object = {};
  try {
    text = await readEvidence(s3, uri);
    if (text !== undefined && json !== true) io.stdout.write(await render(io.stdout, text, uri));
    if (text !== undefined && json === true && inJson) more = parseJson(z.looseObject({}), text, uri);
  } catch (error) {
    io.stderr.write(`${printable(`no picture: ${messageOf(error)}`)}\n`);
  }
  if (text !== undefined && out !== undefined) await writeWhole(join(out, file), text, file);
  return more;
}

/** @returns undefined where there is no such object */
async function readEvidence(s3: S3Client, uri: string): Promise<string | undefined> {
  const { bucket = '', key } = placeOf(uri);
  return (await readText(s3, bucket, key))?.text;
}
