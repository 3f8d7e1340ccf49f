import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { DIFFERENCE_KINDS, type DifferenceKind } from '../../functions/config-parity/kinds.ts';
import type { Snapshot } from '../../functions/config-parity/snapshot.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { formatTime } from '../../functions/shared/format.ts';
import { columnsOf, EXIT, type ExitCode, type Io, run } from '../shared/cli.ts';
import { addLocalOptions, addRunOptions, type RunOptions } from '../shared/options.ts';
import type { LocalOptions } from '../shared/parity.ts';
import type { Clock } from '../shared/runs.ts';
import { parityDocumentCommand } from './parity-document.ts';
import { parityRoleCommand } from './parity-role.ts';
import { paritySnapshotCommand } from './parity-snapshot.ts';

export interface ParityOptions extends RunOptions, LocalOptions {
  /** Whether to look at the run until it ends; so where it is left out. */
  wait?: boolean;
}

export function parityCommand(io: Io): Command {
  return addRunOptions(
    addLocalOptions(
      new Command('parity')
        .description('Compare staging with production: configuration, code, schemas and answers')
        .argument(
          '[name]',
          'the comparison of tocsin.yaml; with --offline left out: the one of the snapshots',
        )
        .enablePositionalOptions(),
    )
      .addOption(
        new Option(
          '--fail-on <kinds>',
          `with --local or --offline: undocumented differences that fail, of ${DIFFERENCE_KINDS.join(', ')}`,
        ).argParser(parseKinds),
      )
      .option('--wait', 'look at the run until its verdict, as pipelines do (default)')
      .option('--no-wait', 'start the run, and say how to look at it'),
  )
    .addHelpText(
      'after',
      `
Starts the deployed comparison, follows it, and shows what differs, side by side, above the verdict. With --local both
environments are read with your own credentials, and with --offline from two saved snapshots, which needs no AWS; what is
compared here is judged by tocsin.yaml and parity.yaml as they are here, and publishes nothing.

Exit code 0: pass; or started. 1: fail or inconclusive. 2: the command, the configuration or a snapshot is wrong, or there
is no such comparison or deployment. 3: something broke.

Examples:
  tocsin parity flight-delay
  tocsin parity flight-delay --json --out evidence
  tocsin parity flight-delay --local --fail-on schema,inference
  tocsin parity --offline staging.json production.json
  tocsin parity flight-delay --no-wait
  tocsin parity --follow 6f1c8d0e-6a5b-4d0c-9a53-0f1a2b3c4d5e
  tocsin parity snapshot flight-delay --of staging --out staging.json
  tocsin parity document flight-delay --write
  tocsin parity role flight-delay --for production --trust arn:aws:iam::111122223333:role/parity`,
    )
    .addCommand(paritySnapshotCommand(io))
    .addCommand(parityDocumentCommand(io))
    .addCommand(parityRoleCommand(io))
    .hook('preSubcommand', (command, child) => {
      const given = command.options.find(
        (option) => command.getOptionValueSource(option.attributeName()) === 'cli',
      );
      if (given !== undefined) command.error(`error: ${given.long} says nothing before "${child.name()}"`);
    })
    .action(async (name: string | undefined, options: ParityOptions) => {
      process.exitCode = await run(io, options.json === true, () => parity(name, options, io));
    });
}

function parseKinds(text: string, others: DifferenceKind[] | undefined): DifferenceKind[] {
  const kinds = text.split(',').map((part) => {
    const kind = DIFFERENCE_KINDS.find((one) => one === part.trim());
    if (kind === undefined)
      throw new InvalidArgumentError(`Expected some of ${DIFFERENCE_KINDS.join(', ')}.`);
    return kind;
  });
  return [...new Set([...(others ?? []), ...kinds])];
}

/**
 * Compares two environments, in the deployment or here, and prints the verdict below what differs.
 *
 * @throws GateInputError, GateDependencyError where there is none
 */
