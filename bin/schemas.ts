import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { configurationReference, REFERENCE } from '../lib/configuration-reference.ts';
import { jsonSchemas } from '../lib/json-schemas.ts';

/* `npm run schemas`: writes the JSON Schemas for editors, and the reference for people. Tests hold them equal to the zod schemas. */
for (const [file, text] of Object.entries({ ...jsonSchemas(), [REFERENCE]: configurationReference() })) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
