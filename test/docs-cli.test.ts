import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { alarmCommand } from '../bin/commands/alarm.ts';
import { baselineCommand } from '../bin/commands/baseline.ts';
import { boardCommand } from '../bin/commands/board.ts';
import { canaryCommand } from '../bin/commands/canary.ts';
import { checkCommand } from '../bin/commands/check.ts';
import { addCompletion } from '../bin/commands/completion.ts';
import { contractCommand } from '../bin/commands/contract.ts';
import { doctorCommand } from '../bin/commands/doctor.ts';
import { drillCommand } from '../bin/commands/drill.ts';
import { evaluateCommand } from '../bin/commands/evaluate.ts';
import { parityCommand } from '../bin/commands/parity.ts';
import { profileCommand } from '../bin/commands/profile.ts';
import { readyCommand } from '../bin/commands/ready.ts';
import { rollbackCommand } from '../bin/commands/rollback.ts';
import { statusCommand } from '../bin/commands/status.ts';

/* What documents say of the command line, held to the commands themselves. Nothing is run but `tocsin --help`. */

const ROOT = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

/** The program of bin/tocsin.ts, whose commands do nothing, and whose mistakes are thrown. */
function program(): Command {
  const io = { stdout: process.stdout, stderr: process.stderr };
  const root = new Command('tocsin').helpCommand(false).exitOverride().enablePositionalOptions();
  root.configureOutput({ writeOut: () => undefined, writeErr: () => undefined });
  for (const command of [
    statusCommand,
    boardCommand,
    readyCommand,
    checkCommand,
    evaluateCommand,
    canaryCommand,
    drillCommand,
    parityCommand,
    rollbackCommand,
    contractCommand,
    baselineCommand,
    profileCommand,
    alarmCommand,
    doctorCommand,
  ]) {
    root.addCommand(command(io));
  }
  for (const { command } of within(root)) command.copyInheritedSettings(root);
  addCompletion(root);
  for (const { command, runs } of within(root)) if (runs) command.action(() => undefined);
  return root;
}

interface Named {
  /** `tocsin contract init` */
  name: string;
  command: Command;
  /** Whether it does something by itself, and is not only what others stand below. */
  runs: boolean;
}

/** All commands below one, without the one that shells ask. */
function within(parent: Command, path = 'tocsin'): Named[] {
  return parent.commands
    .filter((command) => command.name() !== 'complete')
    .flatMap((command) => {
      const name = `${path} ${command.name()}`;
      const runs = command.commands.length === 0 || command.registeredArguments.length > 0;
      return [{ name, command, runs }, ...within(command, name)];
    });
}

/** The words of the commands called `tocsin` in a shell script, without the first. */
function calls(script: string): string[][] {
  const found: string[][] = [];
  for (const words of commandsOf(script.replaceAll('\\\n', ' '))) {
    const [first, ...rest] = words[0] === '$' ? words.slice(1) : words;
    if (first === 'tocsin') found.push(rest);
    if (first === 'npx' && rest[0] === 'tocsin') found.push(rest.slice(1));
    // In a clone.
    const npm = first === 'npm' && rest[0] === 'run' ? rest.indexOf('tocsin') : -1;
    if (npm > 0 && rest[npm + 1] === '--') found.push(rest.slice(npm + 2));
  }
  return found;
}

/** The words of each simple command: quotes removed, comments left out, what is redirected or substituted cut off. */
function commandsOf(script: string): string[][] {
  const commands: string[][] = [[]];
  const token = /#[^\n]*|'([^']*)'|"((?:[^"\\]|\\.)*)"|([\n;|&()<>]+)|([^\s;|&()<>'"#]+)/g;
  for (const [whole, single, double, operator, word] of script.matchAll(token)) {
    if (operator !== undefined) commands.push([]);
    else if (!whole.startsWith('#')) commands.at(-1)?.push(single ?? double ?? word ?? '');
  }
  return commands.filter((words) => words.length > 0);
}

/** Why commander refuses a command line; nothing where it takes it. */
async function complaintOf(words: readonly string[]): Promise<string | undefined> {
  try {
    await program().parseAsync([...words], { from: 'user' });
    return undefined;
  } catch (error) {
    return `tocsin ${words.join(' ')}: ${(error as Error).message}`;
  }
}

const documents = ['README.md', ...readdirSync(join(ROOT, 'docs')).map((file) => `docs/${file}`)].filter(
  (file) => file.endsWith('.md'),
);

/** Command lines in the examples of a document: blocks of the shell, and transcripts. */
function examplesOf(file: string): string[][] {
  return [...read(file).matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].flatMap(([, language, text = '']) => {
    if (language === 'sh') return calls(text);
    return language === '' ? calls((text.match(/^\$ .*$/gm) ?? []).join('\n')) : [];
  });
}

