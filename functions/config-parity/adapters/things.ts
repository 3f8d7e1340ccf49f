import { mapLimit } from '../../shared/aws.ts';
import type { Json } from '../json.ts';
import { CONCURRENCY, type Found, type Reading } from './reading.ts';

/*
 * What the readers of single things have in common.
 */

/** Reads things, several at a time, and takes down what they are. */
export async function readEach(
  reading: Reading,
  found: readonly Found[],
  /** Null: there is no such thing; undefined: it could not be read, which it has taken down. */
  read: (one: Found) => Promise<Json | null | undefined>,
): Promise<void> {
  await mapLimit(found, CONCURRENCY, async (one) => {
    const value = await read(one);
    if (value !== undefined) reading.sink.add({ ...one, value });
  });
}

/** Whether the name of an error is this one. */
export function isCalled(name: string): (error: unknown) => boolean {
  return (error) => (error as Partial<Error> | undefined)?.name === name;
}

/** An object without some of its members. */
export function without(
  value: Readonly<Record<string, unknown>> | object,
  keys: readonly string[],
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
}

/**
 * The two parts of a name such as `bus/rule`.
 *
 * @returns the first is undefined where there is one part alone
 */
export function splitLast(text: string, separator: string): [string | undefined, string] {
  const at = text.lastIndexOf(separator);
  return at === -1 ? [undefined, text] : [text.slice(0, at), text.slice(at + separator.length)];
}
