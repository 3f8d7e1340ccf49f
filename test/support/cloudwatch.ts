import {
  CloudWatchClient,
  type PutMetricAlarmCommandInput,
  PutMetricDataCommand,
} from '@aws-sdk/client-cloudwatch';
import { ServiceError } from '../../sandbox/aws/service.ts';
import { CloudWatch, type Options } from '../../sandbox/cloudwatch/cloudwatch.ts';
import { CloudWatchServer } from '../../sandbox/cloudwatch/server.ts';

const MINUTE_MS = 60_000;

/** An alarm that fires when the drift is above 0.2. */
export const DRIFT = {
  AlarmName: 'drift',
  Namespace: 'Tests',
  MetricName: 'drift',
  Statistic: 'Average',
  Period: 60,
  EvaluationPeriods: 1,
  Threshold: 0.2,
  ComparisonOperator: 'GreaterThanThreshold',
} as const satisfies PutMetricAlarmCommandInput;

/** An action that an alarm has run. */
export interface RanAction {
  /** Of the topic or function. */
  arn: string;
  subject: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it
  message: any;
  alarmArn: string;
  /** Milliseconds since 1970. */
  time: number;
}

/** An event as it went to EventBridge. */
export interface SentEvent {
  detailType: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into it
  detail: any;
  resources: readonly string[];
  /** Milliseconds since 1970. */
  time: number;
}

/** A local CloudWatch in this process on a clock of its own, with a real client, in an account that is in memory. */
export class LocalCloudWatch {
  readonly actions: RanAction[] = [];
  readonly events: SentEvent[] = [];
  readonly log: string[] = [];
  /** What was authorised: `action resource`. */
  readonly authorized: string[] = [];
  /** Actions of the API that nobody may. */
  readonly forbidden = new Set<string>();
  /** ARNs of alarm actions that fail. */
  readonly broken = new Set<string>();
  /** The clock: milliseconds since 1970. */
  time: number;
  cloudwatch!: CloudWatch;
  client!: CloudWatchClient;
  endpoint!: string;
  #server!: CloudWatchServer;

  private constructor(time: number) {
    this.time = time;
  }

  /**
   * @param time where the clock starts, in milliseconds since 1970
   * @param act runs the actions of alarms, too
   */
  static async start({
    time = Date.UTC(2026, 0, 1),
    act = async () => {},
    ...options
  }: { time?: number } & Partial<
    Pick<Options, 'act' | 'extraRange' | 'listDelay'>
  > = {}): Promise<LocalCloudWatch> {
    const own = new LocalCloudWatch(time);
    own.cloudwatch = new CloudWatch({
      ...options,
      now: () => own.time,
      act: async (arn, subject, text, alarmArn) => {
        if (own.broken.has(arn)) throw new Error(`${arn} is broken`);
        await act(arn, subject, text, alarmArn);
        own.actions.push({ arn, subject, message: JSON.parse(text), alarmArn, time: own.time });
      },
      emit: async (detailType, detail, resources) => {
        own.events.push({ detailType, detail: structuredClone(detail), resources, time: own.time });
      },
    });
    own.#server = new CloudWatchServer({
      cloudwatch: own.cloudwatch,
      account: async () => ({
        identify: async () => ({ arn: 'arn:aws:iam::000000000000:root', role: undefined }),
        authorize: async (_caller, action, resource) => {
          own.authorized.push(`${action} ${resource}`);
          if (own.forbidden.has(action)) throw new ServiceError('AccessDeniedException', `may not ${action}`);
        },
      }),
      log: (line) => own.log.push(line),
    });
    own.endpoint = `http://127.0.0.1:${await own.#server.listen()}`;
    own.client = new CloudWatchClient({
      endpoint: own.endpoint,
      region: 'us-east-1',
      credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
      maxAttempts: 1,
    });
    return own;
  }

  /** Lets time pass, in milliseconds: alarms are evaluated, each at its moment, and their actions and events recorded. */
  async advance(milliseconds: number): Promise<void> {
    const to = this.time + milliseconds;
    while (this.cloudwatch.nextEvaluation <= to) {
      this.time = Math.max(this.time, this.cloudwatch.nextEvaluation);
      await this.cloudwatch.advance(this.cloudwatch.nextEvaluation);
    }
    this.time = to;
    await this.cloudwatch.settled();
  }

  /**
   * Publishes one value at a time, and lets time pass after each.
   *
   * @param values undefined for a gap
   * @param every milliseconds between them
   */
  async publish(
    { namespace = 'Tests', name = 'drift' }: { namespace?: string; name?: string },
    values: readonly (number | undefined)[],
    every = MINUTE_MS,
  ): Promise<void> {
    for (const Value of values) {
      if (Value !== undefined) {
        const MetricData = [{ MetricName: name, Value, StorageResolution: every < MINUTE_MS ? 1 : 60 }];
        await this.client.send(new PutMetricDataCommand({ Namespace: namespace, MetricData }));
      }
      await this.advance(every);
    }
  }

  async close(): Promise<void> {
    this.client.destroy();
    await this.#server.close();
  }
}
