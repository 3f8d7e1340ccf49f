import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { prepareHoldout } from '../../../functions/holdout-evaluation/adapters/holdout.ts';
import { type ModelQuestion, measureModel } from '../../../functions/holdout-evaluation/gate.ts';
import { parseEvaluations } from '../../../functions/holdout-evaluation/schema.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { LIMITS } from '../../support/datasets.ts';
import { createRandom } from '../../support/random.ts';

const ROWS = 2000;
const MODEL = parseEvaluations({
  file: 'tocsin.yaml',
  text: `models:
  delay:
    modelPackageGroup: delay
    task: binary
    holdout: { uri: holdout/may.csv, label: late, weight: fare, contract: contract.yaml }
    transform: { instanceType: ml.m5.large }
    require:
      - { metric: auc, atLeast: 0.6 }
      - { metric: calibrationError, atMost: 0.1 }
      - { metric: recall, atLeast: 0.1, slices: [origin, distance > 500] }
    champion: { mayBeWorseBy: { auc: 0.01, brier: 0.01 } }
`,
}).models.get('delay')!;

let directory: string;
const path = (name: string) => join(directory, name);
let question: Omit<ModelQuestion, 'candidate' | 'champion'>;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tocsin-gate-test-'));
  const random = createRandom(11);
  const scores: number[] = [];
  const rows = Array.from({ length: ROWS }, (_, row) => {
    scores.push(random.uniform() ** 2);
    const origin = ['ATL', '"O,""R"', ''][row % 3];
    return `${origin},${row},${1 + (row % 5)},${random.uniform() < scores[row]!}`;
  });
  const body = ['origin,distance,fare,late', ...rows].join('\n');
  writeFileSync(path('may.csv'), body);
  writeFileSync(path('candidate'), scores.join('\n'));
  writeFileSync(path('champion'), scores.map((score) => score / 2).join('\n'));
  question = {
    file: { path: path('may.csv'), name: 'may.csv', bytes: body.length, sha256: '' },
    model: MODEL,
    limits: LIMITS,
    scratch: directory,
    seed: '5eed',
  };
});

afterAll(() => rmSync(directory, { recursive: true }));

describe('measureModel', () => {
  test('measures the same of files by hand and of transform jobs, on one thread and on two', async () => {
    const prepared = path('prepared');
    await prepareHoldout({ ...question, out: prepared });
    const records = readFileSync(prepared, 'utf8').trimEnd().split('\n');
    const answer = (role: string) => {
      const scores = readFileSync(path(role), 'utf8').split('\n');
      const lines = records.map((record, row) => `${record},${scores[row]}`);
      writeFileSync(path(`${role}.out`), `${lines.toReversed().join('\n')}\n`);
    };
    answer('candidate');
    answer('champion');

    const measure = (threads: number, suffix: string, layout: 'any' | 'joined') =>
      measureModel({
        ...question,
        limits: { ...LIMITS, threads },
        candidate: { path: path(`candidate${suffix}`) },
        champion: { kind: 'answered', package: 'arn', path: path(`champion${suffix}`) },
        layout,
      });
    const byHand = JSON.stringify(await measure(1, '', 'any'));
    expect(JSON.parse(byHand).metrics.metrics).toHaveLength(2 + 3 + 2);
    expect(JSON.stringify(await measure(2, '', 'any'))).toBe(byHand);
    expect(JSON.stringify(await measure(2, '.out', 'joined'))).toBe(byHand);
  });

  test('whose time is up is the mistake of who asked for so much', async () => {
    const ended = measureModel({
      ...question,
      candidate: { path: path('candidate') },
      champion: { kind: 'none' },
      layout: 'any',
      signal: AbortSignal.abort(new DOMException('timeout', 'TimeoutError')),
    });
    await expect(ended).rejects.toThrow(GateInputError);
    await expect(ended).rejects.toThrow(/^the metrics of 2,000 examples could not be computed within \d/);
  });
});
