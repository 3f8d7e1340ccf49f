import type { Writable } from 'node:stream';
import { type EndpointState, sharesOf } from '../../functions/rollback-drill/endpoint.ts';
import type { RollbackRequest } from '../../functions/rollback-drill/schema.ts';
import { isChanging } from '../../functions/rollback-drill/timeline.ts';
import { GateDependencyError, GateInputError } from '../../functions/shared/errors.ts';
import { countOf, formatDuration, formatShare, listOf } from '../../functions/shared/format.ts';
import { didYouMean } from '../../functions/shared/schema.ts';
import { type Cell, printable, style, table } from './cli.ts';
import { type ConfiguredVariant, type EarlierConfig, MOST_LOOKED_AT, type Serving } from './endpoints.ts';

/*
 * Where an endpoint is, where it is to go, and what that means, for whoever decides. Pure.
 */

export type Destination = RollbackRequest['to'];

/** What the caller says of where to. */
export interface Wish {
  /** A name, `variant:` and a name, or `config:` and a name. */
  to?: string;
  /** By variant. */
  weights?: Record<string, number>;
}

/** A destination that is known to exist, with the variants that the endpoint has there. */
export interface Plan {
  to: Destination;
  variants: ConfiguredVariant[];
}

/**
 * Refuses an endpoint that no rollback can help, with what can.
 *
 * @throws GateDependencyError where it takes no change any more
 */
export function refuseHopeless({ endpoint, state }: Serving): void {
  const { status, config, failureReason } = state;
  if (status === 'Deleting') {
    throw new GateDependencyError(`the endpoint ${endpoint} is being deleted`, {
      help: `Create it again once it is gone: ${creation(endpoint, config)}`,
    });
  }
  if (status !== 'Failed') return;
  throw new GateDependencyError(
    `the endpoint ${endpoint} is Failed (${failureReason ?? 'SageMaker gives no reason'}), and takes no change any more`,
    {
      help: `Delete it, and create it again: aws sagemaker delete-endpoint --endpoint-name ${endpoint}, then ${creation(endpoint, 'CONFIG')}, where CONFIG is an endpoint configuration that has worked.`,
    },
  );
}

function creation(endpoint: string, config: string): string {
  return `aws sagemaker create-endpoint --endpoint-name ${endpoint} --endpoint-config-name ${config}`;
}

/** What keeps a rollback from its beginning, or makes it another one than usual; undefined where nothing does. */
function obstacleTo({ status, pending, ...state }: EndpointState): string | undefined {
  if (status === 'UpdateRollbackFailed') {
    return 'It serves a mix of two endpoint configurations: an update failed, and so did taking it back. A rollback to an endpoint configuration ends that.';
  }
  if (status === 'OutOfService') {
    return 'It answers nobody, and takes no weights. A rollback to an endpoint configuration, also to the one that it has, deploys it anew.';
  }
  if (!isChanging({ status, pending, ...state })) return undefined;
  if (status === 'SystemUpdating') {
    return 'SageMaker maintains it, and takes no change meanwhile: the rollback waits for the end of that.';
  }
  const to = pending === null ? '' : ` to ${pending}`;
  return `Something is under way${to}, and SageMaker takes no other change meanwhile: the rollback waits for the end of that.`;
}

/** Part of a wish, to find out what it names. */
export function namedIn(to: string): { kind: 'variant' | 'config' | undefined; name: string } {
  const [, kind, name = ''] = /^(?:(variant|config):)?(.*)$/s.exec(to) ?? [];
  return { kind: kind as 'variant' | 'config' | undefined, name };
}

/**
 * Where a wish leads.
 *
 * @param config variants of the endpoint configuration that `to` may name; null where there is none
 * @throws GateInputError where that is nowhere, or not clear
 */
export function planOf(serving: Serving, wish: Wish, config: ConfiguredVariant[] | null): Plan {
  const { endpoint, state } = serving;
  const { to, weights } = wish;
  if (to === undefined) {
    refuseWeights(serving);
    const named = weights ?? {};
    return { to: { weights: named }, variants: weighed(`the endpoint ${endpoint}`, hereOf(serving), named) };
  }
  const { kind, name } = namedIn(to);
  const isVariant = kind !== 'config' && state.variants.some((variant) => variant.name === name);
  // A deleted configuration lives on in the endpoint that has it.
  const configured = config ?? (name === state.config ? hereOf(serving) : null);
  const isConfig = kind !== 'variant' && configured !== null;
  if (isVariant && isConfig) {
    throw new GateInputError(
      `"${name}" is a variant of the endpoint ${endpoint}, and an endpoint configuration`,
      { help: `Say which: --to variant:${name} or --to config:${name}.` },
    );
  }
  if (isConfig) {
    const where = `the endpoint configuration ${name}`;
    return {
      to: { config: name, ...(weights !== undefined && { weights }) },
      variants: weights === undefined ? configured : weighed(where, configured, weights),
    };
  }
  if (!isVariant) {
    const names = state.variants.map((variant) => variant.name);
    const what = {
      variant: `the endpoint ${endpoint} has no variant "${name}"`,
      config: `there is no endpoint configuration "${name}"`,
    };
    const missing =
      kind === undefined
        ? `${what.variant}, and there is no endpoint configuration of that name`
        : what[kind];
    throw new GateInputError(`${missing}${kind === 'config' ? '' : didYouMean(name, names)}`, {
      help: `To see where it could go: tocsin rollback ${endpoint}`,
    });
  }
  if (weights !== undefined) {
    throw new GateInputError(`--to ${to} is all traffic to one variant, and --weights says otherwise`, {
      help: 'Give --weights alone.',
    });
  }
  refuseWeights(serving);
  return { to: { variant: name }, variants: weighed('', hereOf(serving), { [name]: 1 }) };
}

