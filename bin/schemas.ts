import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { jsonSchemas } from '../lib/json-schemas.ts';

/* `npm run schemas`: writes the JSON Schemas for editors. A test holds them equal to the zod schemas. */
for (const [file, text] of Object.entries(jsonSchemas())) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
