import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

/** A directory with a tocsin.yaml, and with `tocsin` for the PATH. */
let directory: string;

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tocsin-completion-'));
  const program = join(import.meta.dirname, '../../bin/tocsin.ts');
  const shim = join(directory, 'tocsin');
  writeFileSync(shim, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
  chmodSync(shim, 0o755);
  writeFileSync(
    join(directory, 'tocsin.yaml'),
    'alarmDrills:\n  drift:\n    alarm: a\n  errors:\n    alarm: b\nreadiness:\n  churn:\n    production: {}\n',
  );
});
afterAll(() => rmSync(directory, { recursive: true }));

/** What bash without the package bash-completion offers at the end of each line. */
function offered(...lines: string[]): string[][] {
  const asked = lines.map((line) => {
    const words = line.split(' ');
    const quoted = words.map((word) => `'${word}'`).join(' ');
    return `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length - 1}; COMPREPLY=(); option=; __tocsin_complete_or_files; echo "\${COMPREPLY[*]}$option"`;
  });
  // Only a completion may set its options, and this is none.
  const script = [
    'source <(tocsin completion bash)',
    'source <(tocsin completion bash)',
    'compopt() { option=$*; if [[ $option == +* ]]; then option=; fi; }',
    'complete -p tocsin',
    ...asked,
  ].join('\n');
  const { stdout, stderr } = spawnSync('bash', ['--norc', '--noprofile', '-c', script], {
    cwd: directory,
    env: { PATH: `${directory}:${process.env.PATH}` },
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '));
}

test('bash completes commands, options, and names of tocsin.yaml; and files otherwise', () => {
  const [registered, ...found] = offered(
    'tocsin st',
    'tocsin board --s',
    'tocsin drill alarm ',
    'tocsin ready --model c',
    'tocsin check a',
  );
  expect(registered?.join(' ')).toBe('complete -o default -F __tocsin_complete_or_files tocsin');
  expect(found).toEqual([['status'], ['--save'], ['drift', 'errors'], ['churn'], ['-o', 'default']]);
});
