import { readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readStoredBoard } from '../functions/board/adapters/stored-board.ts';
import { type Board, boardSchema, openGaps, rowTitle, shows } from '../functions/board/board.ts';
import { BOARD_JSON, GAP_TITLES } from '../functions/board/schema.ts';
import { STANDING_MARKS } from '../functions/board/standing.ts';
import { pointOf } from '../functions/shared/history.ts';
import { listPages } from '../functions/shared/s3.ts';
import { ROOT, STATE } from './paths.ts';
import type { World } from './world.ts';

/*
 * What is left to look at when all stories are told: the board, and the report of each verdict that it shows.
 */

/** Where the board of the last run is kept. */
const SAVED = join(STATE, 'board');

/** How long the board may take to show what has just been judged. */
const PATIENCE_MS = 60_000;

/**
 * Waits until the deployed board shows every verdict that the history has, and saves it with its reports.
 *
 * @returns the board, and the path of its page
 * @throws SandboxError where it does not come to show them all
 */
export async function saveBoard(world: World): Promise<{ board: Board; page: string }> {
  const missing = await untilShown(world);
  if (missing.length > 0) {
    throw await world.failure(
      `The board lacks ${missing.length} verdicts that the history has, such as ${missing[0]}.`,
    );
  }
  await rm(SAVED, { recursive: true, force: true });
  const printed = await world.tocsin(['board', '--save', SAVED, '--outputs', world.outputsFile]);
  const text = await readFile(join(SAVED, BOARD_JSON), 'utf8');
  return { board: boardSchema.parse(JSON.parse(text)), page: relative(ROOT, printed.trim()) };
}

/** One line for each gap of each release: how it stands at the end of the stories, whose last word is the failure. */
export function gapLines({ rows }: Board): { label: string; text: string }[] {
  return rows
    .filter(({ model }) => model !== undefined)
    .flatMap((row) => [
      { label: 'release', text: `${rowTitle(row)} is ${openGaps(row).length === 0 ? 'ready' : 'not ready'}` },
      ...row.gaps.map(({ gap, standing, stands }) => {
        const { number, title, closedBy } = GAP_TITLES[gap];
        const of = stands.map((stand) => `${STANDING_MARKS[stand.standing]} ${stand.title}`).join(', ');
        return {
          label: `${STANDING_MARKS[standing]} ${number} ${title}`,
          text: `${standing} (${closedBy}: ${of})`,
        };
      }),
    ]);
}

/** Keys of the history that the board does not show by the end of the time. */
async function untilShown(world: World): Promise<string[]> {
  for (const deadline = Date.now() + PATIENCE_MS; ; await sleep(500, undefined, { signal: world.signal })) {
    const { board } = await readStoredBoard({ s3: world.s3, bucket: world.output('EvidenceBucket') });
    const missing: string[] = [];
    for (const key of await historyKeys(world)) {
      const point = pointOf(key);
      if (point !== undefined && (board === undefined || !shows(board, point))) missing.push(key);
    }
    if (missing.length === 0 || Date.now() >= deadline) return missing;
  }
}

async function historyKeys(world: World): Promise<string[]> {
  const keys: string[] = [];
  const listing = { Bucket: world.output('EvidenceBucket'), Prefix: 'history/' };
  for await (const { Contents = [] } of listPages(world.s3, listing)) {
    keys.push(...Contents.flatMap(({ Key }) => Key ?? []));
  }
  return keys;
}
