import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

/* The layer rules of .dependency-cruiser.cjs. dependency-cruiser is content where it finds no module at all. */

const FOLDERS = ['bin', 'lib', 'functions', 'sandbox', 'scripts', 'bench', 'test'];

const { status, stdout, stderr } = spawnSync(
  'depcruise',
  ['--config', '.dependency-cruiser.cjs', ...FOLDERS],
  { cwd: join(import.meta.dirname, '..'), encoding: 'utf8' },
);
process.stdout.write(stdout);
process.stderr.write(stderr);
const modules = Number(/\((\d+) modules/.exec(stdout)?.[1] ?? 0);
if (status === 0 && modules === 0)
  console.error('dependency-cruiser read no module: it cannot parse TypeScript.');
process.exit(status === 0 && modules > 0 ? 0 : 1);
