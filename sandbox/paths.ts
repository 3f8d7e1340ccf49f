import { dirname, join } from 'node:path';

/** The checkout. */
export const ROOT = dirname(import.meta.dirname);

/** Everything that the sandbox writes is below this; git ignores it. */
export const STATE = join(ROOT, '.sandbox');
