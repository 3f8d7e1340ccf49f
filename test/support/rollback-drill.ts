import {
  type DeploymentConfig,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker';
import { expect } from 'vitest';
import { type DrillAnswer, runRollbackDrill } from '../../functions/rollback-drill/drill-workflow.ts';
import type { Measurements, Timeline } from '../../functions/rollback-drill/measurements.ts';
import { parseTrigger, requestsOf } from '../../functions/rollback-drill/request.ts';
import { runRollback } from '../../functions/rollback-drill/rollback-workflow.ts';
import type { RollbackDrillDependencies } from '../../functions/rollback-drill/run-workflow.ts';
import { parseRollbackDrills, type RollbackRequest } from '../../functions/rollback-drill/schema.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import type { Workflow } from '../../functions/shared/workflow.ts';
import type { DurableService } from './durable-service.ts';
import { type Predict, ROLE, ROLLBACK_ARN, RollbackWorld } from './rollback.ts';

/** The endpoint that is drilled, its endpoint configuration, and its two variants. */
export const ENDPOINT = 'churn-staging';
export const CONFIG = 'churn-staging-config';

/** The team's procedures. */
const FUNCTION = 'arn:aws:lambda:us-east-1:000000000000:function:roll-back';
export const MACHINE = 'arn:aws:states:us-east-1:000000000000:stateMachine:roll-back';
export const RUNBOOK = 'roll-back';

/** The alarm that breaks a drill off, and that of the guardrail. */
export const UNHEALTHY = 'unhealthy';
export const ERRORS = 'errors-5xx';

/** What is different about a drill; keys as in tocsin.yaml. */
export type DrillChange = Record<string, unknown>;

/** A model by the factor that it multiplies a record with. */
export const times =
  (factor: number): Predict =>
  (body) =>
    String(Number(body) * factor);

/** The text of a tocsin.yaml with one drill, of the endpoint, by weights and a Lambda function. */
export function configOf(change: DrillChange = {}): string {
  const drill = {
    endpoint: ENDPOINT,
    failure: { shiftTraffic: { to: 'candidate' } },
    procedure: { lambda: FUNCTION },
    golden: 'golden.jsonl',
    within: '60s',
    steady: '10s',
    stopIf: [UNHEALTHY],
    ...change,
  };
  return JSON.stringify({ rollbackDrills: { staging: drill } }, null, 2);
}

/**
 * A staging endpoint with two variants, of which one has all the traffic, and a procedure that moves it back; and drills of
 * it, in the world of test/support/rollback.ts.
 */
export class Staging {
  readonly world: RollbackWorld;
  #found: object | undefined;

  private constructor(world: RollbackWorld) {
    this.world = world;
  }

  static async start({
    deploymentConfig,
    tags,
    weights = { primary: 1, candidate: 0 },
  }: {
    deploymentConfig?: DeploymentConfig;
    tags?: Record<string, string>;
    weights?: { primary: number; candidate: number };
  } = {}): Promise<Staging> {
    const staging = new Staging(await RollbackWorld.start());
    const { world } = staging;
    world.alarms.set(UNHEALTHY, 'OK').set(ERRORS, 'OK');
    await world.model('good', times(2));
    await world.model('bad', times(3));
    await world.model('stale', times(5));
    await world.endpoint(ENDPOINT, {
      config: CONFIG,
      variants: [
        { name: 'primary', model: 'good', weight: weights.primary, instances: 2 },
        { name: 'candidate', model: 'bad', weight: weights.candidate },
      ],
      ...(tags !== undefined && { tags }),
      ...(deploymentConfig !== undefined && { deploymentConfig }),
    });
    // All models agree on the first.
    world.golden(['0', '1', '2', '3'].map((body) => ({ body })));
    staging.procedure(() => staging.weigh(weights));
    // Tocsin's own, as another Lambda function that is carried by itself.
    world.lambda(ROLLBACK_ARN, (request: RollbackRequest) =>
      runRollback(world.workflow({ id: 'rollback' }), request, staging.#others()),
    );
    staging.#found = await staging.look();
    return staging;
  }

  close(): Promise<void> {
    return this.world.close();
  }

  // What the team does --------------------------------------------------------------------------------------

  /** The procedure: a Lambda function, a state machine and a runbook that do the same. */
  procedure(work: (incident: { endpoint: string }) => unknown): void {
    this.world.lambda(FUNCTION, work);
    this.world.stateMachine(MACHINE, work);
    this.world.automation(RUNBOOK, () => work({ endpoint: ENDPOINT }));
  }

  async weigh(weights: Record<string, number>): Promise<void> {
    await this.world.sagemaker.send(
      new UpdateEndpointWeightsAndCapacitiesCommand({
        EndpointName: ENDPOINT,
        DesiredWeightsAndCapacities: Object.entries(weights).map(([VariantName, DesiredWeight]) => ({
          VariantName,
          DesiredWeight,
        })),
      }),
    );
  }

  async deploy(config: string): Promise<void> {
    await this.world.sagemaker.send(
      new UpdateEndpointCommand({ EndpointName: ENDPOINT, EndpointConfigName: config }),
    );
  }

  /** Waits, as a procedure does, until nothing goes on at the endpoint. */
  async settled(): Promise<void> {
    while ((await this.world.describe(ENDPOINT)).EndpointStatus?.endsWith('ing'))
      await this.world.later(500, () => {});
  }

  /** Tocsin's own rollback belongs to no life of the drill. */
  #others(): RollbackDrillDependencies {
    const { sagemaker, runtime, now, sleep } = this.world;
    return { ...this.world.deps(), sagemaker, runtime, now, sleep };
  }

  // Drills --------------------------------------------------------------------------------------------------

  /** Does what an event asks for. */
  drill(
    workflow: Workflow,
    config: string,
    event: unknown,
    deps: RollbackDrillDependencies,
  ): Promise<DrillAnswer> {
    const requests = requestsOf(
      parseTrigger(event),
      parseRollbackDrills({ file: 'tocsin.yaml', text: config }),
    );
    if ('ignored' in requests) return Promise.resolve(requests);
    return runRollbackDrill(workflow, requests[0]!, deps);
  }

  /** In one process. */
  run(
    change: DrillChange = {},
    {
      event = { drill: 'staging' } as unknown,
      id = 'run-1',
      deadline,
    }: { event?: unknown; id?: string; deadline?: number } = {},
  ): Promise<DrillAnswer> {
    const workflow = this.world.workflow({ id, ...(deadline !== undefined && { deadline }) });
    return this.drill(workflow, configOf(change), event, this.world.deps());
  }

  /** Durable executions. */
  durable(change: DrillChange = {}): DurableService {
    return this.world.durable((event, workflow, deps) => this.drill(workflow, configOf(change), event, deps));
  }

  // What came of it -----------------------------------------------------------------------------------------

  /** The endpoint, but for times, and weights as exact as SageMaker keeps them. */
  async look(): Promise<object> {
    const found = await this.world.describe(ENDPOINT);
    return {
      status: found.EndpointStatus,
      config: found.EndpointConfigName,
      variants: (found.ProductionVariants ?? []).map((variant) => ({
        name: variant.VariantName,
        weight: Math.fround(variant.CurrentWeight ?? 0),
        desired: Math.fround(variant.DesiredWeight ?? 0),
        instances: variant.CurrentInstanceCount,
        images: variant.DeployedImages?.map(({ ResolvedImage }) => ResolvedImage),
      })),
    };
  }

  /** As it is now it is to be in the end. */
  async foundAnew(): Promise<void> {
    this.#found = await this.look();
    this.world.changes.length = 0;
  }

  /** The endpoint is as it was found. */
  async expectAsFound(): Promise<void> {
    expect(await this.look()).toEqual(this.#found);
  }

  get verdict(): Verdict {
    const verdicts = this.world.evidence('verdict.json') as Verdict[];
    expect(verdicts).toHaveLength(1);
    return verdicts[0]!;
  }

  get measured(): Measurements {
    return (this.world.evidence('measurements.json') as Measurements[])[0]!;
  }

  get timeline(): Timeline {
    return (this.world.evidence('timeline.json') as Timeline[])[0]!;
  }

  /** Checks that ended so, in alphabetical order. */
  checks(outcome: 'fail' | 'inconclusive'): string[] {
    return this.verdict.findings
      .filter((finding) => finding.outcome === outcome)
      .map(({ check }) => check)
      .sort();
  }

  /** First line of the only message. */
  get firstLine(): string {
    expect(this.world.messages).toHaveLength(1);
    return this.world.messages[0]!.Message.split('\n')[0]!;
  }
}

/** A deployment that is watched, and turned back by an alarm. */
export const GUARDED: DeploymentConfig = {
  BlueGreenUpdatePolicy: {
    TrafficRoutingConfiguration: { Type: 'ALL_AT_ONCE', WaitIntervalInSeconds: 120 },
  },
  AutoRollbackConfiguration: { Alarms: [{ AlarmName: ERRORS }] },
};

export { ROLE };
