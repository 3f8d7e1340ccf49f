import { mapLimit } from '../shared/aws.ts';
import { GateDependencyError } from '../shared/errors.ts';
import { tryJson } from '../shared/schema.ts';
import type { Workflow } from '../shared/workflow.ts';
import { alarmStates } from './adapters/alarms.ts';
import { readEndpoint } from './adapters/endpoint.ts';
import { sendSlice } from './adapters/requests.ts';
import type { EndpointState } from './endpoint.ts';
import type { Slice } from './measurements.ts';
import { phaseText } from './progress.ts';
import { sliceKey } from './record.ts';
import { readRecord } from './restore-workflow.ts';
import {
  hold,
  type Known,
  markOf,
  NotDrilled,
  type RollbackDrillDependencies,
  type Run,
} from './run-workflow.ts';
import type { LocatedRollbackDrill } from './schema.ts';
import { lastState, type Tally, tallyOf } from './timeline.ts';
import { differences, several } from './words.ts';

/*
 * The background traffic of a drill: steps of a few seconds, each of which awaits all of its requests, so that none outlives
 * the drill. What a slice has shown is kept in the work bucket; a step keeps how it ended alone.
 */

/** How long a slice lasts at most. */
const SLICE_MS = 10_000;

/** After so many slices an invocation ends where it can: the next has all of its time again. */
const SLICES_OF_INVOCATION = 6;
export const BREATH_MS = 1_000;

/** A durable execution keeps so many operations, and has others to keep. */
const MOST_SLICES = 1_200;

/** How often it is asked at most whether a stretch is over: of long ones the answer takes a moment. */
const ASKING_MS = 1_000;

/** Slices that are read at a time. */
const CONCURRENCY = 8;

/** Traffic of one purpose, in as many slices as it takes. */
export interface Stretch {
  /** What whoever follows the drill reads, and what its steps are called: `the procedure runs`. */
  phase: string;
  /** Since when it goes on, and until when at most, milliseconds since 1970. */
  since: number;
  deadline: number;
  /**
   * Whether there is nothing more to see.
   *
   * @param slices of this stretch
   */
  until: (slices: readonly Slice[], now: number) => boolean;
  /** What is done before each slice, in its step. */
  before?: () => Promise<void>;
  /** What is looked at beside the endpoint. */
  look?: () => Promise<void>;
}

/** How a stretch ended. */
export interface Sent {
  /** `stopped`: by a stop condition, which is `why`. */
  ended: 'over' | 'late' | 'stopped';
  why: string | null;
  /** Milliseconds since 1970. */
  at: number;
  /** Of all its requests, by who answered. */
  tally: Tally;
  /** The endpoint as it was last seen; null where there was none, or where nobody could look. */
  state: EndpointState | null;
  /** Slices of the drill by now. */
  slices: number;
}

/**
 * Sends traffic and watches the endpoint until there is nothing more to see, a stop condition holds, or the time is up.
 *
 * @throws GateDependencyError where something does not answer, or somebody else has taken this run for dead
 */
export async function sendSlices(
  workflow: Workflow,
  run: Run,
  { measured, golden, ...found }: Pick<Known, 'measured' | 'golden' | 'slices'>,
  stretch: Stretch,
  deps: RollbackDrillDependencies,
): Promise<Sent> {
  const { endpoint, content, tolerance, traffic } = run.drill.value;
  const first = found.slices;
  const { fingerprints, telling, golden: of } = measured;
  // Until it is known which of them tell, all are sent.
  const indexes = telling.length > 0 ? telling : Array.from({ length: of.requests }, (_, index) => index);
  const cached = new Map<number, Slice>();
  let isHalted = false;

  const send = async (number: number): Promise<Omit<Sent, 'slices'>> => {
    await hold(endpoint, run.execution, deps);
    const requests = await golden();
    const earlier = await readSlices(run, first, number, deps, cached);
    await stretch.before?.();
    const { phase, since } = stretch;
    const tell = (now: number, slices: readonly Slice[]) =>
      run.report(phaseText({ phase, since, now, slices }));
    let shown: Slice | undefined;
    let askedAt = Number.NEGATIVE_INFINITY;
    const slice = await sendSlice(
      {
        runtime: deps.runtime,
        readState: async () => {
          await stretch.look?.();
          // Whoever follows the drill sees who answers while a slice goes on.
          const [state] = await Promise.all([
            readEndpoint(deps.sagemaker, endpoint, deps.now),
            tell(deps.now(), shown === undefined ? earlier : [...earlier, shown]),
          ]);
          return state;
        },
        readStop: () => stopOf(run.drill, deps),
        now: deps.now,
        sleep: deps.sleep,
      },
      {
        endpoint,
        content,
        requests,
        indexes,
        perSecond: traffic.perSecond,
        forMs: SLICE_MS,
        fingerprints,
        tolerance,
        mark: `${markOf(run.token)}-${number}`,
        until: (sofar) => {
          shown = sofar;
          if (isHalted) return true;
          const now = deps.now();
          if (now < askedAt + ASKING_MS) return false;
          askedAt = now;
          return stretch.until([...earlier, sofar], now);
        },
      },
    );
    await deps.work.put(sliceKey(endpoint, run.token, number), { text: JSON.stringify(slice) });
    cached.set(number, slice);
    const slices = [...earlier, slice];
    await tell(slice.to, slices);
    const isOver = stretch.until(slices, slice.to);
    return {
      ended: slice.stop !== null ? 'stopped' : isOver ? 'over' : 'late',
      why: slice.stop,
      at: slice.to,
      tally: tallyOf(slices.flatMap(({ requests: sent }) => sent)),
      state: lastState(slices) ?? null,
    };
  };

  for (let number = first; ; number++) {
    if (number >= MOST_SLICES) throw new GateDependencyError(`more than ${MOST_SLICES} slices of traffic`);
    if (number > first && (number - first) % SLICES_OF_INVOCATION === 0) {
      await workflow.wait(`${stretch.phase}: breathe after slice ${number}`, BREATH_MS);
    }
    let sending: Promise<Omit<Sent, 'slices'>> | undefined;
    try {
      const sent = await workflow.step(`${stretch.phase}: slice ${number + 1}`, () => {
        sending = send(number);
        return sending;
      });
      if (sent.ended !== 'late' || sent.at >= stretch.deadline) return { ...sent, slices: number + 1 };
    } catch (error) {
      // A step that was abandoned still sends: not behind the back of what comes next.
      isHalted = true;
      await sending?.catch(() => {});
      throw error;
    }
  }
}

