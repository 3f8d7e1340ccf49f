import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { CLIENT_OPTIONS } from '../shared/aws.ts';
import { readConfiguration } from '../shared/configuration.ts';
import { GateDependencyError } from '../shared/errors.ts';
import { EvidenceStore } from '../shared/evidence.ts';
import { formatTime } from '../shared/format.ts';
import { type HistoryPoint, pointOf } from '../shared/history.ts';
import { type InvocationContext, remembered, withHelp } from '../shared/lambda.ts';
import { createBoardMetrics, createLogger } from '../shared/observability.ts';
import { parseValue } from '../shared/schema.ts';
import { observe } from './adapters/ledger.ts';
import { readStoredBoard, storeBoard } from './adapters/stored-board.ts';
import { type Board, boardOf, countsOf, shows, summaryOf } from './board.ts';
import { boardPage } from './page.ts';
import {
  boardBundleSchema,
  type Environment,
  environmentSchema,
  GAPS,
  historyEventSchema,
} from './schema.ts';

/** What the function works with; tests give it other ones. */
export interface BoardDependencies {
  env: Environment;
  s3: S3Client;
  /** Milliseconds since 1970. */
  now: () => number;
  /** @param ms milliseconds */
  wait: (ms: number) => Promise<unknown>;
}

/** What an invocation answers: what it built, or why it built nothing. */
export type BoardAnswer = { builtAt: string; ready: boolean; summary: string } | { ignored: string };

/** How often a board is built until nobody else has stored one meanwhile. */
const ATTEMPTS = 12;

/** The longest pause before another attempt; milliseconds. */
const PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;

/**
 * The board as a function of its dependencies: whatever it is invoked with, it rebuilds the board from the history of all
 * gates; of an event that tells of an entry which the stored board shows, there is nothing to do.
 *
 * It throws GateDependencyError where S3 fails, or others store boards all the time: Lambda tries again, and so does the
 * next hour.
 */
export function createBoardHandler(
  deps: BoardDependencies,
): (event: unknown, context: InvocationContext) => Promise<BoardAnswer> {
  const { env, s3 } = deps;
  const place = { s3, bucket: env.EVIDENCE_BUCKET };
  const store = new EvidenceStore(s3, env.EVIDENCE_BUCKET);
  const logger = createLogger('board');
  const record = createBoardMetrics();
  const bundle = remembered(() => readConfiguration(s3, env, boardBundleSchema));

  return async (event, context) => {
    logger.resetKeys();
    logger.appendKeys({ requestId: context.awsRequestId });
    try {
      const board = await rebuild(pointOfEvent(event));
      if (board === undefined) {
        logger.info('ignored', { reason: SHOWN_ALREADY });
        return { ignored: SHOWN_ALREADY };
      }
      const { gaps, ...counts } = countsOf(board);
      record(undefined, { Rebuilt: 1, ...named(counts) });
      for (const gap of GAPS) record(gap, named(gaps[gap]));
      logger.info('rebuilt', { builtAt: formatTime(board.builtAt), ...counts });
      const { ready, text } = summaryOf(board);
      return { builtAt: formatTime(board.builtAt), ready, summary: text };
    } catch (error) {
      logger.error('the board was not rebuilt', error as Error);
      throw withHelp(error);
    }
  };

  /** @returns undefined where the stored board shows the run already */
  async function rebuild(point: HistoryPoint | undefined): Promise<Board | undefined> {
    const { rows } = await bundle();
    const requirements = rows.flatMap((row) => row.requirements);
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const { board: stored, complete, etags } = await readStoredBoard(place);
      if (point !== undefined && stored !== undefined && complete && shows(stored, point)) return undefined;
      const now = deps.now();
      const board = boardOf(rows, await observe(store, requirements), now);
      const built = { json: `${JSON.stringify(board)}\n`, page: boardPage(board) };
      if (await storeBoard(place, built, etags)) return board;
      await deps.wait(Math.random() * Math.min(PAUSE_MS * 2 ** attempt, LONGEST_PAUSE_MS));
    }
    throw new GateDependencyError(
      `the board was built ${ATTEMPTS} times, and each time somebody else had stored another one meanwhile`,
      { help: 'Nothing is lost: the next verdict, or the next hour, rebuilds it.' },
    );
  }
}

const SHOWN_ALREADY = 'the stored board shows this run already';

/** The run that an event tells of; undefined of any other event, and of an invocation by hand. */
function pointOfEvent(event: unknown): HistoryPoint | undefined {
  const { data } = historyEventSchema.safeParse(event);
  return data && pointOf(data.detail.object.key);
}

/** Counts under the names of their metrics. */
function named(counts: {
  overdue: number;
  failing: number;
  overdueDrills?: number;
  notReady?: number;
}): Parameters<ReturnType<typeof createBoardMetrics>>[1] {
  return {
    Overdue: counts.overdue,
    Failing: counts.failing,
    OverdueDrills: counts.overdueDrills,
    NotReady: counts.notReady,
  };
}

let handle: ReturnType<typeof createBoardHandler> | undefined;

/** The Lambda function: {@link createBoardHandler} with what its environment names, made once a cold start. */
export async function handler(event: unknown, context: InvocationContext): Promise<BoardAnswer> {
  handle ??= createBoardHandler({
    env: parseValue(environmentSchema, process.env, 'environment'),
    s3: new S3Client(CLIENT_OPTIONS),
    now: Date.now,
    wait: sleep,
  });
  return handle(event, context);
}
