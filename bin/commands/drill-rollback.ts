import { Command } from 'commander';
import { GateInputError } from '../../functions/shared/errors.ts';
import { columnsOf, type ExitCode, type Io, run } from '../shared/cli.ts';
import { addRunOptions, type RunOptions } from '../shared/options.ts';
import type { Clock } from '../shared/runs.ts';

export interface DrillRollbackOptions extends RunOptions {
  /** Restores what a run that died has left, and drills nothing. */
  restore?: boolean;
  /** Whether to look at the run until it ends; so where it is left out. */
  wait?: boolean;
}

export function drillRollbackCommand(io: Io): Command {
  return addRunOptions(
    new Command('rollback')
      .description('Prove that the rollback procedure makes the previous model serve again, on staging')
      .argument('[name]', 'the rollback drill of tocsin.yaml')
      .option('--restore', 'restore the endpoint that an interrupted run has left, and drill nothing')
      .option('--wait', 'look at the run until its verdict, as pipelines do (default)')
      .option('--no-wait', 'start the run, and say how to look at it'),
  )
    .addHelpText(
      'after',
      `
Starts the deployed drill and shows who answers, as it happens; at the end a picture of the whole run and the verdict.
Ctrl-C stops looking, not the run: the endpoint is restored all the same.

Exit code 0: pass; or restored, or started. 1: fail or inconclusive. 2: there is no such drill or deployment, or it runs
already. 3: something broke; or the endpoint could not be restored.

Examples:
  tocsin drill rollback flight-delay
  tocsin drill rollback flight-delay --wait --json --out evidence
  tocsin drill rollback flight-delay --no-wait
  tocsin drill rollback flight-delay --restore
  tocsin drill rollback --follow 6f1c8d0e-6a5b-4d0c-9a53-0f1a2b3c4d5e`,
    )
    .action(async (name: string | undefined, options: DrillRollbackOptions) => {
      process.exitCode = await run(io, options.json === true, () => drillRollback(name, options, io));
    });
}

/**
 * Runs a deployed rollback drill, or follows a run of one, and prints its verdict below a picture of who answered.
 *
 * @throws GateInputError, GateDependencyError where there is none
 */
export async function drillRollback(
  name: string | undefined,
  options: DrillRollbackOptions,
  io: Io,
  clock?: Clock,
): Promise<ExitCode> {
  if ((name === undefined) === (options.follow === undefined)) {
    throw new GateInputError('expected either the name of a rollback drill or --follow');
  }
  const { restore = false, wait = true } = options;
  if (name === undefined && (restore || !wait)) {
    throw new GateInputError(
      `${restore ? '--restore' : '--no-wait'} says how to begin a run, and --follow looks at one that has begun`,
    );
  }
  const { runDeployed } = await import('../shared/runs.ts');
  return runDeployed(
    {
      alias: 'RollbackDrillAlias',
      missing: 'a rollback drill in tocsin.yaml',
      payload: name === undefined ? undefined : { drill: name, ...(restore && { only: 'restore' }) },
      again: 'tocsin drill rollback --follow',
      done: restore ? 'restored' : 'drilled',
      instead: restore
        ? 'Then run the command again.'
        : 'Wait until it has ended. Where it has died, --restore restores the endpoint.',
      wait,
      picture: {
        file: 'timeline.json',
        render: async (stream, text, where) => {
          const { parseTimeline, renderTimeline } = await import('../shared/rollback-picture.ts');
          return renderTimeline(stream, parseTimeline(text, where), columnsOf(stream));
        },
      },
    },
    options,
    io,
    clock,
  );
}
