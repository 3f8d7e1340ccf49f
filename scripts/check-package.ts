import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/*
 * Packs Tocsin, installs the tarball into an empty project as a user would, and uses all that it offers there: the
 * CLI, the types, the constructs (synthesised, with a handler and a layer that load), the schemas.
 */

const ROOT = join(import.meta.dirname, '..');
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const project = mkdtempSync(join(tmpdir(), 'tocsin-package-'));
process.on('exit', () => rmSync(project, { recursive: true, force: true }));

/** What a command prints, which must succeed. */
function run(command: string, args: string[], cwd = project): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${error ?? ''}\n${stdout}${stderr}`);
  return stdout;
}

function write(name: string, content: string): void {
  writeFileSync(join(project, name), content);
}

function proved(what: string): void {
  console.log(`ok  ${what}`);
}

// --- The tarball -------------------------------------------------------------------------------------------

const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', project], ROOT));
const shipped: string[] = packed.files.map((file: { path: string }) => file.path);
assert.deepEqual(
  shipped.filter(
    (path) =>
      !/^(dist\/(bin|lib|functions)\/|docs\/schemas\/|(LICENSE|README\.md|package\.json)$)/.test(path),
  ),
  [],
  'the tarball has files that nobody asked for',
);
assert.deepEqual(
  shipped.filter((path) => /(?<!\.d)\.ts$|\.test\./.test(path)),
  [],
  'the tarball has sources or tests',
);
proved(`${packed.filename}: ${shipped.length} files, ${(packed.size / 1e6).toFixed(1)} MB`);

// --- Installed elsewhere -----------------------------------------------------------------------------------

write('package.json', JSON.stringify({ name: 'elsewhere', private: true, type: 'module' }));
const { 'aws-cdk-lib': cdk, constructs } = manifest.devDependencies;
run('npm', [
  'install',
  '--no-audit',
  '--no-fund',
  '--loglevel=error',
  join(project, packed.filename),
  `aws-cdk-lib@${cdk}`,
  `constructs@${constructs}`,
]);
proved('npm install of the tarball');

// --- The CLI -----------------------------------------------------------------------------------------------

assert.equal(run('npx', ['--no-install', 'tocsin', '--version']).trim(), manifest.version);
write(
  'rides.yaml',
  `contract: 1
dataset: rides
format: csv
columns:
  day: { type: date, required: true }
  distance: { type: number, required: true, zeros: 10%, range: [0, 100] }
`,
);
const rows = (distance: (row: number) => number) =>
  [
    'day,distance',
    ...Array.from({ length: 200 }, (_, row) => `2026-01-${(row % 28) + 1},${distance(row)}`),
  ].join('\n');
write(
  'good.csv',
  rows((row) => 1 + (row % 50) / 10),
);
write(
  'bad.csv',
  rows((row) => (row % 2 === 0 ? 0 : 3.5)),
);
const check = (file: string) =>
  spawnSync('npx', ['--no-install', 'tocsin', 'check', file, '--contract', 'rides.yaml', '--json'], {
    cwd: project,
    encoding: 'utf8',
  });
const good = check('good.csv');
assert.equal(good.status, 0, `tocsin check good.csv: ${good.stdout}${good.stderr}`);
const bad = check('bad.csv');
assert.equal(bad.status, 1, `tocsin check bad.csv: ${bad.stdout}${bad.stderr}`);
const finding = JSON.parse(bad.stdout).findings[0];
assert.deepEqual([finding.check, finding.column, finding.outcome], ['zeros', 'distance', 'fail']);
proved('tocsin --version; tocsin check passes good data and fails bad data');

write(
  'tocsin.yaml',
  `tocsin: 1
engine: { architecture: ${arch() === 'arm64' ? 'arm64' : 'x86_64'} }
datasets:
  rides: { contract: rides.yaml, prefix: rides/ }
models:
  far:
    modelPackageGroup: far
    task: binary
    holdout: { uri: rides/holdout.csv, contract: rides.yaml, label: distance > 5 }
    transform: { instanceType: ml.m5.large }
    require:
      - { metric: auc, atLeast: 0.9 }
