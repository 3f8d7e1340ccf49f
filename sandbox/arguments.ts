import { parseArgs } from 'node:util';
import { SandboxError } from './errors.ts';
import type { Story } from './world.ts';

/** What `npm start -- ...` was asked to do. */
export interface Arguments {
  command: 'play' | 'stop' | 'help';
  /** Leave the sandbox running. */
  keep: boolean;
  /** Show the output of every program that is run. */
  verbose: boolean;
  /** Names of the stories to play, in the order of the list. */
  stories: string[];
}

/**
 * Reads the command line.
 *
 * @param stories all that there are
 * @throws SandboxError of kind `usage`
 */
export function parseArguments(
  argv: readonly string[],
  stories: readonly Pick<Story, 'name' | 'gap'>[],
): Arguments {
  const { values } = parse(argv);
  const { keep = false, stop = false, help = false, verbose = false, story: asked = [] } = values;
  const isAsked = ({ name, gap }: Pick<Story, 'name' | 'gap'>) =>
    asked.includes(name) || asked.includes(String(gap));
  const unknown = asked.find((one) => !stories.some(({ name, gap }) => [name, String(gap)].includes(one)));
  if (unknown !== undefined) {
    const all = stories.map(({ name, gap }) => `${name} (${gap})`).join(', ');
    throw new SandboxError('usage', `There is no story "${unknown}"; there is: ${all}.`);
  }
  if (stop && (keep || asked.length > 0)) {
    throw new SandboxError('usage', '--stop ends a sandbox that was kept; it goes with no other option.');
  }
  return {
    command: help ? 'help' : stop ? 'stop' : 'play',
    keep,
    verbose,
    stories: stories.filter((story) => asked.length === 0 || isAsked(story)).map(({ name }) => name),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        keep: { type: 'boolean' },
        stop: { type: 'boolean' },
        story: { type: 'string', multiple: true },
        verbose: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    // Node's own sentence names the option; what follows its first sentence is about programs, not about this one.
    const [sentence = ''] = (error as Error).message.split(/\.\s|\n/);
    throw new SandboxError('usage', `${sentence}.`, { help: 'See npm start -- --help.', cause: error });
  }
}

/** What `--help` prints. */
export function helpText(stories: readonly { name: string; title: string }[]): string {
  const width = Math.max(...stories.map(({ name }) => name.length));
  return `Usage: npm start [-- options]

Deploys this app with the real CDK into an AWS account that is emulated on this machine, and plays stories in it:
how a machine-learning failure goes unseen, and how Tocsin stops it. Needs Python 3.10 or later and, the first
time, PyPI. No AWS account, no Docker; everything stays on 127.0.0.1 and below .sandbox/.

Options:
  --story NAME   play this story only, by its name or the number of its gap (may be repeated)
  --keep         leave the sandbox running, and print how to use it
  --stop         end the sandbox that --keep left running
  --verbose      show the output of every program that is run
  -h, --help     print this

Stories:
${stories.map(({ name, title }) => `  ${name.padEnd(width)}   ${title}`).join('\n')}

Exit codes: 0 all is as it must be, 1 a story went wrong, 2 wrong usage, 3 something is missing or broken here.
`;
}
