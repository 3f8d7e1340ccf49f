import { Command } from 'commander';
import { EXIT, type ExitCode, type Io, printable, run, withProgress } from '../shared/cli.ts';
import { addEngineOptions, type EngineOptions, engineLimits } from '../shared/options.ts';
import { withScratch } from '../shared/scratch.ts';

export interface ProfileOptions extends EngineOptions {
  contract?: string;
  dataset?: string;
  save?: string;
  json?: boolean;
}

export function profileCommand(io: Io): Command {
  return addEngineOptions(
    new Command('profile')
      .description('Show what a dataset looks like, and save it as a profile')
      .argument('<data>', 'a file, or a directory of files')
      .option('--contract <file>', 'take types and personal columns from it (default: infer the types)')
      .option('--dataset <name>', "name of the dataset (default: the contract's, or from the file name)")
      .option('--save <file>', 'write the profile there as JSON; it can become a baseline'),
  )
    .option('--json', 'print the profile as JSON')
    .addHelpText(
      'after',
      `
Without a contract nothing is known to be personal: the profile then holds frequent values of every column.

Examples:
  tocsin profile flights.csv
  tocsin profile 2001-01.parquet --contract contracts/flights.yaml --save flights-baseline.json`,
    )
    .action(async (data: string, options: ProfileOptions) => {
      process.exitCode = await run(io, options.json === true, () => profile(data, options, io));
    });
}

/**
 * Measures a dataset, prints its profile and saves it.
 *
 * @throws GateInputError, GateDependencyError where it cannot be measured
 */
export async function profile(data: string, options: ProfileOptions, io: Io): Promise<ExitCode> {
  const { openDataset } = await import('../shared/dataset.ts');
  const { readText, writeWhole } = await import('../shared/files.ts');
  const { bareContract, datasetNameOf, describeMalformed, measureProfile } = await import(
    '../shared/profiles.ts'
  );
  const { parseContract } = await import('../../functions/quality-gate/schema.ts');
  const given =
    options.contract === undefined
      ? undefined
      : parseContract(await readText(options.contract, 'contract'), options.contract);

  const measurements = await withScratch(async (scratch) => {
    const { dataset, assertUnchanged } = await openDataset(data, Date.now());
    const limits = await engineLimits(options);
    return withProgress(io, `Measuring ${data}`, async () => {
      let contract = given;
      if (contract === undefined) {
        const { inferColumns } = await import('../../functions/quality-gate/adapters/infer.ts');
        const inference = await inferColumns(dataset, limits, scratch);
        contract = bareContract(options.dataset ?? datasetNameOf(data), inference);
      }
      const measured = await measureProfile(dataset, contract, limits, scratch);
      await assertUnchanged();
      return measured;
    });
  });

  const { profile: measured, malformed, actualColumns } = measurements;
  const result = { ...measured, dataset: options.dataset ?? measured.dataset };
  // A profile of a part is not what it seems: say what is not in it.
  if (malformed.count > 0) io.stderr.write(`tocsin: left out: ${describeMalformed(malformed)}\n`);
  const unnamed = actualColumns.filter((name) => !Object.hasOwn(result.columns, name));
  if (unnamed.length > 0) {
    io.stderr.write(
      `tocsin: left out, because ${options.contract} does not name them: ${printable(unnamed.join(', '))}\n`,
    );
  }
  if (options.save !== undefined) await writeWhole(options.save, `${JSON.stringify(result)}\n`, 'profile');
  if (options.json === true) io.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  else {
    const { renderProfile } = await import('../shared/profile-text.ts');
    io.stdout.write(renderProfile(io.stdout, result));
    if (options.save !== undefined) io.stdout.write(`saved to ${options.save}\n`);
  }
  return EXIT.pass;
}
