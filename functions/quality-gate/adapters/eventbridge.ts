import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { call } from '../../shared/aws.ts';
import { GateDependencyError } from '../../shared/errors.ts';
import { ACCEPTED, EVENT_SOURCE, type GateResult, REJECTED } from '../schema.ts';

/**
 * Emits `Dataset Accepted` or `Dataset Rejected`.
 *
 * @param resource ARN of the object that was judged
 * @returns id of the event
 * @throws GateDependencyError where EventBridge does not answer, or takes the call but not the event
 */
export async function announce(
  events: EventBridgeClient,
  bus: string,
  result: GateResult,
  resource: string,
): Promise<string | undefined> {
  const what = `PutEvents to ${bus}`;
  const { FailedEntryCount, Entries } = await call(
    what,
    events.send(
      new PutEventsCommand({
        Entries: [
          {
            EventBusName: bus,
            Source: EVENT_SOURCE,
            DetailType: result.accepted ? ACCEPTED : REJECTED,
            Detail: JSON.stringify(result),
            Resources: [resource],
          },
        ],
      }),
    ),
  );
  const [entry] = Entries ?? [];
  if ((FailedEntryCount ?? 0) > 0) {
    throw new GateDependencyError(`${what} failed: ${entry?.ErrorCode}: ${entry?.ErrorMessage}`);
  }
  return entry?.EventId;
}
