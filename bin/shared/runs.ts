import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import type { S3Client } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { CLIENT_OPTIONS, dependencyError, statusOf } from '../../functions/shared/aws.ts';
import { GateDependencyError, GateInputError } from '../../functions/shared/errors.ts';
import { parseVerdict, readText } from '../../functions/shared/evidence.ts';
import { type Progress, progressKey, progressSchema, runId } from '../../functions/shared/progress.ts';
import { parseJson, parseValue } from '../../functions/shared/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { assertAwsAccess, connectS3 } from './aws.ts';
import { EXIT, type ExitCode, type Io, printable } from './cli.ts';
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

/** Which deployed function to start, and on what. */
export interface RunRequest {
  /** Output of the stack with the alias of the function. */
  alias: 'HoldoutEvaluationAlias' | 'PipelineCanaryAlias' | 'AlarmDrillAlias';
  /** What the stack lacks where there is no such output: `a model in tocsin.yaml`. */
  missing: string;
  /** Undefined where the run goes on already. */
  payload: Record<string, string> | undefined;
  /** The command that looks at a run again, without the run: `tocsin canary --follow`. */
  again: string;
  /** What the function does (default `evaluated`), for where it did not. */
  done?: string;
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
  }),
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
  const outputs = await readOutputs(options.outputs);
  const { [request.alias]: alias, WorkBucket: bucket } = outputs;
  if (alias === undefined || bucket === undefined) {
    throw new GateInputError(`${options.outputs} has no output ${request.alias}`, {
      help: `Deploy again with ${request.missing}, and with --outputs-file ${options.outputs}.`,
    });
  }
  const s3 = await connectS3();
  let run: string;
  if (options.follow !== undefined) run = parseValue(runId, options.follow, '--follow');
  else {
    run = randomUUID();
    await start(alias, { ...request.payload, run });
  }
  const again = `${request.again} ${run} --outputs ${options.outputs}`;
  const goesOn = () => io.stderr.write(`\nThe run goes on. Look at it again with: ${again}\n`);
  const progress = await withNotice(goesOn, () =>
    follow(
      { s3, bucket, run, begun: options.follow !== undefined, patienceMs: options.patience, again },
      io,
      clock,
    ),
  );
  return conclude(s3, progress, request, options, io);
}

async function start(alias: string, payload: Record<string, string | undefined>): Promise<void> {
  const lambda = new LambdaClient(CLIENT_OPTIONS);
  await assertAwsAccess(lambda);
  try {
    await lambda.send(
      new InvokeCommand({ FunctionName: alias, InvocationType: 'Event', Payload: JSON.stringify(payload) }),
    );
  } catch (error) {
    if (statusOf(error) === 404) {
      throw new GateInputError(`there is no function ${alias}`, {
        cause: error,
        help: 'Deploy again, or give the outputs of the deployment in this account and region.',
      });
    }
    throw dependencyError(`Invoke ${alias}`, error);
  }
}

interface Followed {
  s3: S3Client;
  bucket: string;
  run: string;
  /** Whether it was begun earlier, so that its progress has to be there. */
  begun: boolean;
  patienceMs: number;
  /** The command that looks at it again. */
  again: string;
}

/** Shows each phase of a run as it begins, and how long the run has taken by then, until it has ended. */
async function follow(
  { s3, bucket, run, begun, patienceMs, again }: Followed,
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
  { result, error }: Progress,
  { done = 'evaluated' }: RunRequest,
  options: RunOptions,
  io: Io,
): Promise<ExitCode> {
  if (error !== undefined) {
    // The classes have the same meaning here as there.
    const Failure = error.name === 'GateInputError' ? GateInputError : GateDependencyError;
    throw new Failure(error.message);
  }
  const end = parseValue(endSchema, result, 'the answer of the function');
  if ('ignored' in end) throw new GateInputError(`nothing was ${done}: ${end.ignored}`);
  if ('error' in end) throw new GateInputError(end.message);

  const { evidence } = end;
  const { bucket, key } = addressOf(evidence);
  const stored = await readText(s3, bucket, key);
  if (stored === undefined) throw new GateDependencyError(`there is no ${evidence}`);
  const verdict = parseVerdict<Verdict>(stored.text, evidence);
  if (options.out !== undefined) await writeWhole(join(options.out, 'verdict.json'), stored.text, 'verdict');
  if (options.json === true) io.stdout.write(`${JSON.stringify({ ...verdict, result }, null, 2)}\n`);
  else {
    io.stdout.write(renderVerdict(io.stdout, verdict, { of: evidence, passed: true }));
    if (end.approval !== undefined) {
      const what = end.approval === 'unchanged' ? 'keeps its approval' : `is ${end.approval}`;
      io.stdout.write(`${printable(`${end.package} ${what}`)}\n`);
    }
  }
  return verdict.outcome === 'pass' ? EXIT.pass : EXIT.failed;
}

function addressOf(uri: string): { bucket: string; key: string } {
  const [, bucket = '', key = ''] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  return { bucket, key };
}
