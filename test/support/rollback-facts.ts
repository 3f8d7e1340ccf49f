import { stringify } from 'yaml';
import type * as z from 'zod';
import type { EndpointState, Snapshot } from '../../functions/rollback-drill/endpoint.ts';
import type {
  Fingerprint,
  Mark,
  Measurements,
  Procedure,
  Request,
  Restoration,
  Slice,
  Timeline,
} from '../../functions/rollback-drill/measurements.ts';
import {
  type LocatedRollbackDrill,
  parseRollbackDrills,
  type rollbackDrillSchema,
} from '../../functions/rollback-drill/schema.ts';

/*
 * A drill that went well, and everything that was measured of it. Tests change what they are about.
 *
 * In seconds: at 0 all traffic goes to the variant candidate, which serves from 2 on; at 20 the procedure begins, at 23 it
 * ends; from 21 the endpoint is Updating, at 24 it is as before, and the previous model answers from 24 on; at 90 watching
 * ends.
 */

/** 2026-01-15T03:00:00Z, milliseconds since 1970. */
export const T0 = Date.UTC(2026, 0, 15, 3);

const S = 1000;

export const CONFIG = 'flight-delay-7';
export const CONFIG_SHA = 'c'.repeat(64);

export type RollbackDrillInput = z.input<typeof rollbackDrillSchema>;

export const LAMBDA = 'arn:aws:lambda:eu-west-1:111122223333:function:rollback';

/** A drill as tocsin.yaml has it, with its lines. */
export function drillOf(
  config: Partial<RollbackDrillInput> = {},
  name = 'flight-delay',
): LocatedRollbackDrill {
  const drill = {
    endpoint: 'flight-delay-staging',
    failure: { shiftTraffic: { to: 'candidate' } },
    procedure: { lambda: LAMBDA },
    golden: 's3://staging/golden.jsonl',
    within: '10m',
    ...config,
  };
  const text = stringify({ rollbackDrills: { [name]: drill } });
  return parseRollbackDrills({ file: 'tocsin.yaml', text }).get(name)!;
}

/** Of {@link drillOf}: a deployment that a guardrail has to take back. */
export const GUARDED: Partial<RollbackDrillInput> = {
  failure: { breakGuardrail: { alarm: 'flight-delay-5xx' } },
  procedure: undefined,
};

/** Of {@link drillOf}: a model that is deployed under the same name. */
export function deployed(faulty = false): Partial<RollbackDrillInput> {
  return {
    failure: {
      deployModel: {
        package: 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/bad/1',
        role: 'arn:aws:iam::111122223333:role/model',
        faulty,
      },
    },
  };
}

/** The endpoint, with the weights of primary and candidate. */
export function stateOf(
  [primary, candidate]: readonly [number, number] = [1, 0],
  change: Partial<EndpointState> = {},
): EndpointState {
  const variant = (name: string, weight: number) => ({
    name,
    weight,
    desiredWeight: weight,
    instances: 2,
    desiredInstances: 2,
    images: [`111122223333.dkr.ecr.eu-west-1.amazonaws.com/${name}@sha256:${'a'.repeat(64)}`],
  });
  return {
    at: T0,
    status: 'InService',
    config: CONFIG,
    failureReason: null,
    pending: null,
    variants: [variant('candidate', candidate), variant('primary', primary)],
    ...change,
  };
}

export function snapshotOf(change: Partial<Snapshot> = {}): Snapshot {
  return {
    endpoint: 'flight-delay-staging',
    arn: 'arn:aws:sagemaker:eu-west-1:111122223333:endpoint/flight-delay-staging',
    state: stateOf(),
    configSha256: CONFIG_SHA,
    deployed: false,
    guardrail: [],
    ...change,
  };
}

export const FINGERPRINTS: Fingerprint[] = [
  { id: '3fa2c1d0', variant: 'primary', part: 'previous', predictions: [1, 2, 3] },
  { id: '9b1f02aa', variant: 'candidate', part: 'bad', predictions: [4, 5, 3] },
];

