import { dirname, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Inference, Omission } from '../../functions/quality-gate/contract-init.ts';
import type { LocalDataset } from '../../functions/quality-gate/profile.ts';
import type { EngineLimits } from '../../functions/shared/engine/limits.ts';
import type { Profile } from '../../functions/shared/profile.ts';
import type { Finding } from '../../functions/shared/verdict.ts';
import { EXIT, type ExitCode, type Io, run, withProgress } from '../shared/cli.ts';
import { addEngineOptions, type EngineOptions, engineLimits } from '../shared/options.ts';
import { withScratch } from '../shared/scratch.ts';

export interface InitOptions extends EngineOptions {
  dataset?: string;
  out?: string;
  baseline?: string;
  force?: boolean;
}

export function contractInitCommand(io: Io): Command {
  return addEngineOptions(
    new Command('init')
      .description('Write a first contract from what a dataset looks like')
      .argument('<data>', 'a file, or a directory of files')
      .option('--dataset <name>', 'name of the dataset (default: from the file name)')
      .option('--out <file>', 'write the contract there (default: print it)')
      .option('--baseline <file>', 'write the profile there as a baseline, and add limits on drift from it')
      .option('--force', 'replace files that exist'),
  )
    .addHelpText(
      'after',
      `
The contract passes the data that it was made from, and fails the same data with any one column zeroed, nulled,
dropped or multiplied by 100. Each limit has a comment that says what was seen: read it, and tighten it.

Examples:
  tocsin contract init flights.csv
  tocsin contract init 2001-01.parquet --dataset flights --out contracts/flights.yaml --baseline flights-baseline.json`,
    )
    .action(async (data: string, options: InitOptions) => {
      process.exitCode = await run(io, false, () => contractInit(data, options, io));
    });
}

/**
 * Infers a contract, makes sure that the data passes it, and writes it.
 *
 * @throws GateInputError where the data cannot be read, or cannot pass any contract
 */
export async function contractInit(data: string, options: InitOptions, io: Io): Promise<ExitCode> {
  const { GateInputError } = await import('../../functions/shared/errors.ts');
  const { openDataset } = await import('../shared/dataset.ts');
  const { assertAbsent, writeWhole } = await import('../shared/files.ts');
  const { bareContract, datasetNameOf, describeMalformed, measureProfile } = await import(
    '../shared/profiles.ts'
  );
  const { inferColumns } = await import('../../functions/quality-gate/adapters/infer.ts');
  for (const file of [options.out, options.baseline]) {
    if (file !== undefined && options.force !== true) await assertAbsent(file);
  }

  const asOf = Date.now();
  const name = options.dataset ?? datasetNameOf(data);
  const { text, profile } = await withScratch(async (scratch) => {
    const { dataset, assertUnchanged } = await openDataset(data, asOf);
    const limits = await engineLimits(options);
    return withProgress(io, `Measuring ${data}`, async () => {
      const inference = await inferColumns(dataset, limits, scratch);
      const measured = await measureProfile(dataset, bareContract(name, inference), limits, scratch);
      const { malformed, profile: seen } = measured;
      if (malformed.count > 0) {
        throw new GateInputError(`${data} has ${describeMalformed(malformed)}, which no contract accepts`, {
          help: 'Mend the file first.',
        });
      }
      if (seen.rows === 0) {
        throw new GateInputError(`${data} has no rows, which say nothing about the next ones`);
      }
      const found = {
        inference,
        profile: seen,
        source: data,
        asOf,
        baseline: options.baseline !== undefined,
      };
      const written = await writeContract(found, dataset, limits, scratch, await schemaFrom(options.out));
      await assertUnchanged();
      return { text: written, profile: seen };
    });
  });

  if (options.baseline !== undefined) {
    await writeWhole(options.baseline, `${JSON.stringify(profile)}\n`, 'baseline');
    io.stderr.write(`wrote the baseline ${options.baseline}\n`);
  }
  if (options.out === undefined) io.stdout.write(text);
  else {
    await writeWhole(options.out, text, 'contract');
    const check = ['tocsin check', data, '--contract', options.out];
    if (options.baseline !== undefined) check.push('--baseline', options.baseline);
    io.stderr.write(
      `wrote ${options.out}, which ${data} passes; read it, tighten it, then: ${check.join(' ')}\n`,
    );
  }
  return EXIT.pass;
}

interface Found {
  inference: Inference;
  profile: Profile;
  source: string;
  asOf: number;
  baseline: boolean;
}

/** Attempts at a contract that its own data passes; each leaves out what the one before failed. */
const ATTEMPTS = 3;

/** The text of a contract that the data passes: an estimate of a key or too few rows for drift may prevent it at first. */
async function writeContract(
  found: Found,
  dataset: LocalDataset,
  limits: EngineLimits,
  scratch: string,
  schema: string | undefined,
): Promise<string> {
  const { GateInputError } = await import('../../functions/shared/errors.ts');
  const { sha256 } = await import('../../functions/shared/identity.ts');
  const { initContract } = await import('../../functions/quality-gate/contract-init.ts');
  const { parseContract } = await import('../../functions/quality-gate/schema.ts');
  const { judge } = await import('../../functions/quality-gate/gate.ts');
  const omit = new Set<Omission>();
  let worst: Finding | undefined;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const contractText = initContract({ ...found, omit, ...(schema !== undefined && { schema }) });
    const question = {
      dataset,
      uri: found.source,
      contract: parseContract(contractText, 'the inferred contract'),
      contractText,
      ...(found.baseline && {
        baseline: { profile: found.profile, sha256: sha256(JSON.stringify(found.profile)) },
      }),
    };
    const { verdict } = await judge(question, limits, scratch);
    if (verdict.outcome === 'pass') return contractText;
    const open = verdict.findings.filter(({ outcome }) => outcome === 'fail' || outcome === 'inconclusive');
    const omissions = open.map(omissionFor);
    worst = open[omissions.indexOf(undefined)] ?? open[0];
    if (omissions.includes(undefined)) break;
    for (const omission of omissions) if (omission !== undefined) omit.add(omission);
  }
  throw new GateInputError(`${found.source} passes no contract as it is: ${worst?.message}`, {
    help: 'Mend the data first.',
  });
}

/** What to leave out of a contract whose own data does not pass a check; undefined for what must not be left out. */
function omissionFor({ check, column }: Finding): Omission | undefined {
  if (check === 'key') return 'key';
  if (check === 'freshness' || check === 'future') return 'freshness';
  return /^(drift-|new-categories$|vanished-categories$)/.test(check) && column !== undefined
    ? `drift ${column}`
    : undefined;
}

/** Path of the JSON Schema from the contract, for editors; undefined where it is not near it. */
async function schemaFrom(out: string | undefined): Promise<string | undefined> {
  const { exists } = await import('../shared/files.ts');
  // The same two steps up from the source and from the bundle.
  const schema = fileURLToPath(new URL('../../docs/schemas/contract.schema.json', import.meta.url));
  const outside = relative(process.cwd(), schema).startsWith('..');
  if (out === undefined || outside || !(await exists(schema))) return undefined;
  return relative(dirname(out), schema).split(sep).join('/');
}
