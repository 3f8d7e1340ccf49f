import { Command } from 'commander';
import type { ConfigIssue } from '../../functions/shared/schema.ts';
import { EXIT, type ExitCode, type Io, inOrder, printable, run, style } from '../shared/cli.ts';
import { withScratch } from '../shared/scratch.ts';

export interface ValidateOptions {
  json?: boolean;
}

export function contractValidateCommand(io: Io): Command {
  return new Command('validate')
    .description('Find every mistake in contracts, in the SQL of their rules too')
    .argument('<files...>', 'contracts')
    .option('--json', 'print the mistakes as JSON')
    .addHelpText(
      'after',
      `
Exit code 0: every contract holds. 2: at least one has a mistake.

Examples:
  tocsin contract validate contracts/*.yaml`,
    )
    .action(async (files: string[], options: ValidateOptions) => {
      process.exitCode = await run(io, options.json === true, () => validateContracts(files, options, io));
    });
}

/** Checks contracts and prints all their mistakes. */
export async function validateContracts(
  files: readonly string[],
  { json }: ValidateOptions,
  io: Io,
): Promise<ExitCode> {
  const issues: ConfigIssue[] = [];
  const lines: string[] = [];
  for (const file of files) {
    const { summary, mistakes } = await validateContract(file);
    issues.push(...mistakes);
    if (summary !== undefined)
      lines.push(`${style(io.stdout, 'green', 'ok')}  ${printable(file)}: ${summary}`);
    for (const { line, column, message } of mistakes) {
      const place = style(io.stdout, 'cyan', printable(`${file}:${line}:${column}`));
      lines.push(`${place}  ${printable(message)}`);
    }
  }
  io.stdout.write(json === true ? `${JSON.stringify({ issues }, null, 2)}\n` : `${lines.join('\n')}\n`);
  return issues.length === 0 ? EXIT.pass : EXIT.caller;
}

async function validateContract(
  file: string,
): Promise<{ summary?: string; mistakes: readonly ConfigIssue[] }> {
  const { readText } = await import('../shared/files.ts');
  const { parseContract } = await import('../../functions/quality-gate/schema.ts');
  const { ConfigError } = await import('../../functions/shared/schema.ts');
  const { GateInputError } = await import('../../functions/shared/errors.ts');
  try {
    const contract = parseContract(await readText(file, 'contract'), file);
    const { rules, columns, dataset } = contract.value;
    if (rules.length > 0) {
      // DuckDB is what runs the rules, so it is what checks them.
      const { validateRules } = await import('../../functions/quality-gate/adapters/rule-sql.ts');
      await withScratch((scratch) => validateRules(contract, scratch));
    }
    const counts = [count(Object.keys(columns).length, 'column'), count(rules.length, 'rule')];
    return { summary: `dataset ${dataset}, ${counts.join(', ')}`, mistakes: [] };
  } catch (error) {
    if (error instanceof ConfigError) return { mistakes: inOrder(error.issues) };
    if (error instanceof GateInputError) {
      return { mistakes: [{ file, line: 1, column: 1, path: '', message: error.message }] };
    }
    throw error;
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}
