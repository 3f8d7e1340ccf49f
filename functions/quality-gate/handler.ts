import { mkdir } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { S3Client } from '@aws-sdk/client-s3';
import { SageMakerClient } from '@aws-sdk/client-sagemaker';
import { SNSClient } from '@aws-sdk/client-sns';
import { type ObjectAddress, s3Uri } from '../shared/address.ts';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { readBaseline } from '../shared/baseline.ts';
import { readConfiguration } from '../shared/configuration.ts';
import type { EngineLimits } from '../shared/engine/limits.ts';
import { GateDependencyError, GateInputError } from '../shared/errors.ts';
import { EvidenceStore, settle } from '../shared/evidence.ts';
import { formatBytes } from '../shared/format.ts';
import { verdictFolder } from '../shared/identity.ts';
import { type InvocationContext, isEvent, remembered, withHelp } from '../shared/lambda.ts';
import { COUNTERS, createLogger, createMetrics } from '../shared/observability.ts';
import { renderReport } from '../shared/report/verdict-page.ts';
import { downloadObjects } from '../shared/s3.ts';
import { parseValue } from '../shared/schema.ts';
import { withWorkspace } from '../shared/workspace.ts';
import { type Published, parsePublished } from './adapters/evidence.ts';
import {
  type Outlets,
  publishRefusal,
  publishVerdict,
  tagUpload,
  tellUpload,
  type Upload,
} from './adapters/publish.ts';
import { pinFolder, pinObject } from './adapters/s3.ts';
import { idOf, inputsOf, judge, type QualityVerdict, type Question } from './gate.ts';
import { isAccepted } from './messages.ts';
import { qualityPage } from './report.ts';
import { type GateRequest, type Ignored, parseRequest, resolveRequest } from './request.ts';
import { bundleSchema, type Environment, environmentSchema, type GateResult } from './schema.ts';

/** What the function works with; tests give it other clients and another engine. */
export interface Dependencies extends Omit<Outlets, 'store'> {
  judge: typeof judge;
  /** A directory for downloads. */
  tmp: string;
  /** How long to wait for a concurrent invocation that judges the same bytes, milliseconds. */
  patienceMs: number;
}

/** The answer to an upload that could not be judged. Its owners were told; it stays locked. */
export interface Refusal {
  dataset: string;
  uri: string;
  error: 'GateInputError';
  message: string;
}

export type Answer = GateResult | Ignored | Refusal;

/** Time kept for publishing the verdict, or the error, after measuring; half of what is left where that is less. */
const PUBLISHING_MS = 30_000;

/**
 * The quality gate as a function of its dependencies.
 *
 * It answers with the verdict, which is a value also when it is bad. It throws {@link GateDependencyError} (and
 * whatever is a bug), which Lambda retries and then sends to the dead-letter queue. {@link GateInputError}, which
 * no retry can mend, it throws to a direct caller; for an upload it tells the owners instead, and answers with a
 * {@link Refusal}.
 */
