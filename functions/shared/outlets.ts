import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { SNSClient } from '@aws-sdk/client-sns';
import { type Announcement, announce } from './eventbridge.ts';
import type { EvidenceStore } from './evidence.ts';
import type { Message } from './message.ts';
import { notify } from './sns.ts';

/*
 * Telling people and machines something once, however often it is tried: evidence remembers it.
 */

/** Where evidence, messages and events go. */
export interface Outlets {
  env: { TOPIC_ARN: string; EVENT_BUS: string };
  store: EvidenceStore;
  sns: SNSClient;
  events: EventBridgeClient;
}

/** Tells the owners something, once for the same `key` in the evidence. */
export async function tellOnce(
  { env, sns, store }: Outlets,
  key: string,
  message: () => Message,
): Promise<void> {
  await store.once(key, async () => ({ messageId: await notify(sns, env.TOPIC_ARN, message()) }));
}

/** Emits an event, once for the same `key` in the evidence. */
export async function announceOnce(
  { env, events, store }: Outlets,
  key: string,
  announcement: Announcement,
): Promise<void> {
  await store.once(key, async () => ({ eventId: await announce(events, env.EVENT_BUS, announcement) }));
}
