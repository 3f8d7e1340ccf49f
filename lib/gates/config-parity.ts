import { Duration, Stack } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import {
  accountOf,
  type EnvironmentConfig,
  LONGEST_PARITY_MS,
  type Parity,
  physicalName,
  SIDES,
} from '../../functions/config-parity/schema.ts';
import { EVENT_SOURCE } from '../../functions/shared/schema.ts';
import { type Config, parityBundleOf } from '../config.ts';
import type { Place } from '../shared/arn.ts';
import { waitingFunction } from '../shared/engine.ts';
import { patternsOf } from '../shared/event-patterns.ts';
import type { EvidenceStore } from '../shared/evidence-store.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import type { Notifications } from '../shared/notifications.ts';
import { type ReaderOf, readerStatements } from '../shared/parity-reader.ts';
import { allowReading, Places } from '../shared/places.ts';
import type { WorkBucket } from '../shared/work-bucket.ts';

const GATE = 'config-parity';

/** The longest that a comparison may take. */
export const LONGEST_PARITY = Duration.millis(LONGEST_PARITY_MS);

export interface ConfigParityProps {
  /** As {@link loadConfig} returns it; with at least one comparison. */
  config: Pick<Config, 'file' | 'text' | 'documented' | 'parities' | 'datasets' | 'engine' | 'workflow'>;
  /** The bucket of golden requests that name none. */
  dataBucket: IBucket | undefined;
  /** For what is read, until it is compared, and progress. */
  work: WorkBucket;
  evidence: EvidenceStore;
  /** Where verdicts and alarms go. */
  notifications: Notifications;
}

/**
 * Compares staging with production as the live APIs tell of them. It changes nothing; an environment that has a role in
 * tocsin.yaml is read with that, any other with the role of the function.
 */
export class ConfigParity extends Construct {
  readonly gate: GateFunction;

  constructor(scope: Construct, id: string, props: ConfigParityProps) {
    super(scope, id);
    const { config, dataBucket, work, evidence, notifications } = props;
    const parities = [...config.parities.values()];
    this.gate = waitingFunction(this, 'Gate', config, {
      name: GATE,
      entry: `${GATE}/handler`,
      // Both snapshots are in memory when they are compared.
      memory: 2048,
      executionTimeout: LONGEST_PARITY,
      unjudged: 'nobody knows whether staging still is what production is',
      notifications,
    });
    this.gate.readConfiguration(parityBundleOf(config));
    this.gate.notifyPeople();
    this.gate.emitEvents(EVENT_SOURCE);
    work.connect(this.gate, ['parity/*']);
    evidence.connect(this.gate, GATE);
    if (dataBucket !== undefined) this.gate.environment('DATA_BUCKET', dataBucket.bucketName);

    const places = new Places(this, config.datasets, dataBucket);
    const golden = parities.flatMap(({ value }) =>
      Object.values(value.probes).map((probe) => places.at(probe.golden)),
    );
    allowReading(this.gate, golden, { gated: false });
    this.#allowEnvironments(parities);
    this.#addTriggers(parities);
  }

  #allowEnvironments(parities: readonly Parity[]): void {
    const { partition, region, account } = Stack.of(this);
    const own: ReaderOf[] = [];
    const roles = new Set<string>();
    for (const { value } of parities) {
      for (const side of SIDES) {
        const { role, region: its = region } = value[side];
        if (role === undefined) own.push({ parity: value, side, place: { partition, region: its, account } });
        else roles.add(role);
      }
    }
    for (const statement of readerStatements(own)) this.gate.allow(statement);
    if (roles.size > 0) this.gate.allow({ actions: ['sts:AssumeRole'], resources: [...roles] });
  }

  #addTriggers(parities: readonly Parity[]): void {
    for (const { name, value } of parities) {
      if (value.schedule === undefined) continue;
      this.gate.onSchedule(`Schedule-${name}`, `Runs the comparison ${name}`, value.schedule, {
        parity: name,
      });
    }
    this.gate.onDeployments(
      parities.flatMap(({ value }) => value.afterDeployOf),
      [{}, ...parities.flatMap(({ value }) => SIDES.map((side) => placeOf(value[side])))],
    );
    this.#onEndpoints(parities);
    this.#onStages(parities);
  }

  /** Events of other accounts and regions come where somebody forwards them. */
  #onEndpoints(parities: readonly Parity[]): void {
    const endpoints = parities.flatMap(({ value }) =>
      SIDES.flatMap((side) => value.compare.endpoints.map((pair) => physicalName(pair, side, value[side]))),
    );
    const patterns = patternsOf(endpoints, (EndpointName) => ({
      source: ['aws.sagemaker'],
      detailType: ['SageMaker Endpoint State Change'],
      detail: { EndpointName, EndpointStatus: ['IN_SERVICE'] },
    }));
    patterns.forEach((pattern, index) => {
      this.gate.onEvents(`InService-${index + 1}`, 'Endpoints that are compared come into service', pattern);
    });
  }

  #onStages(parities: readonly Parity[]): void {
    const stages = Map.groupBy(
      parities.flatMap(({ value }) => value.afterStage),
      ({ pipeline }) => pipeline,
    );
    for (const [pipeline, members] of stages) {
      const names = members.map(({ stage }) => stage);
      patternsOf(names, (stage) => ({
        source: ['aws.codepipeline'],
        detailType: ['CodePipeline Stage Execution State Change'],
        detail: { pipeline: [pipeline], stage, state: ['SUCCEEDED'] },
      })).forEach((pattern, index) => {
        this.gate.onEvents(`Stage-${pipeline}-${index + 1}`, `Stages of the pipeline ${pipeline}`, pattern);
      });
    }
  }
}

/** Where an environment is, as far as that is not where Tocsin is. */
function placeOf(environment: EnvironmentConfig): Place {
  const { region } = environment;
  const account = accountOf(environment);
  return { ...(account !== undefined && { account }), ...(region !== undefined && { region }) };
}
