import type { Json } from './json.ts';

/** First version, to build against: no value is taken for a secret yet. */
export function sanitise(value: Json | null, _salt: string): Json | null {
  return value;
}

/** Whether a text is the class of an error, or words of Tocsin's own: nothing that AWS or a user wrote. */
export function isGenuine(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9 ,:.'()-]{0,99}$/.test(text);
}
