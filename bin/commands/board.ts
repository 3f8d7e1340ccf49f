import { Command, InvalidArgumentError, Option } from 'commander';
import { EXIT, type ExitCode, type Io, printable, run, withProgress } from '../shared/cli.ts';
import { parseDuration } from '../shared/options.ts';

export interface BoardOptions {
  outputs: string;
  port?: number;
  save?: string;
  presign?: string;
  /** Milliseconds. */
  expires: number;
}

export function boardCommand(io: Io): Command {
  return new Command('board')
    .description('Open the board of a deployment: the five gaps of each model, since when, and the reports')
    .option('--outputs <file>', 'what cdk deploy --outputs-file wrote', 'cdk-outputs.json')
    .addOption(
      new Option('--port <number>', 'serve it on this port of 127.0.0.1 (default: any that is free)')
        .argParser(parsePort)
        .conflicts(['save', 'presign']),
    )
    .addOption(
      new Option('--save <directory>', 'save it with its reports, to be read without AWS').conflicts(
        'presign',
      ),
    )
    .option('--presign <file>', 'save it as one page whose links need no credentials, for a while')
    .addOption(
      new Option('--expires <time>', 'with --presign: how long its links work, at most 24h')
        .argParser(parseDuration)
        .default(3_600_000, '1h'),
    )
    .addHelpText(
      'after',
      `
Serves the board on this machine until you press Ctrl-C, and prints its address. It listens on 127.0.0.1 only, reads with your
own credentials, and answers who knows the address. Links of --presign are for whoever has the page: mind who gets it.

Exit code 0: done. 2: the command is wrong, or there is no deployment or no board. 3: something broke.

Examples:
  tocsin board
  tocsin board --save board && open board/board/index.html
  tocsin board --presign board.html --expires 8h`,
    )
    .action(async (options: BoardOptions) => {
      process.exitCode = await run(io, false, () => board(options, io));
    });
}

/**
 * Saves the board, or serves it until a signal ends the process.
 *
 * @param ended resolves when serving is to end
 * @throws GateInputError, GateDependencyError where it cannot be had
 */
export async function board(
  { outputs, port, save, presign, expires }: BoardOptions,
  io: Io,
  ended: () => Promise<unknown> = () => new Promise(() => undefined),
): Promise<ExitCode> {
  const { readOutputs } = await import('../shared/deployment.ts');
  const { connectS3 } = await import('../shared/aws.ts');
  const { presignedPage, saveBoard, serveBoard } = await import('../shared/board.ts');
  const { writeWhole } = await import('../shared/files.ts');
  const { EvidenceBucket: bucket } = await readOutputs(outputs);
  const evidence = { s3: await connectS3(), bucket };
  if (save !== undefined) {
    const saved = await withProgress(io, 'saving the board and its reports', () => saveBoard(evidence, save));
    for (const key of saved.missing) {
      io.stderr.write(`there is no report at ${printable(`s3://${bucket}/${key}`)}\n`);
    }
    io.stdout.write(`${printable(saved.page)}\n`);
    return EXIT.pass;
  }
  if (presign !== undefined) {
    const page = await withProgress(io, 'signing links', () => presignedPage(evidence, expires));
    // Its links open without credentials: it is for nobody else on this machine.
    await writeWhole(presign, page, 'board', 0o600);
    io.stdout.write(`${printable(presign)}\n`);
    return EXIT.pass;
  }
  const server = await withProgress(io, 'reading the board', () => serveBoard(evidence, port ?? 0));
  try {
    io.stdout.write(`${server.url}\n`);
    io.stderr.write('Serving the board; Ctrl-C ends it.\n');
    await ended();
  } finally {
    await server.close();
  }
  return EXIT.pass;
}

function parsePort(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= 1 && value <= 65_535)) throw new InvalidArgumentError('Expected a port from 1 to 65535.');
  return value;
}