/** What `--help` says of a command, in one line each. */
function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (chunk) => {
      text += chunk;
    },
  });
  command.outputHelp();
  return text;
}

describe('command lines in documents', () => {
  it('are found whatever stands around them', () => {
    const script = `X=1 # tocsin no
npm run -s tocsin -- check a.csv --contract 'a b.yaml' || echo "exit code $?"
tocsin alarm explain --fires '>= 0.2' \\
  --series "0.1 _" | head; npx tocsin doctor
source <(tocsin completion bash)
echo tocsin`;
    expect(calls(script)).toEqual([
      ['check', 'a.csv', '--contract', 'a b.yaml'],
      ['alarm', 'explain', '--fires', '>= 0.2', '--series', '0.1 _'],
      ['doctor'],
      ['completion', 'bash'],
    ]);
  });

  it('are refused where there is no such command, option or argument', async () => {
    expect(await complaintOf(['chek', 'a.csv'])).toContain("unknown command 'chek'");
    expect(await complaintOf(['doctor', '--output', 'a'])).toContain("unknown option '--output'");
    expect(await complaintOf(['status', 'flight-delay'])).toContain('too many arguments');
    expect(await complaintOf(['check', 'a.csv'])).toContain("required option '--contract <file>'");
    expect(await complaintOf(['contract', 'validate'])).toContain("missing required argument 'files'");
    expect(await complaintOf(['check', 'a.csv', '--contract', 'a.yaml', '--memory', '1'])).toContain('64MB');
  });

  it.each(documents)('of %s are what the program takes', async (file) => {
    const complaints = await Promise.all(examplesOf(file).map(complaintOf));
    expect(complaints.filter((complaint) => complaint !== undefined)).toEqual([]);
  });

  it('are in most documents', () => {
    const counts = Object.fromEntries(documents.map((file) => [file, examplesOf(file).length]));
    expect(counts['README.md']).toBeGreaterThanOrEqual(10);
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(40);
  });

  it('of the help are what the program takes', async () => {
    const examples = within(program()).flatMap(({ name, command }) => {
      const [, text = ''] = helpOf(command).split('Examples:\n');
      return calls(text).map((words) => ({ name, words }));
    });
    const complaints = await Promise.all(examples.map(({ words }) => complaintOf(words)));
    expect(complaints.filter((complaint) => complaint !== undefined)).toEqual([]);
    // Of each command its own.
    expect(
      examples.filter(({ name, words }) => !`tocsin ${words.join(' ')} `.startsWith(`${name} `)),
    ).toEqual([]);
    const shown = new Set(examples.map(({ name }) => name));
    const commands = within(program()).flatMap(({ name, runs }) => (runs ? [name] : []));
    expect(commands.filter((name) => !shown.has(name))).toEqual([]);
  });
});

describe('docs/cli.md', () => {
  const text = read('docs/cli.md');
  const sections = new Map(
    text
      .split(/^## /m)
      .slice(1)
      .map((section) => [section.split('\n', 1)[0] ?? '', section] as const),
  );
  const commands = within(program()).filter(({ runs }) => runs);

  it('has a section for each command, in the order of its table, and the program has no other', () => {
    const documented = [...sections.keys()].filter((title) => title.startsWith('tocsin '));
    const listed = [...text.matchAll(/^\| \[`(tocsin [^`]+)`\]/gm)].map(([, name]) => name);
    expect(documented).toEqual(listed);
    expect(documented.toSorted()).toEqual(commands.map(({ name }) => name).toSorted());
    const help = execFileSync(process.execPath, [join(ROOT, 'bin/tocsin.ts'), '--help'], {
      encoding: 'utf8',
    });
    const [, shown = ''] = help.split('Commands:\n');
    expect([...shown.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name)).toEqual(
      program()
        .commands.map((command) => command.name())
        .filter((name) => name !== 'complete'),
    );
  });

  it.each(commands)('names every option of $name, and none that it has not', ({ name, command }) => {
    const section = sections.get(name) ?? '';
    const options = command.options.flatMap(({ long }) => long ?? []);
    expect(options.filter((option) => !new RegExp(`${option}(?![a-z-])`).test(section))).toEqual([]);
    const [, usage = ''] = /```\n([\s\S]*?)```/.exec(section) ?? [];
    const used = [...usage.matchAll(/--[a-z][a-z-]*/g)].map(([option]) => option);
    expect(used.length).toBeGreaterThanOrEqual(Math.min(options.length, 1));
    expect(used.filter((option) => !options.includes(option))).toEqual([]);
  });
});
