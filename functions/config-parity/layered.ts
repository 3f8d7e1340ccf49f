/*
 * JSON of what may have thousands of items. Pure.
 */

/** How deep values stand on lines of their own. */
const LAYERS = 3;

/**
 * JSON with a line for each item of its lists and each key of its objects, down to the third layer; what is deeper is one
 * line. Indented throughout it would have twice as many bytes.
 *
 * @param value plain JSON
 */
export function layeredJson(value: unknown): string {
  return `${layer(value, 0)}\n`;
}

function layer(value: unknown, depth: number): string {
  if (depth >= LAYERS || typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const isList = Array.isArray(value);
  const inner = isList
    ? value.map((item) => layer(item, depth + 1))
    : Object.entries(value).flatMap(([key, item]) =>
        item === undefined ? [] : `${JSON.stringify(key)}: ${layer(item, depth + 1)}`,
      );
  const [open, close] = isList ? '[]' : '{}';
  if (inner.length === 0) return `${open}${close}`;
  const margin = '  '.repeat(depth);
  return `${open}\n${margin}  ${inner.join(`,\n${margin}  `)}\n${margin}${close}`;
}