/**
 * Begins something that changes the endpoint, where no stop condition holds by now and nobody else has changed it: a slice
 * may have ended since it looked.
 *
 * @param what is told to whoever follows the drill
 * @param as what the endpoint has to be still
 * @returns when, milliseconds since 1970
 * @throws NotDrilled where it must not begin
 */
export async function beginUnlessStopped(
  workflow: Workflow,
  run: Run,
  what: string,
  as: EndpointState,
  deps: RollbackDrillDependencies,
): Promise<number> {
  const { endpoint } = run.drill.value;
  const { at, stop, changed } = await workflow.step(`begin ${what}`, async () => {
    await hold(endpoint, run.execution, deps);
    await run.report(what);
    const now = { at: deps.now(), stop: await stopOf(run.drill, deps) };
    return { ...now, changed: differences(as, await readEndpoint(deps.sagemaker, endpoint, deps.now)) };
  });
  if (stop !== null) throw stopped(stop);
  if (changed.length > 0) {
    throw new NotDrilled(`somebody else has changed the endpoint before ${what}: ${several(changed)}`);
  }
  return at;
}

/**
 * Changes the endpoint, as long as there is a record to restore it by.
 *
 * @param act bears to be repeated
 * @throws NotDrilled where the record is gone: whoever took this run for dead has restored the endpoint
 */
export async function changeRecorded(
  workflow: Workflow,
  name: string,
  run: Run,
  act: () => Promise<void>,
  deps: RollbackDrillDependencies,
): Promise<void> {
  const { endpoint } = run.drill.value;
  const isRecorded = await workflow.step(name, async () => {
    await hold(endpoint, run.execution, deps);
    if ((await readRecord(endpoint, deps))?.token !== run.token) return false;
    await act();
    return true;
  });
  if (!isRecorded) {
    throw new NotDrilled('what the endpoint is to be restored to is not written down any more');
  }
}

/** What a drill is broken off with by a stop condition. */
export function stopped(why: string | null): NotDrilled {
  return new NotDrilled(`stop condition: ${why}`);
}

/** Why the drill must not go on, in words; null where nothing speaks against it. */
async function stopOf(
  { value }: LocatedRollbackDrill,
  { cloudwatch }: Pick<RollbackDrillDependencies, 'cloudwatch'>,
): Promise<string | null> {
  if (value.stopIf.length === 0) return null;
  const states = await alarmStates(cloudwatch, value.stopIf);
  for (const name of value.stopIf) {
    if (states[name] === 'ALARM') return `the alarm ${name} is in ALARM`;
    if (states[name] === null) return `there is no alarm ${name} any more`;
  }
  return null;
}

/**
 * Slices that were kept, in order: from number `from` to the one before `to`.
 *
 * @param cached those that need not be read, by number; those that are read are added
 * @throws GateDependencyError where one is not there, or S3 does not answer
 */
export async function readSlices(
  { drill, token }: Pick<Run, 'drill' | 'token'>,
  from: number,
  to: number,
  { work }: Pick<RollbackDrillDependencies, 'work'>,
  cached = new Map<number, Slice>(),
): Promise<Slice[]> {
  const numbers = Array.from({ length: to - from }, (_, index) => from + index);
  return mapLimit(numbers, CONCURRENCY, async (number) => {
    const known = cached.get(number);
    if (known !== undefined) return known;
    const key = sliceKey(drill.value.endpoint, token, number);
    // It is what this run has written, and nobody else writes there.
    const slice = tryJson((await work.read(key)) ?? '') as Slice | undefined;
    if (slice === undefined) throw new GateDependencyError(`${work.uri(key)} is gone`);
    cached.set(number, slice);
    return slice;
  });
}
