import * as z from 'zod';

/*
 * How far a run of something long is, for whoever follows it.
 */

/** Names a run that was started by hand, so that whoever started it can follow it. */
export const runId = z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'at most 64 letters, digits and hyphens');

/** Where a run is: one object in the work bucket, overwritten as it goes on. */
export const progressSchema = z.object({
  run: z.string(),
  /** Milliseconds since 1970. */
  startedAt: z.number(),
  updatedAt: z.number(),
  /** A few words: `the transform job of the candidate runs`. */
  phase: z.string(),
  /** When it is over. */
  result: z.exactOptional(z.unknown()),
  error: z.exactOptional(
    z.object({ name: z.string(), message: z.string(), help: z.exactOptional(z.string()) }),
  ),
});

export type Progress = z.output<typeof progressSchema>;

/** What whoever follows a run gets to know of its error. */
export function toldOf({
  name,
  message,
  help,
}: {
  name: string;
  message: string;
  help?: string | undefined;
}): NonNullable<Progress['error']> {
  return { name, message, ...(help !== undefined && { help }) };
}

/** Key of the {@link Progress} of a run in the work bucket. */
export function progressKey(run: string): string {
  return `runs/${run}.json`;
}
