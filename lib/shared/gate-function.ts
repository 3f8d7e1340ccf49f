import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, parse } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Annotations,
  AssetHashType,
  DockerImage,
  Duration,
  RemovalPolicy,
  Size,
  Stack,
  Stage,
  Validations,
} from 'aws-cdk-lib';
import { Alarm, ComparisonOperator, type IMetric, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import { type EventPattern, type IRuleTarget, Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  Alias,
  type Architecture,
  Code,
  type ILayerVersion,
  type IVersion,
  Function as LambdaFunction,
  Runtime,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { buildSync } from 'esbuild';
import { acknowledgeWildcards } from './acknowledge.ts';
import { localArn, type Place } from './arn.ts';
import { DUCKDB_MODULE } from './duckdb-layer.ts';
import type { Notifications } from './notifications.ts';

/** This file is TypeScript in the repository and JavaScript in the installed package; so are the handlers. */
const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const PACKAGE_ROOT = fileURLToPath(new URL('../..', import.meta.url));

export interface GateFunctionProps {
  /** Part of every description: `quality-gate`. */
  name: string;
  /** File below `functions/` with the handler, without its ending: `quality-gate/handler`. */
  entry: string;
  architecture: Architecture;
  /** MB */
  memory: number;
  /** MB of /tmp */
  disk: number;
  timeout: Duration;
  /** Makes it a durable function, whose executions outlive its invocations, and live as long as this. */
  executionTimeout?: Duration;
  /**
   * How long an event may wait for its turn, and how often one that failed is tried again where the function is not
   * durable; by default six hours, and twice.
   */
  patience?: { maxAge: Duration; retries: number };
  /** Invocations at a time, reserved from the account's quota; `unreserved` takes what the account has. */
  concurrency: number | 'unreserved';
  layers: ILayerVersion[];
  /** Where its alarms go, and its verdicts where it has some. */
  notifications: Notifications;
  /** What it means that an event was not judged, as alarms say it: `its data stays locked`. */
  unjudged: string;
}

/** What {@link GateFunction.allow} allows. */
export interface Grant {
  actions: string[];
  resources: string[];
  conditions?: Record<string, Record<string, unknown>>;
  /** Why the resources have wildcards, where they have. */
  wildcards?: string;
}

/**
 * The Lambda function of one gate, with everything around it: alias, dead-letter queue, logs, alarms.
 *
 * Its methods that connect it to something both grant and set the environment, so that wiring and permission
 * cannot drift apart.
 */
export class GateFunction extends Construct {
  readonly role: Role;
  /** The function itself; nothing invokes it but through {@link alias}. */
  readonly function: LambdaFunction;
  /** `live`: the target of every trigger and permission. */
  readonly alias: Alias;
  /** Events that no attempt could judge, from Lambda (all attempts failed) and EventBridge (not delivered). */
  readonly deadLetters: Queue;
  readonly #props: GateFunctionProps;

  constructor(scope: Construct, id: string, props: GateFunctionProps) {
    super(scope, id);
    this.#props = props;
    const logGroup = new LogGroup(this, 'Logs', {
      retention: RetentionDays.SIX_MONTHS,
      // What has to last is evidence, in its own bucket.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    this.role = new Role(this, 'Role', {
      description: `Tocsin ${props.name}`,
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
    });
    logGroup.grantWrite(this.role);
    this.deadLetters = this.#createDeadLetters();

    const { executionTimeout } = props;
    this.function = new LambdaFunction(this, 'Function', {
      description: `Tocsin ${props.name}`,
      runtime: Runtime.NODEJS_24_X,
      architecture: props.architecture,
      handler: 'index.handler',
      code: handlerCode(props.entry),
      layers: props.layers,
      role: this.role,
      memorySize: props.memory,
      ephemeralStorageSize: Size.mebibytes(props.disk),
      timeout: props.timeout,
      ...(executionTimeout !== undefined && {
        durableConfig: { executionTimeout },
        // Durable functions have no destinations, and are not tried again: an execution that failed goes here.
        deadLetterQueue: this.deadLetters as IQueue,
        // An execution ends with the code that it began with, so that code must outlive a deployment.
        currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
      }),
      ...(props.concurrency !== 'unreserved' && { reservedConcurrentExecutions: props.concurrency }),
      logGroup,
      tracing: Tracing.ACTIVE,
      environment: { NODE_OPTIONS: '--enable-source-maps' },
    });
    // It keeps nothing by itself, so nothing is lost when `workflow` in tocsin.yaml changes, which replaces it.
    Annotations.of(this.function).acknowledgeInfo('aws-lambda:Function.DurableConfig');
    // The CDK's classes do not satisfy its interfaces under exactOptionalPropertyTypes, hence the assertion.
    const version = this.function.currentVersion as IVersion;
    this.alias = new Alias(this, 'Live', { aliasName: 'live', version });

    // The longest that Lambda offers: a burst of uploads waits its turn under the bounded concurrency.
    const { maxAge, retries } = props.patience ?? { maxAge: Duration.hours(6), retries: 2 };
    this.alias.configureAsyncInvoke({
      maxEventAge: maxAge,
      ...(executionTimeout === undefined && {
        retryAttempts: retries,
        onFailure: new SqsDestination(this.deadLetters),
      }),
    });
    if (executionTimeout !== undefined) this.#keepState();
    this.#admitRules();

    this.#addAlarms();

    acknowledgeWildcards(this.role, ['*'], 'X-Ray takes segments on no narrower resource.');
  }

  /** Sets a variable of the environment. */
  environment(name: string, value: string): void {
    this.function.addEnvironment(name, value);
  }

  /** Allows something. Wildcards in resources need a reason, or cdk-nag complains. */
  allow({ wildcards, ...statement }: Grant): void {
    this.role.addToPolicy(new PolicyStatement(statement));
    if (wildcards !== undefined) acknowledgeWildcards(this.role, statement.resources, wildcards);
  }

  /** Hands it its configuration, as one JSON object whose key is the hash of its content. */
  readConfiguration(content: unknown): void {
    // Beside the other assets of the assembly, from where the CDK stages and cleans it up.
    const { outdir } = Stage.of(this) as Stage;
    const file = join(outdir, `${this.node.addr}.config.json`);
    writeFileSync(file, JSON.stringify(content));
    const asset = new Asset(this, 'Configuration', { path: file });
    this.environment('CONFIG_BUCKET', asset.s3BucketName);
    this.environment('CONFIG_KEY', asset.s3ObjectKey);
    this.allow({ actions: ['s3:GetObject'], resources: [asset.bucket.arnForObjects(asset.s3ObjectKey)] });
  }

  /** Lets it tell people of its verdicts; alarms tell them by themselves. */
  notifyPeople(): void {
    const { notifications } = this.#props;
    for (const [name, value] of Object.entries(notifications.environment())) this.environment(name, value);
    notifications.grantPublish(this.role);
  }

  /** Lets it emit events of one source to the default bus. */
  emitEvents(source: string): void {
    const bus = 'default';
    const arn = localArn(this, 'events', `event-bus/${bus}`);
    this.environment('EVENT_BUS', bus);
    this.allow({
      actions: ['events:PutEvents'],
      resources: [arn],
      conditions: { StringEquals: { 'events:source': source } },
    });
  }

  /** Invokes it on every event of the default bus that matches. */
  onEvents(id: string, description: string, eventPattern: EventPattern): void {
    new Rule(this, id, { description, eventPattern, targets: [this.#target()] });
  }

  /**
   * Invokes it whenever one of these CloudFormation stacks was deployed: once, however many wait for that stack.
   *
   * @param places where they may be; events of another account or region come where somebody forwards them
   */
  onDeployments(stacks: readonly string[], places: readonly Place[] = [{}]): void {
    for (const stack of new Set(stacks)) {
      const ids = places.map((place) => localArn(this, 'cloudformation', `stack/${stack}/`, place));
      this.onEvents(`Deployed-${stack}`, `Deployments of the stack ${stack}`, {
        source: ['aws.cloudformation'],
        detailType: ['CloudFormation Stack Status Change'],
        detail: {
          'stack-id': [...new Set(ids)].map((prefix) => ({ prefix })),
          'status-details': { status: ['CREATE_COMPLETE', 'UPDATE_COMPLETE'] },
        },
      });
    }
  }

  /** Invokes it with `input` on a schedule of EventBridge: `rate(7 days)`, `cron(0 6 ? * MON *)`. */
  onSchedule(id: string, description: string, expression: string, input: unknown): void {
    new Rule(this, id, {
      description,
      schedule: Schedule.expression(expression),
      targets: [this.#target(RuleTargetInput.fromObject(input))],
    });
  }

  /**
   * Not the CDK's own target: that adds a statement for each rule to the policies of the function and of the queue, and
   * the latter takes 20.
   */
  #target(input?: RuleTargetInput): IRuleTarget {
    return {
      bind: () => ({
        arn: this.alias.functionArn,
        ...(input !== undefined && { input }),
        deadLetterConfig: { arn: this.deadLetters.queueArn },
        retryPolicy: { maximumEventAgeInSeconds: 24 * 3600, maximumRetryAttempts: 185 },
      }),
    };
  }

  /** What the function may do to its own executions: read them, and add to them. */
  #keepState(): void {
    const executions = [`${this.function.functionArn}:*`];
    // Not on the role itself, which the function waits for: each would wait for the other.
    const policy = new Policy(this, 'Executions', {
      roles: [this.role],
      statements: [
        new PolicyStatement({
          actions: ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState'],
          resources: executions,
        }),
      ],
    });
    acknowledgeWildcards(policy, executions, 'Every version of this function, and each of its executions.');
    this.alias.node.addDependency(policy);
  }

  #createDeadLetters(): Queue {
    const queue = new Queue(this, 'DeadLetters', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    Validations.of(queue).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason:
        'This is a dead-letter queue: of asynchronous invocations and of rules, which cdk-nag does not see.',
    });
    return queue;
  }

  /** Lets the rules of this account and region invoke the alias and leave what they cannot deliver. */
  #admitRules(): void {
    const stack = Stack.of(this);
    const rules = localArn(this, 'events', 'rule/*');
    const principal = new ServicePrincipal('events.amazonaws.com');
    this.alias.addPermission('Rules', { principal, sourceArn: rules, sourceAccount: stack.account });
    this.deadLetters.addToResourcePolicy(
      new PolicyStatement({
        sid: 'RulesLeaveUndelivered',
        principals: [principal],
        actions: ['sqs:SendMessage'],
        resources: [this.deadLetters.queueArn],
        conditions: {
          ArnLike: { 'aws:SourceArn': rules },
          StringEquals: { 'aws:SourceAccount': stack.account },
        },
      }),
    );
  }

  #addAlarms(): void {
    const { name, unjudged, concurrency, notifications } = this.#props;
    const alarm = (
      id: string,
      metric: IMetric,
      threshold: number,
      periods: number,
      section: 'dead-letters' | 'errors' | 'throttles',
      description: string,
    ) => {
      new Alarm(this, id, {
        metric,
        threshold,
        evaluationPeriods: periods,
        comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        treatMissingData: TreatMissingData.NOT_BREACHING,
        alarmDescription: `Tocsin ${name}: ${description} Runbook: ${notifications.runbook(section)}`,
      }).addAlarmAction(...notifications.alarmActions());
    };
    const period = Duration.minutes(5);
    alarm(
      'DeadLettersAlarm',
      this.deadLetters.metricApproximateNumberOfMessagesVisible({ period, statistic: 'Maximum' }),
      1,
      1,
      'dead-letters',
      `an event ended in the dead-letter queue, so it was not judged: ${unjudged}. Read the message and the logs, mend the cause, then invoke the alias with the event again.`,
    );
    // One failed attempt is retried; three in a quarter of an hour are an event with no attempt left, or a fault
    // that meets every event.
    alarm(
      'ErrorsAlarm',
      this.alias.metricErrors({ period: Duration.minutes(15), statistic: 'Sum' }),
      3,
      1,
      'errors',
      'at least 3 attempts failed within 15 minutes. Read the logs of the function.',
    );
    // A burst may wait; what is throttled for a quarter of an hour needs more concurrency. What is reserved for a function
    // the quota of the account does not limit.
    const limit =
      concurrency === 'unreserved'
        ? 'as many Lambda functions run as the quota of the account leaves to those without a reservation. Ask for a higher quota if this is no burst.'
        : `as many of it run as engine.concurrency in tocsin.yaml allows, which is ${concurrency}. Raise it if this is no burst.`;
    alarm(
      'ThrottlesAlarm',
      this.alias.metricThrottles({ period, statistic: 'Sum' }),
      1,
      3,
      'throttles',
      `events have waited for 15 minutes because ${limit}`,
    );
  }
}

