import { Command, Option } from 'commander';
import { SIDES, type Side } from '../../functions/config-parity/kinds.ts';
import { EXIT, type ExitCode, type Io, printable, run } from '../shared/cli.ts';

export interface SnapshotOptions {
  of: Side;
  out: string;
  force?: boolean;
  config: string;
  outputs: string;
}

export function paritySnapshotCommand(io: Io): Command {
  return new Command('snapshot')
    .description(
      'Read one environment, and save it: to compare later, or with one that cannot be seen from here',
    )
    .argument('<name>', 'the comparison of tocsin.yaml')
    .addOption(new Option('--of <side>', 'which environment').choices(SIDES).makeOptionMandatory())
    .requiredOption('--out <file>', 'write the snapshot there')
    .option('--force', 'replace the file where it exists')
    .option('--config <file>', 'the configuration', 'tocsin.yaml')
    .option('--outputs <file>', 'what cdk deploy --outputs-file wrote', 'cdk-outputs.json')
    .addHelpText(
      'after',
      `
It is read with your own credentials; a role that tocsin.yaml names is assumed. Nothing is changed. Secrets are hashed as
they are read: none is in the file, which says all the same how everything is configured.

Exit code 0: everything was read. 1: something could not be read; the file says what. 2: the command or the configuration
is wrong, or there is no such comparison. 3: something broke.

Examples:
  tocsin parity snapshot flight-delay --of staging --out staging.json
  tocsin parity snapshot flight-delay --of production --out production.json --force`,
    )
    .action(async (name: string, options: SnapshotOptions) => {
      process.exitCode = await run(io, false, () => paritySnapshot(name, options, io));
    });
}

/**
 * Reads an environment and saves it.
 *
 * @throws GateInputError where there is no such comparison, or the file exists
 * @throws GateDependencyError where the environment cannot be asked
 */
export async function paritySnapshot(name: string, options: SnapshotOptions, io: Io): Promise<ExitCode> {
  const { of: side, out, config, force = false } = options;
  const { layeredJson } = await import('../../functions/config-parity/layered.ts');
  const { assertAbsent, writeWhole } = await import('../shared/files.ts');
  const { openParity } = await import('../shared/parity.ts');
  const { readLive } = await import('../shared/parity-live.ts');
  const { renderSnapshot } = await import('../shared/snapshot-text.ts');
  if (!force) await assertAbsent(out);
  const { [side]: snapshot } = await readLive(openParity(config, name), [side], options, io);
  await writeWhole(out, layeredJson(snapshot), 'snapshot');
  io.stdout.write(renderSnapshot(io.stdout, snapshot));
  io.stderr.write(`${printable(`wrote ${out}`)}\n`);
  return snapshot.unreadable.length === 0 ? EXIT.pass : EXIT.failed;
}
