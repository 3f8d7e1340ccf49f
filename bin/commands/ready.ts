import { Command } from 'commander';
import { EXIT, type ExitCode, type Io, run } from '../shared/cli.ts';
import type { Release } from '../shared/ready.ts';

export interface ReadyOptions extends Release {
  explain?: boolean;
  json?: boolean;
  junit?: string;
}

export function readyCommand(io: Io): Command {
  return new Command('ready')
    .description('Refuse a release until all five gaps are closed by fresh verdicts on what is released')
    .requiredOption('--model <name>', 'the model of the section readiness of the configuration')
    .option('--environment <name>', 'where it is released to', 'production')
    .option('--package <arn>', "what is released (default: the newest package of the model's group)")
    .option(
      '--config <file>',
      'the configuration, with the contracts and parity.yaml beside it',
      'tocsin.yaml',
    )
    .option('--outputs <file>', 'what cdk deploy --outputs-file wrote', 'cdk-outputs.json')
    .option('--quick', 'do not read the environments of comparisons again; what is printed says so')
    .option('--explain', 'show every requirement: its verdict, its age, what it is bound to, what changed')
    .option('--json', 'print the whole judgement as JSON')
    .option('--junit <file>', 'write it as JUnit XML, too: a suite for each gap, a case for each requirement')
    .addHelpText(
      'after',
      `
A gap is closed when each of its requirements has a verdict that passes, is not older than the configuration allows, and is
bound to what is there now: the model package, datasets, contracts, alarms, endpoints and environments are read again and
compared. Nothing is changed. What cannot be found out is no pass.

Exit code 0: ready. 1: not ready. 2: the command or the configuration is wrong, or there is no such model, environment or
package. 3: something broke.

Examples:
  tocsin ready --model flight-delay
  tocsin ready --model flight-delay --environment production --explain
  tocsin ready --model flight-delay --package arn:aws:sagemaker:eu-west-1:111122223333:model-package/flight-delay/7 --junit ready.xml
  tocsin ready --model flight-delay --quick --json`,
    )
    .action(async (options: ReadyOptions) => {
      process.exitCode = await run(io, options.json === true, () => ready(options, io));
    });
}

/**
 * Judges whether a model may be released, and prints why.
 *
 * @throws GateInputError, GateDependencyError where that cannot be judged
 */
export async function ready(options: ReadyOptions, io: Io, now: () => number = Date.now): Promise<ExitCode> {
  const { examineRelease } = await import('../shared/ready.ts');
  if (options.junit !== undefined) {
    // Where nothing can be judged now, what was judged before must not be taken for it.
    const { removeFile } = await import('../shared/files.ts');
    await removeFile(options.junit, 'JUnit file');
  }
  const { readiness, package: released, store } = await examineRelease(options, now, io);
  if (options.junit !== undefined) {
    const { junitOf } = await import('../shared/ready-junit.ts');
    const { writeWhole } = await import('../shared/files.ts');
    await writeWhole(options.junit, junitOf(readiness), 'JUnit file');
  }
  const view = { package: released, explain: options.explain === true };
  if (options.json === true) {
    const { jsonOf } = await import('../shared/ready-json.ts');
    io.stdout.write(`${JSON.stringify(jsonOf(readiness, released, store), null, 2)}\n`);
  } else {
    const { renderReadiness } = await import('../shared/ready-text.ts');
    io.stdout.write(renderReadiness(io.stdout, readiness, view));
  }
  return readiness.ready ? EXIT.pass : EXIT.failed;
}
