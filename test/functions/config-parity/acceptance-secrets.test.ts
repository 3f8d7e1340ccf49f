import { Writable } from 'node:stream';
import type { EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { PublishCommand, SNSClient } from '@aws-sdk/client-sns';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { renderDiff } from '../../../bin/shared/parity-diff.ts';
import { renderSnapshot } from '../../../bin/shared/snapshot-text.ts';
import type { Evaluation } from '../../../functions/config-parity/evaluate.ts';
import { type ParityDependencies, runParity } from '../../../functions/config-parity/parity-workflow.ts';
import { proposalsOf } from '../../../functions/config-parity/propose.ts';
import type { Parity } from '../../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../../functions/config-parity/snapshot.ts';
import { EvidenceStore } from '../../../functions/shared/evidence.ts';
import { InProcessWorkflow } from '../../../functions/shared/in-process.ts';
import { createLogger } from '../../../functions/shared/observability.ts';
import { WorkBucket } from '../../../functions/shared/work.ts';
import { DENIED, type Estate } from '../../support/estate.ts';
import { estateOf, parityOf } from '../../support/estate-world.ts';
import { captureOutput, FakeAws } from '../../support/fake-aws.ts';
import { SEEDED_PLACES, SEEDED_SHAPE } from '../../support/parity-differences.ts';
import { parityFrom } from '../../support/parity-run.ts';
import { Planted } from '../../support/parity-secrets.ts';

let aws: FakeAws;
let output: ReturnType<typeof captureOutput>;
const told: unknown[] = [];

beforeEach(() => {
  aws = new FakeAws();
  // They would answer for the estates.
  aws.sagemaker.restore();
  aws.events.restore();
  output = captureOutput();
  told.length = 0;
});

afterEach(() => {
  output.restore();
  aws.restore();
});

/** Two environments full of secrets, other ones in each, and what there is to look for. */
function planted(): { parity: Parity; estates: Record<'staging' | 'production', Estate>; texts: string[] } {
  const section = { ...parityOf(SEEDED_SHAPE, SEEDED_PLACES), decrypt: true };
  const texts: string[] = [];
  const estates = { staging: SEEDED_PLACES.staging, production: SEEDED_PLACES.production };
  const made = Object.entries(estates).map(([side, place]) => {
    const estate = estateOf(SEEDED_SHAPE, place);
    const secrets = new Planted(side);
    estate.data = secrets.estate(estate.data);
    texts.push(...secrets.texts);
    for (const [key, text] of Object.entries(estate.data.objects)) {
      const at = key.indexOf('/');
      aws.put(key.slice(0, at), key.slice(at + 1), text);
    }
    return [side, estate];
  });
  return { parity: parityFrom(section), estates: Object.fromEntries(made), texts };
}

function dependencies(estates: Record<'staging' | 'production', Estate>): ParityDependencies {
  const s3 = new S3Client({ region: 'eu-west-1' });
  return {
    env: { TOPIC_ARN: 'arn:aws:sns:eu-west-1:111111111111:tocsin', EVENT_BUS: 'default' },
    store: new EvidenceStore(s3, 'evidence'),
    work: new WorkBucket(s3, 'work'),
    s3,
    sns: new SNSClient({ region: 'eu-west-1' }),
    events: {
      send: async ({ input }: PutEventsCommand) => {
        told.push(input);
        return { FailedEntryCount: 0, Entries: [{ EventId: 'event-1' }] };
      },
    } as unknown as EventBridgeClient,
    clients: ({ names }) => (names[0] === 'staging' ? estates.staging : estates.production).clients(),
    operations: 1_000,
    now: () => Date.UTC(2026, 10, 22, 9),
    record: (...metrics) => told.push(metrics),
    warn: (message, error) => {
      told.push(message);
      createLogger('config-parity').warn(message, error as Error);
    },
  };
}

const compare = async (parity: Parity, estates: Record<'staging' | 'production', Estate>) => {
  const workflow = new InProcessWorkflow({ id: 'run-1', sleep: async () => {}, random: () => 0 });
  const answer = await runParity(workflow, { parity }, dependencies(estates)).catch((error) => ({
    error: String(error),
    cause: String(error.cause),
  }));
  told.push(answer);
  return answer;
};

/** What is in the evidence. */
const stored = <T>(name: string): T => {
  const key = aws.keys('evidence', '').find((one) => one.endsWith(`/${name}`)) ?? '';
  return JSON.parse(aws.get('evidence', key).body.toString('utf8'));
};

/** Everything that leaves: what is stored, and was for a while, told, logged and printed. */
function everything(): string {
  const inputs = [
    ...aws.inputs('s3', PutObjectCommand).map((input) => (input as { Body: unknown }).Body),
    ...aws.inputs('sns', PublishCommand),
    ...told,
    ...output.lines(),
  ];
  return inputs
    .map((one) => (one instanceof Uint8Array ? Buffer.from(one).toString('utf8') : JSON.stringify(one)))
    .join('\n');
}

const leaked = (texts: readonly string[], from: string) => {
  // Each word of it once.
  const words = [...new Set(from.split(/[^\w+/=.-]+/))].join('\n');
  return texts.filter((text) => words.includes(text));
};

test('no secret of either environment is in anything that is stored, told, logged or printed', async () => {
  const { parity, estates, texts } = planted();
  const answer = await compare(parity, estates);
  expect(answer).toMatchObject({ outcome: 'fail' });
  expect([...estates.staging.mistakes, ...estates.production.mistakes]).toEqual([]);

  const evaluation = stored<Evaluation>('comparison.json');
  const snapshots = [stored<Snapshot>('staging.json'), stored<Snapshot>('production.json')];
  const sink = new Writable({ write: (_chunk, _encoding, done) => done() });
  told.push(renderDiff(sink, evaluation, 160), proposalsOf(evaluation, parity));
  for (const snapshot of snapshots) told.push(renderSnapshot(sink, snapshot));
  expect(leaked(texts, everything())).toEqual([]);
  // Marks, such as those where a long word may be broken, would hide one there.
  const report = aws.keys('evidence', '').find((key) => key.endsWith('/report.html')) ?? '';
  const page = aws
    .get('evidence', report)
    .body.toString('utf8')
    .replaceAll(/<[^>]*>/g, '');
  expect(page).toMatch(/sha256:[0-9a-f]{4}…/);
  expect(leaked(texts, page)).toEqual([]);

  // They were there: most of what differs are secrets, compared by their hashes.
  const hashes = JSON.stringify(evaluation).match(/sha256:[0-9a-f]{16}/g) ?? [];
  expect(texts.length).toBeGreaterThan(3_000);
  expect(new Set(hashes).size).toBeGreaterThan(1_000);
  expect(new Set(evaluation.comparison.differences.map(({ path }) => path[0])).size).toBe(12);
  for (const { unreadable } of snapshots) expect(unreadable).toEqual([]);
});

/** The same with other texts; keys are texts, too. */
function mapped<T>(value: T, map: (text: string) => string): T {
  if (typeof value === 'string') return map(value) as T;
  if (value === null || typeof value !== 'object' || value instanceof Date) return value;
  if (Array.isArray(value)) return value.map((item) => mapped(item, map)) as T;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [map(key), mapped(inner, map)])) as T;
}

