/*
 * Where a value stands: `models.flight-delay.containers[0].environment.SCALER_VERSION`, and patterns of such paths. Pure.
 */

/**
 * A path as its segments: keys of objects as they are, names of list items in brackets: `['models', 'flight-delay',
 * 'containers', '[0]']`.
 */
export type Path = readonly string[];

const PLAIN = /^[A-Za-z0-9_$@:/{}+=-]+$/;

/** The segment of a list item. */
export function itemOf(name: string): string {
  return `[${name}]`;
}

/** The name of the list item that a segment is of; undefined of a key. */
function itemNameOf(segment: string): string | undefined {
  return segment.startsWith('[') && segment.endsWith(']') ? segment.slice(1, -1) : undefined;
}

/** A path as people read and write it. What is no plain word stands in quotes: `parameters["a b"].value`. */
export function formatPath(path: Path): string {
  return path
    .map((segment, index) => {
      const item = itemNameOf(segment);
      if (item !== undefined) return `[${PLAIN.test(item) ? item : JSON.stringify(item)}]`;
      return `${index === 0 ? '' : '.'}${PLAIN.test(segment) ? segment : JSON.stringify(segment)}`;
    })
    .join('');
}

/** A pattern of paths: `*` is any characters of one segment, `**` any number of segments. */
export interface PathPattern {
  text: string;
  segments: readonly (RegExp | '**')[];
}

/** A word in quotes, one in brackets, or a plain one. */
const PART = /\.?(?:\[("(?:[^"\\]|\\.)*"|[^\]"]+)\]|("(?:[^"\\]|\\.)*")|([^.[\]"]+))/y;

/**
 * Reads a pattern, or a path, which is a pattern of itself alone.
 *
 * @throws SyntaxError that says where it is none
 */
export function parsePattern(text: string): PathPattern {
  const segments: (RegExp | '**')[] = [];
  PART.lastIndex = 0;
  for (let at = 0; at < text.length; at = PART.lastIndex) {
    const match = PART.exec(text);
    if (match === null || (at === 0 && text.startsWith('.'))) {
      throw new SyntaxError(`"${text}" is no path from its character ${at + 1} on`);
    }
    const [, item, quoted, plain] = match;
    if (plain === '**') segments.push('**');
    else if (plain !== undefined) segments.push(globOf(plain));
    else if (quoted !== undefined) segments.push(literalOf(JSON.parse(quoted) as string));
    else if (item?.startsWith('"')) segments.push(literalOf(itemOf(JSON.parse(item) as string)));
    else segments.push(globOf(itemOf(item ?? '')));
  }
  if (segments.length === 0) throw new SyntaxError('a path is not empty');
  return { text, segments };
}

const escaped = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const literalOf = (text: string) => new RegExp(`^${escaped(text)}$`, 's');
// Stars side by side say the same as one, and would be slow.
const globOf = (text: string) => new RegExp(`^${text.split(/\*+/).map(escaped).join('.*')}$`, 's');

/** Whether a path is one of a pattern's. */
export function matches({ segments }: PathPattern, path: Path): boolean {
  if (!segments.includes('**')) {
    return (
      segments.length === path.length &&
      segments.every((segment, index) => segment !== '**' && segment.test(path[index] ?? ''))
    );
  }
  return reachedBy(segments, path).has(segments.length);
}

/** Whether a pattern may match some path that is another one, or below it. */
export function mayMatchWithin({ segments }: PathPattern, ancestor: Path): boolean {
  return reachedBy(segments, ancestor).size > 0;
}

/** How many segments of a pattern a path may have gone through: linear, whatever the pattern. */
function reachedBy(segments: PathPattern['segments'], path: Path): Set<number> {
  let reached = closure(segments, new Set([0]));
  for (const part of path) {
    const next = new Set<number>();
    for (const at of reached) {
      const segment = segments[at];
      if (segment === '**') next.add(at);
      else if (segment?.test(part)) next.add(at + 1);
    }
    reached = closure(segments, next);
  }
  return reached;
}

/** Of `**` nothing has to match. */
function closure(segments: PathPattern['segments'], reached: Set<number>): Set<number> {
  for (const at of reached) if (segments[at] === '**') reached.add(at + 1);
  return reached;
}

/** Whether a path is another one, or below it. */
export function isWithin(path: Path, ancestor: Path): boolean {
  return ancestor.length <= path.length && ancestor.every((segment, index) => segment === path[index]);
}
