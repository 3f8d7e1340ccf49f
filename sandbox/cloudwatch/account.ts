import { DescribeKeyCommand, GetKeyPolicyCommand, KMSClient } from '@aws-sdk/client-kms';
import { GetPolicyCommand, InvokeCommand, LambdaClient } from '@aws-sdk/client-lambda';
import { GetTopicAttributesCommand, PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { type AccountAddress, LocalAccount, serviceMay, trust } from '../aws/account.ts';
import { ACCOUNT } from '../emulator.ts';
import type { Outside } from './cloudwatch.ts';
import type { Account } from './server.ts';

/** As the policies of topics and keys name it. */
const SERVICE = 'cloudwatch.amazonaws.com';

/** As the policies of functions name it. */
const FUNCTION_SERVICE = 'lambda.alarms.cloudwatch.amazonaws.com';

/** The emulated account around CloudWatch. It does what alarms ask for, where the deployed policies let CloudWatch. */
export class AwsAccount extends LocalAccount implements Account, Outside {
  readonly #sns: SNSClient;
  readonly #kms: KMSClient;
  readonly #lambda: LambdaClient;

  /**
   * @param endpoint `https://127.0.0.1:port`; this process has to trust it
   * @param log gets the events that did not get through
   */
  constructor(endpoint: string, log: (line: string) => void) {
    super(endpoint, log);
    this.#sns = new SNSClient(this.root);
    this.#kms = new KMSClient(this.root);
    this.#lambda = new LambdaClient(this.root);
  }

  /** Connects to an account. Every connection of this process accepts its certificate from then on. */
  static async connect(address: AccountAddress, log: (line: string) => void): Promise<AwsAccount> {
    await trust(address);
    return new AwsAccount(address.endpoint, log);
  }

  async act(arn: string, subject: string, text: string, alarmArn: string): Promise<void> {
    const [, , service] = arn.split(':');
    if (service === 'sns') await this.#publish(arn, subject, text, alarmArn);
    else if (service === 'lambda') await this.#invoke(arn, text, alarmArn);
    else throw new Error(`The local CloudWatch has no actions of ${service}.`);
  }

  async emit(detailType: string, detail: object, resources: readonly string[]): Promise<void> {
    await this.putEvent('aws.cloudwatch', detailType, resources, detail);
  }

  async #publish(TopicArn: string, Subject: string, Message: string, alarmArn: string): Promise<void> {
    const { Attributes = {} } = await this.#sns.send(new GetTopicAttributesCommand({ TopicArn }));
    const policy = JSON.parse(Attributes.Policy || '{"Statement":[]}') as unknown;
    const context = { ...sourceOf(alarmArn), 'aws:SourceOwner': ACCOUNT };
    if (!(await serviceMay(SERVICE, 'sns:Publish', TopicArn, policy, context))) {
      throw new Error(`${SERVICE} is not authorized to perform: SNS:Publish on resource: ${TopicArn}`);
    }
    if (Attributes.KmsMasterKeyId) await this.#mayEncrypt(Attributes.KmsMasterKeyId);
    await this.#sns.send(new PublishCommand({ TopicArn, Subject, Message }));
  }

  /**
   * Checks that CloudWatch may use the key of a topic. Whether it tells KMS which alarm it acts for is not documented: a
   * policy that asks for that is refused here.
   */
  async #mayEncrypt(KeyId: string): Promise<void> {
    // Of the key that AWS manages for SNS nobody can change the policy, and it knows SNS alone.
    if (KeyId.endsWith('alias/aws/sns')) throw new Error(`${SERVICE} may not use the key ${KeyId}`);
    const { KeyMetadata } = await this.#kms.send(new DescribeKeyCommand({ KeyId }));
    const { Arn = '', KeyState = '' } = KeyMetadata ?? {};
    if (KeyState !== 'Enabled') throw new Error(`the key ${Arn} is ${KeyState}`);
    const { Policy = '{}' } = await this.#kms.send(new GetKeyPolicyCommand({ KeyId: Arn }));
    for (const action of ['kms:GenerateDataKey', 'kms:Decrypt']) {
      if (await serviceMay(SERVICE, action, Arn, JSON.parse(Policy), {})) continue;
      throw new Error(`${SERVICE} is not authorized to perform: ${action} on resource: ${Arn}`);
    }
  }

  async #invoke(arn: string, event: string, alarmArn: string): Promise<void> {
    // A version or an alias has a policy of its own.
    const [, FunctionName = arn, Qualifier] =
      /^(arn:[^:]*:lambda:[^:]*:[^:]*:function:[^:]+)(?::(.+))?$/.exec(arn) ?? [];
    const target = { FunctionName, ...(Qualifier !== undefined && { Qualifier }) };
    const policy = await this.#lambda.send(new GetPolicyCommand(target)).then(
      ({ Policy = '{}' }) => JSON.parse(Policy) as unknown,
      (error: Error) => {
        if (error.name === 'ResourceNotFoundException') return { Statement: [] };
        throw error;
      },
    );
    if (!(await serviceMay(FUNCTION_SERVICE, 'lambda:InvokeFunction', arn, policy, sourceOf(alarmArn)))) {
      throw new Error(
        `${FUNCTION_SERVICE} is not authorized to perform: lambda:InvokeFunction on resource: ${arn}`,
      );
    }
    await this.#lambda.send(
      new InvokeCommand({ ...target, InvocationType: 'Event', Payload: Buffer.from(event) }),
    );
  }
}

/** What CloudWatch says of the alarm that it acts for. */
function sourceOf(alarmArn: string): Record<string, string> {
  return { 'aws:SourceArn': alarmArn, 'aws:SourceAccount': ACCOUNT };
}
