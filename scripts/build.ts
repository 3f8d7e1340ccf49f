import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';

/*
 * Makes dist/, which is what the package ships:
 *
 *   dist/lib, dist/functions   compiled one by one, with types; the constructs bundle the handlers when they are
 *                              synthesised, from these files as they do from the TypeScript in the repository
 *   dist/bin                   the CLI as one bundle with a chunk for each command, because hundreds of small
 *                              modules would take longer to load than a small file takes to check
 */

process.chdir(join(import.meta.dirname, '..'));
rmSync('dist', { recursive: true, force: true });

try {
  execFileSync('tsc', ['-p', 'tsconfig.build.json'], { stdio: 'inherit' });
} catch {
  // It has said what is wrong.
  process.exit(1);
}

const cli = 'dist/bin/tocsin.js';
const { metafile } = await build({
  entryPoints: {
    tocsin: 'bin/tocsin.ts',
    // Threads find their file beside the code that starts them.
    'bootstrap-worker': 'functions/holdout-evaluation/adapters/bootstrap-worker.ts',
  },
  outdir: 'dist/bin',
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  // The same as the names in messages and in the constructs' types.
  keepNames: true,
  // What comes without a licence file, which its code would have to ship with. The native half of DuckDB, and what only the commands that talk to AWS load. DuckDB's other half is sixty small
  // files: to find and load them takes 25 ms of the 300 that a file of a megabyte takes.
  external: ['@bomb.sh/tab', '@duckdb/node-bindings', '@aws-sdk/*'],
  // Some dependencies are CommonJS and require modules of Node.js.
  banner: {
    js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
});
chmodSync(cli, 0o755);
writeFileSync('dist/bin/THIRD-PARTY-LICENSES.txt', licencesOf(Object.keys(metafile.inputs)));

/** The licences of all packages that files in node_modules belong to; they ask to go where their code goes. */
function licencesOf(files: string[]): string {
  const packages = new Set(
    files.flatMap((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
  );
  return [...packages]
    .sort()
    .map((directory) => {
      const { name, version, license } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
      const file = readdirSync(directory).find((entry) => /^licen[cs]e/i.test(entry));
      if (file === undefined) throw new Error(`${directory} has no licence file to ship with the CLI`);
      return `${name} ${version} (${license})\n\n${readFileSync(join(directory, file), 'utf8').trim()}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}