/** Whether weights are of no use: an endpoint configuration has to be deployed first. */
function needsDeployment({ status }: EndpointState): boolean {
  return status === 'UpdateRollbackFailed' || status === 'OutOfService';
}

function refuseWeights({ endpoint, state }: Serving): void {
  if (!needsDeployment(state)) return;
  throw new GateInputError(
    `the endpoint ${endpoint} is ${state.status}, and takes no weights until an endpoint configuration is deployed again`,
    { help: 'Give --to CONFIG: an endpoint configuration that has worked.' },
  );
}

/** The variants as they are. */
function hereOf({ state, models }: Serving): ConfiguredVariant[] {
  return state.variants.map(({ name, desiredWeight, desiredInstances }) => ({
    name,
    model: models?.[name] ?? null,
    weight: desiredWeight,
    instances: desiredInstances,
  }));
}

/** Variants with other weights: 0 where none is given. */
function weighed(
  where: string,
  variants: readonly ConfiguredVariant[],
  weights: Readonly<Record<string, number>>,
): ConfiguredVariant[] {
  const names = variants.map(({ name }) => name);
  for (const name of Object.keys(weights)) {
    if (!names.includes(name)) {
      throw new GateInputError(
        `${where} has no variant "${name}"${didYouMean(name, names)}; it has ${listOf(names)}`,
      );
    }
  }
  return variants.map((variant) => ({ ...variant, weight: weights[variant.name] ?? 0 }));
}

/** The only other place that there is: of two variants the one without traffic; undefined where it is not that clear. */
export function onlyOther(state: EndpointState): string | undefined {
  const { variants } = state;
  const [idle, ...others] = variants.filter(({ desiredWeight }) => desiredWeight === 0);
  const isClear = variants.length === 2 && others.length === 0 && !needsDeployment(state);
  return isClear ? idle?.name : undefined;
}

// ---------------------------------------------------------------------------------------------------------
// In words
// ---------------------------------------------------------------------------------------------------------

/** What serves now. */
export function servingText(stream: Writable, serving: Serving): string {
  const { endpoint, state, models } = serving;
  const shares = sharesOf(state.variants);
  const rows = state.variants.map(({ name, weight, instances, images }): Cell[] => [
    ...variantCells({ name, weight, instances, model: models?.[name] ?? null }, shares[name]),
    { text: images.map(shortImage).join(', '), format: 'dim' },
  ]);
  const obstacle = obstacleTo(state);
  return linesOf([
    `${style(stream, 'bold', printable(endpoint))} is ${state.status} on ${printable(state.config)}`,
    ...table(stream, rows).map((row) => `  ${row}`),
    ...(models === null ? ['  That endpoint configuration does not exist any more.'] : []),
    ...(obstacle === undefined ? [] : [printable(obstacle)]),
  ]);
}

/** What a plan will do. */
export function planText(stream: Writable, { to, variants }: Plan): string {
  const what =
    'config' in to
      ? `deploy the endpoint configuration ${to.config}, with`
      : 'variant' in to
        ? `move all traffic to variant ${to.variant}:`
        : 'change the weights:';
  const shares = sharesOf(variants);
  const rows = variants.map((variant) => variantCells(variant, shares[variant.name]));
  return linesOf([
    `The rollback will ${style(stream, 'bold', printable(what))}`,
    ...table(stream, rows).map((row) => `  ${row}`),
  ]);
}

function variantCells({ name, model, instances }: ConfiguredVariant, share = 0): Cell[] {
  return [
    { text: name, format: 'bold' },
    { text: formatShare(share), align: 'right' },
    { text: instances === null ? 'serverless' : countOf(instances, 'instance') },
    { text: model === null ? '' : `model ${model}` },
  ];
}

/** `churn@sha256:1f2e3d4c5b6a`: the last part of its address, and the beginning of its digest. */
function shortImage(image: string): string {
  return (image.split('/').at(-1) ?? '').replace(/(@sha256:[0-9a-f]{12})[0-9a-f]+$/, '$1');
}

/**
 * Where an endpoint could go, for somebody who did not say.
 *
 * @param now milliseconds since 1970
 */
export function choicesText(
  stream: Writable,
  { endpoint, state, models }: Serving,
  earlier: readonly EarlierConfig[],
  now: number,
): string {
  const shares = sharesOf(state.variants);
  const others = needsDeployment(state) ? [] : state.variants.filter(({ name }) => (shares[name] ?? 0) < 1);
  const variants = table(
    stream,
    others.map(({ name }) => [
      { text: `--to ${name}`, format: 'cyan' },
      { text: `all traffic to it, which has ${formatShare(shares[name] ?? 0)} now` },
      { text: models?.[name] ? `model ${models[name]}` : '' },
    ]),
  );
  const configs = table(
    stream,
    earlier.map(({ name, createdAt, variants: had }) => [
      { text: `--to ${name}`, format: 'cyan' },
      { text: `${formatDuration(now - createdAt)} old` },
      { text: had.map((variant) => `${variant.name}: ${variant.model ?? 'no model of its own'}`).join(', ') },
    ]),
  );
  const nowhere = `Among the newest ${MOST_LOOKED_AT} endpoint configurations none has the same variants.`;
  return linesOf([
    `Where ${printable(endpoint)} could go:`,
    ...variants.map((row) => `  ${row}`),
    ...(configs.length === 0
      ? [nowhere]
      : [
          'Endpoint configurations with the same variants, newest first:',
          ...configs.map((row) => `  ${row}`),
        ]),
  ]);
}

function linesOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
