import { GateDependencyError, GateError } from './errors.ts';

/**
 * Options of every AWS client: bounded, so that a call that hangs cannot eat the time a verdict needs to be
 * published. Five attempts with exponential back-off, 3 s to connect, 30 s for an answer or without a byte.
 */
export const CLIENT_OPTIONS = {
  retryMode: 'standard',
  maxAttempts: 5,
  requestHandler: {
    connectionTimeout: 3_000,
    requestTimeout: 30_000,
    throwOnRequestTimeout: true,
    socketTimeout: 30_000,
  },
};

/** HTTP status of a failed AWS call; undefined where no answer came at all. */
export function statusOf(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | null)?.$metadata?.httpStatusCode;
}

/** Whether S3 says that there is no such object; that there is no such bucket is a fault. */
export function isNoSuchObject(error: unknown): boolean {
  return statusOf(error) === 404 && (error as Error).name !== 'NoSuchBucket';
}

/**
 * Waits for an AWS call.
 *
 * @param what the call and what it is about, `GetObject s3://bucket/key`: the beginning of every message
 * @throws GateDependencyError where it fails, with the error of the SDK as its cause
 */
export async function call<T>(what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw dependencyError(what, error);
  }
}

/** A failed AWS call as the class that is retried; an error that already is of ours stays as it is. */
export function dependencyError(what: string, error: unknown): GateError {
  if (error instanceof GateError) return error;
  const { name = 'Error', message = String(error) } = (error ?? {}) as Partial<Error>;
  // HEAD answers carry no body, so the SDK has nothing but the status to put into the message.
  const said =
    message === '' || message === name || message === 'UnknownError' ? name : `${name}: ${message}`;
  const status = statusOf(error);
  const denied = status === 403;
  return new GateDependencyError(
    `${what} failed (${status === undefined ? 'no answer' : `HTTP ${status}`}): ${said}`,
    {
      cause: error,
      ...(denied && {
        help: 'Grant the role this action on this resource, and its KMS key where there is one; S3 also says 403 of what does not exist to a role without s3:ListBucket.',
      }),
    },
  );
}

/**
 * Reads a response body of a known length.
 *
 * @throws Error where the body is shorter or longer than that, or the connection breaks
 */
export async function readBody(body: unknown, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    if (filled + chunk.length > length) throw new Error(`the body is longer than ${length} bytes`);
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  if (filled < length) throw new Error(`the body ended after ${filled} of ${length} bytes`);
  return bytes;
}

/** `Promise.all` over `items`, at most `limit` at a time; the first error stops the rest from starting. */
export async function mapLimit<T, R>(
  items: readonly T[],
  limit: number,
  map: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = new Array(items.length);
  let next = 0;
  let failed = false;
  const worker = async () => {
    while (next < items.length && !failed) {
      const index = next++;
      try {
        results[index] = await map(items[index] as T);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  return results;
}
