import {
  CreateEndpointConfigCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  SageMakerClient,
  UpdateEndpointCommand,
  UpdateEndpointWeightsAndCapacitiesCommand,
} from '@aws-sdk/client-sagemaker';
import { mockClient } from 'aws-sdk-client-mock';
import type {
  EndpointState,
  EndpointStatus,
  VariantChange,
} from '../../functions/rollback-drill/endpoint.ts';
import { sagemakerError } from './fake-sagemaker.ts';

/** A variant of an endpoint configuration. */
export interface ModelVariant {
  weight: number;
  /** Null of a serverless variant. */
  instances: number | null;
}

export interface ModelConfig {
  /** What it deploys, whatever its name. */
  content: string;
  variants: Record<string, ModelVariant>;
}

/** How a deployment or a change of weights ends. `mixed` is UpdateRollbackFailed. */
export type End = 'done' | 'silent' | { reason: string } | 'mixed' | 'Failed';

interface ServedVariant extends ModelVariant {
  desiredWeight: number;
  desiredInstances: number | null;
}

interface Transition {
  at: number;
  apply: () => void;
}

/** How long anything takes, unless it is said otherwise. */
export const TRANSITION_MS = 60_000;

/** What an endpoint is set up as. */
export interface Setup {
  status?: EndpointStatus;
  config: string;
  /** What is really served, where it is not what the configuration says. */
  serves?: string;
  weights?: Record<string, number>;
  instances?: Record<string, number>;
  /** What a state that passes is on its way to. */
  pending?: string;
  failureReason?: string;
}

/**
 * One endpoint of SageMaker and its configurations, as small as they can be: states, what is refused, how changes end. It
 * keeps what must never be asked of it.
 */
export class EndpointModel {
  readonly configs = new Map<string, ModelConfig>();
  /** How the next changes end, in order; then all are `done`. */
  readonly ends: End[] = [];
  /** Every change that was taken, in order. */
  readonly taken: string[] = [];
  /** What nobody may ask. */
  readonly violations: string[] = [];
  /** How long a change takes. */
  transitionMs = TRANSITION_MS;
  /** Asked before each call: an error of the SDK that it fails with. */
  fails: (operation: string) => Error | undefined = () => undefined;

