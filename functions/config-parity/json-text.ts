import type { Json } from './json.ts';

/** Deeper than this, nothing that somebody wrote is nested. */
const DEPTH = 64;

/**
 * What a text says in JSON, where that is an object or a list; else the text itself. An integer that a double does not hold
 * stays text: two of them must not look equal.
 */
export function jsonOf(text: string): Json {
  if (!/^\s*[[{]/.test(text)) return text;
  try {
    const value: Json = JSON.parse(text, exactly);
    return isShallow(value, DEPTH) ? value : text;
  } catch {
    return text;
  }
}

function exactly(_key: string, value: unknown, { source }: { source?: string } = {}): unknown {
  if (typeof value !== 'number' || source === undefined) return value;
  const isExact = /^-?\d+$/.test(source) ? Number.isSafeInteger(value) : Number.isFinite(value);
  return isExact ? value : source;
}

function isShallow(value: Json, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1));
}
