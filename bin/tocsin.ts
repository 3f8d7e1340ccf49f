#!/usr/bin/env node
import { constants } from 'node:os';
import { Command, CommanderError } from 'commander';
import { TOCSIN_VERSION } from '../functions/shared/version.ts';
import { alarmCommand } from './commands/alarm.ts';
import { baselineCommand } from './commands/baseline.ts';
import { boardCommand } from './commands/board.ts';
import { canaryCommand } from './commands/canary.ts';
import { checkCommand } from './commands/check.ts';
import { addCompletion } from './commands/completion.ts';
import { contractCommand } from './commands/contract.ts';
import { doctorCommand } from './commands/doctor.ts';
import { drillCommand } from './commands/drill.ts';
import { evaluateCommand } from './commands/evaluate.ts';
import { parityCommand } from './commands/parity.ts';
import { profileCommand } from './commands/profile.ts';
import { readyCommand } from './commands/ready.ts';
import { rollbackCommand } from './commands/rollback.ts';
import { statusCommand } from './commands/status.ts';
import { EXIT, type Io } from './shared/cli.ts';
import { giveNotice } from './shared/interrupt.ts';
import { nodeComplaint } from './shared/node.ts';
import { removeScratch } from './shared/scratch.ts';

/*
 * The CLI. Commands are declared here and loaded when they run: a local check must not wait for an AWS client.
 */

const complaint = nodeComplaint(process.versions.node);
if (complaint !== undefined) {
  process.stderr.write(`tocsin: ${complaint}\n`);
  process.exit(EXIT.caller);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    giveNotice();
    removeScratch();
    process.exit(128 + constants.signals[signal]);
  });
}
for (const stream of [process.stdout, process.stderr]) {
  // A reader that has seen enough (`| head`) is no failure, and must not turn the verdict's exit code into one.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

const io: Io = { stdout: process.stdout, stderr: process.stderr };
const program = new Command('tocsin')
  .description('Make silent ML failures loud.')
  .version(TOCSIN_VERSION)
  .usage('COMMAND [options]')
  .helpCommand(false)
  .exitOverride()
  // Options behind a command are its own, also where the one above has some of the same name.
  .enablePositionalOptions()
  .showHelpAfterError('(add --help for what is expected)')
  .addHelpText('after', '\nFor options, exit codes and examples: tocsin COMMAND --help');
// In the order of the help, which has one line for each, so that all of them fit one screen.
for (const [command, summary] of [
  [statusCommand, 'show how the five gaps of each model stand'],
  [boardCommand, 'open the board, with the reports'],
  [readyCommand, 'refuse a release while a gap is open'],
  [checkCommand, 'judge a dataset by its contract'],
  [evaluateCommand, 'judge a model by its predictions on a holdout'],
  [canaryCommand, 'run a training pipeline on a known dataset'],
  [drillCommand, 'drill an alarm, or a rollback on staging'],
  [parityCommand, 'compare staging with production'],
  [rollbackCommand, 'roll an endpoint back, in an incident'],
  [contractCommand, 'write a contract, or find its mistakes'],
  [baselineCommand, 'manage what drift is measured from'],
  [profileCommand, 'show what a dataset looks like'],
  [alarmCommand, 'show what an alarm does to a series of values'],
  [doctorCommand, 'verify machine, configuration and deployment'],
] as const) {
  program.addCommand(command(io).summary(summary));
}
for (const command of commandsOf(program)) command.copyInheritedSettings(program);
addCompletion(program);
program.configureHelp({ subcommandTerm: (command) => command.name() });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  // Help and version were asked for; everything else that commander throws is a mistake in the command line.
  const asked = ['commander.helpDisplayed', 'commander.version'].includes(error.code);
  process.exitCode = asked ? EXIT.pass : EXIT.caller;
}

function commandsOf(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...commandsOf(child)]);
}