export function procedureOf(change: Partial<Procedure> = {}): Procedure {
  return {
    kind: 'lambda',
    outcome: 'succeeded',
    said: null,
    begunAt: T0 + 20 * S,
    endedAt: T0 + 23 * S,
    ...change,
  };
}

export function restorationOf(change: Partial<Restoration> = {}): Restoration {
  return {
    outcome: 'unneeded',
    actions: [],
    why: null,
    state: stateOf(),
    answers: true,
    begunAt: T0 + 91 * S,
    endedAt: T0 + 92 * S,
    ...change,
  };
}

export function measuredOf(change: Partial<Measurements> = {}): Measurements {
  return {
    endpoint: 'flight-delay-staging',
    original: snapshotOf(),
    golden: { uri: 's3://staging/golden.jsonl', version: 'v1', sha256: 'd'.repeat(64), requests: 3 },
    fingerprints: FINGERPRINTS,
    telling: [0, 1],
    failure: {
      kind: 'shiftTraffic',
      what: 'all traffic to variant candidate',
      begunAt: T0,
      state: stateOf([0, 1]),
      servesAt: T0 + 4 * S,
      why: null,
    },
    procedure: procedureOf(),
    after: { state: stateOf(), configSha256: CONFIG_SHA },
    restoration: restorationOf(),
    notDrilled: null,
    ...change,
  };
}

/** Nothing was changed. */
export const UNTOUCHED: Partial<Measurements> = {
  failure: null,
  procedure: null,
  after: null,
  restoration: null,
};

/** What of a request is another one than usual, so many seconds after {@link T0}. */
export type Answering = (second: number) => Partial<Request>;

export const previous: Partial<Request> = { who: 'previous', variant: 'primary', error: null };
export const bad: Partial<Request> = { who: 'bad', variant: 'candidate', error: null };
export const other: Partial<Request> = { who: 'other', variant: 'primary', error: null };
export function nobody(error = 'ThrottlingException'): Partial<Request> {
  return { who: 'nobody', variant: null, error };
}

const usual: Answering = (second) => (second >= 2 && second < 24 ? bad : previous);

/** The states of the endpoint by the seconds from which on it had them. */
export type States = readonly (readonly [second: number, state: EndpointState | null])[];

export const STATES: States = [
  [0, stateOf([0, 1])],
  [21, stateOf([0, 1], { status: 'Updating' })],
  [24, stateOf()],
];

export interface Played {
  answering?: Answering;
  states?: States;
  /** Second in which watching ends. */
  until?: number;
  perSecond?: number;
  stop?: string;
}

/** A timeline of slices of 10 s. */
export function timelineOf({
  answering,
  states = STATES,
  until = 90,
  perSecond = 5,
  stop,
}: Played = {}): Timeline {
  const slices: Slice[] = [];
  for (let from = 0; from < until; from += 10) {
    const to = Math.min(from + 10, until);
    const requests = Array.from({ length: Math.round((to - from) * perSecond) }, (_, index): Request => {
      const second = from + index / perSecond;
      return {
        at: T0 + Math.round(second * S),
        golden: index % 2,
        ms: 20,
        ...({ who: 'previous', variant: 'primary', error: null } as const),
        ...usual(second),
        ...answering?.(second),
      };
    });
    const shown = states.filter(([second]) => second >= from && second < to);
    slices.push({
      from: T0 + from * S,
      to: T0 + to * S,
      requests,
      states: shown.map(([second, state]) => {
        const at = T0 + second * S;
        return { at, state: state === null ? null : { ...state, at } };
      }),
      stop: to >= until && stop !== undefined ? stop : null,
    });
  }
  const mark = (second: number, what: Mark['what']): Mark => ({ at: T0 + second * S, what });
  return {
    marks: [
      mark(0, 'failure begins'),
      mark(4, 'bad model serves'),
      mark(20, 'procedure begins'),
      mark(until, 'watching ends'),
    ],
    slices,
  };
}