canaries:
  far:
    model: far
    pipeline: far
    modelPackageGroup: far-canary
    dataset: { uri: rides/known.csv }
    expect: [{ metric: auc, atLeast: 0.9 }]
    negativeControl: { corrupt: { distance: '0' } }
alarmDrills:
  far:
    alarm: tocsin-drift-far
    intended: { fires: '>= 0.2', within: 2h }
rollbackDrills:
  far:
    endpoint: far-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { builtin: weights }
    golden: golden/far.jsonl
    within: 10m
parity:
  far:
    compare: { endpoints: ['far-{environment}'] }
driftMonitors:
  far:
    endpoint: far
    capture: s3://captures/far/
    dataset: rides
    features: [day, distance]
    alarm: { threshold: 0.2 }
`,
);
// So many that the resamples are drawn on threads, whose program has to be in the package.
const examples = Array.from({ length: 8_000 }, (_, row) => (row * 7919) % 8_000);
write('holdout.csv', ['day,distance', ...examples.map((value) => `2026-01-01,${value / 800}`)].join('\n'));
const evaluate = (name: string, prediction: (value: number) => number) => {
  write(name, examples.map(prediction).join('\n'));
  const files = ['--holdout', 'holdout.csv', '--predictions', name, '--threads', '2'];
  return spawnSync('npx', ['--no-install', 'tocsin', 'evaluate', '--model', 'far', ...files, '--json'], {
    cwd: project,
    encoding: 'utf8',
  });
};
const able = evaluate('able.csv', (value) => value / 8_000);
assert.equal(able.status, 0, `tocsin evaluate of a good model: ${able.stdout}${able.stderr}`);
const blind = evaluate('blind.csv', (value) => (value % 10) / 10);
assert.equal(blind.status, 1, `tocsin evaluate of a bad model: ${blind.stdout}${blind.stderr}`);
proved('tocsin evaluate passes a good model and fails a bad one');

const explain = ['alarm', 'explain', '--fires', '>= 0.2', '--series', '0.1 0.3'];
const explained = JSON.parse(run('npx', ['--no-install', 'tocsin', ...explain, '--json']));
assert.deepEqual(
  explained.evaluations.map(({ state }: { state: string }) => state),
  ['OK', 'ALARM'],
);
assert.match(run('npx', ['--no-install', 'tocsin', ...explain]), /^ *state OA$/m);
proved('tocsin alarm explain tells when an alarm fires');

const snapshot = (side: string, instanceType: string) =>
  JSON.stringify({
    snapshot: 1,
    parity: 'far',
    side,
    account: '111122223333',
    region: 'eu-west-1',
    takenAt: Date.now(),
    tocsin: manifest.version,
    resources: [
      {
        kind: 'endpoints',
        name: 'far',
        physical: `far-${side}`,
        value: { variants: [{ name: 'all', instanceType }] },
      },
    ],
    unreadable: [],
    unsettled: [],
    probes: [],
    notRead: [],
  });
write('staging.json', snapshot('staging', 'ml.m5.large'));
const compare = (instanceType: string) => {
  write('production.json', snapshot('production', instanceType));
  const files = ['--offline', 'staging.json', 'production.json'];
  return spawnSync('npx', ['--no-install', 'tocsin', 'parity', 'far', ...files], {
    cwd: project,
    encoding: 'utf8',
  });
};
const equal = compare('ml.m5.large');
assert.equal(equal.status, 0, `tocsin parity of equal snapshots: ${equal.stdout}${equal.stderr}`);
const different = compare('ml.c5.large');
assert.equal(different.status, 1, `tocsin parity of different ones: ${different.stdout}${different.stderr}`);
assert.match(different.stdout, /endpoints\.far\.variants\[all\]\.instanceType/);
proved('tocsin parity passes equal snapshots and finds what differs');

// --- The types ---------------------------------------------------------------------------------------------

write(
  'types.ts',
  `import type { Config, GatesStackProps } from 'tocsin';