export async function parity(
  name: string | undefined,
  options: ParityOptions,
  io: Io,
  clock?: Clock,
): Promise<ExitCode> {
  const { follow, local = false, offline, failOn, wait = true } = options;
  const ways = [
    ...(follow === undefined ? [] : ['--follow']),
    ...(local ? ['--local'] : []),
    ...(offline === undefined ? [] : ['--offline']),
  ];
  if (ways.length > 1) throw new GateInputError(`expected one of ${ways.join(' and ')}`);
  const isHere = local || offline !== undefined;
  if (isHere && !wait)
    throw new GateInputError(`--no-wait is for the deployment, and ${ways[0]} compares here`);
  if (isHere) return parityHere(name, options, io, clock);
  if (failOn !== undefined) {
    throw new GateInputError('--fail-on is for --local and --offline: the deployment has failOn of its own', {
      help: 'Change failOn in tocsin.yaml, and deploy; or compare here.',
    });
  }
  if ((name === undefined) === (follow === undefined)) {
    throw new GateInputError('expected either the name of a comparison or --follow', {
      help: 'Names are in the section parity of tocsin.yaml.',
    });
  }
  if (name === undefined && !wait) {
    throw new GateInputError('--no-wait says how to begin a run, and --follow looks at one that has begun');
  }
  const { runDeployed } = await import('../shared/runs.ts');
  return runDeployed(
    {
      alias: 'ConfigParityAlias',
      missing: 'a comparison in tocsin.yaml',
      payload: name === undefined ? undefined : { parity: name },
      again: 'tocsin parity --follow',
      done: 'compared',
      wait,
      picture: {
        file: 'comparison.json',
        inJson: true,
        render: async (stream, text, where) => {
          const { parseEvaluation, renderDiff } = await import('../shared/parity-diff.ts');
          return renderDiff(stream, parseEvaluation(text, where), columnsOf(stream));
        },
      },
    },
    options,
    io,
    clock,
  );
}

async function parityHere(
  name: string | undefined,
  options: ParityOptions,
  io: Io,
  { now }: Pick<Clock, 'now'> = Date,
): Promise<ExitCode> {
  const { compareHere } = await import('../shared/parity.ts');
  const { sourcesOf, verdictOf } = await import('../../functions/config-parity/identity.ts');
  const { parity, staging, production, evaluation } = await compareHere(name, options, now(), io);
  const verdict = verdictOf(staging, production, evaluation, parity, sourcesOf(parity));
  if (options.out !== undefined) {
    const { layeredJson } = await import('../../functions/config-parity/layered.ts');
    const { parityPage } = await import('../../functions/config-parity/report.ts');
    const { renderReport } = await import('../../functions/shared/report/verdict-page.ts');
    const { writeWhole } = await import('../shared/files.ts');
    const files = {
      'staging.json': layeredJson(staging),
      'production.json': layeredJson(production),
      'comparison.json': layeredJson(evaluation),
      'report.html': renderReport(verdict, () =>
        parityPage(verdict, evaluation, { staging, production }, parity),
      ),
      'verdict.json': layeredJson(verdict),
    };
    for (const [file, text] of Object.entries(files)) await writeWhole(join(options.out, file), text, file);
  }
  if (options.json === true) io.stdout.write(`${JSON.stringify({ ...verdict, ...evaluation }, null, 2)}\n`);
  else {
    const { renderDiff } = await import('../shared/parity-diff.ts');
    const { renderVerdict } = await import('../shared/verdict-text.ts');
    const of = `${placeOf(staging)} and ${placeOf(production)}`;
    io.stdout.write(renderDiff(io.stdout, evaluation, columnsOf(io.stdout)));
    io.stdout.write(renderVerdict(io.stdout, verdict, { of, passed: true }));
  }
  return verdict.outcome === 'pass' ? EXIT.pass : EXIT.failed;
}

function placeOf({ side, account, region, takenAt }: Snapshot): string {
  return `${side} in ${account} (${region}) at ${formatTime(takenAt)}`;
}
