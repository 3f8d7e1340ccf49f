import { Command } from 'commander';
import { EXIT, type ExitCode, type Io, printable, run } from '../shared/cli.ts';
import { addLocalOptions } from '../shared/options.ts';
import type { LocalOptions } from '../shared/parity.ts';
import type { Clock } from '../shared/runs.ts';

export interface DocumentOptions extends LocalOptions {
  /** Appends to parity.yaml. */
  write?: boolean;
}

export function parityDocumentCommand(io: Io): Command {
  return addLocalOptions(
    new Command('document')
      .description('Propose entries of parity.yaml for differences that are not documented')
      .argument('[name]', 'the comparison of tocsin.yaml; with --offline left out: the one of the snapshots')
      .option('--write', 'append them to parity.yaml, beside the configuration')
      .option('--outputs <file>', 'what cdk deploy --outputs-file wrote', 'cdk-outputs.json'),
  )
    .addHelpText(
      'after',
      `
Both environments are read with your own credentials (as with --local), or are two saved snapshots. Each entry has a test
that holds now. Why it is so, who answers for it and until when are left for a person to fill in: until then parity.yaml is
invalid, and nothing is compared.

Exit code 0: proposed, or there is nothing to propose. 2: the command, the configuration or a snapshot is wrong, or there is
no such comparison. 3: something broke.

Examples:
  tocsin parity document flight-delay
  tocsin parity document flight-delay --write
  tocsin parity document --offline staging.json production.json`,
    )
    .action(async (name: string | undefined, options: DocumentOptions) => {
      process.exitCode = await run(io, false, () => parityDocument(name, options, io));
    });
}

/**
 * Prints entries for what is not documented, or appends them to parity.yaml.
 *
 * @throws GateInputError, GateDependencyError where the environments cannot be compared
 */
export async function parityDocument(
  name: string | undefined,
  options: DocumentOptions,
  io: Io,
  { now }: Pick<Clock, 'now'> = Date,
): Promise<ExitCode> {
  const { GateInputError } = await import('../../functions/shared/errors.ts');
  const { proposalsOf } = await import('../../functions/config-parity/propose.ts');
  const { compareHere, documentedFile } = await import('../shared/parity.ts');
  const { countEntries, withEntries } = await import('../shared/parity-file.ts');
  if (options.local === true && options.offline !== undefined) {
    throw new GateInputError('expected one of --local and --offline');
  }
  const { parity, evaluation } = await compareHere(name, options, now(), io);
  const proposed = proposalsOf(evaluation, parity);
  const tell = (text: string) => io.stderr.write(`${printable(text)}\n`);
  if (proposed === '') {
    tell(`nothing is left to document of ${parity.name}`);
    return EXIT.pass;
  }
  const { countOf } = await import('../../functions/shared/format.ts');
  const entries = countOf(countEntries(proposed), 'entry', 'entries');
  if (options.write !== true) {
    io.stdout.write(`${printable(proposed.trimEnd())}\n`);
    tell(`${entries}: say in each why, who answers for it and until when`);
    return EXIT.pass;
  }
  const file = documentedFile(options.config);
  const { exists, readText, writeWhole } = await import('../shared/files.ts');
  const before = (await exists(file)) ? await readText(file, 'documented differences') : undefined;
  await writeWhole(file, withEntries(before, parity.name, proposed), 'documented differences');
  tell(`${file}: ${entries} to fill in; say in each why, who answers for it and until when`);
  return EXIT.pass;
}
