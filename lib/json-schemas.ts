import * as z from 'zod';
import { documentedSchema } from '../functions/config-parity/schema.ts';
import { contractSchema } from '../functions/quality-gate/schema.ts';
import { documentSchema } from '../functions/shared/notification/schema.ts';
import { configSchema } from './config.ts';

/** The JSON Schemas of configuration files, for editors, and of notifications, as texts by path in the repository. */
export function jsonSchemas(): Record<string, string> {
  return {
    'docs/schemas/tocsin.schema.json': render('tocsin.yaml', configSchema),
    'docs/schemas/contract.schema.json': render("A dataset's contract", contractSchema),
    'docs/schemas/parity.schema.json': render('parity.yaml', documentedSchema),
    'docs/schemas/notification.schema.json': render('What programs are told that subscribe', documentSchema),
  };
}

function render(title: string, schema: z.ZodType): string {
  // What people write (input), not what the program makes of it; draft 7 is what editors know best.
  const { $schema, ...body } = z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
  return `${JSON.stringify({ $schema, title, ...body }, null, 2)}\n`;
}
