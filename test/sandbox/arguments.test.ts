import { describe, expect, it } from 'vitest';
import { helpText, parseArguments } from '../../sandbox/arguments.ts';
import { SandboxError } from '../../sandbox/errors.ts';

const STORIES = [
  { name: 'quality', gap: 4 },
  { name: 'rollback', gap: 2 },
] as const;
const NAMES = ['quality', 'rollback'];

function mistake(...argv: string[]): SandboxError {
  try {
    parseArguments(argv, STORIES);
  } catch (error) {
    if (error instanceof SandboxError) return error;
    throw error;
  }
  throw new Error(`${argv.join(' ')} was accepted`);
}

describe('parseArguments', () => {
  it('plays every story where none is named', () => {
    expect(parseArguments([], STORIES)).toEqual({
      command: 'play',
      keep: false,
      verbose: false,
      stories: NAMES,
    });
  });

  it('plays the named stories in the order of the list, each once', () => {
    const argv = ['--story', 'rollback', '--story', 'quality', '--story=rollback', '--keep', '--verbose'];
    expect(parseArguments(argv, STORIES)).toMatchObject({ keep: true, verbose: true, stories: NAMES });
    expect(parseArguments(['--story', 'rollback'], STORIES).stories).toEqual(['rollback']);
  });

  it('knows a story by the number of its gap, too', () => {
    expect(parseArguments(['--story', '2'], STORIES).stories).toEqual(['rollback']);
    expect(parseArguments(['--story', '2', '--story', 'rollback'], STORIES).stories).toEqual(['rollback']);
    expect(mistake('--story', '5').message).toContain('no story "5"');
  });

  it.each([
    ['--stop', 'stop'],
    ['--help', 'help'],
    ['-h', 'help'],
  ])('%s asks for %s', (option, command) => {
    expect(parseArguments([option], STORIES).command).toBe(command);
  });

  it('names the stories that there are', () => {
    expect(mistake('--story', 'qualty').message).toBe(
      'There is no story "qualty"; there is: quality (4), rollback (2).',
    );
  });

  it.each([
    [['--kep'], "Unknown option '--kep'."],
    [['--story'], "Option '--story <value>' argument missing."],
    [['quality'], "Unexpected argument 'quality'."],
  ])('says in one sentence what is wrong with %s', (argv, message) => {
    const error = mistake(...argv);
    expect(error.kind).toBe('usage');
    expect(error.message).toBe(message);
    expect(error.help).toBe('See npm start -- --help.');
  });

  it('refuses --stop together with what it would ignore', () => {
    expect(mistake('--stop', '--keep').kind).toBe('usage');
    expect(mistake('--stop', '--story', 'quality').kind).toBe('usage');
  });
});

describe('helpText', () => {
  it('has every story with its title, aligned, and every exit code', () => {
    const help = helpText([
      { name: 'quality', title: 'Gap 4' },
      { name: 'rollback', title: 'Gap 2' },
    ]);
    expect(help).toContain('  quality    Gap 4\n  rollback   Gap 2\n');
    expect(help).toMatch(/Exit codes: 0 .* 1 .* 2 .* 3 /);
  });
});
