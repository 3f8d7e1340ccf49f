import { AwsServer } from '../aws/server.ts';
import type { Caller } from '../aws/service.ts';
import type { CloudWatch } from './cloudwatch.ts';
import { codeHeader } from './errors.ts';
import { type Access, type Operation, operations } from './operations.ts';

/** What CloudWatch asks the account around it. */
export interface Account extends Access {
  /** Who has an access key; undefined where nobody has. */
  identify(accessKeyId: string): Promise<Caller | undefined>;
}

/** What the server is made of. */
export interface Parts {
  cloudwatch: CloudWatch;
  /** Asked for with every request: the account may come up after the server. */
  account: () => Promise<Account>;
  log: (line: string) => void;
}

/** CloudWatch's API (AWS JSON 1.0) over plain HTTP on 127.0.0.1. */
export class CloudWatchServer {
  readonly #server: AwsServer;

  constructor({ cloudwatch, account, log }: Parts) {
    this.#server = new AwsServer({
      name: 'the local CloudWatch',
      jsonVersion: '1.0',
      targets: ['GraniteServiceVersion20100801'],
      has: (name) => Object.hasOwn(operations, name),
      operate: async (name, input, caller) =>
        (operations[name] as Operation)(input, { cloudwatch, access: await account(), caller }, name),
      identify: async (key) => (await account()).identify(key),
      errorHeaders: codeHeader,
      log,
    });
  }

  /** Listens on a free port of the loopback device, and returns it. */
  listen(): Promise<number> {
    return this.#server.listen();
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
