import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type EvaluateOptions, evaluate } from '../../bin/commands/evaluate.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import type { EvaluationResult } from '../../functions/holdout-evaluation/schema.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { createRandom } from '../support/random.ts';
import { type Capture, capture, ENGINE, FakeDeployment, failure, outputsWith } from './support.ts';

const CONFIG = `tocsin: 1
datasets: { flights: { contract: flights.yaml, prefix: flights/ } }
models:
  delay:
    modelPackageGroup: delay
    task: binary
    holdout: { uri: flights/holdout.csv, label: late, contract: flights.yaml }
    transform: { instanceType: ml.m5.large }
    require:
      - { metric: auc, atLeast: 0.62, because: below this nobody looks at it }
      - { metric: recall, at: { threshold: 0.3 }, atLeast: 0.5, slices: [origin], minExamples: 200 }
    champion: { mayBeWorseBy: { auc: 0.02 } }
    replicates: 200
`;
const CONTRACT = `contract: 1
dataset: flights
format: csv
columns:
  origin: { type: string }
  distance: { type: number }
  late: { type: boolean }
`;
const ROWS = 1500;

let directory = '';
const path = (name: string) => join(directory, name);
const local = (options: Partial<EvaluateOptions> = {}): EvaluateOptions => ({
  ...ENGINE,
  config: path('tocsin.yaml'),
  outputs: path('outputs.json'),
  patience: 60_000,
  predictions: path('good.csv'),
  holdout: path('holdout.csv'),
  model: 'delay',
  ...options,
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-evaluate-'));
  const random = createRandom(7);
  const examples = Array.from({ length: ROWS }, (_, index) => {
    const chance = 0.1 + 0.7 * random.uniform();
    return {
      origin: index % 2 === 0 ? 'ATL' : 'ORD',
      chance,
      late: random.uniform() < chance,
      noise: random.uniform(),
    };
  });
  const lines = (values: unknown[]) => `${values.join('\n')}\n`;
  await writeFile(path('tocsin.yaml'), CONFIG);
  await writeFile(path('flights.yaml'), CONTRACT);
  await writeFile(
    path('holdout.csv'),
    lines(['origin,distance,late', ...examples.map(({ origin, late }, i) => `${origin},${i}.5,${late}`)]),
  );
  await writeFile(path('good.csv'), lines(examples.map(({ chance }) => chance)));
  await writeFile(path('noise.csv'), lines(examples.map(({ noise }) => noise)));
  await writeFile(path('good.jsonl'), lines(examples.map(({ chance }) => chance)));
  await writeFile(path('short.csv'), lines(examples.slice(1).map(({ chance }) => chance)));
  await writeFile(
    path('numbered.csv'),
    lines(examples.map(({ chance }, index) => `${index + 1},${chance}`).reverse()),
  );
  await mkdir(path('empty'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

let io: Capture;
beforeEach(() => {
  io = capture();
});

describe('tocsin evaluate on files', () => {
  test('passes a model that meets its thresholds, and shows by how much', async () => {
    expect(await evaluate(local(), io)).toBe(EXIT.pass);
    expect(io.out()).toMatch(
      /^PASS {2}auc +metric +0\.\d+ \(0\.\d+ to 0\.\d+\) {2}at least 0\.62 +.*tocsin\.yaml:10$/m,
    );
    expect(io.out()).toMatch(/^PASS {2}recall at 0\.3 of origin = ATL /m);
    expect(io.out()).toContain('PASS delay: Model delay meets all 2 thresholds on 1,500 examples');
    expect(io.out()).toMatch(/verdict [0-9a-f]{32}, of sha256 [0-9a-f]{64} on sha256 [0-9a-f]{64}\n$/);
  });

  test('fails one that does not, and says why it matters', async () => {
    expect(await evaluate(local({ predictions: path('noise.csv') }), io)).toBe(EXIT.failed);
    expect(io.out()).toMatch(/FAIL {2}auc +metric/);
    expect(io.out()).toContain('below this nobody looks at it');
  });

  test('compares with the champion', async () => {
    const options = { predictions: path('noise.csv'), champion: path('good.csv') };
    expect(await evaluate(local(options), io)).toBe(EXIT.failed);
    expect(io.out()).toMatch(/^FAIL {2}\S.* +champion /m);
    const same = capture();
    expect(await evaluate(local({ champion: path('good.csv') }), same)).toBe(EXIT.pass);
    expect(same.out()).not.toContain('not checked, champion');
  });

  test.each(['numbered.csv', 'good.jsonl'])('takes predictions as %s, too', async (file) => {
    await writeFile(
      path('jsonl.yaml'),
      CONFIG.replace('ml.m5.large', 'ml.m5.large, content: application/jsonlines'),
    );
    const config = file.endsWith('jsonl') ? path('jsonl.yaml') : path('tocsin.yaml');
    expect(await evaluate(local({ predictions: path(file), config }), io)).toBe(EXIT.pass);
  });

  test('fails predictions that are not one for each example', async () => {
    expect(await evaluate(local({ predictions: path('short.csv') }), io)).toBe(EXIT.failed);
    expect(io.out()).toMatch(/^FAIL {2}predictions /m);
  });

  test('says where it could not write', async () => {
    const error = await failure(evaluate(local({ out: path('good.csv') }), io));
    expect(error).toBeInstanceOf(GateInputError);
    expect(error.message).toBe(
      `measurements ${path('good.csv/measurements.json')}: a file is where a directory is expected`,
    );
  });

  test('prints and writes what it found, the same every time', async () => {
    await evaluate(local({ json: true, out: path('out') }), io);
    const verdict = JSON.parse(io.out());
    expect(verdict).toMatchObject({
      gate: 'holdout-evaluation',
      subject: 'delay',
      outcome: 'pass',
      inputs: {
        model: 'delay',
        predictions: { file: path('good.csv'), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
        champion: null,
        holdout: { file: path('holdout.csv'), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      },
    });
    expect(JSON.parse(await readFile(path('out/verdict.json'), 'utf8'))).toEqual(verdict);
    expect(JSON.parse(await readFile(path('out/measurements.json'), 'utf8'))).toMatchObject({
      examples: ROWS,
      metrics: { seed: verdict.id },
    });
    const report = await readFile(path('out/report.html'), 'utf8');
    expect(report).toContain('<title>Model delay: pass</title>');
    expect(report).toContain(`${path('good.csv')}, sha256 ${verdict.inputs.predictions.sha256}`);
    expect(report).toContain('aria-label="ROC curve. The area below the curve is ');
    const again = capture();
    await evaluate(local({ json: true }), again);
    expect(again.out()).toBe(io.out());
  });

  test.each<[string, Partial<EvaluateOptions>, RegExp]>([
    ['an unknown model', { model: 'dalay' }, /has no model "dalay", did you mean "delay"\?$/],
    ['no such file', { predictions: 'none.csv' }, /^data none\.csv: no such file$/],
    ['a folder without data', { holdout: '' }, /empty: the directory has no data file$/],
    ['a holdout without the label', { holdout: '?' }, /late/],
  ])('refuses %s', async (_, options, message) => {
    if (options.holdout === '') options.holdout = path('empty');
    if (options.holdout === '?') options.holdout = path('good.csv');
    const error = await failure(evaluate(local(options), io));
    expect(error.name).toMatch(/^(GateInputError|ConfigError)$/);
    expect(error.message).toMatch(message);
  });

  test.each<[string, Partial<EvaluateOptions>]>([
    ['nothing', {}],
    ['half of it', { predictions: 'p.csv', model: 'delay' }],
    ['files and a package', { predictions: 'p', holdout: 'h', model: 'm', package: 'arn' }],
    ['a package and a run', { package: 'arn', follow: 'x' }],
  ])('refuses %s', async (_, options) => {
    const { predictions: _p, holdout: _h, model: _m, ...rest } = local();
    const error = await failure(evaluate({ ...rest, ...options }, io));
    expect(error.message).toBe('expected --predictions, --holdout, --model; or --package; or --follow');
  });
});

describe('tocsin evaluate --package', () => {
  const ALIAS = 'arn:aws:lambda:eu-west-1:111122223333:function:evaluation:live';
  const PACKAGE = 'arn:aws:sagemaker:eu-west-1:111122223333:model-package/delay/7';
  const KEY = 'evidence/holdout-evaluation/delay/0a/verdict.json';
  const VERDICT: Verdict = {
    verdict: 1,
    id: '0a'.repeat(16),
    gate: 'holdout-evaluation',
    subject: 'delay',
    outcome: 'fail',
    reason: 'auc is too low.',
    findings: [],
    notChecked: [],
    inputs: {},
    tocsin: '0.1.0',
  };
  const RESULT: EvaluationResult = {
    model: 'delay',
    package: PACKAGE,
    outcome: 'fail',
    approval: 'Rejected',
    reason: VERDICT.reason,
    verdict: VERDICT.id,
    evidence: `s3://evidence/${KEY}`,
    findings: [],
  };
  let deployment: FakeDeployment;
  const remote = (options: Partial<EvaluateOptions>) => {
    const { predictions: _p, holdout: _h, model: _m, ...rest } = local();
    return evaluate({ ...rest, ...options }, io, deployment.clock);
  };

  beforeEach(async () => {
    deployment = new FakeDeployment();
    deployment.aws.put('evidence', KEY, JSON.stringify(VERDICT));
    await writeFile(path('outputs.json'), JSON.stringify(outputsWith({ HoldoutEvaluationAlias: ALIAS })));
    return () => deployment.restore();
  });

  test('lets the deployment judge it, and says what became of the package', async () => {
    deployment.script = { 1: { phase: 'preparing the holdout' }, 3: { result: RESULT } };
    expect(await remote({ package: PACKAGE })).toBe(EXIT.failed);
    expect(deployment.invocations()).toEqual([
      {
        FunctionName: ALIAS,
        InvocationType: 'Event',
        Payload: JSON.stringify({ package: PACKAGE, run: deployment.run }),
      },
    ]);
    expect(io.out()).toContain('FAIL delay: auc is too low.');
    expect(io.out()).toContain(`${PACKAGE} is Rejected\n`);
  });

  test('says that a package keeps its approval', async () => {
    deployment.run = 'x';
    deployment.report({ result: { ...RESULT, approval: 'unchanged' } });
    await remote({ follow: 'x' });
    expect(io.out()).toContain(`${PACKAGE} keeps its approval\n`);
  });

  test('refuses what is no package, before it asks anybody', async () => {
    const error = await failure(remote({ package: 'delay/7' }));
    expect(error).toMatchObject({ name: 'GateInputError' });
    expect(error.message).toContain('the ARN of a model package');
    expect(deployment.invocations()).toEqual([]);
  });
});
