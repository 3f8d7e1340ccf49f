import { setTimeout as pause } from 'node:timers/promises';
import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import type { SNSClient } from '@aws-sdk/client-sns';
import { type Announcement, announce } from './eventbridge.ts';
import { type EvidenceStore, prettyJson } from './evidence.ts';
import { compose, type Message } from './message.ts';
import { DEFAULT_RUNBOOK } from './notification/schema.ts';
import { notify, notifyChat } from './sns.ts';

/*
 * Telling people and machines something once, however often it is tried: evidence remembers it.
 */

/** Where evidence, messages and events go. */
export interface Outlets {
  env: {
    TOPIC_ARN: string;
    EVENT_BUS: string;
    /** Absent where no chat is told. */
    CHAT_TOPIC_ARN?: string | undefined;
    /** Path or address of the runbook, where it is not the one of this repository. */
    RUNBOOK?: string | undefined;
  };
  store: EvidenceStore;
  sns: SNSClient;
  events: EventBridgeClient;
  /** How it waits, milliseconds; by the clock of the machine where it is left out. */
  sleep?: (ms: number) => Promise<unknown>;
}

/** How long whoever tells something already is waited for before he is taken for dead, milliseconds. */
const PATIENCE_MS = 500;
const STEP_MS = 50;

/**
 * Tells the owners something, once for the same `key` in the evidence. The chat is remembered by itself: where it cannot be
 * told, the retry tells it alone.
 *
 * Of several that would tell it at one time, the first one does. Only where a process dies after SNS has taken a message,
 * and before that is written down, it is sent again: a message may come twice, and none is lost.
 *
 * @param record what to remember beside the id of the message
 * @throws GateDependencyError where somebody could not be told
 */
export async function tellOnce(
  { env, sns, store, sleep = pause }: Outlets,
  key: string,
  message: () => Message,
  record: Record<string, unknown> = {},
): Promise<void> {
  if ((await store.read(key)) === undefined) await waitForOther(store, key, sleep);
  await store.once(key, async () => ({ ...record, messageId: await notify(sns, env.TOPIC_ARN, message()) }));
  const chat = env.CHAT_TOPIC_ARN;
  if (chat === undefined) return;
  await store.once(key.replace(/\.json$/, '-chat.json'), async () => ({
    messageId: await notifyChat(sns, chat, message()),
  }));
}

/** Returns at once to the first that asks; to others when it is done, or when it should have been. */
async function waitForOther(
  store: EvidenceStore,
  key: string,
  sleep: NonNullable<Outlets['sleep']>,
): Promise<void> {
  const claim = key.replace(/[^/]+$/, (name) => `telling-${name}`);
  if (await store.create(claim, prettyJson({ claim: 1 }))) return;
  for (let waited = 0; waited < PATIENCE_MS; waited += STEP_MS) {
    await sleep(STEP_MS);
    if ((await store.read(key)) !== undefined) return;
  }
}

/** A message that there is no verdict, with where it says what to do then. */
export function withRunbook(message: Message, { RUNBOOK }: Outlets['env']): Message {
  if (message.trouble === undefined) return message;
  const runbook = `${RUNBOOK ?? DEFAULT_RUNBOOK}#no-verdict`;
  return compose({
    ...message,
    facts: [...message.facts, ['Runbook', runbook]],
    trouble: { ...message.trouble, runbook },
  });
}

/** Emits an event, once for the same `key` in the evidence. */
export async function announceOnce(
  { env, events, store }: Outlets,
  key: string,
  announcement: Announcement,
): Promise<void> {
  await store.once(key, async () => ({ eventId: await announce(events, env.EVENT_BUS, announcement) }));
}
