import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { S3Client } from '@aws-sdk/client-s3';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { type AccountAddress, LocalAccount, trust, trusts } from '../aws/account.ts';
import { REGION } from '../emulator.ts';
import { type Account, type Caller, invalid } from './service.ts';

/** As roles name it that SageMaker may assume. */
const SERVICE = 'sagemaker.amazonaws.com';

/** What else an account needs. */
interface Around {
  /** Gets the events that did not get through. */
  log: (line: string) => void;
  /** Finds the local CloudWatch: `http://127.0.0.1:port`. */
  cloudwatch: () => Promise<string>;
}

/** The emulated account around SageMaker. */
export class AwsAccount extends LocalAccount implements Account {
  readonly s3: S3Client;
  readonly #sts: STSClient;
  readonly #cloudwatch: () => Promise<string>;

  private constructor(endpoint: string, { log, cloudwatch }: Around) {
    super(endpoint, log);
    this.s3 = new S3Client(this.root);
    this.#sts = new STSClient(this.root);
    this.#cloudwatch = cloudwatch;
  }

  /** Connects to an account. Every connection of this process accepts its certificate from then on. */
  static async connect(address: AccountAddress, around: Around): Promise<AwsAccount> {
    await trust(address);
    return new AwsAccount(address.endpoint, around);
  }

  async passRole(caller: Caller, roleArn: string): Promise<void> {
    await this.authorize(caller, 'iam:PassRole', roleArn, { 'iam:PassedToService': SERVICE });
    await this.#assumable(roleArn);
  }

  async s3As(roleArn: string): Promise<S3Client> {
    await this.#assumable(roleArn);
    const { Credentials } = await this.#sts.send(
      new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: 'SageMaker' }),
    );
    return new S3Client({
      endpoint: this.root.endpoint,
      region: REGION,
      credentials: {
        accessKeyId: Credentials?.AccessKeyId ?? '',
        secretAccessKey: Credentials?.SecretAccessKey ?? '',
        sessionToken: Credentials?.SessionToken ?? '',
      },
    });
  }

  async alarmStates(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const cloudwatch = new CloudWatchClient({ ...this.root, endpoint: await this.#cloudwatch() });
    try {
      const { MetricAlarms = [], CompositeAlarms = [] } = await cloudwatch.send(
        new DescribeAlarmsCommand({
          AlarmNames: [...names],
          AlarmTypes: ['MetricAlarm', 'CompositeAlarm'],
        }),
      );
      return new Map(
        [...MetricAlarms, ...CompositeAlarms].map(({ AlarmName = '', StateValue = '' }) => [
          AlarmName,
          StateValue,
        ]),
      );
    } finally {
      cloudwatch.destroy();
    }
  }

  async emit(detailType: string, resources: readonly string[], detail: object): Promise<void> {
    await this.putEvent('aws.sagemaker', detailType, resources, detail);
  }

  /** Checks that SageMaker may assume a role. */
  async #assumable(roleArn: string): Promise<void> {
    const role = await this.role(roleArn);
    if (role !== undefined && (await trusts(role, SERVICE))) return;
    throw invalid(
      `Could not assume role ${roleArn}. Please ensure that the role exists and allows principal '${SERVICE}' to assume the role.`,
    );
  }
}
