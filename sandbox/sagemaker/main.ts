import { readAddress, readEndpoint } from '../aws/account.ts';
import { once, runService } from '../aws/process.ts';
import { AwsAccount } from './account.ts';
import { askForFault, endpointOperations } from './endpoints.ts';
import { ImageRegistry } from './images.ts';
import { modelOperations } from './models.ts';
import { pipelineOperations } from './pipelines.ts';
import { registryOperations } from './registry.ts';
import { handleInvocation } from './runtime.ts';
import { SageMakerServer } from './server.ts';
import { tagOperations } from './tags.ts';
import { trainingOperations } from './training.ts';
import { transformOperations } from './transform.ts';
import { unusedOperations } from './unused.ts';

/* Runs the local SageMaker: `node main.ts DIRECTORY`. Containers end with it. */

const directory = process.argv[2] as string;

await runService('sagemaker', directory, (log) =>
  new SageMakerServer({
    // Found by `account.json` in the directory when the first request comes.
    account: once(async () =>
      AwsAccount.connect(await readAddress(directory), {
        log,
        cloudwatch: () => readEndpoint(directory, 'cloudwatch'),
      }),
    ),
    images: new ImageRegistry(),
    operations: {
      ...registryOperations,
      ...modelOperations,
      ...trainingOperations,
      ...pipelineOperations,
      ...transformOperations,
      ...endpointOperations,
      ...tagOperations,
      ...unusedOperations,
    },
    routes: [handleInvocation],
    fault: askForFault,
    log,
  }).listen(),
);
