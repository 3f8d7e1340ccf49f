import { Duration } from 'aws-cdk-lib';
import { Architecture, type ILayerVersion } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { Environment } from '../../functions/quality-gate/schema.ts';
import type { Config, EngineConfig } from '../config.ts';
import { duckdbLayer } from './duckdb-layer.ts';
import { GateFunction, type GateFunctionProps } from './gate-function.ts';

/** Share of the memory that DuckDB may take: Node.js and what DuckDB does not count need the rest. */
const ENGINE_MEMORY_SHARE = 0.6;
/** Share of /tmp that a download may take: what DuckDB spills needs the rest. */
const DOWNLOAD_SHARE = 0.5;
const MB = 1024 * 1024;

type Size = 'architecture' | 'memory' | 'disk' | 'timeout' | 'concurrency' | 'layers';

/** A gate that measures data with DuckDB, as large as tocsin.yaml says, and told so by its environment. */
export function measuringFunction(
  scope: Construct,
  id: string,
  { memory, disk, timeout, concurrency, ...engine }: EngineConfig,
  props: Omit<GateFunctionProps, Size>,
): GateFunction {
  const architecture = architectureOf(engine);
  const gate = new GateFunction(scope, id, {
    ...props,
    architecture,
    memory,
    disk,
    timeout: Duration.millis(timeout),
    concurrency,
    layers: [duckdbLayer(scope, architecture) as ILayerVersion],
  });
  const environment = {
    MAX_DATASET_BYTES: Math.floor(disk * MB * DOWNLOAD_SHARE),
    TMP_BYTES: disk * MB,
    ENGINE_MEMORY_BYTES: Math.floor(memory * MB * ENGINE_MEMORY_SHARE),
  } satisfies Partial<Environment>;
  for (const [name, value] of Object.entries(environment)) gate.environment(name, String(value));
  return gate;
}

/**
 * A function that measures no data, and sleeps most of the time: durable, where tocsin.yaml says so, and told so by its
 * environment.
 *
 * @param props `memory` in MB; `executionTimeout` of one execution, where it is durable
 */
export function waitingFunction(
  scope: Construct,
  id: string,
  { engine, workflow }: Pick<Config, 'engine' | 'workflow'>,
  { executionTimeout, ...props }: Omit<GateFunctionProps, Exclude<Size, 'memory'>>,
): GateFunction {
  const gate = new GateFunction(scope, id, {
    ...props,
    architecture: architectureOf(engine),
    disk: 512,
    timeout: Duration.minutes(15),
    ...(workflow === 'durable' && executionTimeout !== undefined && { executionTimeout }),
    concurrency: 'unreserved',
    layers: [],
  });
  gate.environment('WORKFLOW', workflow);
  return gate;
}

/** What functions run on. */
export function architectureOf({ architecture }: Pick<EngineConfig, 'architecture'>): Architecture {
  return architecture === 'arm64' ? Architecture.ARM_64 : Architecture.X86_64;
}
