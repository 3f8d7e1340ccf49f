import { DescribePipelineCommand, type DescribePipelineCommandOutput } from '@aws-sdk/client-sagemaker';
import { isGone } from '../../shared/sagemaker.ts';
import { jsonOf } from '../json-text.ts';
import type { Path } from '../path.ts';
import { attempt, type Found, type Reading } from './reading.ts';
import { readEach } from './things.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

/*
 * Pipelines of SageMaker.
 */

/**
 * Reads pipelines.
 *
 * @throws GateDependencyError where nothing at all can be read
 */
export async function readPipelines(reading: Reading, found: readonly Found[]): Promise<void> {
  const { sink, clients } = reading;
  await readEach(reading, found, async ({ kind, name, physical }) => {
    const path: Path = [kind, name];
    const attempted = await attempt(
      reading,
      { path, physical, action: 'sagemaker:DescribePipeline' },
      () => clients.sagemaker.send(new DescribePipelineCommand({ PipelineName: physical })),
      isGone,
    );
    if (attempted === undefined) return undefined;
    if ('gone' in attempted) return null;
    const { PipelineStatus = 'Active' } = attempted.answer;
    if (PipelineStatus !== 'Active') sink.unsettled({ path, physical, status: PipelineStatus });
    return pipelineValue(attempted.answer);
  });
}

function pipelineValue(pipeline: DescribePipelineCommandOutput): JsonObject {
  // Who made it when, and what its versions are called, says nothing of what it does.
  const {
    $metadata,
    PipelineArn,
    PipelineName,
    PipelineDisplayName,
    PipelineStatus,
    CreationTime,
    LastModifiedTime,
    LastRunTime,
    CreatedBy,
    LastModifiedBy,
    PipelineVersionDisplayName,
    PipelineVersionDescription,
    PipelineDefinition,
    PipelineDescription,
    RoleArn,
    ParallelismConfiguration,
    ...more
  } = pipeline;
  const definition = PipelineDefinition && jsonOf(PipelineDefinition);
  return {
    ...setOf({
      ...membersOf(more),
      parallelism: ParallelismConfiguration?.MaxParallelExecutionSteps,
      role: RoleArn,
      description: PipelineDescription,
    }),
    // As it is: what is empty in it may say something.
    ...(definition !== undefined && { definition }),
  };
}
