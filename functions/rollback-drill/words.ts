import { clip, countOf, formatShare, listOf } from '../shared/format.ts';
import { type EndpointState, type Snapshot, sharesOf } from './endpoint.ts';
import type { Fingerprint, Measurements } from './measurements.ts';
import { ALLOWED, DRILL_TAG, type RollbackDrillConfig } from './schema.ts';
import { isSameSplit, SHARE_TOLERANCE } from './timeline.ts';

/*
 * How endpoints, models and procedures are called in everything that people read. Pure, and bounded.
 */

/** Characters of what others have said: SageMaker, a procedure. */
const SAID = 600;

/** Variants that are named one by one. */
const NAMED = 5;

/** What somebody else has said, to stand within a sentence. */
export function said(text: string): string {
  return clip(text.replace(/\s+/g, ' ').replace(/[. ]+$/, ''), SAID);
}

/**
 * A time since the beginning: `0:09.1` where tenths matter, `1:02:03`.
 *
 * @param ms since the beginning
 * @param spanMs of all that is shown: below two minutes tenths matter
 */
export function clockText(ms: number, spanMs: number): string {
  const tenths = spanMs < 120_000;
  const whole = tenths ? Math.round(ms / 100) / 10 : Math.floor(ms / 1000);
  const [h, min] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const s = (whole % 60).toFixed(tenths ? 1 : 0).padStart(tenths ? 4 : 2, '0');
  return h > 0 ? `${h}:${String(min).padStart(2, '0')}:${s}` : `${min}:${s}`;
}

/** `a; b; c`, and how many more there are. */
export function several(items: readonly string[]): string {
  const more = items.length > NAMED ? [`${items.length - NAMED} more`] : [];
  return [...items.slice(0, NAMED), ...more].join('; ');
}

/** `the previous model 3fa2c1d0 (variant primary)` */
export function modelText(fingerprints: readonly Fingerprint[], part: Fingerprint['part']): string {
  const models = namesOf(fingerprints, part).map(({ id, variant }) => `${id} (variant ${variant})`);
  return [`the ${part} model${models.length > 1 ? 's' : ''}`, listOf(models)].filter(Boolean).join(' ');
}

/** ` (3fa2c1d0)`: models, after they were named; nothing where none is known. */
export function idText(fingerprints: readonly Fingerprint[], part: Fingerprint['part']): string {
  const ids = [...new Set(namesOf(fingerprints, part).map(({ id }) => id))];
  return ids.length === 0 ? '' : ` (${listOf(ids)})`;
}

function namesOf(fingerprints: readonly Fingerprint[], part: Fingerprint['part']): Fingerprint[] {
  return fingerprints
    .filter((one) => one.part === part)
    .sort((a, b) => (a.variant < b.variant ? -1 : a.variant > b.variant ? 1 : 0));
}

/** `the Lambda function rollback` */
export function procedureText({ procedure }: Pick<RollbackDrillConfig, 'procedure'>): string {
  const nameIn = (arn: string) => arn.split(':').slice(6).join(':');
  if (procedure?.lambda !== undefined) return `the Lambda function ${nameIn(procedure.lambda)}`;
  if (procedure?.ssmAutomation !== undefined) return `the runbook ${procedure.ssmAutomation.document}`;
  if (procedure?.stateMachine !== undefined) return `the state machine ${nameIn(procedure.stateMachine)}`;
  return procedure?.builtin === undefined
    ? 'the guardrail'
    : `Tocsin's rollback to the former ${procedure.builtin}`;
}

/** `Updating to b on a`; why, where SageMaker says so. */
export function statusText({ status, pending, config, failureReason }: EndpointState): string {
  const to = pending === null || pending === config ? '' : ` to ${pending}`;
  const why = failureReason === null || failureReason === '' ? '' : ` (${said(failureReason)})`;
  return `${status}${to} on ${config}${why}`;
}

/** Whether an endpoint in this state answers nothing. */
export function isDead(state: EndpointState | null): boolean {
  return state === null || ['Failed', 'Creating', 'Deleting', 'OutOfService'].includes(state.status);
}

/** Shares of the traffic that are not as before: `variant candidate has 100% of the traffic instead of 0%`. */
export function weightDifferences(before: EndpointState, after: EndpointState): string[] {
  if (isSameSplit(before, after)) return [];
  const [was, is] = [sharesOf(before.variants), sharesOf(after.variants)];
  return namesIn(before, after)
    .filter((name) => Math.abs((was[name] ?? 0) - (is[name] ?? 0)) > SHARE_TOLERANCE)
    .map(
      (name) =>
        `variant ${name} has ${formatShare(is[name] ?? 0, was[name] ?? 0)} of the traffic instead of ${formatShare(was[name] ?? 0, is[name] ?? 0)}`,
    );
}

/** Numbers of instances that are not as before. */
export function capacityDifferences(before: EndpointState, after: EndpointState): string[] {
  return pairsOf(before, after).flatMap(([was, is]) => {
    if (was.desiredInstances !== is.desiredInstances) {
      return [
        `variant ${was.name} is to have ${instancesText(is.desiredInstances)} instead of ${instancesText(was.desiredInstances)}`,
      ];
    }
    return was.instances === is.instances
      ? []
      : [`variant ${was.name} has ${instancesText(is.instances)} instead of ${instancesText(was.instances)}`];
  });
}

function instancesText(count: number | null): string {
  return count === null ? 'none of its own (serverless)' : countOf(count, 'instance');
}

