import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AwsAccount, readAddress } from './account.ts';
import { endpointOperations } from './endpoints.ts';
import { ImageRegistry } from './images.ts';
import { modelOperations } from './models.ts';
import { pipelineOperations } from './pipelines.ts';
import { registryOperations } from './registry.ts';
import { handleInvocation } from './runtime.ts';
import { SageMakerServer } from './server.ts';
import { tagOperations } from './tags.ts';
import { trainingOperations } from './training.ts';
import { transformOperations } from './transform.ts';

/**
 * Runs the local SageMaker: `node main.ts DIRECTORY`.
 *
 * It serves plain HTTP on a free loopback port, and writes `sagemaker.port` into DIRECTORY once it listens. The
 * account around it is found by `account.json` there, when the first request comes. Its log is its standard output.
 *
 * It ends, with every container, when its standard input closes: so it cannot outlive the process that started it,
 * however that ends. It stays if anything is written there before.
 */
async function main(directory: string): Promise<void> {
  process.stdin.once('data', () => process.stdin.removeListener('end', end));
  process.stdin.once('end', end);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end);

  let account: Promise<AwsAccount> | undefined;
  const server = new SageMakerServer({
    account: () => {
      account ??= readAddress(directory).then((address) => AwsAccount.connect(address, log));
      // Asked again, it may be there.
      account.catch(() => {
        account = undefined;
      });
      return account;
    },
    images: new ImageRegistry(),
    operations: {
      ...registryOperations,
      ...modelOperations,
      ...trainingOperations,
      ...pipelineOperations,
      ...transformOperations,
      ...endpointOperations,
      ...tagOperations,
    },
    routes: [handleInvocation],
    log,
  });
  const port = join(directory, 'sagemaker.port');
  // Whole or not at all: somebody waits for it.
  await writeFile(`${port}.partial`, String(await server.listen()));
  await rename(`${port}.partial`, port);
}

/** Ends at once: a hook on the end of this process kills the containers. There is no state to save. */
function end(): void {
  process.exit(0);
}

/** Writes a line, however many the text has. */
function log(text: string): void {
  process.stdout.write(`${new Date().toISOString()} ${text.replaceAll('\n', ' | ')}\n`);
}

await main(process.argv[2] as string);
