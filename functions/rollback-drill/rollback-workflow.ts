import { GateDependencyError, GateInputError } from '../shared/errors.ts';
import { type FollowDependencies, followed } from '../shared/followed.ts';
import { formatShare, listOf } from '../shared/format.ts';
import { sha256 } from '../shared/identity.ts';
import { didYouMean } from '../shared/schema.ts';
import type { Workflow } from '../shared/workflow.ts';
import { readConfig, readEndpoint } from './adapters/endpoint.ts';
import { type EndpointState, sharesOf, type Target } from './endpoint.ts';
import { ROLLBACK_PREFIX, ROLLING_BACK_MS, type RollbackRequest, type RollbackResult } from './schema.ts';
import { type SteerDependencies, steer } from './steer-workflow.ts';

/** What a rollback works with. */
export interface RollbackDependencies extends FollowDependencies, SteerDependencies {}

/**
 * Rolls an endpoint back, in an incident or in a drill, and waits until that has happened.
 *
 * @returns what serves now
 * @throws GateInputError where there is no such endpoint, variant or endpoint configuration
 * @throws GateDependencyError where it could not be rolled back; the message says what serves, and what somebody has to do
 */
export async function runRollback(
  workflow: Workflow,
  request: RollbackRequest,
  deps: RollbackDependencies,
): Promise<RollbackResult> {
  const { endpoint, run } = request;
  return followed(workflow, run, deps, async (_startedAt, report) => {
    const target = await workflow.step(`find out where ${endpoint} is to go`, async () => {
      await report('reading the endpoint');
      return targetFor(request, deps);
    });
    const { outcome, why, state } = await steer(
      workflow,
      {
        endpoint,
        target,
        cloneName: `${ROLLBACK_PREFIX}${sha256(workflow.id).slice(0, 8)}`,
        timeoutMs: ROLLING_BACK_MS,
        report,
      },
      deps,
    );
    if (outcome === 'failed' || state === null) {
      const now = state === null ? '' : `. ${endpoint} ${servingOf(state)}`;
      throw new GateDependencyError(`${endpoint} was not rolled back: ${why}${now}`);
    }
    const changed = outcome === 'there';
    return {
      endpoint,
      done: `${endpoint} ${servingOf(state)}${changed ? '' : ', as it did before'}`,
      changed,
      config: state.config,
      shares: sharesOf(state.variants),
    };
  });
}

/** @throws GateInputError where there is nothing of the name that the request says */
async function targetFor(
  { endpoint, to }: RollbackRequest,
  { sagemaker, now }: RollbackDependencies,
): Promise<Target> {
  const state = await readEndpoint(sagemaker, endpoint, now);
  if (state === null) throw new GateInputError(`there is no endpoint ${endpoint}`);
  const served = state.variants.map(({ name }) => name);
  const has = `the endpoint ${endpoint}`;
  if ('variant' in to) return { weights: exactly({ [to.variant]: 1 }, served, has) };
  if (!('config' in to)) return { weights: exactly(to.weights, served, has) };
  const { config, weights } = to;
  const variants = (await readConfig(sagemaker, config))?.ProductionVariants;
  // Deleted configurations live on in the endpoints that have them.
  if (variants === undefined && state.config !== config) {
    throw new GateInputError(
      `there is no endpoint configuration ${config}; the endpoint ${endpoint} has ${state.config}`,
    );
  }
  const named = variants?.map(({ VariantName = '' }) => VariantName) ?? served;
  return {
    config,
    ...(weights !== undefined && {
      weights: exactly(weights, named, `the endpoint configuration ${config}`),
    }),
  };
}

/**
 * Weights of all variants: 0 where none is given.
 *
 * @param has `the endpoint churn`: whose variants they are
 * @throws GateInputError where a variant is given that it does not have
 */
function exactly(
  weights: Readonly<Record<string, number>>,
  variants: readonly string[],
  has: string,
): Record<string, number> {
  for (const name of Object.keys(weights)) {
    if (variants.includes(name)) continue;
    const meant = didYouMean(name, variants);
    throw new GateInputError(`${has} has no variant ${name}${meant}; it has ${listOf(variants)}`);
  }
  return Object.fromEntries(variants.map((name) => [name, weights[name] ?? 0]));
}

/** `sends 90% of its traffic to variant primary and 10% to variant candidate (endpoint configuration churn-7)` */
function servingOf({ status, config, variants }: EndpointState): string {
  const shares = Object.entries(sharesOf(variants))
    .filter(([, share]) => share > 0)
    .sort(([, a], [, b]) => b - a);
  const traffic = listOf(
    shares.map(([name, share], index) => {
      const part = share === 1 ? 'all' : formatShare(share);
      return `${part}${index > 0 ? '' : share === 1 ? ' its traffic' : ' of its traffic'} to variant ${name}`;
    }),
  );
  const is = status === 'InService' ? '' : `is ${status} and `;
  return `${is}sends ${traffic || 'no traffic anywhere'} (endpoint configuration ${config})`;
}
