import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { S3Client } from '@aws-sdk/client-s3';
import type { SageMakerClient } from '@aws-sdk/client-sagemaker';
import type { SNSClient } from '@aws-sdk/client-sns';
import { type ObjectAddress, s3Uri } from '../../shared/address.ts';
import type { GateInputError } from '../../shared/errors.ts';
import type { EvidenceStore } from '../../shared/evidence.ts';
import { verdictFolder, verdictId } from '../../shared/identity.ts';
import { tellOnce, withRunbook } from '../../shared/outlets.ts';
import type { ObjectVersion } from '../../shared/s3.ts';
import { QUALITY_VALUES } from '../../shared/schema.ts';
import { tellVerdict } from '../../shared/telling.ts';
import { TOCSIN_VERSION } from '../../shared/version.ts';
import type { QualityVerdict } from '../gate.ts';
import { refusalMessage, resultOf, verdictMessage } from '../messages.ts';
import type { GateRequest } from '../request.ts';
import { ACCEPTED, type Environment, type GateResult, REJECTED } from '../schema.ts';
import type { Published } from './evidence.ts';
import { tagObjects } from './s3.ts';
import { startPipeline } from './sagemaker.ts';

/** Where side effects go. */
export interface Outlets {
  env: Environment;
  s3: S3Client;
  sns: SNSClient;
  events: EventBridgeClient;
  sagemaker: SageMakerClient;
  store: EvidenceStore;
}

/** One dataset, pinned to the versions of its objects. */
export interface Upload {
  request: GateRequest;
  /** Ordered by key; one, unless it is a batch. */
  data: ObjectVersion[];
  /** Of a batch. */
  marker?: ObjectVersion | undefined;
  /** Whose version stands for the dataset: the marker, else the one object. */
  subject: ObjectVersion;
}

/**
 * The side effects of a verdict, the lock first. Each may have happened already, when an earlier attempt crashed:
 * tags and the start of a pipeline are idempotent, the other two are remembered beside the verdict.
 *
 * @param folder of the verdict's evidence
 * @returns what to remember when all have happened
 */
export async function publishVerdict(
  outlets: Outlets,
  upload: Upload,
  verdict: QualityVerdict,
  folder: string,
): Promise<Published> {
  const { sagemaker, store } = outlets;
  const { request, data, marker, subject } = upload;
  const result = resultOf(verdict, request.config, {
    uri: request.uri,
    versionId: subject.versionId,
    evidence: store.uri(`${folder}verdict.json`),
  });

  await tagUpload(outlets.s3, upload, result);
  await tellUpload(outlets, upload, verdict, result);
  const { onAccept } = request.config;
  const pipelineExecution =
    result.accepted && onAccept !== undefined ? await startPipeline(sagemaker, onAccept, result) : undefined;

  const objects = marker === undefined ? data : [...data, marker];
  return {
    published: 1,
    result,
    objects: objects.map(({ key, versionId, etag }) => ({ key, versionId, etag })),
    ...(pipelineExecution !== undefined && { pipelineExecution }),
  };
}

/**
 * Tells people and machines what an upload was judged to be: once for each version, and also where the same bytes were
 * judged before.
 */
export async function tellUpload(
  outlets: Outlets,
  { request, subject }: Upload,
  verdict: QualityVerdict,
  result: GateResult,
): Promise<void> {
  await tellVerdict(outlets, {
    verdict,
    run: `${result.uri} ${subject.versionId}`,
    at: Date.now(),
    message: () => verdictMessage(result, verdict, request.config),
    announcement: {
      detailType: result.accepted ? ACCEPTED : REJECTED,
      detail: result,
      resource: objectArn(outlets.env, subject),
    },
  });
}

/**
 * Puts a verdict on every object of an upload. The marker of a batch is the last to be opened and the first to be
 * closed: whoever sees it passed may read all of the data.
 */
export async function tagUpload(s3: S3Client, { data, marker }: Upload, result: GateResult): Promise<void> {
  const markers = marker === undefined ? [] : [marker];
  for (const objects of result.accepted ? [data, markers] : [markers, data]) {
    await tagObjects(s3, objects, QUALITY_VALUES[result.outcome], result.verdict);
  }
}

/** Tells the owners of an upload, once, why it could not be judged. */
export async function publishRefusal(
  outlets: Outlets,
  dataset: string,
  object: ObjectAddress,
  error: GateInputError,
): Promise<void> {
  const about = { uri: s3Uri(object), versionId: object.versionId ?? 'none' };
  const id = verdictId('quality-gate', TOCSIN_VERSION, { ...about, error: error.message });
  const key = `${verdictFolder('quality-gate', dataset, 'refusals')}${id}.json`;
  const message = () => withRunbook(refusalMessage(dataset, about, error), outlets.env);
  await tellOnce(outlets, key, message, { ...about, error: error.message });
}

function objectArn(env: Environment, { bucket, key }: ObjectVersion): string {
  const [, partition] = env.TOPIC_ARN.split(':');
  return `arn:${partition}:s3:::${bucket}/${key}`;
}
