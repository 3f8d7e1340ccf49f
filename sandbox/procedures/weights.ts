import { SageMakerClient, UpdateEndpointWeightsAndCapacitiesCommand } from '@aws-sdk/client-sagemaker';

/** What a procedure is told of the incident. */
export interface Incident {
  endpoint: string;
}

/** Shifts all traffic of an endpoint to one of its two variants. */
export async function shift({ endpoint }: Incident, to: string, from: string): Promise<void> {
  await new SageMakerClient({}).send(
    new UpdateEndpointWeightsAndCapacitiesCommand({
      EndpointName: endpoint,
      DesiredWeightsAndCapacities: [
        { VariantName: to, DesiredWeight: 1 },
        { VariantName: from, DesiredWeight: 0 },
      ],
    }),
  );
}
