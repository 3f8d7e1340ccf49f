import { readFileSync } from 'node:fs';
import { script } from '@bomb.sh/tab';
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
 * Before the script for bash: it is read once, since its constants cannot be set twice; and it has what it takes from the
 * package bash-completion, for where that is not, as in a container or on macOS, whose bash has no compopt either.
 */
const BEFORE_BASH = `if ! declare -F __tocsin_complete >/dev/null; then
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref() {
        words=("\${COMP_WORDS[@]}")
        cword=$COMP_CWORD
        cur=\${COMP_WORDS[COMP_CWORD]}
        prev=\${COMP_WORDS[COMP_CWORD-1]}
    }
fi
if ! type compopt >/dev/null 2>&1; then compopt() { :; }; fi
`;

/** After it: where the program has nothing to say, as for the file of `tocsin check`, bash completes names of files. */
const AFTER_BASH = `
__tocsin_complete_or_files() {
    __tocsin_complete "$@"
    if [[ \${#COMPREPLY[@]} -eq 0 ]]; then compopt -o default; fi
}
fi
complete -o default -F __tocsin_complete_or_files tocsin
`;

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
    ?.action((shell: string) => {
      if (shell === 'bash') process.stdout.write(BEFORE_BASH);
      script(shell, program.name(), program.name());
      if (shell === 'bash') process.stdout.write(AFTER_BASH);
    })
    .summary('print the completion script of a shell')
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
