import { type SageMakerClient, StartPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { call } from '../../shared/aws.ts';
import type { DatasetConfig, GateResult } from '../schema.ts';

/**
 * Starts a pipeline with an accepted dataset; SageMaker takes the same verdict only once.
 *
 * @returns ARN of the execution
 * @throws GateDependencyError where SageMaker does not answer, or refuses: no such pipeline, no such parameter
 */
export async function startPipeline(
  sagemaker: SageMakerClient,
  { pipeline, uriParameter, versionParameter }: NonNullable<DatasetConfig['onAccept']>,
  { uri, versionId, verdict }: Pick<GateResult, 'uri' | 'versionId' | 'verdict'>,
): Promise<string | undefined> {
  const { PipelineExecutionArn } = await call(
    `StartPipelineExecution ${pipeline}`,
    sagemaker.send(
      new StartPipelineExecutionCommand({
        PipelineName: pipeline,
        // 39 characters; SageMaker asks for 32 to 128.
        ClientRequestToken: `tocsin-${verdict}`,
        PipelineExecutionDescription: `Tocsin accepted ${verdict}`,
        PipelineParameters: [
          { Name: uriParameter, Value: uri },
          ...(versionParameter === undefined ? [] : [{ Name: versionParameter, Value: versionId }]),
        ],
      }),
    ),
  );
  return PipelineExecutionArn;
}
