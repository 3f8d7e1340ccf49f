import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { call } from './aws.ts';
import { GateDependencyError } from './errors.ts';
import { EVENT_SOURCE } from './schema.ts';

/** An event of Tocsin's: what happened, to which resource, and the details as plain JSON. */
export interface Announcement {
  detailType: string;
  detail: unknown;
  /** ARN of what the event is about. */
  resource: string;
}

/**
 * Emits one event with the source `tocsin`.
 *
 * @returns id of the event
 * @throws GateDependencyError where EventBridge does not answer, or takes the call but not the event
 */
export async function announce(
  events: EventBridgeClient,
  bus: string,
  { detailType, detail, resource }: Announcement,
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
            DetailType: detailType,
            Detail: JSON.stringify(detail),
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