  status: EndpointStatus = 'InService';
  exists = true;
  config = '';
  serves = '';
  failureReason: string | null = null;
  #pending: string | null = null;
  #variants = new Map<string, ServedVariant>();
  /** The configuration that is mixed in. */
  #mixedWith: string | null = null;
  #transition: Transition | undefined;
  readonly #now: () => number;

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Brings the endpoint into a state. One that passes ends after `transitionMs`, as `ends` says. */
  set({ status = 'InService', config, serves, weights, instances, pending, failureReason }: Setup): void {
    this.#deploy(config);
    this.status = status;
    this.serves = serves ?? this.serves;
    this.failureReason = failureReason ?? null;
    for (const [name, weight] of Object.entries(weights ?? {})) {
      Object.assign(this.#variants.get(name)!, { weight, desiredWeight: weight });
    }
    for (const [name, count] of Object.entries(instances ?? {})) {
      Object.assign(this.#variants.get(name)!, { instances: count, desiredInstances: count });
    }
    if (status === 'UpdateRollbackFailed') this.#mixedWith = pending ?? null;
    else if (status === 'Updating' && pending !== undefined) this.#begin(pending);
    else if (['Creating', 'Updating', 'SystemUpdating', 'RollingBack'].includes(status)) {
      this.#later(() => {
        this.status = 'InService';
      });
    } else if (status === 'Deleting') {
      this.#later(() => {
        this.exists = false;
      });
    }
  }

  /** Somebody deletes it. */
  remove(): void {
    this.exists = false;
  }

  get isBusy(): boolean {
    this.#catchUp();
    return this.#transition !== undefined;
  }

  /** Null where there is none. */
  get state(): EndpointState | null {
    this.#catchUp();
    if (!this.exists) return null;
    return {
      at: this.#now(),
      status: this.status,
      config: this.config,
      failureReason: this.failureReason,
      pending: this.#pending,
      variants: [...this.#variants]
        .map(([name, variant]) => ({ name, ...variant, images: [] }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
    };
  }

  /** UpdateEndpoint. */
  update(config: string, retain: boolean): void {
    this.#mustTakeChanges(`update to ${config}`);
    if (!this.configs.has(config)) throw refusal(`Could not find endpoint configuration "${config}".`);
    if (config === this.config || config === this.#mixedWith) {
      this.violations.push(`update to ${config}, which it has`);
      throw refusal(`Cannot update to the endpoint configuration in use "${config}".`);
    }
    this.taken.push(`update ${config}${retain ? '' : ' without deployment configuration'}`);
    this.#begin(config);
  }

  /** UpdateEndpointWeightsAndCapacities. */
  weigh(changes: readonly VariantChange[]): void {
    this.#mustTakeChanges('weigh');
    if (this.status !== 'InService') throw refusal(`Cannot update endpoint that is ${this.status}.`);
    const before = structuredClone(this.#variants);
    for (const { variant, weight, instances } of changes) {
      const found = this.#variants.get(variant);
      if (found === undefined) throw refusal(`Could not find variant "${variant}".`);
      if (weight !== undefined) found.desiredWeight = weight;
      if (instances !== undefined) found.desiredInstances = instances;
    }
    if ([...this.#variants.values()].every(({ desiredWeight }) => desiredWeight === 0)) {
      this.violations.push('all weights 0');
    }
    this.taken.push(
      `weigh ${changes.map(({ variant, weight, instances }) => [variant, weight ?? '', ...(instances === undefined ? [] : [`x${instances}`])].join(' ')).join(', ')}`,
    );
    this.status = 'Updating';
    this.failureReason = null;
    const end = this.ends.shift() ?? 'done';
    this.#later(() => {
      this.status = 'InService';
      if (end === 'done') {
        for (const variant of this.#variants.values()) {
          variant.weight = variant.desiredWeight;
          variant.instances = variant.desiredInstances;
        }
      } else {
        this.#variants = before;
        if (typeof end === 'object') this.failureReason = end.reason;
      }
    });
  }

  /** CreateEndpointConfig of what another says. */
  clone(from: string, to: string): void {
    const found = this.configs.get(from);
    if (found === undefined) throw refusal(`Could not find endpoint configuration "${from}".`);
    if (this.configs.has(to)) throw refusal(`Cannot create already existing endpoint configuration "${to}".`);
    this.taken.push(`clone ${from} ${to}`);
    this.configs.set(to, found);
  }

  #mustTakeChanges(what: string): void {
    this.#catchUp();
    if (!this.exists) throw refusal('Could not find endpoint.');
    if (this.#transition !== undefined) {
      this.violations.push(`${what} while it is ${this.status}`);
      throw refusal('Cannot update in-progress endpoint.');
    }
    if (this.status === 'Failed') {
      this.violations.push(`${what} while it is ${this.status}`);
      throw refusal(`Cannot update endpoint that is ${this.status}.`);
    }
  }

  #begin(config: string): void {
    const wasMixedWith = this.#mixedWith;
    // What was a mix, or was down, stays so where the update comes to nothing.
    const before = this.status === 'Updating' ? 'InService' : this.status;
    this.status = 'Updating';
    this.#pending = config;
    this.failureReason = null;
    const end = this.ends.shift() ?? 'done';
    this.#later(() => {
      this.#pending = null;
      if (end === 'done') {
        this.#mixedWith = null;
        this.status = 'InService';
        this.#deploy(config);
      } else if (end === 'Failed') {
        this.status = 'Failed';
        this.failureReason = 'no capacity';
      } else if (end === 'mixed') {
        this.status = 'UpdateRollbackFailed';
        this.#mixedWith = config;
      } else {
        this.status = before;
        this.#mixedWith = wasMixedWith;
        if (end !== 'silent') this.failureReason = end.reason;
      }
    });
  }

  #deploy(name: string): void {
    const { content, variants } = this.configs.get(name)!;
    this.config = name;
    this.serves = content;
    this.#variants = new Map(
      Object.entries(variants).map(([variant, { weight, instances }]) => [
        variant,
        { weight, instances, desiredWeight: weight, desiredInstances: instances },
      ]),
    );
  }

  #later(apply: () => void): void {
    this.#transition = { at: this.#now() + this.transitionMs, apply };
  }

  #catchUp(): void {
    const due = this.#transition;
    if (due === undefined || due.at > this.#now()) return;
    this.#transition = undefined;
    due.apply();
  }

  // As SageMaker answers ----------------------------------------------------------------------------------

  /** Answers every client of SageMaker until the mock is restored. */
  answer(): { calls: (operation: string) => unknown[]; restore: () => void } {
    const mock = mockClient(SageMakerClient);
    const asked: { operation: string; input: unknown }[] = [];
    const on = (operation: string, answer: (input: never) => object) => async (input: unknown) => {
      asked.push({ operation, input });
      const error = this.fails(operation);
      if (error !== undefined) throw error;
      return answer(input as never);
    };
    mock.on(DescribeEndpointCommand).callsFake(on('DescribeEndpoint', () => this.#describe()));
    mock.on(DescribeEndpointConfigCommand).callsFake(
      on('DescribeEndpointConfig', ({ EndpointConfigName }: { EndpointConfigName: string }) => {
        const found = this.configs.get(EndpointConfigName);
        if (found === undefined) throw refusal(`Could not find endpoint configuration.`);
        return { EndpointConfigName, ...definitionOf(found) };
      }),
    );
    mock.on(CreateEndpointConfigCommand).callsFake(
      on(
        'CreateEndpointConfig',
        (input: { EndpointConfigName: string; ProductionVariants: { ModelName: string }[] }) => {
          const from = [...this.configs].find(
            ([, { content }]) => content === input.ProductionVariants[0]?.ModelName,
          );
          this.clone(from?.[0] ?? '', input.EndpointConfigName);
          return {};
        },
      ),
    );
    mock.on(UpdateEndpointCommand).callsFake(
      on('UpdateEndpoint', (input: { EndpointConfigName: string; RetainDeploymentConfig: boolean }) => {
        this.update(input.EndpointConfigName, input.RetainDeploymentConfig);
        return {};
      }),
    );
    mock.on(UpdateEndpointWeightsAndCapacitiesCommand).callsFake(
      on(
        'UpdateEndpointWeightsAndCapacities',
        ({
          DesiredWeightsAndCapacities: wanted,
        }: {
          DesiredWeightsAndCapacities: {
            VariantName: string;
            DesiredWeight?: number;
            DesiredInstanceCount?: number;
          }[];
        }) => {
          this.weigh(
            wanted.map(({ VariantName, DesiredWeight, DesiredInstanceCount }) => ({
              variant: VariantName,
              ...(DesiredWeight !== undefined && { weight: DesiredWeight }),
              ...(DesiredInstanceCount !== undefined && { instances: DesiredInstanceCount }),
            })),
          );
          return {};
        },
      ),
    );
    return {
      calls: (operation) => asked.filter((call) => call.operation === operation).map(({ input }) => input),
      restore: () => mock.restore(),
    };
  }

  #describe(): object {
    const { state } = this;
    if (state === null) throw refusal('Could not find endpoint "churn".');
    return {
      EndpointName: 'churn',
      EndpointArn: 'arn:aws:sagemaker:us-east-1:111122223333:endpoint/churn',
      EndpointStatus: state.status,
      EndpointConfigName: state.config,
      FailureReason: state.failureReason ?? undefined,
      ...(state.pending !== null && { PendingDeploymentSummary: { EndpointConfigName: state.pending } }),
      ProductionVariants: state.variants.map((variant) => ({
        VariantName: variant.name,
        CurrentWeight: variant.weight,
        DesiredWeight: variant.desiredWeight,
        CurrentInstanceCount: variant.instances ?? undefined,
        DesiredInstanceCount: variant.desiredInstances ?? undefined,
      })),
    };
  }
}

function definitionOf({ content, variants }: ModelConfig): object {
  return {
    ProductionVariants: Object.entries(variants).map(([VariantName, { weight, instances }]) => ({
      VariantName,
      ModelName: content,
      InitialVariantWeight: weight,
      InitialInstanceCount: instances ?? undefined,
    })),
  };
}

function refusal(message: string): Error {
  return sagemakerError('ValidationException', message);
}
