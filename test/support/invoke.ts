import { DurableService } from './durable-service.ts';
import type { VirtualClock } from './virtual-clock.ts';

/*
 * Handlers as Lambda invokes them, on virtual time.
 */

type Handler<C> = (event: unknown, context: C) => Promise<unknown>;

/** What of Lambda's context a handler of one process looks at. */
const CONTEXT = { awsRequestId: 'request-1', getRemainingTimeInMillis: () => 900_000 };

/** In one process. */
export function invoking(
  clock: VirtualClock,
  handle: Handler<typeof CONTEXT>,
): (event: unknown) => Promise<unknown> {
  return (event) => clock.until(handle(event, CONTEXT));
}

/** As a durable execution. */
export function invokeDurably(
  clock: VirtualClock,
  handle: Handler<typeof CONTEXT>,
  event: unknown,
): Promise<unknown> {
  const inside = handle as ConstructorParameters<typeof DurableService>[0];
  const service = new DurableService(
    async (...invocation) => {
      await clock.catchUp();
      return inside(...invocation);
    },
    (ms) => clock.skip(ms),
  );
  return clock.until(service.run(event));
}
