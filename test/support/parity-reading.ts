import { CloudFormationClient } from '@aws-sdk/client-cloudformation';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { GlueClient } from '@aws-sdk/client-glue';
import { LambdaClient } from '@aws-sdk/client-lambda';
import { ResourceGroupsTaggingAPIClient } from '@aws-sdk/client-resource-groups-tagging-api';
import { S3Client } from '@aws-sdk/client-s3';
import { SchedulerClient } from '@aws-sdk/client-scheduler';
import { SSMClient } from '@aws-sdk/client-ssm';
import { type AwsClientStub, mockClient } from 'aws-sdk-client-mock';
import type { Clients, Found, Reading } from '../../functions/config-parity/adapters/reading.ts';
import { paritySchema, type ResourceKind, type Side } from '../../functions/config-parity/schema.ts';
import { type SnapshotPart, SnapshotSink } from '../../functions/config-parity/snapshot.ts';

const CLIENTS = {
  cloudwatch: CloudWatchClient,
  lambda: LambdaClient,
  ssm: SSMClient,
  glue: GlueClient,
  events: EventBridgeClient,
  scheduler: SchedulerClient,
  cloudformation: CloudFormationClient,
  tagging: ResourceGroupsTaggingAPIClient,
  s3: S3Client,
};

/** Reading of what is no endpoint, with clients that are mocked. */
export interface MockedReading {
  reading: Reading;
  /** What was read so far. */
  part: SnapshotPart;
  /** Of one service. */
  mock: <C extends keyof typeof CLIENTS>(service: C) => AwsClientStub<InstanceType<(typeof CLIENTS)[C]>>;
  restore: () => void;
}

/** @param parity of tocsin.yaml */
export function mockedReading(parity: object = {}, side: Side = 'staging'): MockedReading {
  const options = { region: 'eu-west-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  const clients = Object.fromEntries(
    Object.entries(CLIENTS).map(([name, Client]) => [name, new Client(options)]),
  );
  const mocks = Object.fromEntries(
    Object.entries(clients).map(([name, client]) => [name, mockClient(client as never)]),
  );
  const sink = new SnapshotSink('flight-delay');
  const config = paritySchema.parse({ compare: { alarms: ['{environment}-alarm'] }, ...parity });
  return {
    reading: { side, parity: config, clients: clients as unknown as Clients, sink },
    part: sink.part,
    mock: (service) => mocks[service] as never,
    restore: () => {
      for (const mock of Object.values(mocks)) mock.restore();
    },
  };
}

/** Things to read, called as they are. */
export function foundOf(kind: ResourceKind, physical: readonly string[]): Found[] {
  return physical.map((name) => ({ kind, name, physical: name }));
}

/** An error of AWS. */
export function failure(name: string, status = 400, message = 'AWS says no'): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
}

export const DENIED = failure('AccessDeniedException', 403);
export const THROTTLED = failure('ThrottlingException', 400);
