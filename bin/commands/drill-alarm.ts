import { Command } from 'commander';
import { GateInputError } from '../../functions/shared/errors.ts';
import { type ExitCode, type Io, run } from '../shared/cli.ts';
import { addRunOptions, type RunOptions } from '../shared/options.ts';
import type { Clock } from '../shared/runs.ts';

export interface DrillAlarmOptions extends RunOptions {
  /** Judges the configuration of the alarm alone. */
  proof?: boolean;
}

export function drillAlarmCommand(io: Io): Command {
  return addRunOptions(
    new Command('alarm')
      .description('Prove that an alarm fires at the intended threshold, in time, and reaches somebody')
      .argument('[name]', 'the alarm drill of tocsin.yaml')
      .option('--proof', 'read and judge the configuration of the alarm alone: seconds, and nothing is made'),
  )
    .addHelpText(
      'after',
      `
Starts the deployed drill and shows what it does, with the states of its alarms. Ctrl-C stops looking, not the run.

Exit code 0: pass. 1: fail or inconclusive. 2: there is no such drill or deployment, or it runs already. 3: something broke.

Examples:
  tocsin drill alarm drift
  tocsin drill alarm drift --proof
  tocsin drill alarm drift --json --out evidence
  tocsin drill alarm --follow 6f1c8d0e-6a5b-4d0c-9a53-0f1a2b3c4d5e`,
    )
    .action(async (name: string | undefined, options: DrillAlarmOptions) => {
      process.exitCode = await run(io, options.json === true, () => drillAlarm(name, options, io));
    });
}

/**
 * Runs a deployed alarm drill, or follows a run of one, and prints its verdict.
 *
 * @throws GateInputError, GateDependencyError where there is none
 */
export async function drillAlarm(
  name: string | undefined,
  options: DrillAlarmOptions,
  io: Io,
  clock?: Clock,
): Promise<ExitCode> {
  if ((name === undefined) === (options.follow === undefined)) {
    throw new GateInputError('expected either the name of an alarm drill or --follow');
  }
  const { proof = false } = options;
  if (proof && name === undefined) {
    throw new GateInputError('--proof says how to begin a run, and --follow looks at one that has begun');
  }
  const { runDeployed } = await import('../shared/runs.ts');
  return runDeployed(
    {
      alias: 'AlarmDrillAlias',
      missing: 'an alarm drill in tocsin.yaml',
      payload: name === undefined ? undefined : { drill: name, ...(proof && { only: 'proof' }) },
      again: 'tocsin drill alarm --follow',
      done: 'drilled',
    },
    options,
    io,
    clock,
  );
}
