import { LocalDurableTestRunner } from '@aws/durable-execution-sdk-js-testing';

/**
 * Sets up the SDK's local runner, with skipped time, for the tests of one `describe`.
 *
 * Its fake clock replaces more than timers. Node.js itself calls `process.nextTick` when it has sent a message to another
 * process, and what is waiting for that when the clock is taken off again never comes: then the test runner, which hears
 * of results by such messages, waits for ever. So what is no timer is put back at once.
 */
export async function skipTime(): Promise<void> {
  const { nextTick } = process;
  const { queueMicrotask, setImmediate, clearImmediate } = globalThis;
  await LocalDurableTestRunner.setupTestEnvironment({ skipTime: true });
  process.nextTick = nextTick;
  Object.assign(globalThis, { queueMicrotask, setImmediate, clearImmediate });
}
