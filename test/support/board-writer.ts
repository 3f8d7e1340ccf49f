import { setTimeout as sleep } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { createBoardHandler } from '../../functions/board/handler.ts';
import { CLIENT_OPTIONS } from '../../functions/shared/aws.ts';
import { EvidenceStore, prettyJson } from '../../functions/shared/evidence.ts';
import { entryOf, historyKey } from '../../functions/shared/history.ts';
import { sha256 } from '../../functions/shared/identity.ts';
import { historyEvent, SUBJECTS } from './board.ts';

/*
 * A program that a test starts several times at once: it comes to verdicts, one after the other, and rebuilds the board at
 * each, as Lambda would. `node board-writer.ts ENDPOINT NAME COUNT`
 */

const [endpoint = '', name = '', count = '0'] = process.argv.slice(2);
const s3 = new S3Client({
  ...CLIENT_OPTIONS,
  endpoint,
  region: 'us-east-1',
  credentials: { accessKeyId: name, secretAccessKey: 'secret' },
});
const store = new EvidenceStore(s3, 'evidence');
const rebuild = createBoardHandler({
  env: { CONFIG_BUCKET: 'assets', CONFIG_KEY: 'config.json', EVIDENCE_BUCKET: 'evidence' },
  s3,
  now: Date.now,
  wait: sleep,
});

/** Comes to a verdict, and rebuilds the board at it. */
async function write(index: number): Promise<void> {
  const { gate, subject } = SUBJECTS[index % 2]!;
  const outcome = (['pass', 'fail', 'inconclusive'] as const)[index % 3]!;
  const run = `${name} ${index}`;
  const id = sha256(run).slice(0, 32);
  const verdict = { gate, subject, id, outcome, reason: `verdict ${index} of ${name}`, inputs: {} };
  const entry = entryOf(verdict, run, Date.now());
  await store.create(historyKey(entry), prettyJson(entry));
  const context = { awsRequestId: run, getRemainingTimeInMillis: () => 120_000 };
  // As often as Lambda does.
  for (let attempt = 1; ; attempt++) {
    try {
      await rebuild(historyEvent(historyKey(entry)), context);
      return;
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

async function main(): Promise<void> {
  for (let index = 0; index < Number(count); index++) await write(index);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
