import { mkdir } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import { S3Client } from '@aws-sdk/client-s3';
import type * as z from 'zod';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { type Baseline, readBaseline } from '../shared/baseline.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { GateDependencyError, GateInputError } from '../shared/errors.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import { type InvocationContext, remembered, withHelp } from '../shared/lambda.ts';
import { createLogger, createMetrics } from '../shared/observability.ts';
import { parseValue } from '../shared/schema.ts';
import { withWorkspace } from '../shared/workspace.ts';
import { type CapturedRecords, listCapture, readCapture } from './adapters/capture.ts';
import { measureDataset } from './adapters/duckdb.ts';
import { publishMetrics } from './adapters/metrics.ts';
import { driftsOf, type MonitorAnswer, metricsOf, windowText } from './monitor.ts';
import { type MonitorRequest, resolveMonitor } from './monitor-request.ts';
import { monitorBundleSchema, monitorEnvironmentSchema } from './schema.ts';

/** What the function works with; tests give it other clients. */
export interface MonitorDependencies {
  env: z.output<typeof monitorEnvironmentSchema>;
  s3: S3Client;
  cloudwatch: CloudWatchClient;
  /** A directory for downloads. */
  tmp: string;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** In metrics: which monitor it was about could not be found out. */
const UNKNOWN = 'unknown';

/** Time kept for publishing, after measuring. */
const PUBLISHING_MS = 10_000;

/**
 * The drift monitor as a function of its dependencies: compares what an endpoint was asked in the last window with the
 * baseline of a dataset, and publishes the drift of each feature. What that means is for alarms to say.
 *
 * It throws GateInputError where its configuration is wrong, there is no baseline, or captured requests cannot be read,
 * and GateDependencyError where AWS or the engine fails. Either rings its alarm.
 */
export function createMonitorHandler(
  deps: MonitorDependencies,
): (event: unknown, context: InvocationContext) => Promise<MonitorAnswer> {
  const { env, s3, cloudwatch } = deps;
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const logger = createLogger('quality-gate');
  const record = createMetrics('quality-gate', 'monitor');

  const bundle = remembered(() => readConfiguration(s3, env, monitorBundleSchema));

  return async (event, context) => {
    logger.resetKeys();
    logger.appendKeys({ requestId: context.awsRequestId });
    const startedAt = performance.now();
    let name = UNKNOWN;
    try {
      const request = resolveMonitor(event, await bundle(), deps.now());
      name = request.monitor.name;
      logger.appendKeys({ monitor: name });
      const { answer, bytes } = await compare(request, context);
      await publishMetrics(cloudwatch, metricsOf(answer), request.window.to);
      const { minRecords } = request.monitor.value;
      if (answer.records < minRecords) logger.warn('too few records to compare', { ...answer, minRecords });
      else if (Object.keys(answer.notCompared).length > 0) logger.warn('not all was compared', { ...answer });
      else logger.info('compared', { ...answer });
      const durationMs = Math.round(performance.now() - startedAt);
      record(name, { Rows: answer.records, Bytes: bytes, DurationMs: durationMs });
      return answer;
    } catch (error) {
      record(name, { Errors: 1 });
      logger.error('nothing was compared', error as Error);
      throw withHelp(error);
    }
  };

  async function compare(
    request: MonitorRequest,
    context: InvocationContext,
  ): Promise<{ answer: MonitorAnswer; bytes: number }> {
    const { monitor, window } = request;
    const baseline = await baselineOf(request);
    const objects = await listCapture(
      s3,
      monitor.value,
      window,
      Math.min(env.MAX_DATASET_BYTES, env.TMP_BYTES),
    );
    const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
    return withWorkspace(deps.tmp, bytes, async (directory) => {
      const signal = AbortSignal.timeout(timeToMeasure(context));
      const captured = await readCapture(s3, objects, monitor.value, window, directory, signal);
      const { records, damaged } = captured;
      const answer: MonitorAnswer = {
        monitor: monitor.name,
        records,
        window: windowText(window),
        features: {},
        largest: null,
        notCompared: {},
        damaged,
      };
      if (records < monitor.value.minRecords) return { answer, bytes };
      const scratch = join(directory, 'scratch');
      await mkdir(scratch);
      return {
        answer: { ...answer, ...(await measure(request, captured, baseline, scratch, context)) },
        bytes,
      };
    });
  }

  async function baselineOf({ monitor }: MonitorRequest): Promise<Baseline> {
    const { dataset } = monitor.value;
    const baseline = await readBaseline(store, dataset);
    if (baseline !== undefined) return baseline;
    throw new GateInputError(
      `dataset ${dataset} has no baseline, so the drift monitor ${monitor.name} has nothing to compare with`,
      { help: `Make one of an accepted dataset: tocsin baseline promote --dataset ${dataset}` },
    );
  }

  async function measure(
    { monitor, contract, window }: MonitorRequest,
    { file }: CapturedRecords,
    { profile }: Baseline,
    scratch: string,
    context: InvocationContext,
  ): Promise<ReturnType<typeof driftsOf>> {
    const measured = await measureDataset({
      dataset: { files: [file], uploadedAt: window.to, key: file.name },
      sha256: file.sha256,
      contract,
      baseline: profile,
      asOf: null,
      limits: {
        memoryBytes: env.ENGINE_MEMORY_BYTES,
        diskBytes: env.TMP_BYTES - file.bytes,
        threads: availableParallelism(),
        timeoutMs: timeToMeasure(context),
        maxColumns: 2000,
        maxRows: 1_000_000_000,
      },
      scratch,
    });
    // It was written here, so this is nobody else's mistake.
    if (measured.unreadable !== undefined || measured.malformed.count > 0) {
      throw new GateDependencyError(
        `the records of ${monitor.name} could not be read back: ${measured.unreadable?.reason ?? measured.malformed.reasons.join(', ')}`,
      );
    }
    return driftsOf(measured, monitor, contract, profile);
  }
}

function timeToMeasure(context: InvocationContext): number {
  const left = context.getRemainingTimeInMillis();
  return Math.round(Math.max(left - PUBLISHING_MS, left / 2));
}

let handle: ReturnType<typeof createMonitorHandler> | undefined;

/** The Lambda function: {@link createMonitorHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<MonitorAnswer> {
  handle ??= createMonitorHandler({
    env: parseValue(monitorEnvironmentSchema, process.env, 'environment'),
    s3: new S3Client(CLIENT_OPTIONS),
    cloudwatch: new CloudWatchClient(CLIENT_OPTIONS),
    tmp: tmpdir(),
    now: Date.now,
  });
  return handle(event, context);
}
