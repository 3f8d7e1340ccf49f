import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { validateContracts } from '../../bin/commands/contract-validate.ts';
import { EXIT } from '../../bin/shared/cli.ts';
import { capture } from './support.ts';

const FLIGHTS = fileURLToPath(new URL('../../contracts/flights.yaml', import.meta.url));

let directory = '';
const path = (name: string) => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tocsin-validate-'));
  await writeFile(
    path('keys.yaml'),
    'contract: 1\ndataset: a\nformat: csv\ncolums: {}\ncolumns:\n  x: { type: int }\n',
  );
  await writeFile(
    path('rules.yaml'),
    `contract: 1
dataset: a
format: csv
columns:
  x: { type: integer }
rules:
  - { name: good, sql: x > 0 }
  - { name: typo, sql: xx > 0 }
  - { name: number, sql: x + 1 }
  - { name: statement, sql: 'true; DROP TABLE a' }
`,
  );
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function run(...files: string[]) {
  const io = capture();
  const code = await validateContracts(files, {}, io);
  return { code, lines: io.out().trim().split('\n') };
}

test('a good contract is summed up', async () => {
  expect(await run(FLIGHTS)).toEqual({
    code: EXIT.pass,
    lines: [`ok  ${FLIGHTS}: dataset flights, 5 columns, 1 rule`],
  });
});

test('every mistake has its file, line and column', async () => {
  const { code, lines } = await run(path('keys.yaml'), FLIGHTS, path('none.yaml'));
  expect(code).toBe(EXIT.caller);
  expect(lines).toHaveLength(4);
  expect(lines[0]).toMatch(/keys\.yaml:4:1 {2}unknown key "colums", did you mean "columns"\?/);
  expect(lines[1]).toMatch(/keys\.yaml:6:\d+ {2}columns\.x\.type: expected .*"integer".*, got "int"/);
  expect(lines[2]).toContain('dataset flights');
  expect(lines.at(-1)).toMatch(/none\.yaml: no such file/);
});

test('so has every mistake in the SQL of a rule', async () => {
  const { code, lines } = await run(path('rules.yaml'));
  expect(code).toBe(EXIT.caller);
  expect(lines.map((line) => line.replace(/^.*rules\.yaml:/, '').replace(/: .*/, ''))).toEqual([
    '8:19  rule "typo"',
    '9:21  rule "number"',
    '10:24  rule "statement"',
  ]);
  expect(lines[0]).toContain('no column "xx" in this contract, did you mean "x"?');
  expect(lines[1]).toContain('expected true or false');
  expect(lines[2]).toContain('not valid SQL');
});

test('machines get the mistakes as JSON', async () => {
  const io = capture();
  expect(await validateContracts([path('rules.yaml'), FLIGHTS], { json: true }, io)).toBe(EXIT.caller);
  const { issues } = JSON.parse(io.out());
  expect(issues).toHaveLength(3);
  expect(issues[0]).toMatchObject({ file: path('rules.yaml'), line: 8, column: 19, path: 'rules.1.sql' });
});
