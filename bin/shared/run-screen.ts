import { type Io, printable, style } from './cli.ts';
import { ANSWERS, formatsOf, paint } from './marks.ts';

/*
 * Where a run is, as its phases say it: on a terminal the present one, redrawn; elsewhere a line for each change.
 */

/** `2 min 10 s`, unless it is how long something took: `after 2 min 10 s`. */
const PASSING = /(?<!after (?:\d+ (?:h|min) )?)\b\d+ (?:h|min|s)\b(?: \d+ (?:min|s)\b)?/g;

/** `of 50 requests`: as many as there were time for. */
const OF_REQUESTS = / of \d+ requests?\b/g;

/** `drift, 2 min 10 s: 2x ALARM after 61 s, 5x OK`: what is going on, and the state of each thing in it. */
const WITH_STATES = /^(.+?): (.*\b(?:ALARM|OK|INSUFFICIENT_DATA)\b.*)$/s;

const STATES = {
  ALARM: ['bold', 'red'],
  OK: ['green'],
  INSUFFICIENT_DATA: ['yellow'],
} as const;

/** `previous 40 %`, `2 lost`: who answers, as far as anybody does. */
const WHO = /\b(?:(previous|bad|other|either) (?!0 %)\d+ %|[1-9]\d* lost\b)/g;

/** `last 12 s: PPPBBxBB`: who answered in each second. */
const STRIP = /(?<=^ *last [^:]+: )[PBOM=x.]+(?= |…|$)/;

const WHO_MARKS = { previous: 'P', bad: 'B', other: 'O', either: '=' } as const;

/** Columns before the phase: how long the run has taken. */
const MARGIN = 10;

/** Shows the phases of one run as they come. */
export class RunScreen {
  readonly #stderr: Io['stderr'];
  readonly #live: boolean;
  /** What makes the last phase another one than the next. */
  #shown: string | undefined;
  /** Lines that the present phase takes. */
  #height = 0;

  constructor({ stderr }: Pick<Io, 'stderr'>) {
    this.#stderr = stderr;
    this.#live = 'isTTY' in stderr && stderr.isTTY === true;
  }

  /**
   * @param phase a few words, or more with the states of alarms in them; further lines are for terminals
   * @param elapsedMs since the run began
   */
  show(phase: string, elapsedMs: number): void {
    const timeless = phase.replace(PASSING, '');
    if (this.#live) this.#redraw(phase, timeless.split(/: |\n/, 1)[0] ?? '', elapsedMs);
    else {
      // Further lines move on all the time.
      const head = timeless.split('\n', 1)[0]?.replace(OF_REQUESTS, '');
      if (head === this.#shown) return;
      this.#stderr.write(`${lineOf(phase.split('\n', 1)[0] ?? '', elapsedMs)}\n`);
      this.#shown = head;
    }
  }

  end(): void {
    if (this.#live && this.#shown !== undefined) this.#stderr.write('\n');
  }

  #redraw(phase: string, kind: string, elapsedMs: number): void {
    const [head = '', ...rest] = partsOf(phase);
    const lines = [lineOf(head, elapsedMs), ...rest.map((part) => `${' '.repeat(MARGIN)}${printable(part)}`)];
    const cut = lines.map((line) => this.#paint(this.#fit(line)));
    if (this.#shown === kind) this.#stderr.write(erase(this.#height));
    else if (this.#shown !== undefined) this.#stderr.write('\n');
    this.#stderr.write(cut.join('\n'));
    this.#shown = kind;
    this.#height = cut.length;
  }

  /** A line that the terminal wrapped would be two when it is erased. */
  #fit(line: string): string {
    const { columns = 0 } = this.#stderr as { columns?: number };
    return columns === 0 || line.length < columns ? line : `${line.slice(0, columns - 2)}…`;
  }

  #paint(line: string): string {
    return line
      .replace(/\b(?:ALARM|OK|INSUFFICIENT_DATA)\b/g, (state) =>
        style(this.#stderr, [...STATES[state as keyof typeof STATES]], state),
      )
      .replace(WHO, (text, who?: keyof typeof WHO_MARKS) =>
        style(this.#stderr, [...ANSWERS[who === undefined ? 'x' : WHO_MARKS[who]].format], text),
      )
      .replace(STRIP, (strip) => paint(this.#stderr, strip, formatsOf(ANSWERS)));
  }
}

function partsOf(phase: string): string[] {
  if (phase.includes('\n')) {
    const [first = '', ...rest] = phase.split('\n');
    const [, head = first, details] = /^(.+?): (.+)$/.exec(first) ?? [];
    return [head, ...(details?.split('; ') ?? []), ...rest];
  }
  const [, head, states] = WITH_STATES.exec(phase) ?? [];
  const parts = states?.split(', ') ?? [];
  return head === undefined || parts.length < 2 ? [phase] : [head, ...parts];
}

function lineOf(text: string, elapsedMs: number): string {
  return `${durationText(elapsedMs).padStart(MARGIN - 2)}  ${printable(text)}`;
}

function erase(lines: number): string {
  return lines === 1 ? '\r\u001b[K' : `\r\u001b[${lines - 1}A\u001b[J`;
}

/** `42 s`, `3 min 5 s`, `2 h 10 min` */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds} s`;
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
