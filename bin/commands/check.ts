import { join } from 'node:path';
import { Command } from 'commander';
import type { LocalDataset } from '../../functions/quality-gate/profile.ts';
import type { LocatedContract } from '../../functions/quality-gate/schema.ts';
import { EXIT, type ExitCode, type Io, run, withProgress } from '../shared/cli.ts';
import { addEngineOptions, type EngineOptions, engineLimits, parseDay } from '../shared/options.ts';
import { withScratch } from '../shared/scratch.ts';

export interface CheckOptions extends EngineOptions {
  contract: string;
  baseline?: string;
  /** Milliseconds since 1970. */
  asOf?: number;
  json?: boolean;
  out?: string;
}

export function checkCommand(io: Io): Command {
  return addEngineOptions(
    new Command('check')
      .description('Judge a dataset by its contract, exactly as the deployed gate does')
      .argument('<data>', 'a file, a directory of files, or s3://bucket/key[?versionId=...]')
      .requiredOption('--contract <file>', 'what the dataset must look like')
      .option('--baseline <file>', 'the accepted profile that drift is measured from')
      .option(
        '--as-of <day>',
        'the day that freshness is measured from (default: today, or the upload)',
        parseDay,
      ),
  )
    .option('--json', 'print the verdict as JSON')
    .option('--out <directory>', 'write verdict.json, its report.html and profile.json there, too')
    .addHelpText(
      'after',
      `
Exit code 0: pass. 1: fail or inconclusive. 2: the command, the contract or the baseline is wrong. 3: something broke.

Examples:
  tocsin check flights.parquet --contract contracts/flights.yaml
  tocsin check 2001-02/ --contract contracts/flights.yaml --baseline flights-baseline.json
  tocsin check s3://data/flights/2001-02.parquet --contract contracts/flights.yaml --json | jq .reason`,
    )
    .action(async (data: string, options: CheckOptions) => {
      process.exitCode = await run(io, options.json === true, () => check(data, options, io));
    });
}

/**
 * Judges a dataset and prints the verdict.
 *
 * @throws GateInputError, GateDependencyError where there is none
 */
export async function check(data: string, options: CheckOptions, io: Io): Promise<ExitCode> {
  const { readText, writeWhole } = await import('../shared/files.ts');
  const { parseContract } = await import('../../functions/quality-gate/schema.ts');
  const contractText = await readText(options.contract, 'contract');
  const contract = parseContract(contractText, options.contract);
  const baseline =
    options.baseline === undefined ? undefined : await readBaseline(options.baseline, contract.value.dataset);

  const { verdict, measurements } = await withScratch(async (scratch) => {
    const { dataset, uri, assertUnchanged } = await open(data, contract, options, scratch, io);
    const { judge } = await import('../../functions/quality-gate/gate.ts');
    const limits = await engineLimits(options);
    const judged = await withProgress(io, `Measuring ${data}`, () =>
      judge({ dataset, uri, contract, contractText, baseline }, limits, scratch),
    );
    await assertUnchanged();
    return judged;
  });

  if (options.out !== undefined) {
    const { renderReport } = await import('../../functions/shared/report/verdict-page.ts');
    const { qualityPage } = await import('../../functions/quality-gate/report.ts');
    const report = renderReport(verdict, () =>
      qualityPage({ verdict, measurements, contract, baseline: baseline?.profile }),
    );
    const files = {
      'profile.json': `${JSON.stringify(measurements.profile)}\n`,
      'report.html': report,
      'verdict.json': `${JSON.stringify(verdict, null, 2)}\n`,
    };
    for (const [name, text] of Object.entries(files)) await writeWhole(join(options.out, name), text, name);
  }
  if (options.json === true) io.stdout.write(`${JSON.stringify(verdict, null, 2)}\n`);
  else {
    const { renderVerdict } = await import('../shared/verdict-text.ts');
    io.stdout.write(renderVerdict(io.stdout, verdict, { of: `sha256 ${verdict.inputs.sha256}` }));
  }
  return verdict.outcome === 'pass' ? EXIT.pass : EXIT.failed;
}

async function readBaseline(file: string, dataset: string) {
  const { readText } = await import('../shared/files.ts');
  const { parseProfile } = await import('../../functions/shared/baseline.ts');
  const { sha256 } = await import('../../functions/shared/identity.ts');
  const text = await readText(file, 'baseline');
  return { profile: parseProfile(text, `baseline ${file}`, dataset), sha256: sha256(text) };
}

interface Opened {
  dataset: LocalDataset;
  uri: string;
  assertUnchanged(): Promise<void>;
}

async function open(
  data: string,
  contract: LocatedContract,
  options: CheckOptions,
  scratch: string,
  io: Io,
): Promise<Opened> {
  const { asOf } = options;
  // A day that the caller gives stands above the upload, and above the period in the name.
  const on = (dataset: LocalDataset): LocalDataset =>
    asOf === undefined
      ? dataset
      : { ...dataset, uploadedAt: asOf, key: new Date(asOf).toISOString().slice(0, 10) };
  if (data.startsWith('s3://')) {
    const { downloadDataset } = await import('../shared/aws.ts');
    const { dataset, uri } = await withProgress(io, `Downloading ${data}`, () =>
      downloadDataset(data, contract, scratch),
    );
    return { dataset: on(dataset), uri, assertUnchanged: async () => {} };
  }
  const { openDataset } = await import('../shared/dataset.ts');
  const opened = await withProgress(io, `Reading ${data}`, () => openDataset(data, Date.now()));
  return { ...opened, dataset: on(opened.dataset), uri: data };
}
