import type { S3Client } from '@aws-sdk/client-s3';
import { claimed, type Refusal } from '../shared/claimed.ts';
import {
  type Concluded,
  type RunSubject,
  readConcluded,
  storeVerdict,
  tellConcluded,
  verdictUri,
} from '../shared/conclude.ts';
import { GateDependencyError, GateInputError } from '../shared/errors.ts';
import { followed } from '../shared/followed.ts';
import { goldenPlace, readGolden } from '../shared/golden.ts';
import { verdictId } from '../shared/identity.ts';
import { remembered } from '../shared/lambda.ts';
import type { Message } from '../shared/message.ts';
import type { Outlets } from '../shared/outlets.ts';
import type { Golden } from '../shared/prediction.ts';
import { renderReport } from '../shared/report/verdict-page.ts';
import type { RunReporting } from '../shared/run-handler.ts';
import type { Ignored } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import type { WorkBucket } from '../shared/work.ts';
import type { Patience, Workflow } from '../shared/workflow.ts';
import { evaluate } from './evaluate.ts';
import { sourcesOf, verdictOf } from './identity.ts';
import { dayOf } from './judging.ts';
import { layeredJson } from './layered.ts';
import { parityMessage, parityRefusalMessage, parityResultOf } from './messages.ts';
import { parityPage } from './report.ts';
import type { ParityRequest } from './request.ts';
import {
  PARITY_FINISHED,
  type Parity,
  type ParityResult,
  parityResultSchema,
  SIDES,
  type Side,
} from './schema.ts';
import {
  partsFolder,
  readEnvironment,
  type SnapshotDependencies,
  snapshotOfParts,
  type Taken,
} from './snapshot-workflow.ts';

/*
 * One comparison of two environments, from reading both to the verdict, as one function over the workflow port. It changes
 * nothing but what it keeps and tells, so every step bears to be repeated.
 */

/** What a comparison works with. */
export interface ParityDependencies extends Outlets, RunReporting {
  env: Outlets['env'] & { DATA_BUCKET?: string | undefined };
  work: WorkBucket;
  /** Has the golden requests, in Tocsin's own account. */
  s3: S3Client;
  clients: SnapshotDependencies['clients'];
  /** Operations of the execution that reading may take. */
  operations: number;
  /** Milliseconds since 1970. */
  now: () => number;
}

/** The answer to a comparison that could not be made, through somebody's mistake. Its owners were told. */
export interface ParityRefusal extends Refusal {
  parity: string;
}

export type ParityAnswer = ParityResult | Ignored | ParityRefusal;

/** A comparison that goes on. */
interface Run {
  parity: Parity;
  /** Milliseconds since 1970. */
  startedAt: number;
  report: (phase: string) => Promise<void>;
}

/** How long one execution may take to tell of a verdict that others have come to, too. */
const TELLING: Patience = { timeoutMs: 120_000, firstPauseMs: 1_000, longestPauseMs: 10_000 };

/**
 * Compares both environments, judges what came of it, and tells.
 *
 * @returns the verdict, which is a value also when it is bad; or with whose mistake keeps it from being reached
 * @throws GateDependencyError (and whatever is a bug) where there is no verdict through no fault of anybody's. The owners
 * were told
 */
export function runParity(
  workflow: Workflow,
  { parity, run }: ParityRequest,
  deps: ParityDependencies,
): Promise<ParityAnswer> {
  const { name } = parity;
  const subject: RunSubject = { gate: 'config-parity', subject: name };
  return followed<ParityAnswer>(workflow, run, deps, async (startedAt, report) => {
    const answer = await claimed<ParityResult>(
      workflow,
      {
        what: `the comparison ${name}`,
        resumes: false,
        ended: () => readConcluded(deps.store, subject, workflow.id, parityResultSchema),
        failed: {
          ...subject,
          about: { parity: name },
          idOf: (about) => verdictId('config-parity', TOCSIN_VERSION, about),
          message: (error) => parityRefusalMessage(parity, error),
        },
        run: () => compareAndTell(workflow, { parity, startedAt, report }, deps),
        cleanUp: () =>
          workflow.step('remove what was read', async () => {
            await deps.work.release(tellingKey(parity), workflow.id);
            await deps.work.delete(partsFolder(workflow, parity));
          }),
      },
      deps,
    );
    return 'error' in answer ? { parity: name, ...answer } : answer;
  });
}

