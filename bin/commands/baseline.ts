import { Command } from 'commander';
import type { Profile } from '../../functions/shared/profile.ts';
import { EXIT, type ExitCode, type Io, integer, printable, run } from '../shared/cli.ts';

export interface PromoteOptions {
  /** Local: copy `profile` to this file. */
  to?: string;
  profile?: string;
  dataset?: string;
  verdict?: string;
  evidenceBucket?: string;
  /** Why a profile that was not accepted may become the baseline all the same. */
  force?: string;
}

export function baselineCommand(io: Io): Command {
  return new Command('baseline').description('Manage what drift is measured from').addCommand(
    new Command('promote')
      .description('Make a profile the baseline of its dataset, in a file or in a deployment')
      .option('--profile <file>', 'a profile, as tocsin profile --save or tocsin check --out wrote it')
      .option('--verdict <id>', 'the profile that the deployed gate measured for this verdict')
      .option('--to <file>', 'local: the baseline file')
      .option('--dataset <name>', 'deployed: name of the dataset')
      .option('--evidence-bucket <name>', 'deployed: output EvidenceBucket (env: TOCSIN_EVIDENCE_BUCKET)')
      .option('--force <reason>', 'deployed: promote it although its verdict is not pass; say why')
      .addHelpText(
        'after',
        `
A deployed baseline is replaced only if it is still the one that was shown. Earlier ones stay as versions of the object.

Examples:
  tocsin baseline promote --profile new.json --to flights-baseline.json
  tocsin baseline promote --dataset flights --verdict 0123456789abcdef0123456789abcdef --evidence-bucket my-evidence`,
      )
      .action(async (options: PromoteOptions) => {
        process.exitCode = await run(io, false, () => promoteBaseline(options, io));
      }),
  );
}

/**
 * Makes a profile the baseline, in a file or in the evidence bucket.
 *
 * @throws GateInputError where the options do not fit together, the profile is damaged, or its dataset was rejected
 */
export async function promoteBaseline(options: PromoteOptions, io: Io): Promise<ExitCode> {
  const { GateInputError } = await import('../../functions/shared/errors.ts');
  const bucket = options.evidenceBucket ?? process.env.TOCSIN_EVIDENCE_BUCKET;
  if (options.to !== undefined) {
    if (options.profile === undefined || options.verdict !== undefined || options.force !== undefined) {
      throw new GateInputError('--to takes a --profile, and neither --verdict nor --force');
    }
    return promoteFile(options.profile, options.to, options.dataset, io);
  }
  if (options.dataset === undefined || (options.profile === undefined) === (options.verdict === undefined)) {
    throw new GateInputError('expected --profile with --to, or --dataset with either --verdict or --profile');
  }
  if (bucket === undefined || bucket === '') {
    throw new GateInputError('the evidence bucket is not known', {
      help: 'Give --evidence-bucket or TOCSIN_EVIDENCE_BUCKET: the output EvidenceBucket of the stack.',
    });
  }
  return promoteDeployed({ ...options, dataset: options.dataset, bucket }, io);
}

async function promoteFile(from: string, to: string, dataset: string | undefined, io: Io): Promise<ExitCode> {
  const { readProfile } = await import('../shared/profiles.ts');
  const { codeOf, writeWhole } = await import('../shared/files.ts');
  const { profile, text } = await readProfile(from, dataset);
  const before = await readProfile(to, profile.dataset).catch((error: Error) => {
    if (codeOf(error.cause) === 'ENOENT') return undefined;
    throw error;
  });
  await writeWhole(to, text, 'baseline');
  io.stdout.write(describeChange(profile, before?.profile, to));
  return EXIT.pass;
}

type Deployed = PromoteOptions & { dataset: string; bucket: string };

async function promoteDeployed({ dataset, bucket, ...options }: Deployed, io: Io): Promise<ExitCode> {
  const { readProfile } = await import('../shared/profiles.ts');
  const { connectS3 } = await import('../shared/aws.ts');
  const { readAccepted, readCurrent, replaceBaseline } = await import('../shared/baselines.ts');
  const { parseProfile } = await import('../../functions/shared/baseline.ts');
  const s3 = await connectS3();
  const { profile, text } =
    options.verdict === undefined
      ? await readProfile(options.profile ?? '', dataset)
      : await readAccepted(s3, bucket, dataset, options.verdict, options.force);
  const current = await readCurrent(s3, bucket, dataset);
  // A damaged baseline is one of the reasons to replace it.
  const before =
    current === undefined ? undefined : attempt(() => parseProfile(current.text, 'current', dataset));
  await replaceBaseline(s3, bucket, dataset, text, current, {
    ...(options.verdict !== undefined && { verdict: options.verdict }),
    ...(options.force !== undefined && { reason: options.force }),
  });
  io.stdout.write(describeChange(profile, before, `the baseline of ${dataset} in ${bucket}`));
  return EXIT.pass;
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** What is different from now on. */
function describeChange(after: Profile, before: Profile | undefined, where: string): string {
  const lines = [`${where} is now of sha256 ${after.sha256}`];
  if (before === undefined) lines.push(`${integer(after.rows)} rows; there was none before`);
  else {
    lines.push(`${integer(before.rows)} rows -> ${integer(after.rows)}; before: sha256 ${before.sha256}`);
    const [old, now] = [Object.keys(before.columns), Object.keys(after.columns)];
    const gone = old.filter((name) => !now.includes(name));
    const added = now.filter((name) => !old.includes(name));
    if (gone.length > 0) lines.push(`columns gone: ${gone.join(', ')}`);
    if (added.length > 0) lines.push(`columns added: ${added.join(', ')}`);
  }
  return `${printable(lines.join('\n'))}\n`;
}