export function createHandler(
  deps: Dependencies,
): (event: unknown, context: InvocationContext) => Promise<Answer> {
  const { env, s3 } = deps;
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const outlets = { ...deps, store };
  const logger = createLogger('quality-gate');
  const record = createMetrics('quality-gate');

  const bundle = remembered(() => readConfiguration(s3, env, bundleSchema));

  return async (event, context) => {
    logger.resetKeys();
    logger.appendKeys({ requestId: context.awsRequestId });
    let dataset = 'unknown';
    let object: ObjectAddress | undefined;
    try {
      const asked = parseRequest(event);
      object = asked.object;
      const request = resolveRequest(asked, await bundle(), env.DATA_BUCKET);
      if ('ignored' in request) {
        logger.info('ignored', { reason: request.ignored });
        return request;
      }
      dataset = request.dataset;
      logger.appendKeys({ dataset, uri: request.uri });
      return await answer(request, context);
    } catch (error) {
      record(dataset, { Errors: 1 });
      logger.error('no verdict', error as Error);
      // Malformed events are no upload of anybody's: the wiring is broken, and that is for the alarm.
      if (!(error instanceof GateInputError && isEvent(event) && object !== undefined)) throw withHelp(error);
      await publishRefusal(outlets, dataset, object, error);
      return { dataset, uri: s3Uri(object), error: 'GateInputError', message: error.message };
    }
  };

  async function answer(request: GateRequest, context: InvocationContext): Promise<GateResult> {
    const startedAt = performance.now();
    const upload = await pin(request);
    const bytes = upload.data.reduce((sum, object) => sum + object.bytes, 0);
    checkSize(env, request.uri, bytes);

    return withWorkspace(deps.tmp, bytes, async (directory) => {
      const signal = AbortSignal.timeout(timeToMeasure(context));
      const question: Question = {
        dataset: {
          files: await downloadObjects(s3, upload.data, directory, { signal }),
          uploadedAt: upload.subject.modifiedAt,
          key: request.folder ?? request.object.key,
        },
        uri: request.uri,
        contract: request.contract,
        contractText: request.contractText,
        baseline: await readBaseline(store, request.dataset),
      };
      const folder = verdictFolder('quality-gate', request.dataset, idOf(inputsOf(question)));

      let rows: number | undefined;
      const { record: published, fresh } = await settle<QualityVerdict, Published>(store, {
        folder,
        requestId: context.awsRequestId,
        patienceMs: Math.min(deps.patienceMs, context.getRemainingTimeInMillis() / 2),
        parsePublished,
        judge: async () => {
          const scratch = join(directory, 'scratch');
          await mkdir(scratch);
          const { verdict, measurements } = await deps.judge(question, limits(bytes, context), scratch);
          rows = measurements.profile.rows;
          const { contract, baseline } = question;
          const report = renderReport(verdict, () =>
            qualityPage({ verdict, measurements, contract, baseline: baseline?.profile }),
          );
          const profile = JSON.stringify(measurements.profile);
          return { verdict, files: { 'profile.json': profile, 'report.html': report } };
        },
        publish: (verdict) => publishVerdict(outlets, upload, verdict, folder),
      });

      // Judged before, maybe under another version id, and the configuration may have changed since.
      const result: GateResult = {
        ...published.result,
        versionId: upload.subject.versionId,
        accepted: isAccepted(published.result.outcome, request.config),
      };
      if (!fresh) {
        await tagUpload(s3, upload, result);
        await tellUpload(outlets, upload, await storedVerdict(folder), result);
      }

      const { verdict, outcome, accepted } = result;
      const durationMs = Math.round(performance.now() - startedAt);
      logger.info(fresh ? 'judged' : 'judged before', {
        verdict,
        outcome,
        accepted,
        rows,
        bytes,
        durationMs,
      });
      if (fresh) {
        record(request.dataset, { [COUNTERS[outcome]]: 1, Rows: rows, Bytes: bytes, DurationMs: durationMs });
      }
      return result;
    });
  }

  async function storedVerdict(folder: string): Promise<QualityVerdict> {
    const verdict = await store.readVerdict<QualityVerdict>(folder);
    if (verdict !== undefined) return verdict;
    throw new GateDependencyError(`${store.uri(folder)}verdict.json has vanished`);
  }

  async function pin(request: GateRequest): Promise<Upload> {
    const object = await pinObject(s3, request.object);
    if (request.folder === undefined) return { request, data: [object], subject: object };
    const data = await pinFolder(s3, object.bucket, request.folder);
    return { request, data, marker: object, subject: object };
  }

  function limits(bytes: number, context: InvocationContext): EngineLimits {
    return {
      memoryBytes: env.ENGINE_MEMORY_BYTES,
      diskBytes: env.TMP_BYTES - bytes,
      threads: availableParallelism(),
      timeoutMs: timeToMeasure(context),
      maxColumns: 2000,
      maxRows: 1_000_000_000,
    };
  }
}

function timeToMeasure(context: InvocationContext): number {
  const left = context.getRemainingTimeInMillis();
  return Math.round(Math.max(left - PUBLISHING_MS, left / 2));
}

/** @throws GateInputError where the dataset does not fit this engine */
function checkSize(env: Environment, uri: string, bytes: number): void {
  const most = Math.min(env.MAX_DATASET_BYTES, env.TMP_BYTES);
  if (bytes <= most) return;
  throw new GateInputError(
    `${uri} has ${formatBytes(bytes)}, and this engine measures at most ${formatBytes(most)} in one verdict`,
    {
      help: 'Split the dataset, or raise engine.disk and engine.memory in tocsin.yaml. The Amazon Athena engine, for data that outgrows one Lambda, is not part of this version.',
    },
  );
}

let handle: ReturnType<typeof createHandler> | undefined;

/** The Lambda function: {@link createHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<Answer> {
  handle ??= createHandler({
    env: parseValue(environmentSchema, process.env, 'environment'),
    s3: new S3Client(CLIENT_OPTIONS),
    sns: new SNSClient(CLIENT_OPTIONS),
    events: new EventBridgeClient(CLIENT_OPTIONS),
    sagemaker: new SageMakerClient(CLIENT_OPTIONS),
    judge,
    tmp: tmpdir(),
    patienceMs: 30_000,
  });
  return handle(event, context);
}
