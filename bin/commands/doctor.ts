import { Command } from 'commander';
import { EXIT, type ExitCode, type Io, printable, run, style } from '../shared/cli.ts';
import type { Diagnosis } from '../shared/diagnosis.ts';

export interface DoctorOptions {
  config: string;
  outputs?: string;
  json?: boolean;
}

export function doctorCommand(io: Io): Command {
  return new Command('doctor')
    .description('Verify this machine, the configuration, and that a deployment really locks what it gates')
    .option('--config <file>', 'the configuration', 'tocsin.yaml')
    .option('--outputs <file>', 'what cdk deploy --outputs-file wrote; without it no deployment is looked at')
    .option('--json', 'print the results as JSON')
    .addHelpText(
      'after',
      `
Exit code 0: no problem. 1: at least one problem; each says how to mend it.

Examples:
  tocsin doctor
  cdk deploy --outputs-file cdk-outputs.json && tocsin doctor --outputs cdk-outputs.json`,
    )
    .action(async (options: DoctorOptions) => {
      process.exitCode = await run(io, options.json === true, () => doctor(options, io));
    });
}

/** Looks for problems and prints them. */
export async function doctor({ config, outputs, json }: DoctorOptions, io: Io): Promise<ExitCode> {
  const { examineConfig, examineMachine } = await import('../shared/diagnosis.ts');
  const found: Diagnosis[] = await examineMachine();
  const { diagnoses, loaded } = await examineConfig(config);
  found.push(...diagnoses);
  if (outputs !== undefined && loaded !== undefined) {
    const { examineDeployment, readOutputs } = await import('../shared/deployment.ts');
    found.push(...(await examineDeployment(loaded, await readOutputs(outputs))));
  }
  const problems = found.filter(({ ok }) => !ok);
  if (json === true) io.stdout.write(`${JSON.stringify({ found }, null, 2)}\n`);
  else {
    const lines = found.flatMap(({ ok, subject, message, help }) => [
      `${ok ? style(io.stdout, 'green', 'ok     ') : style(io.stdout, ['bold', 'red'], 'PROBLEM')}  ${printable(`${subject}: ${message}`)}`,
      ...(ok || help === undefined ? [] : [`         ${style(io.stdout, 'cyan', `-> ${printable(help)}`)}`]),
    ]);
    lines.push(
      problems.length === 0
        ? 'No problem found.'
        : `${problems.length} of ${found.length} checks found a problem.`,
    );
    if (outputs === undefined) lines.push('No deployment was looked at: give --outputs.');
    io.stdout.write(`${lines.join('\n')}\n`);
  }
  return problems.length === 0 ? EXIT.pass : EXIT.failed;
}
