import { Writable } from 'node:stream';
import { styleText } from 'node:util';

/** Columns of the label of a line, and of what is before it. */
const LABEL = 16;
const INDENT = 2;
/** Columns of a line where the stream is no terminal, and at most. */
const WIDTH = 110;

/** Characters of one line of a program's output, in the report of a failure. */
const MAX_OUTPUT = 1000;

const SPINNER = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/** Begins the line of a terminal anew. */
const ERASE = '\r\u001b[K';

type Format = Parameters<typeof styleText>[0];

/** Where a transcript goes: a terminal, where it has these. */
export type Output = Writable & { isTTY?: boolean; columns?: number };

/** What ended the run: what is wrong, how to mend it, and the end of what a failed program printed. */
export interface Failure {
  message: string;
  help?: string | undefined;
  output?: string | undefined;
}

/**
 * What a person reads: one line a step, labels aligned, colours and a spinner on a terminal only.
 */
export class Transcript {
  readonly #output: Output;
  #spinning = false;

  constructor(output: Output) {
    this.#output = output;
  }

  /** A line that begins a part, after an empty one. */
  heading(text: string): void {
    this.#print(`\n${this.#style('bold', text)}`);
  }

  /** A line that begins a part of a story, after an empty one. */
  chapter(text: string): void {
    this.#print(`\n${' '.repeat(INDENT)}${this.#style('cyan', text)}`);
  }

  /** A paragraph. */
  text(text: string): void {
    for (const line of wrap(text, this.#width() - INDENT)) this.#print(' '.repeat(INDENT) + line);
  }

  /** What somebody else said, below the line that it belongs to. */
  quote(text: string): void {
    const indent = INDENT + 2 + LABEL;
    for (const line of wrap(text, this.#width() - indent)) {
      this.#print(' '.repeat(indent) + this.#style('yellow', line));
    }
  }

  /** Text as it is, unwrapped: commands to copy, the output of a program. */
  raw(text: string): void {
    for (const line of text.split('\n')) this.#print((' '.repeat(2 * INDENT) + line).trimEnd());
  }

  /** Something that has just been checked and holds. */
  holds(label: string, text: string): void {
    this.#line('✓', 'green', label, text);
  }

  /** Something that was done or seen, and that no check depends on. */
  note(label: string, text: string): void {
    this.#line('·', 'dim', label, text);
  }

  /** What ended the run. */
  failure({ message, help, output }: Failure): void {
    this.#print('');
    this.#line('✗', 'red', '', message);
    if (help !== undefined) this.#line(' ', 'dim', '', help);
    if (output !== undefined && output !== '') {
      this.raw(`\n${output.replace(new RegExp(`^(.{${MAX_OUTPUT}}).+$`, 'gm'), '$1…')}`);
    }
  }

  /**
   * Does something that takes a while: a spinner on a terminal, and afterwards one line with the time it took.
   *
   * @param describe what to say of the result
   */
  async step<T>(label: string, work: () => Promise<T>, describe: (result: T) => string): Promise<T> {
    const started = performance.now();
    const stop = this.#spin(label, started);
    let result: T;
    try {
      result = await work();
    } catch (error) {
      stop();
      this.#line('✗', 'red', label, `after ${seconds(performance.now() - started)}`);
      throw error;
    }
    stop();
    this.holds(label, `${describe(result)}, ${seconds(performance.now() - started)}`);
    return result;
  }

  #spin(label: string, started: number): () => void {
    if (this.#output.isTTY !== true) return () => undefined;
    let frame = 0;
    this.#spinning = true;
    const timer = setInterval(() => {
      const sign = this.#style('cyan', SPINNER[frame++ % SPINNER.length] ?? '');
      const time = this.#style('dim', seconds(performance.now() - started));
      this.#output.write(`${ERASE}${' '.repeat(INDENT)}${sign} ${label.padEnd(LABEL)}${time}`);
    }, 100);
    return () => {
      clearInterval(timer);
      this.#output.write(ERASE);
      this.#spinning = false;
    };
  }

  #line(sign: string, format: Format, label: string, text: string): void {
    const head = label === '' ? '' : label.padEnd(LABEL);
    const indent = INDENT + 2 + head.length;
    const [first = '', ...rest] = wrap(text, this.#width() - indent);
    this.#print(`${' '.repeat(INDENT)}${this.#style(format, sign)} ${head}${first}`.trimEnd());
    for (const line of rest) this.#print(' '.repeat(indent) + line);
  }

  #width(): number {
    return Math.max(60, Math.min(this.#output.columns ?? WIDTH, WIDTH));
  }

  #style(format: Format, text: string): string {
    return this.#output.isTTY === true ? styleText(format, text, { stream: this.#output }) : text;
  }

  #print(line: string): void {
    this.#output.write(`${this.#spinning ? ERASE : ''}${line}\n`);
  }
}

/**
 * Lets several write to one output at the same time, so that it reads as if one had followed the other: what the first
 * writes is there at once, what the others write when it is their turn.
 */
export class Turns {
  readonly #output: Output;
  readonly #waiting: Turn[] = [];

  constructor(output: Output) {
    this.#output = output;
  }

  /** A writer whose turn comes when all that were taken before have ended. */
  take(): Turn {
    const turn = new Turn(this.#output, () => this.#advance());
    this.#waiting.push(turn);
    if (this.#waiting.length === 1) turn.begin();
    return turn;
  }

  #advance(): void {
    while (this.#waiting[0]?.ended === true) {
      this.#waiting.shift();
      this.#waiting[0]?.begin();
    }
  }
}

/** One writer among others. */
class Turn {
  /** What to write to. */
  readonly output: Output;
  ended = false;
  readonly #held: string[] = [];
  readonly #target: Output;
  readonly #onEnd: () => void;
  #begun = false;

  constructor(target: Output, onEnd: () => void) {
    this.#target = target;
    this.#onEnd = onEnd;
    this.output = Object.assign(
      new Writable({
        decodeStrings: false,
        write: (chunk: string, _encoding, done) => {
          if (this.#begun) target.write(chunk);
          else this.#held.push(chunk);
          done();
        },
      }),
      target.isTTY === true
        ? { isTTY: true, ...(target.columns !== undefined && { columns: target.columns }) }
        : {},
    );
  }

  /** From now on it writes at once. */
  begin(): void {
    this.#begun = true;
    for (const chunk of this.#held.splice(0)) this.#target.write(chunk);
  }

  /** It has written all. */
  end(): void {
    this.ended = true;
    this.#onEnd();
  }
}

/** Breaks a text between words; a word longer than a line has a line of its own. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** `0.4 s`, `12 s`, `2 min 5 s` */
export function seconds(milliseconds: number): string {
  const value = milliseconds / 1000;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
