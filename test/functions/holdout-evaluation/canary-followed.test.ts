import { tmpdir } from 'node:os';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { expect, test } from 'vitest';
import { createCanaryHandler } from '../../../functions/holdout-evaluation/canary-handler.ts';
import { progressKey, progressSchema } from '../../../functions/shared/progress.ts';
import { captureOutput, FakeAws } from '../../support/fake-aws.ts';

test('whoever follows the run of a canary that does not exist hears so at once', async () => {
  const aws = new FakeAws();
  const output = captureOutput();
  aws.put('config', 'c.json', JSON.stringify({ bundle: 1, file: 'tocsin.yaml', text: 'tocsin: 1\n' }));
  const unused = async () => expect.unreachable('there is nothing to run');
  const handle = createCanaryHandler({
    env: {
      CONFIG_BUCKET: 'config',
      CONFIG_KEY: 'c.json',
      EVIDENCE_BUCKET: 'evidence',
      WORK_BUCKET: 'work',
      TOPIC_ARN: 'arn:aws:sns:eu-west-1:111122223333:verdicts',
      EVENT_BUS: 'default',
      WORKFLOW: 'in-process',
      MAX_DATASET_BYTES: 1e9,
      TMP_BYTES: 1e9,
      ENGINE_MEMORY_BYTES: 1e9,
    },
    s3: new S3Client({}),
    sns: new SNSClient({}),
    events: new EventBridgeClient({}),
    sagemaker: new SageMakerClient({}),
    prepare: unused,
    measure: unused,
    corrupt: unused,
    tmp: tmpdir(),
  });
  const context = { awsRequestId: 'r', getRemainingTimeInMillis: () => 900_000 };
  try {
    const message = 'there is no canary "weekly"; there are none';
    await expect(handle({ canary: 'weekly', run: 'mine' }, context)).rejects.toThrow(message);
    const stored = JSON.parse(aws.get('work', progressKey('mine')).body.toString('utf8'));
    expect(progressSchema.parse(stored)).toMatchObject({
      run: 'mine',
      error: { name: 'GateInputError', message },
    });
  } finally {
    output.restore();
    aws.restore();
  }
});