/** Variants that are missing, new, or run other images than before. */
export function imageDifferences(before: EndpointState, after: EndpointState): string[] {
  const [was, is] = [before, after].map(({ variants }) => variants.map(({ name }) => name)) as [
    string[],
    string[],
  ];
  return [
    ...was.filter((name) => !is.includes(name)).map((name) => `variant ${name} is missing`),
    ...is.filter((name) => !was.includes(name)).map((name) => `variant ${name} is new`),
    ...pairsOf(before, after)
      .filter(([a, b]) => a.images.join() !== b.images.join())
      .map(([a, b]) => `variant ${a.name} runs ${imagesText(b.images)} instead of ${imagesText(a.images)}`),
  ];
}

/** The digest is what tells images apart, and it stands at the end. */
function imagesText(images: readonly string[]): string {
  return images.length === 0 ? 'no image' : clip(listOf(images), SAID);
}

/** Everything in which an endpoint is not as before, most important first. */
export function differences(before: EndpointState, after: EndpointState | null): string[] {
  if (after === null) return ['there is no such endpoint any more'];
  // It has no fleet by then, and all else comes of that.
  if (isDead(after)) return [`it is ${statusText(after)}`];
  return [
    ...(after.status === 'InService' ? [] : [`it is ${statusText(after)}`]),
    ...(after.config === before.config
      ? []
      : [`its configuration is ${after.config} instead of ${before.config}`]),
    ...weightDifferences(before, after),
    ...imageDifferences(before, after),
    ...capacityDifferences(before, after),
  ];
}

/** The variants of both, paired. */
function pairsOf(before: EndpointState, after: EndpointState) {
  return before.variants.flatMap((was) => {
    const is = after.variants.find(({ name }) => name === was.name);
    return is === undefined ? [] : [[was, is] as const];
  });
}

function namesIn(...states: readonly EndpointState[]): string[] {
  return [...new Set(states.flatMap(({ variants }) => variants.map(({ name }) => name)))].sort();
}

/** Whether a drill has left its endpoint as it was found. */
export function isRestored({ failure, restoration }: Pick<Measurements, 'failure' | 'restoration'>): boolean {
  if (restoration === null) return failure === null;
  return restoration.outcome !== 'failed' && restoration.answers !== false;
}

/** The endpoint as a drill has last seen it; null: it was gone; undefined: nobody has looked. */
export function leftAs({
  failure,
  after,
  restoration,
}: Pick<Measurements, 'failure' | 'after' | 'restoration'>): EndpointState | null | undefined {
  if (restoration !== null) return restoration.state;
  return after?.state ?? failure?.state ?? undefined;
}

/** What serves once a drill has ended, as far as it knows: `variant candidate (the bad model 9b1f02aa) serves 100%`. */
export function servesText({
  original,
  failure,
  after,
  restoration,
  fingerprints,
}: Pick<Measurements, 'original' | 'failure' | 'after' | 'restoration' | 'fingerprints'>): string {
  const state = leftAs({ failure, after, restoration });
  if (state === undefined) return 'what it serves is not known';
  if (state === null) return 'there is no such endpoint any more, so nothing serves';
  if (isDead(state)) return `it is ${statusText(state)}, so nothing serves`;
  const modelAt = (variant: string): string => {
    const of = (part: Fingerprint['part']) =>
      fingerprints.find((one) => one.part === part && one.variant === variant);
    const [previous, bad] = [of('previous'), of('bad')];
    // A variant keeps its name whatever model is behind it: only with its configuration does it say which one.
    if (bad !== undefined && state.config === failure?.state?.config) return ` (the bad model ${bad.id})`;
    return previous !== undefined && state.config === original?.state.config && restoration?.answers !== false
      ? ` (the previous model ${previous.id})`
      : '';
  };
  const shares = Object.entries(sharesOf(state.variants)).filter(([, share]) => share > 0);
  const serving = shares.map(
    ([name, share]) => `variant ${name}${modelAt(name)} serves ${formatShare(share)}`,
  );
  const wrong = restoration?.answers === false ? '; another model answers than before' : '';
  return `it is ${statusText(state)}; ${shares.length === 0 ? 'no variant has any traffic' : several(serving)}${wrong}`;
}

/** What brings an endpoint back by hand. */
export function byHandText(
  { endpoint, state: before }: Pick<Snapshot, 'endpoint' | 'state'>,
  now: EndpointState | null,
): string {
  const creation = `aws sagemaker create-endpoint --endpoint-name ${endpoint} --endpoint-config-name ${before.config} --tags Key=${DRILL_TAG},Value=${ALLOWED}`;
  if (now === null) return `make it anew, with its tags: ${creation}`;
  if (now.status === 'Failed') {
    return `delete it, which is all that SageMaker allows, and make it anew, with its tags: aws sagemaker delete-endpoint --endpoint-name ${endpoint}, and once it is gone ${creation}`;
  }
  if (now.config !== before.config || now.status !== 'InService') {
    return `tocsin rollback ${endpoint} --to ${before.config}`;
  }
  const serving = before.variants.filter(({ desiredWeight }) => desiredWeight > 0);
  const [only] = serving;
  if (serving.length === 1 && only !== undefined) return `tocsin rollback ${endpoint} --to ${only.name}`;
  const weights = before.variants.map(({ name, desiredWeight }) => `${name}=${desiredWeight}`);
  return `tocsin rollback ${endpoint} --weights ${weights.join(',')}`;
}

/** The runbook of what is not as it was found. */
export const RUNBOOK = 'docs/rollback-drill.md';
