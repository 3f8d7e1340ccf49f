import { TransformInstanceType } from '@aws-sdk/client-sagemaker';
import * as z from 'zod';
import { formatOf, isWhole, parseFilter } from './filters.ts';
import { entityName, environment, s3Uri, structure, tags, unsupported } from './service.ts';

const filter = z
  .string()
  .max(63)
  .refine(
    (text) => text === '' || parseFilter(text) !== undefined,
    'DataProcessing filters must be JSONPath expressions of the operators that SageMaker supports.',
  );

/** The input of CreateTransformJob, with SageMaker's defaults. */
export const transformDefinition = structure({
  TransformJobName: entityName,
  ModelName: entityName,
  MaxConcurrentTransforms: z.int().min(0).optional(),
  ModelClientConfig: structure({
    InvocationsTimeoutInSeconds: z.int().min(1).max(3600).default(600),
    InvocationsMaxRetries: z.int().min(0).max(3).default(3),
  }).optional(),
  MaxPayloadInMB: z.int().min(0).max(100).optional(),
  BatchStrategy: z.enum(['MultiRecord', 'SingleRecord']).optional(),
  Environment: environment(16).optional(),
  TransformInput: structure({
    DataSource: structure({
      S3DataSource: structure({
        S3DataType: z
          .enum(['ManifestFile', 'S3Prefix', 'AugmentedManifestFile'])
          .refine((type) => type === 'S3Prefix', 'The local SageMaker reads S3DataType S3Prefix only.'),
        S3Uri: s3Uri,
      }),
    }),
    ContentType: z.string().max(256).optional(),
    CompressionType: z.enum(['None', 'Gzip']).default('None'),
    SplitType: z
      .enum(['None', 'Line', 'RecordIO', 'TFRecord'])
      .refine(
        (type) => ['None', 'Line'].includes(type),
        'The local SageMaker splits by SplitType None and Line only.',
      )
      .default('None'),
  }),
  TransformOutput: structure({
    S3OutputPath: s3Uri,
    Accept: z.string().max(256).optional(),
    AssembleWith: z.enum(['None', 'Line']).default('None'),
    KmsKeyId: z.string().max(2048).optional(),
  }),
  TransformResources: structure({
    InstanceType: z.enum(TransformInstanceType),
    InstanceCount: z.int().min(1),
    VolumeKmsKeyId: z.string().max(2048).optional(),
    TransformAmiVersion: z.string().max(63).optional(),
  }),
  DataProcessing: structure({
    InputFilter: filter.default('$'),
    OutputFilter: filter.default('$'),
    JoinSource: z.enum(['Input', 'None']).default('None'),
  }).optional(),
  DataCaptureConfig: unsupported('The local SageMaker captures no data of transform jobs.'),
  ExperimentConfig: unsupported('The local SageMaker has no experiments.'),
  Tags: tags.optional(),
}).superRefine((input, context) => {
  const problem = problemOf(input);
  if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
});

export type TransformDefinition = z.output<typeof transformDefinition>;

/** Which rule the members break together. */
function problemOf({
  MaxConcurrentTransforms = 1,
  MaxPayloadInMB = 6,
  TransformInput,
  TransformOutput,
  DataProcessing,
}: TransformDefinition): string | undefined {
  if (MaxConcurrentTransforms * MaxPayloadInMB > 100) {
    return 'The value of (MaxConcurrentTransforms * MaxPayloadInMB) cannot exceed 100 MB.';
  }
  if (DataProcessing === undefined) return undefined;
  const { InputFilter, OutputFilter, JoinSource } = DataProcessing;
  const takes = formatOf(TransformInput.ContentType);
  const gives = formatOf(TransformOutput.Accept);
  const formats = 'text/csv, application/json or application/jsonlines';
  if (!isWhole(parseFilter(InputFilter)) && takes === undefined) {
    return `DataProcessing.InputFilter needs a TransformInput.ContentType of ${formats}.`;
  }
  if (!isWhole(parseFilter(OutputFilter)) && gives === undefined) {
    return `DataProcessing.OutputFilter needs a TransformOutput.Accept of ${formats}.`;
  }
  if (JoinSource === 'None') return undefined;
  if (takes === undefined || TransformInput.ContentType !== TransformOutput.Accept) {
    return `DataProcessing.JoinSource Input needs the same TransformInput.ContentType and TransformOutput.Accept, ${formats}.`;
  }
  if (TransformInput.SplitType !== TransformOutput.AssembleWith) {
    return 'DataProcessing.JoinSource Input needs TransformInput.SplitType and TransformOutput.AssembleWith to be the same.';
  }
  return undefined;
}