import { GatesStack, loadConfig } from 'tocsin';
const config: Config = loadConfig('tocsin.yaml');
const props: GatesStackProps = { config };
// @ts-expect-error a number is no configuration: the types are real, not any
const wrong: GatesStackProps = { config: 1 };
export { GatesStack, props, wrong };
`,
);
// The app of the README, letter by letter.
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const [, example = ''] = /^```ts\n(.*?)^```$/ms.exec(readme) ?? [];
assert.match(example, /new GatesStack\(app, 'Tocsin'/, 'the README has no app with the construct');
write('app.ts', example);
write(
  'tsconfig.json',
  JSON.stringify({
    compilerOptions: {
      noEmit: true,
      strict: true,
      skipLibCheck: true,
      module: 'nodenext',
      target: 'es2024',
      types: [],
    },
    files: ['types.ts', 'app.ts'],
  }),
);
run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', '.']);
proved('types, also of the app of the README');

// --- The constructs ----------------------------------------------------------------------------------------

// As the CDK does it, which says where to.
run('env', ['CDK_OUTDIR=cdk.out', 'node', 'app.ts']);
const assembly = join(project, 'cdk.out');
const template = JSON.parse(readFileSync(join(assembly, 'Tocsin.template.json'), 'utf8'));
interface Resource {
  Type: string;
  Properties: { Code: { S3Key: string }; Layers?: unknown[]; Environment?: { Variables?: object } };
}
const resources = Object.values<Resource>(template.Resources);
const types = resources.map((resource) => resource.Type);
for (const type of ['AWS::Lambda::Function', 'AWS::Lambda::LayerVersion', 'AWS::S3::BucketPolicy']) {
  assert(types.includes(type), `the template has no ${type}`);
}

// As Lambda does it: each bundle is required, far from any node_modules, and finds DuckDB in the layer, where it has one.
const lambda = mkdtempSync(join(tmpdir(), 'tocsin-lambda-'));
process.on('exit', () => rmSync(lambda, { recursive: true, force: true }));
const assetsWith = (name: string) => {
  const found = readdirSync(assembly).filter(
    (entry) => /^asset\.\w+$/.test(entry) && readdirSync(join(assembly, entry)).includes(name),
  );
  assert(found.length > 0, `no asset of the app has ${name}`);
  return found.map((asset) => join(assembly, asset));
};
for (const layer of assetsWith('nodejs')) cpSync(layer, lambda, { recursive: true });
const modules = join(lambda, 'nodejs', 'node_modules');
const load = `
  const { handler } = require('./index.js');
  console.log(typeof handler);
  if (process.env.NODE_PATH) {
    console.log(require.resolve('@duckdb/node-api'));
    require('@duckdb/node-api').DuckDBInstance.create(':memory:');
  }
`;
// By name of the asset: whether its function has the layer.
const bundles = new Map(
  resources
    .filter(({ Type, Properties }) => Type.endsWith('::Function') && Properties.Environment?.Variables)
    .map(({ Properties: { Code, Layers } }) => [
      `asset.${Code.S3Key.replace(/\.zip$/, '')}`,
      Layers !== undefined,
    ]),
);
const layered = [...bundles.values()].filter(Boolean).length;
assert.deepEqual(
  [layered, bundles.size - layered],
  [4, 5],
  'the quality gate, the drift monitor, the evaluation and the canary measure data; drills, the rollback, parity and the board do not',
);
for (const [bundle, measures] of bundles) {
  const cwd = join(lambda, bundle);
  cpSync(join(assembly, bundle), cwd, { recursive: true });
  const env = { ...process.env, NODE_PATH: measures ? modules : '' };
  const [type, duckdb = ''] = execFileSync('node', ['-e', load], { cwd, encoding: 'utf8', env })
    .trim()
    .split('\n');
  assert.equal(type, 'function', `the handler of ${bundle} does not load`);
  assert(
    !measures || duckdb.startsWith(realpathSync(modules)),
    `${bundle} does not load its layer: ${duckdb}`,
  );
}
assert.equal(
  assetsWith('bootstrap-worker.js').length,
  2,
  'who measures metrics has the program of its threads',
);
proved('the app of the README: it synthesises, and the handlers load with the layer');

// --- The schemas -------------------------------------------------------------------------------------------

const resolve = `console.log(import.meta.resolve('tocsin/schemas/contract.schema.json'))`;
const schema = fileURLToPath(run('node', ['--input-type=module', '-e', resolve]).trim());
assert.equal(typeof JSON.parse(readFileSync(schema, 'utf8')), 'object');
proved('schemas for editors');
