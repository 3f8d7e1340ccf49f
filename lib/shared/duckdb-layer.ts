import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { AssetHashType, DockerImage, Stack } from 'aws-cdk-lib';
import { Architecture, Code, LayerVersion, Runtime } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';

/** The module that functions leave to the layer instead of bundling it. */
export const DUCKDB_MODULE = '@duckdb/node-api';

/** What Lambda takes unzipped, 250 MB, less 20 MB for the function's own code. */
const MAX_LAYER_BYTES = 230 * 1024 * 1024;

/** Part of the layer's hash: raise it when the layout changes. */
const LAYOUT = 1;

/** Processor of the function, in Node.js's words. */
export type Cpu = 'arm64' | 'x64';

/** The layer of a stack for one processor, made where it is asked for first: all gates share it. */
export function duckdbLayer(scope: Construct, architecture: Architecture): DuckdbLayer {
  const stack = Stack.of(scope);
  const id = architecture === Architecture.ARM_64 ? 'DuckdbArm64' : 'DuckdbX64';
  return (
    (stack.node.tryFindChild(id) as DuckdbLayer | undefined) ?? new DuckdbLayer(stack, id, { architecture })
  );
}

export interface DuckdbLayerProps {
  architecture: Architecture;
}

/** DuckDB and its native library for the processor of the function, in `/opt/nodejs/node_modules`. */
export class DuckdbLayer extends LayerVersion {
  constructor(scope: Construct, id: string, { architecture }: DuckdbLayerProps) {
    const cpu: Cpu = architecture === Architecture.ARM_64 ? 'arm64' : 'x64';
    const { directory, version } = findPackage(DUCKDB_MODULE, import.meta.url);
    super(scope, id, {
      description: `DuckDB ${version} for linux-${cpu}`,
      compatibleArchitectures: [architecture],
      compatibleRuntimes: [Runtime.NODEJS_24_X],
      code: Code.fromAsset(directory, {
        // Versions say all that there is to say: hashing 70 MB at every synth would not say more.
        assetHashType: AssetHashType.CUSTOM,
        assetHash: `duckdb-${version}-linux-${cpu}-${LAYOUT}`,
        bundling: {
          // Never used: `local` either builds the layer or throws.
          image: DockerImage.fromRegistry('scratch'),
          local: {
            tryBundle: (output) => {
              buildLayer(output, cpu);
              return true;
            },
          },
        },
      }),
    });
  }
}

/**
 * Writes the layer's content to `output`: copied from `node_modules` where the library for `cpu` is installed
 * there, else installed by npm for that processor.
 *
 * @throws Error where the library does not come, or the layer is too large for Lambda
 */
export function buildLayer(output: string, cpu: Cpu): void {
  const nodejs = join(output, 'nodejs');
  mkdirSync(nodejs, { recursive: true });
  const native = `@duckdb/node-bindings-linux-${cpu}`;
  const installed = installedPackages(native);
  if (installed === undefined) npmInstall(nodejs, cpu);
  else {
    for (const { name, directory } of installed) {
      cpSync(directory, join(nodejs, 'node_modules', name), { recursive: true });
    }
  }
  checkLayer(nodejs, native);
}

/**
 * A layer without its library is no layer; npm exits with 0 where it finds no package for a processor.
 *
 * @throws Error where libduckdb.so is missing, or the layer is too large
 */
export function checkLayer(nodejs: string, native: string): void {
  const library = join(nodejs, 'node_modules', native, 'libduckdb.so');
  if (!existsSync(library)) {
    const { version } = findPackage(DUCKDB_MODULE, import.meta.url);
    throw new Error(
      `The DuckDB layer has no ${native}/libduckdb.so: version ${version} may have no build for it. ` +
        'Pin a version that has one, or choose the other engine.architecture in tocsin.yaml.',
    );
  }
  const bytes = readdirSync(nodejs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
  if (bytes > MAX_LAYER_BYTES) {
    throw new Error(`The DuckDB layer has ${bytes} bytes, Lambda takes at most ${MAX_LAYER_BYTES} of it.`);
  }
}

interface Package {
  name: string;
  version: string;
  directory: string;
  dependencies: Record<string, string>;
}

/** DuckDB and all that it needs, as installed here; undefined where the native package is not. */
function installedPackages(native: string): Package[] | undefined {
  const packages = new Map<string, Package>();
  const add = (name: string, from: string): Package => {
    const found = packages.get(name) ?? findPackage(name, from);
    if (!packages.has(name)) {
      packages.set(name, found);
      for (const dependency of Object.keys(found.dependencies)) {
        add(dependency, join(found.directory, 'package.json'));
      }
    }
    return found;
  };
  add(DUCKDB_MODULE, import.meta.url);
  const bindings = packages.get('@duckdb/node-bindings');
  try {
    add(native, join(bindings?.directory ?? '.', 'package.json'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
  return [...packages.values()];
}

/** @throws Error with the code MODULE_NOT_FOUND */
function findPackage(name: string, from: string): Package {
  const file = createRequire(from).resolve(`${name}/package.json`);
  const { version, dependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as Package;
  return { name, version, dependencies, directory: dirname(file) };
}

function npmInstall(nodejs: string, cpu: Cpu): void {
  const { version } = findPackage(DUCKDB_MODULE, import.meta.url);
  const options = [
    `--prefix=${nodejs}`,
    '--os=linux',
    `--cpu=${cpu}`,
    '--libc=glibc',
    '--include=optional',
    '--omit=dev',
    '--ignore-scripts',
    '--no-save',
    '--no-package-lock',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ];
  try {
    execFileSync('npm', ['install', ...options, `${DUCKDB_MODULE}@${version}`], {
      cwd: nodejs,
      stdio: ['ignore', 'ignore', 'pipe'],
      encoding: 'utf8',
    });
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    throw new Error(
      `npm could not install ${DUCKDB_MODULE}@${version} for linux-${cpu}: ${stderr || message}`,
      {
        cause: error,
      },
    );
  }
  rmSync(join(nodejs, 'node_modules', '.package-lock.json'), { force: true });
}