test('the same secret in both is equal, and shown nowhere', async () => {
  const { parity, estates } = planted();
  const secrets = new Planted('both');
  estates.staging.data = secrets.estate(estateOf(SEEDED_SHAPE, SEEDED_PLACES.staging).data);
  const { staging, production } = SEEDED_PLACES;
  estates.production.data = mapped(estates.staging.data, (text) =>
    text
      .replaceAll(staging.word, production.word)
      .replaceAll(staging.account, production.account)
      .replaceAll(staging.region, production.region),
  );
  const { value } = parity;
  // What Tocsin was deployed with is the other one's here.
  await compare({ ...parity, value: { ...value, compare: { ...value.compare, tocsin: [] } } }, estates);
  const { comparison } = stored<Evaluation>('comparison.json');
  // A text is hashed whole: with the name of its environment in it, it is another one.
  const [template, ...others] = new Set(comparison.differences.map(({ path }) => path.at(-1)));
  expect([template, others]).toEqual(['template', []]);
  expect(comparison.resources).toBeGreaterThan(100);
  expect(leaked(secrets.texts, everything())).toEqual([]);
});

test.each([
  ['every call is denied', '*'],
  ['the account cannot be found out', 'sts:GetCallerIdentity'],
  ['functions are denied', 'lambda:GetFunctionConfiguration'],
])('no secret is in what is told where %s, and AWS says it in its error', async (_, action) => {
  const { parity, estates, texts } = planted();
  const secret = 'AKIA0SAIDBYAWSITSELF';
  const error = () => Object.assign(DENIED(), { message: `key ${secret} is not authorized` });
  estates.production.fail(action, error);
  await compare(parity, estates);
  expect(leaked([...texts, ...(action.startsWith('lambda') ? [secret] : [])], everything())).toEqual([]);
});
