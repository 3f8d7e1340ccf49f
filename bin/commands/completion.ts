import { readFileSync } from 'node:fs';
import tab from '@bomb.sh/tab/commander';
import type { Command } from 'commander';

/** What completes with the names of a section of the tocsin.yaml here: arguments and options of commands. */
const NAMES: readonly { command: string; argument?: string; option?: string; section: string }[] = [
  { command: 'canary', argument: 'name', section: 'canaries' },
  { command: 'drill alarm', argument: 'name', section: 'alarmDrills' },
  { command: 'drill rollback', argument: 'name', section: 'rollbackDrills' },
  { command: 'parity', argument: 'name', section: 'parity' },
  { command: 'parity snapshot', argument: 'name', section: 'parity' },
  { command: 'parity document', argument: 'name', section: 'parity' },
  { command: 'parity role', argument: 'name', section: 'parity' },
  { command: 'evaluate', option: 'model', section: 'models' },
  { command: 'ready', option: 'model', section: 'readiness' },
  { command: 'status', option: 'model', section: 'readiness' },
];

/**
 * Adds `tocsin completion SHELL`, which prints what a shell has to run, and the hidden command that the shell then asks.
 *
 * @param program with all its other commands
 */
export function addCompletion(program: Command): void {
  const completion = tab(program, { completionCommandName: 'completion' });
  for (const { command, argument, option, section } of NAMES) {
    const found = completion.commands.get(command);
    const completes =
      argument === undefined ? found?.options.get(option ?? '') : found?.arguments.get(argument);
    if (completes === undefined) continue;
    completes.handler = (complete) => {
      for (const name of namesIn(section)) complete(name, section);
    };
  }
  program.commands
    .find((command) => command.name() === 'completion')
    ?.summary('print the completion script of a shell')
    .addHelpText(
      'after',
      `
Examples:
  source <(tocsin completion bash)
  tocsin completion zsh > ~/.zsh/completions/_tocsin
  tocsin completion fish > ~/.config/fish/completions/tocsin.fish`,
    );
}

/** Names in a section of tocsin.yaml; none where it cannot be read: nobody is told while typing. */
function namesIn(section: string): string[] {
  let text: string;
  try {
    text = readFileSync('tocsin.yaml', 'utf8');
  } catch {
    return [];
  }
  const names: string[] = [];
  let inside = false;
  // Line by line, because the first key must come up before a finger leaves it; and a half-written file has names, too.
  for (const line of text.split('\n')) {
    if (/^[A-Za-z]/.test(line)) inside = line.startsWith(`${section}:`);
    else if (inside) names.push(...(/^ {2}([a-z0-9-]+):/.exec(line)?.slice(1, 2) ?? []));
  }
  return names;
}
