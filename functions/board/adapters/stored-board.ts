import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { dependencyError, isNoSuchObject, readBody, statusOf } from '../../shared/aws.ts';
import { sha256 } from '../../shared/identity.ts';
import { type Board, boardSchema } from '../board.ts';
import { BOARD_JSON, BOARD_PAGE } from '../schema.ts';

/*
 * The board in its bucket, as JSON and as a page, with many writers and no lock.
 *
 * A writer (1) notes the ETags of both objects, (2) lists the history and builds the board, (3) puts the JSON, if its ETag is
 * still the one of (1), and (4) puts the page, if its ETag is. Where (3) or (4) is refused it starts over. So:
 *
 * - No run is lost. Entries of the history are never changed or removed, and S3 lists what was written before. Whoever
 *   replaces a JSON has noted its ETag before listing, so it lists all that the JSON shows, and all that is new.
 * - The last page shows the last JSON. Let A be the writer of the last page, and B that of the last JSON. If they differ,
 *   B put its JSON after A did, and then put its page or was refused. If it put it, then before A's, which came last; so A
 *   noted the ETags after B's page was there, and its JSON replaced B's or a later one: a contradiction. If it was refused it
 *   started over, so its JSON was not the last, or it has not finished.
 * - A writer that dies between (3) and (4) leaves a page that is older than the JSON. The page bears the hash of the JSON that
 *   it shows, so whoever comes next sees it, and nobody takes such a board for finished.
 */

/** Where the board is. */
export interface BoardPlace {
  s3: S3Client;
  bucket: string;
}

/** What is stored, as a writer notes it before it builds another. */
export interface StoredBoard {
  /** Undefined where there is none, or none that can be read: it is replaced in either case. */
  board: Board | undefined;
  /** Whether the page shows this board. */
  complete: boolean;
  /** ETags, with their quotes; undefined where there is no such object. */
  etags: { json: string | undefined; page: string | undefined };
}

/** In the metadata of the page: the hash of the JSON that it shows. */
const SHOWN = 'board-sha256';

/**
 * Reads what is stored.
 *
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function readStoredBoard({ s3, bucket }: BoardPlace): Promise<StoredBoard> {
  const json = await orNothing(`GetObject s3://${bucket}/${BOARD_JSON}`, async () => {
    const {
      Body,
      ContentLength = 0,
      ETag,
    } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: BOARD_JSON }));
    return { text: (await readBody(Body, ContentLength)).toString('utf8'), etag: ETag };
  });
  const page = await orNothing(`HeadObject s3://${bucket}/${BOARD_PAGE}`, () =>
    s3.send(new HeadObjectCommand({ Bucket: bucket, Key: BOARD_PAGE })),
  );
  return {
    board: json && boardOfText(json.text),
    complete: json !== undefined && page?.Metadata?.[SHOWN] === sha256(json.text),
    etags: { json: json?.etag, page: page?.ETag },
  };
}

function boardOfText(text: string): Board | undefined {
  try {
    return boardSchema.safeParse(JSON.parse(text)).data;
  } catch {
    // What is no JSON is replaced, as what is no board.
    return undefined;
  }
}

/** Undefined of what is not there. */
async function orNothing<T>(what: string, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (isNoSuchObject(error)) return undefined;
    throw dependencyError(what, error);
  }
}

/**
 * Stores a board that was built after what is stored was noted.
 *
 * @param json of the board
 * @param page of the same board
 * @param noted ETags of {@link readStoredBoard}
 * @returns false where somebody else has stored one since: start over
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function storeBoard(
  place: BoardPlace,
  { json, page }: { json: string; page: string },
  noted: StoredBoard['etags'],
): Promise<boolean> {
  return (
    (await putIf(place, { key: BOARD_JSON, text: json, type: 'application/json' }, noted.json)) &&
    (await putIf(
      place,
      { key: BOARD_PAGE, text: page, type: 'text/html; charset=utf-8', metadata: { [SHOWN]: sha256(json) } },
      noted.page,
    ))
  );
}

interface Put {
  key: string;
  text: string;
  type: string;
  metadata?: Record<string, string>;
}

/** @returns whether the object was still the noted one, and is this now */
async function putIf(
  { s3, bucket }: BoardPlace,
  { key, text, type, metadata }: Put,
  etag: string | undefined,
): Promise<boolean> {
  try {
    await s3.send(
      new PutObjectCommand({
        Bucket: bucket,
        Key: key,
        Body: text,
        ContentType: type,
        // It may be another by the next look at it.
        CacheControl: 'no-cache',
        ...(metadata && { Metadata: metadata }),
        ...(etag === undefined ? { IfNoneMatch: '*' } : { IfMatch: etag }),
      }),
    );
    return true;
  } catch (error) {
    // It is another by now, two writers met, or it is gone.
    if ([409, 412].includes(statusOf(error) ?? 0) || isNoSuchObject(error)) return false;
    throw dependencyError(`PutObject s3://${bucket}/${key}`, error);
  }
}
