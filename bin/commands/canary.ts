import { Command } from 'commander';
import { GateInputError } from '../../functions/shared/errors.ts';
import { type ExitCode, type Io, run } from '../shared/cli.ts';
import { addRunOptions, type RunOptions } from '../shared/options.ts';
import type { Clock } from '../shared/runs.ts';

export function canaryCommand(io: Io): Command {
  return addRunOptions(
    new Command('canary')
      .description('Run a training pipeline on a known dataset and on a corrupted one, in the deployment')
      .argument('[name]', 'the canary of tocsin.yaml'),
  )
    .addHelpText(
      'after',
      `
Starts the deployed canary and shows what it does. Ctrl-C stops looking, not the run.

Exit code 0: pass. 1: fail or inconclusive. 2: there is no such canary or deployment. 3: something broke.

Examples:
  tocsin canary flight-delay
  tocsin canary flight-delay --json | jq .reason
  tocsin canary --follow 6f1c8d0e-6a5b-4d0c-9a53-0f1a2b3c4d5e`,
    )
    .action(async (name: string | undefined, options: RunOptions) => {
      process.exitCode = await run(io, options.json === true, () => canary(name, options, io));
    });
}

/**
 * Runs a deployed canary, or follows a run of one, and prints its verdict.
 *
 * @throws GateInputError, GateDependencyError where there is none
 */
export async function canary(
  name: string | undefined,
  options: RunOptions,
  io: Io,
  clock?: Clock,
): Promise<ExitCode> {
  if ((name === undefined) === (options.follow === undefined)) {
    throw new GateInputError('expected either the name of a canary or --follow');
  }
  const { runDeployed } = await import('../shared/runs.ts');
  return runDeployed(
    {
      alias: 'PipelineCanaryAlias',
      missing: 'a canary in tocsin.yaml',
      payload: name === undefined ? undefined : { canary: name },
      again: 'tocsin canary --follow',
    },
    options,
    io,
    clock,
  );
}
