import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadConfig } from '../../lib/config.ts';
import { ROOT } from '../../sandbox/paths.ts';
import { IMAGE, trainingPipeline } from '../../sandbox/pipeline.ts';
import { bindParameters, evaluate, parseDefinition } from '../../sandbox/sagemaker/definition.ts';

it('is a definition that SageMaker takes, and hands its parameters on', () => {
  const definition = parseDefinition(
    JSON.stringify(
      trainingPipeline({
        image: 'account/flight-delay:1',
        role: 'arn:aws:iam::000000000000:role/training',
        artifacts: 's3://models/flight-delay/',
        group: 'flight-delay',
      }),
    ),
  );
  const parameters = bindParameters(definition, [
    { Name: 'DatasetUri', Value: 's3://data/history/' },
    { Name: 'Trees', Value: '40' },
  ]);
  expect(parameters).toEqual({
    DatasetUri: 's3://data/history/',
    ModelPackageGroupName: 'flight-delay',
    Trees: '40',
  });
  const artifact = 's3://models/flight-delay/job/output/model.tar.gz';
  const steps = { Train: { ModelArtifacts: { S3ModelArtifacts: artifact } } };
  const [training, registration] = definition.Steps.map(({ Arguments }) =>
    evaluate(Arguments, { parameters, execution: {}, steps }),
  );
  expect(training).toMatchObject({
    HyperParameters: { trees: '40' },
    InputDataConfig: [{ DataSource: { S3DataSource: { S3Uri: 's3://data/history/' } } }],
  });
  expect(registration).toMatchObject({
    ModelPackageGroupName: 'flight-delay',
    ModelApprovalStatus: 'PendingManualApproval',
    InferenceSpecification: { Containers: [{ ModelDataUrl: artifact }] },
  });
});

it('has the parameters that the canary of tocsin.yaml sets', () => {
  const { Parameters } = parseDefinition(
    JSON.stringify(trainingPipeline({ image: 'i', role: 'r', artifacts: 's3://b/', group: 'g' })),
  );
  const names = Parameters.map(({ Name }) => Name);
  const canary = loadConfig(join(ROOT, 'tocsin.yaml')).canaries.get('flight-delay')?.value;
  expect(names).toEqual([
    canary?.dataset.parameter,
    canary?.groupParameter,
    ...Object.keys(canary?.parameters ?? {}),
  ]);
});

it('is of an image whose digest covers every source of the model', async () => {
  const sources = (await readdir(join(ROOT, 'sandbox', 'model'))).map((name) => `sandbox/model/${name}`);
  expect(IMAGE.sources.toSorted()).toEqual(sources.toSorted());
  expect(IMAGE.command.slice(1).every((part) => existsSync(join(ROOT, part)))).toBe(true);
});
