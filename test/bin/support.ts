import { Writable } from 'node:stream';
import { InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { mockClient } from 'aws-sdk-client-mock';
import type { Command } from 'commander';
import { expect, vi } from 'vitest';
import type { Io } from '../../bin/shared/cli.ts';
import type { Clock } from '../../bin/shared/runs.ts';
import { type Progress, progressKey } from '../../functions/shared/progress.ts';
import { FakeAws } from '../support/fake-aws.ts';

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

/** What a run writes down at a second of its life. */
export type Report = Partial<Pick<Progress, 'phase' | 'result' | 'error'>>;

/** The error that something ends in. */
export function failure(ended: Promise<unknown>): Promise<Error & { help?: string }> {
  return ended.then(
    () => expect.unreachable('it ended well'),
    (error) => error,
  );
}

/** The file that `cdk deploy --outputs-file` writes, of a stack with one function that can be run. */
export function outputsWith(alias: Record<string, string>): { Tocsin: Record<string, string> } {
  return {
    Tocsin: {
      EvidenceBucket: 'evidence',
      NotificationTopic: 'arn:aws:sns:eu-west-1:111122223333:verdicts',
      QualityGateRole: 'arn:aws:iam::111122223333:role/gate',
      WorkBucket: 'work',
      ...alias,
    },
  };
}

/** A deployment in memory whose functions do nothing but write down the progress that a test scripts. */
export class FakeDeployment {
  readonly aws = new FakeAws();
  readonly lambda = mockClient(LambdaClient);
  /** The run that was started last. */
  run = '';
  /** By second. */
  script: Record<number, Report> = {};
  /** Seconds since the test began. */
  seconds = 0;

  constructor() {
    vi.stubEnv('AWS_REGION', 'eu-west-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    this.lambda.on(InvokeCommand).callsFake(({ Payload }) => {
      this.run = JSON.parse(Payload as string).run;
      this.#play(0);
      return { StatusCode: 202 };
    });
  }

  /** Time that passes only when somebody waits for it. */
  readonly clock: Clock = {
    now: () => this.seconds * 1000,
    sleep: async (ms) => {
      for (const end = this.seconds + ms / 1000; this.seconds < end; ) this.#play(++this.seconds);
    },
  };

  /** Inputs of all invocations. */
  invocations(): unknown[] {
    return this.lambda.commandCalls(InvokeCommand).map(({ args }) => args[0].input);
  }

  /** Writes down where the run is. */
  report(report: Report): void {
    const progress: Progress = {
      run: this.run,
      startedAt: 0,
      updatedAt: this.seconds * 1000,
      phase: 'over',
      ...report,
    };
    this.aws.put('work', progressKey(this.run), JSON.stringify(progress));
  }

  restore(): void {
    this.aws.restore();
    this.lambda.restore();
    vi.unstubAllEnvs();
  }

  #play(second: number): void {
    const report = this.script[second];
    if (report !== undefined) this.report(report);
  }
}

/** The examples of `--help` of a command, a line each. */
export function examplesOf(command: Command | undefined): string[] {
  let help = '';
  const writeOut = (part: string) => {
    help += part;
  };
  command?.configureOutput({ writeOut }).outputHelp();
  const lines = help.split('Examples:\n')[1]?.split('\n') ?? [];
  return lines.map((line) => line.trim()).filter((line) => line !== '');
}
