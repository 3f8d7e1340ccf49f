import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const require = createRequire(import.meta.url);
const RULES = (
  require('../.dependency-cruiser.cjs') as { forbidden: { name: string; to: { path?: string[] } }[] }
).forbidden;

interface Cruise {
  totalCruised: number;
  /** `rule: from -> to`, sorted. */
  violations: string[];
}

/** Runs dependency-cruiser with this repository's rules in a directory. */
function cruise(directory: string): Cruise {
  const folders = ['bin', 'lib', 'functions', 'sandbox', 'bench', 'test'].filter((folder) =>
    existsSync(join(directory, folder)),
  );
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [
      resolve('node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
      '--config',
      '.dependency-cruiser.cjs',
      '--output-type',
      'json',
      ...folders,
    ],
    { cwd: directory, encoding: 'utf8', maxBuffer: 2 ** 28 },
  );
  if (!stdout.startsWith('{')) throw new Error(`dependency-cruiser said nothing: ${stderr}`);
  const { summary } = JSON.parse(stdout) as {
    summary: { totalCruised: number; violations: { from: string; to: string; rule: { name: string } }[] };
  };
  return {
    totalCruised: summary.totalCruised,
    violations: summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`).sort(),
  };
}

/** Cruises a project of these files: path and what each imports. */
function cruiseProject(files: Record<string, string[]>): Cruise {
  const directory = mkdtempSync(join(tmpdir(), 'tocsin-layers-'));
  try {
    for (const file of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json']) {
      cpSync(file, join(directory, file));
    }
    const packages = ['@aws-sdk/client-s3', '@duckdb/node-api', 'aws-cdk-lib', 'constructs', 'zod'];
    for (const name of packages) {
      const folder = join(directory, 'node_modules', name);
      mkdirSync(folder, { recursive: true });
      writeFileSync(
        join(folder, 'package.json'),
        JSON.stringify({ name, version: '1.0.0', main: 'index.js' }),
      );
      writeFileSync(join(folder, 'index.js'), '');
    }
    for (const [file, imports] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, file)), { recursive: true });
      const lines = imports.map((name) => `import '${name}';\n`);
      writeFileSync(join(directory, file), `${lines.join('')}export {};\n`);
    }
    return cruise(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** What the layers allow: no rule may fire. */
const SOUND: Record<string, string[]> = {
  'functions/shared/errors.ts': [],
  'functions/shared/store.ts': ['@aws-sdk/client-s3', './errors.ts'],
  'functions/quality-gate/schema.ts': ['zod', '../shared/errors.ts'],
  'functions/quality-gate/decide.ts': ['./schema.ts'],
  'functions/quality-gate/adapters/duckdb.ts': ['@duckdb/node-api', 'node:fs', '../schema.ts'],
  'functions/quality-gate/gate.ts': ['./decide.ts', './adapters/duckdb.ts'],
  'functions/quality-gate/handler.ts': ['./gate.ts', '../shared/store.ts', '@aws-sdk/client-s3'],
  'functions/holdout-evaluation/schema.ts': ['zod'],
  'lib/gate.ts': ['aws-cdk-lib', 'constructs', '../functions/quality-gate/schema.ts'],
  'bin/tocsin.ts': ['../lib/gate.ts', '../functions/quality-gate/gate.ts', '@aws-sdk/client-s3'],
  'sandbox/start.ts': ['../bin/tocsin.ts', '@aws-sdk/client-s3'],
};

/** A violation of each rule: the rule, the file that breaks it, what it imports, and the module that this is. */
const PLANTED: [rule: string, file: string, imported: string, module: string][] = [
  ['no-unresolvable', 'lib/lost.ts', './nowhere.ts', './nowhere.ts'],
  [
    'judgement-is-pure',
    'functions/quality-gate/pure-1.ts',
    '@aws-sdk/client-s3',
    'node_modules/@aws-sdk/client-s3/index.js',
  ],
  [
    'judgement-is-pure',
    'functions/quality-gate/pure-2.ts',
    '@duckdb/node-api',
    'node_modules/@duckdb/node-api/index.js',
  ],
  ['judgement-is-pure', 'functions/quality-gate/pure-3.ts', 'node:fs', 'fs'],
  [
    'judgement-is-pure',
    'functions/quality-gate/pure-4.ts',
    './adapters/duckdb.ts',
    'functions/quality-gate/adapters/duckdb.ts',
  ],
  [
    'quality-gate-imports-only-its-own',
    'functions/quality-gate/nosy.ts',
    '../holdout-evaluation/schema.ts',
    'functions/holdout-evaluation/schema.ts',
  ],
  [
    'holdout-evaluation-imports-only-its-own',
    'functions/holdout-evaluation/nosy.ts',
    '../quality-gate/schema.ts',
    'functions/quality-gate/schema.ts',
  ],
  [
    'alarm-drill-imports-only-its-own',
    'functions/alarm-drill/nosy.ts',
    '../quality-gate/schema.ts',
    'functions/quality-gate/schema.ts',
  ],
  [
    'rollback-drill-imports-only-its-own',
    'functions/rollback-drill/nosy.ts',
    '../quality-gate/schema.ts',
    'functions/quality-gate/schema.ts',
  ],
  [
    'config-parity-imports-only-its-own',
    'functions/config-parity/nosy.ts',
    '../quality-gate/schema.ts',
    'functions/quality-gate/schema.ts',
  ],
  [
    'board-imports-only-its-own',
    'functions/board/nosy.ts',
    '../quality-gate/schema.ts',
    'functions/quality-gate/schema.ts',
  ],
  [
    'judgement-is-pure',
    'functions/board/pure.ts',
    '@aws-sdk/client-s3',
    'node_modules/@aws-sdk/client-s3/index.js',
  ],
  [
    'shared-imports-no-gate',
    'functions/shared/nosy.ts',
    '../quality-gate/schema.ts',
    'functions/quality-gate/schema.ts',
  ],
  ['lib-sees-only-schemas', 'lib/nosy.ts', '../functions/shared/errors.ts', 'functions/shared/errors.ts'],
  [
    'functions-never-import-cdk',
    'functions/shared/cdk.ts',
    'aws-cdk-lib',
    'node_modules/aws-cdk-lib/index.js',
  ],
  ['functions-never-import-cdk', 'functions/shared/library.ts', '../../lib/gate.ts', 'lib/gate.ts'],
  ['sandbox-is-imported-by-nobody', 'bin/player.ts', '../sandbox/start.ts', 'sandbox/start.ts'],
];

describe('the layer rules', () => {
  test('let sound code pass', () => {
    expect(cruiseProject(SOUND)).toMatchObject({ violations: [] });
  });

  test('each fire on a planted violation, and on nothing else', () => {
    const planted = Object.fromEntries(PLANTED.map(([, file, imported]) => [file, [imported]]));
    const { violations } = cruiseProject({
      ...SOUND,
      ...planted,
      'lib/ring-a.ts': ['./ring-b.ts'],
      'lib/ring-b.ts': ['./ring-a.ts'],
    });
    const expected = PLANTED.map(([rule, file, , module]) => `${rule}: ${file} -> ${module}`);
    expect(violations).toEqual([...expected, 'no-cycles: lib/ring-a.ts -> lib/ring-b.ts'].sort());
    // A rule without a violation here is a rule that may never fire.
    expect(new Set(violations.map((violation) => violation.split(':')[0]))).toEqual(
      new Set(RULES.map(({ name }) => name)),
    );
  });

  test('keep every gate to itself', () => {
    const gates = readdirSync('functions').filter((folder) => folder !== 'shared');
    expect(RULES.map(({ name }) => name)).toEqual(
      expect.arrayContaining(gates.map((gate) => `${gate}-imports-only-its-own`)),
    );
  });

  test('name whatever of functions/shared wraps AWS or the file system, so that no judgement reaches it', () => {
    const pure = RULES.find(({ name }) => name === 'judgement-is-pure')?.to.path ?? [];
    const wraps = readdirSync('functions/shared').filter(
      (file) =>
        file.endsWith('.ts') &&
        /from '(@aws-sdk\/|(node:)?(fs|net|http|child_process))/.test(
          readFileSync(join('functions/shared', file), 'utf8'),
        ),
    );
    expect(wraps).toContain('evidence.ts');
    const named = (file: string) => pure.some((path) => new RegExp(path).test(`functions/shared/${file}`));
    expect(wraps.filter((file) => !named(file))).toEqual([]);
  });

  test('are looked at by a cruise that sees the whole repository', () => {
    const { totalCruised, violations } = cruise('.');
    expect(violations).toEqual([]);
    expect(totalCruised).toBeGreaterThan(20);
  });
});
