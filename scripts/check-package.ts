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
    files: ['types.ts'],
  }),
);
run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', '.']);
proved('types');

// --- The constructs ----------------------------------------------------------------------------------------

write(
  'app.js',
  `import { App } from 'aws-cdk-lib';
import { GatesStack, loadConfig } from 'tocsin';

const app = new App({ outdir: 'cdk.out' });
new GatesStack(app, 'Gates', { config: loadConfig('tocsin.yaml') });
app.synth();
`,
);
run('node', ['app.js']);
const assembly = join(project, 'cdk.out');
const template = JSON.parse(readFileSync(join(assembly, 'Gates.template.json'), 'utf8'));
const types = Object.values<{ Type: string }>(template.Resources).map((resource) => resource.Type);
for (const type of ['AWS::Lambda::Function', 'AWS::Lambda::LayerVersion', 'AWS::S3::BucketPolicy']) {
  assert(types.includes(type), `the template has no ${type}`);
}

// As Lambda does it: each bundle is required, far from any node_modules, and finds DuckDB in the layer.
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
  const duckdb = require.resolve('@duckdb/node-api');
  require('@duckdb/node-api').DuckDBInstance.create(':memory:').then(() => console.log(typeof handler, duckdb));
`;
const bundles = assetsWith('index.js');
assert.equal(bundles.length, 3, 'the quality gate, the evaluation and the canary have a bundle each');
for (const [index, bundle] of bundles.entries()) {
  const cwd = join(lambda, String(index));
  cpSync(bundle, cwd, { recursive: true });
  const env = { ...process.env, NODE_PATH: modules };
  const loaded = execFileSync('node', ['-e', load], { cwd, encoding: 'utf8', env }).trim();
  assert(
    loaded.startsWith(`function ${realpathSync(modules)}`),
    `the handler and its layer do not load: ${loaded}`,
  );
}
assert.equal(
  assetsWith('bootstrap-worker.js').length,
  2,
  'who measures metrics has the program of its threads',
);
proved('a CDK app of its own: it synthesises, and the handlers load with the layer');

// --- The schemas -------------------------------------------------------------------------------------------

const resolve = `console.log(import.meta.resolve('tocsin/schemas/contract.schema.json'))`;
const schema = fileURLToPath(run('node', ['--input-type=module', '-e', resolve]).trim());
assert.equal(typeof JSON.parse(readFileSync(schema, 'utf8')), 'object');
proved('schemas for editors');