function handlerCode(entry: string): Code {
  const handler = join(PACKAGE_ROOT, 'functions', `${entry}.${EXTENSION}`);
  return Code.fromAsset(dirname(handler), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Never used: `local` either bundles or throws.
      image: DockerImage.fromRegistry('scratch'),
      // Nor is this; but the CDK bundles once whatever differs in functions alone, and two handlers of one folder do.
      command: [entry],
      local: {
        tryBundle: (output) => {
          bundleHandler(handler, output);
          return true;
        },
      },
    },
  });
}

/**
 * Bundles a handler with all that it imports, the AWS SDK at its pinned version included, but not DuckDB; and, beside it,
 * the threads that its adapters start (`adapters/*-worker.ts`), under their own names.
 *
 * CommonJS, because only `require` finds the modules of a layer.
 *
 * @throws Error with what esbuild has to say
 */
export function bundleHandler(handler: string, output: string): void {
  buildSync({
    entryPoints: { index: handler, ...workersOf(dirname(handler)) },
    outdir: output,
    absWorkingDir: PACKAGE_ROOT,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    external: [DUCKDB_MODULE],
    // The sources of the AWS SDK as ES modules, of which unused parts fall away: a quarter of the size, and of
    // the time that a cold start spends on parsing.
    mainFields: ['module', 'main'],
    minify: true,
    // The names of error classes are part of what callers match.
    keepNames: true,
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'silent',
  });
}

/** The files that a gate runs in threads of their own, by the name that they are started under. */
function workersOf(gate: string): Record<string, string> {
  const adapters = join(gate, 'adapters');
  const suffix = `-worker.${EXTENSION}`;
  const files = existsSync(adapters) ? readdirSync(adapters).filter((file) => file.endsWith(suffix)) : [];
  return Object.fromEntries(files.map((file) => [parse(file).name, join(adapters, file)]));
}
