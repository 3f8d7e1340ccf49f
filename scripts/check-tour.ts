import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/*
 * `npm run check:tour`: follows the five-minute tour of the README, command by command as it stands there, and holds it to what
 * it promises.
 */

const ROOT = join(import.meta.dirname, '..');

/** What the tour leaves behind. */
const LEFT = [
  'weather.csv',
  'weather.yaml',
  'weather.yaml.bak',
  'zeroed.csv',
  'first',
  'second',
  'third',
  'tour',
];

const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const [, tour = ''] = /^## Five-minute tour\n(.*?)^## /ms.exec(readme) ?? [];
const commands = blocks('sh');
const promised = blocks('').map((text) => text.trim());

const there = LEFT.filter((name) => existsSync(join(ROOT, name)));
if (there.length > 0) fail(`${there.join(', ')} is in the way: the tour writes it`);
process.on('exit', () => {
  for (const name of LEFT) rmSync(join(ROOT, name), { recursive: true, force: true });
});
if (commands.length < 4 || promised.length < 1) fail('the README has no tour');

const output = await follow(`set -euo pipefail\n${commands.join('\n')}`);
const wrong = [
  ...promised.filter((line) => !output.includes(line)).map((line) => `nothing printed: ${line}`),
  ...['second/report.html', 'third/report.html', 'tour/board/index.html']
    .filter((file) => !existsSync(join(ROOT, file)))
    .map((file) => `there is no ${file}`),
  ...(output.match(/^PASS weather: /gm)?.length === 1 ? [] : ['the first check did not pass, alone']),
  ...(output.match(/^FAIL weather: /gm)?.length === 2 ? [] : ['the other two did not fail']),
  ...(output.match(/^exit code 1$/gm)?.length === 3 ? [] : ['three commands did not end with exit code 1']),
  ...(/flight-delay in production[\s\S]*✗ +4 Data +fail/.test(output) ? [] : ['status shows no failed data']),
];
if (wrong.length > 0) fail(wrong.join('\n  '));
process.stdout.write('\nThe tour of the README works as written.\n');

/** Fenced blocks of a language in the tour. */
function blocks(language: string): string[] {
  return [...tour.matchAll(/^```([a-z]*)\n(.*?)^```$/gms)]
    .filter(([, its]) => its === language)
    .map(([, , text = '']) => text);
}

/** Runs a script as somebody would in one shell, shows what it prints, and returns it. */
async function follow(script: string): Promise<string> {
  const child = spawn('bash', ['-c', script], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    process.stdout.write(chunk);
    output += chunk.toString('utf8');
  });
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) {
    // Whatever was left running.
    spawn('npm', ['start', '--', '--stop'], { cwd: ROOT, stdio: 'ignore' });
    fail(`a command of the tour ended with ${code}`);
  }
  return output;
}

function fail(message: string): never {
  process.stderr.write(`\n  ${message}\n`);
  process.exit(1);
}
