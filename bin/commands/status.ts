import { Command } from 'commander';
import type { Standing } from '../../functions/board/standing.ts';
import {
  type Cell,
  EXIT,
  type ExitCode,
  type Format,
  type Io,
  printable,
  run,
  style,
  table,
  withProgress,
} from '../shared/cli.ts';

export interface StatusOptions {
  config: string;
  outputs: string;
  model?: string;
  json?: boolean;
}

export function statusCommand(io: Io): Command {
  return new Command('status')
    .description('Show how the five gaps of each model stand, since when, and what to do')
    .option('--model <name>', 'of this model only')
    .option('--config <file>', 'the configuration', 'tocsin.yaml')
    .option('--outputs <file>', 'what cdk deploy --outputs-file wrote', 'cdk-outputs.json')
    .option('--json', 'print the board as JSON')
    .addHelpText(
      'after',
      `
Reads the history in the evidence bucket, so it needs no board to have been built. What is stale here is old, or was judged by
another configuration than the one here; whether AWS itself has changed since, tocsin ready finds out.

Exit code 0: shown, whatever it is. 2: the command or the configuration is wrong, or there is no deployment. 3: something broke.

Examples:
  tocsin status
  tocsin status --model flight-delay --json`,
    )
    .action(async (options: StatusOptions) => {
      process.exitCode = await run(io, options.json === true, () => status(options, io));
    });
}

const FORMATS: Record<Standing, Format> = {
  pass: 'green',
  fail: ['bold', 'red'],
  inconclusive: 'yellow',
  stale: 'magenta',
  never: 'dim',
};

/**
 * Prints how the gaps stand.
 *
 * @param now milliseconds since 1970
 * @throws GateInputError, GateDependencyError where that cannot be found out
 */
export async function status(
  { config: file, outputs, model, json }: StatusOptions,
  io: Io,
  now = Date.now(),
): Promise<ExitCode> {
  const { loadConfig } = await import('../../lib/config.ts');
  const { rowsOf } = await import('../../lib/readiness.ts');
  const { boardOf, rowTitle, summaryOf } = await import('../../functions/board/board.ts');
  const { GAP_TITLES } = await import('../../functions/board/schema.ts');
  const { STANDING_MARKS } = await import('../../functions/board/standing.ts');
  const { observe } = await import('../../functions/board/adapters/ledger.ts');
  const { EvidenceStore } = await import('../../functions/shared/evidence.ts');
  const { entryNamed } = await import('../../functions/shared/schema.ts');
  const { formatDuration } = await import('../../functions/shared/format.ts');
  const { readOutputs } = await import('../shared/deployment.ts');
  const { connectS3 } = await import('../shared/aws.ts');

  const config = loadConfig(file);
  if (model !== undefined) entryNamed(new Map(Object.entries(config.readiness)), model, 'model in readiness');
  const rows = rowsOf(config).filter((row) => model === undefined || row.model === model);
  const { EvidenceBucket: bucket } = await readOutputs(outputs);
  const store = new EvidenceStore(await connectS3(), bucket);
  const requirements = rows.flatMap((row) => row.requirements);
  const observed = await withProgress(io, `reading the history of ${requirements.length} requirements`, () =>
    observe(store, requirements),
  );
  const board = boardOf(rows, observed, now);
  if (json === true) {
    io.stdout.write(`${JSON.stringify(board, null, 2)}\n`);
    return EXIT.pass;
  }
  const ago = (at: number | undefined) => (at === undefined ? '' : formatDuration(Math.max(0, now - at)));
  const until = (at: number | undefined) => (at === undefined ? '' : formatDuration(Math.max(0, at - now)));
  const lines: string[] = [];
  for (const row of board.rows) {
    lines.push(style(io.stdout, 'bold', printable(rowTitle(row))));
    const head = (text: string, align?: 'right'): Cell => ({ text, format: 'dim', ...(align && { align }) });
    const times = ['for', 'last', 'next in'].map((text) => head(text, 'right'));
    const cells: Cell[][] = [[head(''), head('gap'), head('standing'), ...times]];
    for (const { gap, standing, since, at, next } of row.gaps) {
      const { number, title } = GAP_TITLES[gap];
      const format = FORMATS[standing];
      cells.push([
        { text: STANDING_MARKS[standing], format },
        { text: `${number} ${title}` },
        { text: standing, format },
        { text: ago(since), align: 'right' },
        { text: at === undefined ? '' : `${ago(at)} ago`, align: 'right' },
        { text: until(next), align: 'right' },
      ]);
    }
    lines.push(...table(io.stdout, cells).map((line) => `  ${line}`));
    for (const { stands } of row.gaps) {
      for (const { standing, why } of stands) {
        if (standing === 'pass') continue;
        const mark = style(io.stdout, FORMATS[standing], STANDING_MARKS[standing]);
        lines.push(`  ${mark} ${printable(why.replaceAll('\n', ' '))}`);
      }
    }
    lines.push('');
  }
  const { ready, text } = summaryOf(board);
  lines.push(style(io.stdout, ready ? 'green' : 'bold', printable(text)));
  io.stdout.write(`${lines.join('\n')}\n`);
  return EXIT.pass;
}
