import { createHash } from 'node:crypto';
import type { GateName, Verdict } from './verdict.ts';

/** Hexadecimal SHA-256 of a text (as UTF-8) or of bytes. */
export function sha256(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** JSON with the keys of every object in ascending order: equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    inner !== null && typeof inner === 'object' && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)))
      : inner,
  );
}

/** 32 hexadecimal digits that name a verdict: the same gate, inputs and version of Tocsin, the same id. */
export function verdictId(gate: GateName, tocsin: string, inputs: unknown): string {
  return sha256(canonicalJson({ gate, tocsin, inputs })).slice(0, 32);
}

/** Where all evidence of one verdict is: `evidence/<gate>/<subject>/<id>/`. */
export function verdictFolder(gate: GateName, subject: string, id: string): string {
  return `evidence/${gate}/${subject}/${id}/`;
}

/** Where the report of a verdict is. */
export function reportKey({ gate, subject, id }: Pick<Verdict, 'gate' | 'subject' | 'id'>): string {
  return `${verdictFolder(gate, subject, id)}report.html`;
}