async function compareAndTell(workflow: Workflow, run: Run, deps: ParityDependencies): Promise<ParityResult> {
  const { parity, report } = run;
  const asOf = await workflow.step('look at the calendar', async () => dayOf(deps.now()));
  const reading: SnapshotDependencies = {
    clients: deps.clients,
    parts: partsIn(deps.work),
    golden: await goldenOnce(workflow, run, deps),
    now: deps.now,
    report,
  };
  // Half of them each.
  const mostParts = Math.max(1, Math.floor(deps.operations / SIDES.length));
  const taken = await workflow.map('read both environments', SIDES, (part, side) =>
    readEnvironment(part, { parity, side }, reading, mostParts),
  );
  const judged = await workflow.step('compare and judge', async () => {
    await report('comparing');
    return judgeAndStore({ parity, taken, asOf }, reading, deps);
  });
  return tell(workflow, run, judged, deps);
}

/**
 * Golden requests as they were when the run began, read once an invocation: both environments are asked the same.
 *
 * @throws GateInputError where there are none that can be used
 */
async function goldenOnce(
  workflow: Workflow,
  { parity, report }: Run,
  { s3, env }: ParityDependencies,
): Promise<SnapshotDependencies['golden']> {
  const places = [...new Set(Object.values(parity.value.probes).map(({ golden }) => golden))];
  const readers = new Map(
    places.map((place) => [place, remembered(() => readGolden(s3, goldenPlace(place, env.DATA_BUCKET)))]),
  );
  const read = (place: string): Promise<Golden> | undefined => readers.get(place)?.();
  const hashes = new Map<string, string>();
  for (const place of places) {
    const hash = await workflow.step(`read ${place}`, async () => {
      await report('reading the golden requests');
      return (await read(place))?.sha256 ?? '';
    });
    hashes.set(place, hash);
  }
  return async (place) => {
    const golden = await read(place);
    if (golden === undefined || golden.sha256 !== hashes.get(place)) {
      throw new GateInputError(`${place} was replaced while the environments were asked`, {
        help: 'Run the comparison again.',
      });
    }
    return golden;
  };
}

/** What was read is kept in the work bucket. */
function partsIn(work: WorkBucket): SnapshotDependencies['parts'] {
  return {
    put: (key, text) => work.put(key, { text }),
    get: async (key) => {
      const text = await work.read(key);
      if (text === undefined) throw new GateDependencyError(`${work.uri(key)} is gone`);
      return text;
    },
  };
}

/** A verdict that is stored, and what is told of it: small enough for the result of a step, which a verdict is not. */
interface Judged {
  verdict: Concluded['verdict'];
  result: ParityResult;
  message: Message;
}

async function judgeAndStore(
  { parity, taken, asOf }: { parity: Parity; taken: readonly Taken[]; asOf: string },
  reading: SnapshotDependencies,
  { store }: ParityDependencies,
): Promise<Judged> {
  const snapshotOf = (side: Side) =>
    snapshotOfParts({ parity, side }, taken[SIDES.indexOf(side)] as Taken, reading);
  const [staging, production] = [await snapshotOf('staging'), await snapshotOf('production')];
  const comparison = evaluate(staging, production, parity, asOf);
  const verdict = verdictOf(staging, production, comparison, parity, sourcesOf(parity));
  await storeVerdict(store, verdict, {
    'staging.json': layeredJson(staging),
    'production.json': layeredJson(production),
    'comparison.json': layeredJson(comparison),
    'report.html': renderReport(verdict, () =>
      parityPage(verdict, comparison, { staging, production }, parity),
    ),
  });
  const { gate, subject, id, outcome, reason, inputs } = verdict;
  const result = parityResultOf(verdict, comparison, verdictUri(store, verdict));
  return {
    verdict: { gate, subject, id, outcome, reason, inputs },
    result,
    message: parityMessage(result, verdict),
  };
}

/** Key of the claim of whoever tells what came of a comparison. */
function tellingKey({ name }: Parity): string {
  return `parity/telling-${name}.json`;
}

/** Two events of one deployment come to the same verdict at the same time: one of them tells, the other waits for it. */
async function tell(
  workflow: Workflow,
  { parity, startedAt }: Run,
  { verdict, result, message }: Judged,
  deps: ParityDependencies,
): Promise<ParityResult> {
  const { name } = parity;
  await workflow.waitUntil(
    'wait for others who tell',
    async () => {
      const owner = await deps.work.claim(tellingKey(parity), workflow.id, TELLING.timeoutMs);
      return owner === workflow.id ? true : undefined;
    },
    TELLING,
  );
  const concluded = { verdict, detailType: PARITY_FINISHED, resource: name, name, startedAt };
  await tellConcluded(workflow, concluded, result, () => message, deps);
  return result;
}
