import { GetFunctionConfigurationCommand, LambdaClient } from '@aws-sdk/client-lambda';
import {
  GetBucketNotificationConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { ListSubscriptionsByTopicCommand, SNSClient } from '@aws-sdk/client-sns';
import * as z from 'zod';
import { pinHoldout } from '../../functions/holdout-evaluation/adapters/pin.ts';
import type { LocatedModel } from '../../functions/holdout-evaluation/schema.ts';
import { CLIENT_OPTIONS, statusOf } from '../../functions/shared/aws.ts';
import { parseProfile } from '../../functions/shared/baseline.ts';
import { GateInputError, messageOf } from '../../functions/shared/errors.ts';
import { baselineKey } from '../../functions/shared/evidence.ts';
import { countOf } from '../../functions/shared/format.ts';
import { parseJson, placeOf } from '../../functions/shared/schema.ts';
import type { Config, Dataset } from '../../lib/config.ts';
import { missingLocks } from '../../lib/shared/lock-policy.ts';
import { connectS3 } from './aws.ts';
import { readCurrent } from './baselines.ts';
import { integer } from './cli.ts';
import type { Diagnosis } from './diagnosis.ts';
import { readText } from './files.ts';

/** Outputs of the deployed stack that commands go by; some only where tocsin.yaml has what they are of. */
const outputsSchema = z.object({
  DataBucket: z.exactOptional(z.string()),
  EvidenceBucket: z.string(),
  NotificationTopic: z.string(),
  QualityGateRole: z.exactOptional(z.string()),
  HoldoutEvaluationAlias: z.exactOptional(z.string()),
  PipelineCanaryAlias: z.exactOptional(z.string()),
  AlarmDrillAlias: z.exactOptional(z.string()),
  DriftMonitorAlias: z.exactOptional(z.string()),
  RollbackDrillAlias: z.exactOptional(z.string()),
  RollbackAlias: z.exactOptional(z.string()),
  ConfigParityAlias: z.exactOptional(z.string()),
  ConfigParityRole: z.exactOptional(z.string()),
  WorkBucket: z.exactOptional(z.string()),
});

export type Outputs = z.output<typeof outputsSchema>;

/**
 * Reads what `cdk deploy --outputs-file` wrote: outputs by the name of the stack.
 *
 * @throws GateInputError where no stack in it is Tocsin's
 */
export async function readOutputs(file: string): Promise<Outputs> {
  const text = await readText(file, 'outputs').catch((error: unknown) => {
    if (!(error instanceof GateInputError)) throw error;
    throw new GateInputError(error.message, {
      cause: error,
      help: 'Give --outputs FILE: what cdk deploy --outputs-file has written.',
    });
  });
  const stacks = parseJson(z.record(z.string(), z.record(z.string(), z.string())), text, `outputs ${file}`);
  const ours = Object.values(stacks).find((outputs) => 'EvidenceBucket' in outputs);
  if (ours === undefined) {
    throw new GateInputError(`${file} has no stack with the output EvidenceBucket`, {
      help: 'Deploy again with: cdk deploy --outputs-file cdk-outputs.json',
    });
  }
  return parseJson(outputsSchema, JSON.stringify(ours), `outputs ${file}`);
}

/**
 * Looks at everything a deployment needs so that an unjudged dataset cannot be read, and no unjudged model is approved.
 * What cannot be looked at is a problem, too.
 *
 * @throws GateInputError where the caller has no AWS region or credentials
 */
export async function examineDeployment(config: Config, outputs: Outputs): Promise<Diagnosis[]> {
  const s3 = await connectS3();
  const found: Diagnosis[] = [];
  for (const [name, datasets] of Map.groupBy(config.datasets, ({ bucket }) => bucket ?? outputs.DataBucket)) {
    const { QualityGateRole: role } = outputs;
    if (name === undefined || role === undefined) {
      found.push({
        ok: false,
        subject: `datasets ${datasets.map((dataset) => dataset.name).join(', ')}`,
        message:
          name === undefined
            ? 'name no bucket, and the stack has no output DataBucket'
            : 'have no quality gate: the stack has no output QualityGateRole',
        help: 'Deploy again: the configuration is newer than the deployment.',
      });
    } else {
      found.push(await examineVersioning(s3, name), await examineEvents(s3, name));
      found.push(...(await examineLock(s3, name, datasets, config, role, outputs.DataBucket)));
    }
  }
  found.push(await examineVersioning(s3, outputs.EvidenceBucket));
  for (const dataset of config.datasets)
    found.push(await examineBaseline(s3, outputs.EvidenceBucket, dataset));
  found.push(await examineTopic(outputs.NotificationTopic));
  if (config.models.size > 0) {
    found.push(await examineFunction('holdout evaluation', outputs.HoldoutEvaluationAlias));
  }
  for (const model of config.models.values()) {
    found.push(await examineHoldout(s3, model, outputs.DataBucket));
  }
  if (config.canaries.size > 0) {
    found.push(await examineFunction('pipeline canary', outputs.PipelineCanaryAlias));
  }
  if (config.drills.size > 0) found.push(await examineFunction('alarm drill', outputs.AlarmDrillAlias));
  if (config.rollbackDrills.size > 0) {
    found.push(await examineFunction('rollback drill', outputs.RollbackDrillAlias));
    found.push(await examineFunction('rollback', outputs.RollbackAlias));
  }
  if (config.monitors.size > 0) found.push(await examineFunction('drift monitor', outputs.DriftMonitorAlias));
  if (config.parities.size > 0) found.push(await examineFunction('config parity', outputs.ConfigParityAlias));
  return found;
}

/** Runs one examination; an AWS call that fails becomes a problem. */
async function examine(subject: string, look: () => Promise<Omit<Diagnosis, 'subject'>>): Promise<Diagnosis> {
  try {
    return { subject, ...(await look()) };
  } catch (error) {
    const status = statusOf(error);
    return {
      subject,
      ok: false,
      message: `cannot be looked at: ${messageOf(error)}`,
      help:
        status === 403
          ? 'Ask for permission to read its configuration.'
          : 'Check the account, the region and the network.',
    };
  }
}

function examineVersioning(s3: S3Client, bucket: string): Promise<Diagnosis> {
  return examine(`bucket ${bucket}`, async () => {
    const { Status } = await s3.send(new GetBucketVersioningCommand({ Bucket: bucket }));
    return Status === 'Enabled'
      ? { ok: true, message: 'keeps versions' }
      : {
          ok: false,
          message: 'keeps no versions, so a verdict could end up on other bytes than were judged',
          help: `aws s3api put-bucket-versioning --bucket ${bucket} --versioning-configuration Status=Enabled`,
        };
  });
}

function examineEvents(s3: S3Client, bucket: string): Promise<Diagnosis> {
  return examine(`bucket ${bucket}`, async () => {
    const answer = await s3.send(new GetBucketNotificationConfigurationCommand({ Bucket: bucket }));
    return answer.EventBridgeConfiguration !== undefined
      ? { ok: true, message: 'tells EventBridge of uploads' }
      : {
          ok: false,
          message: 'does not tell EventBridge of uploads, so nothing is ever judged',
          // Not as a command: put-bucket-notification-configuration replaces every other notification.
          help: 'Turn on "Send notifications to Amazon EventBridge" in the properties of the bucket.',
        };
  });
}

async function examineLock(
  s3: S3Client,
  bucket: string,
  datasets: readonly Dataset[],
  config: Config,
  gateRoleArn: string,
  created: string | undefined,
): Promise<Diagnosis[]> {
  const partition = gateRoleArn.split(':')[1] ?? 'aws';
  const prefixes = datasets.map(({ prefix, inconclusive }) => ({
    prefix,
    allowInconclusive: inconclusive === 'allow',
  }));
  let problems: Diagnosis[] = [];
  const whole = await examine(`bucket ${bucket}`, async () => {
    const policy = await s3.send(new GetBucketPolicyCommand({ Bucket: bucket })).then(
      (answer) => answer.Policy,
      (error: unknown) => {
        if ((error as Error).name === 'NoSuchBucketPolicy') return undefined;
        throw error;
      },
    );
    problems = missingLocks(policy, {
      bucketArn: `arn:${partition}:s3:::${bucket}`,
      prefixes,
      gateRoleArn,
      breakGlass: config.breakGlass,
    }).map(({ message }) => ({
      ok: false,
      subject: `bucket ${bucket}`,
      message,
      help:
        bucket === created
          ? 'Deploy again.'
          : `Put the statements of the output QualityGateLockPolicy${bucket.replace(/[^a-z0-9]/g, '')}... into the bucket's policy.`,
    }));
    return {
      ok: true,
      message: `locks ${prefixes.map(({ prefix }) => prefix).join(', ')} until the gate passes it`,
    };
  });
  return problems.length > 0 ? problems : [whole];
}

function examineBaseline(s3: S3Client, bucket: string, { name, contractFile }: Dataset): Promise<Diagnosis> {
  const needed =
    contractFile.value.rows?.changeFromBaseline !== undefined ||
    Object.values(contractFile.value.columns).some(
      ({ drift, newCategories, vanishedCategories }) =>
        drift !== undefined || newCategories !== undefined || vanishedCategories !== undefined,
    );
  return examine(`baseline of ${name}`, async () => {
    const current = await readCurrent(s3, bucket, name);
    if (current === undefined) {
      return needed
        ? {
            ok: false,
            message: `there is none, and ${contractFile.file} measures drift: every verdict is inconclusive`,
            help: `tocsin baseline promote --dataset ${name} --verdict ID --evidence-bucket ${bucket}`,
          }
        : { ok: true, message: `there is none, and ${contractFile.file} needs none` };
    }
    const { rows, sha256 } = parseProfile(current.text, `s3://${bucket}/${baselineKey(name)}`, name);
    return { ok: true, message: `${integer(rows)} rows, of sha256 ${sha256}` };
  });
}

function examineTopic(topic: string): Promise<Diagnosis> {
  return examine(`topic ${topic.split(':').at(-1)}`, async () => {
    const sns = new SNSClient(CLIENT_OPTIONS);
    const { Subscriptions = [] } = await sns.send(new ListSubscriptionsByTopicCommand({ TopicArn: topic }));
    const pending = Subscriptions.filter(({ SubscriptionArn }) => SubscriptionArn === 'PendingConfirmation');
    if (pending.length > 0) {
      return {
        ok: false,
        message: `${pending.map(({ Endpoint }) => Endpoint).join(', ')} did not confirm the subscription yet`,
        help: 'Open the link in the e-mail from AWS Notifications.',
      };
    }
    return Subscriptions.length > 0
      ? { ok: true, message: `tells ${countOf(Subscriptions.length, 'subscriber')}` }
      : {
          ok: false,
          message: 'has no subscriber: nobody would hear of a rejected dataset',
          help: 'Add notify.emails to tocsin.yaml and deploy, or subscribe to the topic.',
        };
  });
}

function examineFunction(subject: string, alias: string | undefined): Promise<Diagnosis> {
  return examine(subject, async () => {
    if (alias === undefined) {
      return {
        ok: false,
        message: 'is not deployed, and tocsin.yaml asks for it',
        help: 'Deploy again: the configuration is newer than the deployment.',
      };
    }
    const lambda = new LambdaClient(CLIENT_OPTIONS);
    const { State, StateReason, Version } = await lambda.send(
      new GetFunctionConfigurationCommand({ FunctionName: alias }),
    );
    // Inactive: unused for weeks. The next invocation wakes it.
    return State === 'Active' || State === 'Inactive'
      ? { ok: true, message: `version ${Version} is ready` }
      : {
          ok: false,
          message: `is ${State}: ${StateReason ?? 'Lambda gives no reason'}`,
          help: 'Deploy again.',
        };
  });
}

function examineHoldout(
  s3: S3Client,
  { name, value }: LocatedModel,
  dataBucket: string | undefined,
): Promise<Diagnosis> {
  return examine(`holdout of ${name}`, async () => {
    const { bucket = dataBucket, key } = placeOf(value.holdout.uri);
    if (bucket === undefined) {
      return {
        ok: false,
        message: 'names no bucket, and the stack has no output DataBucket',
        help: 'Deploy again.',
      };
    }
    try {
      const { version, verdict } = await pinHoldout(s3, { bucket, key });
      return {
        ok: true,
        message: `version ${version} has passed${verdict === undefined ? '' : ` (verdict ${verdict})`}`,
      };
    } catch (error) {
      if (!(error instanceof GateInputError)) throw error;
      return { ok: false, message: error.message, ...(error.help !== undefined && { help: error.help }) };
    }
  });
}
