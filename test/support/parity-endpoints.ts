import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { mockClient } from 'aws-sdk-client-mock';
import { afterAll, beforeEach } from 'vitest';
import type { Clients, Found, Reading } from '../../functions/config-parity/adapters/reading.ts';
import { paritySchema, type ResourceKind } from '../../functions/config-parity/schema.ts';
import { type SnapshotPart, SnapshotSink } from '../../functions/config-parity/snapshot.ts';
import { useSageMaker } from './fake-sagemaker.ts';

/**
 * SageMaker and its scaling for the tests of one file, which set up anew for each of them what they answer.
 *
 * @returns `read` reads with these clients; what is read is in the part
 */
export function useEndpoints() {
  const { mock, sagemaker, inputs } = useSageMaker();
  const scaling = mockClient(ApplicationAutoScalingClient);
  beforeEach(() => {
    scaling.reset();
  });
  afterAll(() => scaling.restore());
  const read = async (
    reader: (reading: Reading) => Promise<void>,
    others: Partial<Clients> = {},
  ): Promise<SnapshotPart> => {
    const clients: Partial<Clients> = {
      sagemaker,
      scaling: new ApplicationAutoScalingClient({ region: 'us-east-1' }),
      ...others,
    };
    const parity = paritySchema.parse({ compare: { endpoints: ['flights-{environment}'] } });
    const sink = new SnapshotSink('flights');
    await reader({ side: 'staging', parity, clients: clients as Clients, sink });
    return sink.part;
  };
  return { mock, inputs, scaling, read };
}

/** Something to be read: `flights` is called `flights-staging`. */
export function foundOf(kind: ResourceKind, name = 'flights'): Found {
  return { kind, name, physical: `${name}-staging` };
}
