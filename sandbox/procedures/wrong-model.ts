import {
  CreateEndpointConfigCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  SageMakerClient,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker';
import type { Incident } from './weights.ts';

/**
 * A refactoring later: it rolls back by an endpoint configuration of its own, with the right weights. For both variants it
 * takes the newest model, which is the bad one.
 */
export async function handler({ endpoint }: Incident): Promise<{ status: string }> {
  const sagemaker = new SageMakerClient({});
  const { EndpointConfigName } = await sagemaker.send(
    new DescribeEndpointCommand({ EndpointName: endpoint }),
  );
  const { ProductionVariants = [] } = await sagemaker.send(
    new DescribeEndpointConfigCommand({ EndpointConfigName }),
  );
  const newest = ProductionVariants.at(-1)?.ModelName;
  const name = `${endpoint}-rollback`;
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: name,
      ProductionVariants: ProductionVariants.map((variant) => ({
        ...variant,
        ModelName: newest,
        InitialVariantWeight: variant.VariantName === 'primary' ? 1 : 0,
      })),
    }),
  );
  await sagemaker.send(new UpdateEndpointCommand({ EndpointName: endpoint, EndpointConfigName: name }));
  return { status: 'rolled back' };
}
