import { Command, Option } from 'commander';
import { SIDES, type Side } from '../../functions/config-parity/kinds.ts';
import { EXIT, type ExitCode, type Io, printable, run } from '../shared/cli.ts';

export interface RoleOptions {
  for: Side;
  trust?: string;
  externalId?: string;
  config: string;
  outputs: string;
}

export function parityRoleCommand(io: Io): Command {
  return new Command('role')
    .description(
      'Print a CloudFormation template of the role that an environment in another account is read with',
    )
    .argument('<name>', 'the comparison of tocsin.yaml')
    .addOption(new Option('--for <side>', 'which environment').choices(SIDES).makeOptionMandatory())
    .option(
      '--trust <arn>',
      "the role that may assume it (default: Tocsin's own, the output ConfigParityRole)",
    )
    .option('--external-id <id>', 'what it asks for when it is assumed (default: externalId of tocsin.yaml)')
    .option('--config <file>', 'the configuration', 'tocsin.yaml')
    .option('--outputs <file>', 'what cdk deploy --outputs-file wrote, without --trust', 'cdk-outputs.json')
    .addHelpText(
      'after',
      `
The role may read what the comparison reads of that environment, and nothing else. Deploy it there, and name it in
tocsin.yaml; print it anew when the comparison reads more. It talks to nobody.

Exit code 0: printed. 2: the command or the configuration is wrong, or there is no such comparison. 3: something broke.

Examples:
  tocsin parity role flight-delay --for production --trust arn:aws:iam::111122223333:role/parity
  tocsin parity role flight-delay --for production --outputs cdk-outputs.json --external-id flight-delay-parity`,
    )
    .action(async (name: string, options: RoleOptions) => {
      process.exitCode = await run(io, false, () => parityRole(name, options, io));
    });
}

/**
 * Prints the template of a role, and how to deploy it.
 *
 * @throws GateInputError where there is no such comparison, or nobody says who assumes the role
 */
export async function parityRole(name: string, options: RoleOptions, io: Io): Promise<ExitCode> {
  const { for: side, config, externalId } = options;
  const { openParity } = await import('../shared/parity.ts');
  const { readerTemplate } = await import('../../lib/shared/parity-reader.ts');
  const { value } = openParity(config, name);
  const trusted = await trustedBy(options);
  const called = `tocsin-parity-${name}-${side}`;
  const template = readerTemplate(value, side, {
    trusted,
    // One account may have roles of several comparisons, and of both environments.
    ...(value[side].role === undefined && { name: called }),
    ...(externalId !== undefined && { externalId }),
  });
  io.stdout.write(`${JSON.stringify(template, null, 2)}\n`);
  const deploy = `aws cloudformation deploy --stack-name ${called} --capabilities CAPABILITY_NAMED_IAM --template-file FILE`;
  io.stderr.write(
    printable(
      `${trusted} may assume it. Deploy it in the account of ${side}: ${deploy}\nThen its output Role belongs into tocsin.yaml: parity.${name}.${side}.role\n`,
    ),
  );
  return EXIT.pass;
}

const PRINCIPAL = /^arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)\/[\w+=,.@/-]+)$/;

async function trustedBy({ trust, outputs }: RoleOptions): Promise<string> {
  const { GateInputError } = await import('../../functions/shared/errors.ts');
  if (trust !== undefined) {
    if (PRINCIPAL.test(trust)) return trust;
    throw new GateInputError(`--trust: expected the ARN of a role, a user or an account, got ${trust}`);
  }
  const { readOutputs } = await import('../shared/deployment.ts');
  const help = 'Deploy a comparison first, with --outputs-file; or say who is to read: --trust ARN.';
  const { ConfigParityRole } = await readOutputs(outputs).catch((error: unknown) => {
    throw error instanceof GateInputError ? new GateInputError(error.message, { cause: error, help }) : error;
  });
  if (ConfigParityRole !== undefined) return ConfigParityRole;
  throw new GateInputError(`${outputs} has no output ConfigParityRole`, { help });
}
