import type { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import {
  type GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import type { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { EvidenceStore } from '../../functions/shared/evidence.ts';
import type { Outlets } from '../../functions/shared/outlets.ts';
import { s3Error } from './fake-aws.ts';

export const TOPIC = 'arn:aws:sns:eu-central-1:111122223333:tocsin';
export const CHAT = 'arn:aws:sns:eu-central-1:111122223333:tocsin-chat';

/** What it takes to die: the process did something, and nobody hears of it. */
class Death extends Error {}

/**
 * Evidence, messages and events in memory: small and quick, so that a property can be tried on hundreds of stories. Changes
 * are counted, and the process can die right after any of them.
 */
export class Remembering {
  readonly objects = new Map<string, string>();
  readonly messages: { topic: string; message: string; subject: string | undefined }[] = [];
  readonly events: { type: string; detail: unknown }[] = [];
  /** What was changed, in order. */
  readonly changes: string[] = [];
  /** The process dies after so many changes more. */
  left = Number.POSITIVE_INFINITY;

  /** @param env whether there is a chat */
  outlets(env: { chat?: boolean; runbook?: string } = {}): Outlets {
    return {
      env: {
        TOPIC_ARN: TOPIC,
        EVENT_BUS: 'default',
        CHAT_TOPIC_ARN: env.chat === true ? CHAT : undefined,
        RUNBOOK: env.runbook,
      },
      store: new EvidenceStore({ send: (command: unknown) => this.#s3(command) } as S3Client, 'evidence'),
      sns: { send: (command: PublishCommand) => this.#publish(command) } as unknown as SNSClient,
      events: { send: (command: PutEventsCommand) => this.#put(command) } as unknown as EventBridgeClient,
    };
  }

  /** Keys in order. */
  keys(prefix = ''): string[] {
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }

  /** What people were sent. */
  get texts(): string[] {
    return this.messages
      .filter(({ topic }) => topic === TOPIC)
      .map(({ message }) => (JSON.parse(message) as { default: string }).default);
  }

  /** Does something until it does not die. */
  async survive(work: () => Promise<void>): Promise<void> {
    while (await this.dies(work)) this.left = Number.POSITIVE_INFINITY;
  }

  /** Whether the process died of it; whatever else is thrown is thrown. */
  async dies(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return false;
    } catch (error) {
      for (let one: unknown = error; one instanceof Error; one = one.cause) {
        if (one instanceof Death) return true;
      }
      throw error;
    }
  }

  #changed(what: string): void {
    this.changes.push(what);
    this.left--;
    if (this.left === 0) throw new Death('the process died');
  }

  async #s3(command: unknown): Promise<unknown> {
    if (command instanceof ListObjectsV2Command) {
      const { Prefix = '', MaxKeys } = command.input;
      return {
        Contents: this.keys(Prefix)
          .slice(0, MaxKeys)
          .map((Key) => ({ Key })),
      };
    }
    if (command instanceof PutObjectCommand) {
      const { Key = '', Body } = command.input;
      if (this.objects.has(Key)) throw s3Error('PreconditionFailed', 412);
      this.objects.set(Key, Body as string);
      this.#changed(`PutObject ${Key}`);
      return {};
    }
    const { Key = '' } = (command as GetObjectCommand).input;
    const text = this.objects.get(Key);
    if (text === undefined) throw s3Error('NoSuchKey', 404);
    const body = Buffer.from(text);
    return { Body: [body], ContentLength: body.length };
  }

  async #publish({ input }: PublishCommand): Promise<unknown> {
    this.messages.push({
      topic: input.TopicArn ?? '',
      message: input.Message ?? '',
      subject: input.Subject,
    });
    this.#changed(`Publish ${input.TopicArn}`);
    return { MessageId: `message-${this.messages.length}` };
  }

  async #put({ input }: PutEventsCommand): Promise<unknown> {
    for (const { DetailType = '', Detail = '' } of input.Entries ?? []) {
      this.events.push({ type: DetailType, detail: JSON.parse(Detail) });
    }
    this.#changed('PutEvents');
    return { FailedEntryCount: 0, Entries: [{ EventId: 'event' }] };
  }
}
