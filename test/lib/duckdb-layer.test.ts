import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildLayer, type Cpu, checkLayer } from '../../lib/shared/duckdb-layer.ts';
import { bundleHandler } from '../../lib/shared/gate-function.ts';

/** The processor of this machine, for which the native library is in node_modules. */
const CPU: Cpu = process.arch === 'arm64' ? 'arm64' : 'x64';

describe('the DuckDB layer of this processor', () => {
  // Outside the repository, so that nothing is found in its node_modules.
  const root = mkdtempSync(join(tmpdir(), 'tocsin-layer-'));
  const modules = join(root, 'layer/nodejs/node_modules');
  const run = (script: string): string =>
    execFileSync(process.execPath, ['-e', script], {
      cwd: root,
      encoding: 'utf8',
      // Where Lambda looks for the modules of a layer.
      env: { NODE_PATH: modules },
    });

  beforeAll(() => buildLayer(join(root, 'layer'), CPU));
  afterAll(() => rmSync(root, { recursive: true }));

  test('has the library, and no other', () => {
    expect(existsSync(join(modules, `@duckdb/node-bindings-linux-${CPU}/libduckdb.so`))).toBe(true);
    expect(readdirSync(join(modules, '@duckdb')).sort()).toEqual([
      'node-api',
      'node-bindings',
      `node-bindings-linux-${CPU}`,
    ]);
  });

  test('answers a query with nothing else installed', () => {
    const script = `require('@duckdb/node-api').DuckDBInstance.create(':memory:')
      .then(async (instance) => (await (await instance.connect()).runAndReadAll('SELECT 6 * 7')).getRows())
      .then((rows) => console.log(String(rows)));`;
    expect(run(script).trim()).toBe('42');
  });

  test('is all that the bundled handler needs', () => {
    bundleHandler(resolve('functions/quality-gate/handler.ts'), join(root, 'function'));
    expect(readdirSync(join(root, 'function')).sort()).toEqual(['index.js', 'index.js.map']);
    // Invoked with no environment it says so: everything was loaded, and the error kept its name.
    const script = `require('./function/index.js').handler({}, { awsRequestId: '1', getRemainingTimeInMillis: () => 60000 })
      .catch((error) => console.log(error.name + ' ' + error.message));`;
    expect(run(script)).toMatch(/^GateInputError environment: .*CONFIG_BUCKET/);
  });
});

describe('checkLayer', () => {
  const native = '@duckdb/node-bindings-linux-arm64';
  const withLayer = (use: (nodejs: string, library: string) => void): void => {
    const nodejs = mkdtempSync(join(tmpdir(), 'tocsin-layer-'));
    const directory = join(nodejs, 'node_modules', native);
    mkdirSync(directory, { recursive: true });
    try {
      use(nodejs, join(directory, 'libduckdb.so'));
    } finally {
      rmSync(nodejs, { recursive: true });
    }
  };

  test('refuses a layer without its library, as npm leaves it where there is no build', () => {
    withLayer((nodejs) => {
      expect(() => checkLayer(nodejs, native)).toThrow(
        /^The DuckDB layer has no @duckdb\/node-bindings-linux-arm64\/libduckdb\.so: version .* may have no build/,
      );
    });
  });

  test('refuses a layer that Lambda would refuse', () => {
    withLayer((nodejs, library) => {
      writeFileSync(library, '');
      expect(() => checkLayer(nodejs, native)).not.toThrow();
      // Sparse: it takes no room on the disk.
      truncateSync(library, 231 * 1024 * 1024);
      expect(() => checkLayer(nodejs, native)).toThrow('The DuckDB layer has 242221056 bytes');
    });
  });
});
