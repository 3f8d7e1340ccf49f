import type { Golden, Prediction } from '../shared/prediction.ts';
import type { EndpointState, Snapshot } from './endpoint.ts';

/*
 * What a drill yields before anybody judges it: plain JSON. Times are milliseconds since 1970.
 */

/** A model by what it answers. */
export interface Fingerprint {
  /** Eight hexadecimal digits of the hash of its predictions. */
  id: string;
  /** The variant that it was asked at. */
  variant: string;
  /** `previous`: it served when the drill began. `bad`: it is what the drill makes serve. */
  part: 'previous' | 'bad';
  /** One for each golden request. */
  predictions: Prediction[];
}

/**
 * Whose answer a request got, by its prediction: that of the model which served before, the bad one's, one that both
 * would give, another, or none.
 */
export type Who = 'previous' | 'bad' | 'either' | 'other' | 'nobody';

/** A request of the background traffic. */
export interface Request {
  at: number;
  /** Of the golden requests, from 0. */
  golden: number;
  /** Until the answer, or its failure. */
  ms: number;
  who: Who;
  /** The variant that SageMaker says has answered; null where nothing did. */
  variant: string | null;
  /** Class of what went wrong, such as `ModelError 500` or `ThrottlingException`; null of an answer. */
  error: string | null;
}

/** What the traffic of a few seconds has shown. */
export interface Slice {
  from: number;
  to: number;
  requests: Request[];
  /** The state at the beginning and whenever it was another one than before; null: there was no such endpoint. */
  states: { at: number; state: EndpointState | null }[];
  /** A stop condition that was in ALARM, or why it could not be read. */
  stop: string | null;
}

/** What happened when. */
export interface Mark {
  at: number;
  what:
    | 'traffic begins'
    | 'failure begins'
    | 'bad model serves'
    | 'procedure begins'
    | 'procedure ends'
    | 'watching ends'
    | 'restoring begins'
    | 'restoring ends';
}

/** How the procedure ended. */
export interface ProcedureEnd {
  /** `unknown`: the drill lost sight of it, and does not start it twice. */
  outcome: 'succeeded' | 'failed' | 'timed-out' | 'unknown';
  /** What it says of a failure, in a sentence; null where it says nothing. */
  said: string | null;
}

/** What the failure was, and what came of it. */
export interface Failure {
  kind: 'shiftTraffic' | 'deployModel' | 'breakGuardrail';
  /** In words: `all traffic to variant candidate`. */
  what: string;
  begunAt: number;
  /** The endpoint as it was once the failure was in place; null where it never was. */
  state: EndpointState | null;
  /** When the bad model was proven to serve; null where it was not. */
  servesAt: number | null;
  /** Why not; null where it does. */
  why: string | null;
}

/** What came of the way back. */
export interface Procedure extends ProcedureEnd {
  kind: 'lambda' | 'ssmAutomation' | 'stateMachine' | 'builtin' | 'guardrail';
  begunAt: number;
  /** Null where it had not ended when watching did. */
  endedAt: number | null;
}

/** What came of restoring the endpoint. */
export interface Restoration {
  /** `unneeded`: it was as it was found already. */
  outcome: 'restored' | 'unneeded' | 'failed';
  /** What was done, in order, in words. */
  actions: string[];
  /** Why it failed, and what is not as it was; null where it did not. */
  why: string | null;
  state: EndpointState | null;
  /** Whether the previous model answers every golden request; null where nobody could ask. */
  answers: boolean | null;
  begunAt: number;
  endedAt: number;
}

/** Everything that a run has measured. */
export interface Measurements {
  endpoint: string;
  /** Null where the drill did not get as far. */
  original: Snapshot | null;
  golden: Omit<Golden, 'requests'> & { requests: number };
  fingerprints: Fingerprint[];
  /** Golden requests that the previous and the bad model answer differently: only these tell them apart. */
  telling: number[];
  failure: Failure | null;
  procedure: Procedure | null;
  /** The endpoint when watching ended, and the hash of its configuration; null where there is none. */
  after: { state: EndpointState; configSha256: string | null } | null;
  restoration: Restoration | null;
  /** Why nothing was drilled, or why the drill was broken off; null where it came to its end. */
  notDrilled: string | null;
}

/** Who answered each request, and what happened meanwhile: the file `timeline.json` of the evidence. */
export interface Timeline {
  marks: Mark[];
  slices: Slice[];
}
