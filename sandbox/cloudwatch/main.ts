import { setTimeout as sleep } from 'node:timers/promises';
import { readAddress } from '../aws/account.ts';
import { once, runService } from '../aws/process.ts';
import { AwsAccount } from './account.ts';
import { CloudWatch } from './cloudwatch.ts';
import { CloudWatchServer } from './server.ts';

/* Runs the local CloudWatch: `node main.ts DIRECTORY`. It evaluates alarms by the clock of this machine. */

const directory = process.argv[2] as string;

await runService('cloudwatch', directory, async (log) => {
  // Found by `account.json` in the directory when the first request comes.
  const account = once(async () => AwsAccount.connect(await readAddress(directory), log));
  const cloudwatch = new CloudWatch({
    now: Date.now,
    act: async (arn, subject, text, alarmArn) => {
      try {
        await (await account()).act(arn, subject, text, alarmArn);
        log(`${alarmArn} ran ${arn}`);
      } catch (error) {
        log(`${alarmArn} did not run ${arn}: ${(error as Error).message}`);
        throw error;
      }
    },
    emit: async (detailType, detail, resources) => {
      await (await account()).emit(detailType, detail, resources);
    },
  });
  void evaluate(cloudwatch);
  return new CloudWatchServer({ cloudwatch, account, log }).listen();
});

/** Evaluates alarms for as long as this process lives. A bug ends it: a CloudWatch that sleeps would go unseen. */
async function evaluate(cloudwatch: CloudWatch): Promise<void> {
  for (;;) {
    await sleep(Math.max(0, cloudwatch.nextEvaluation - Date.now()));
    await cloudwatch.advance(Date.now());
  }
}
