import type { Tag } from '@aws-sdk/client-sagemaker';

/*
 * What SageMaker's answers mean. Of most things that are not there it says ValidationException, and only the message
 * tells.
 */

/** Whether what the call was about does not exist. */
export function isGone(error: unknown): boolean {
  const { name, message = '' } = (error ?? {}) as Partial<Error>;
  return (
    name === 'ResourceNotFound' ||
    (name === 'ValidationException' && /does not exist|could not find|cannot find/i.test(message))
  );
}

/** Whether there is something of that name already. */
export function isTaken(error: unknown): boolean {
  const { name, message = '' } = (error ?? {}) as Partial<Error>;
  return name === 'ResourceInUse' || (name === 'ValidationException' && /already exist/i.test(message));
}

/** Tags by key as SageMaker takes them, in the order of their keys. */
export function tagList(tags: Readonly<Record<string, string>>): Tag[] {
  return Object.entries(tags)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([Key, Value]) => ({ Key, Value }));
}
