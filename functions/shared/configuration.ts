import type { S3Client } from '@aws-sdk/client-s3';
import type * as z from 'zod';
import { GateDependencyError } from './errors.ts';
import { readText } from './evidence.ts';
import { parseJson } from './schema.ts';

/**
 * Reads the configuration that was deployed with a function, as one JSON object in S3.
 *
 * @throws GateInputError where it does not hold
 * @throws GateDependencyError where it is not there, or S3 does not answer
 */
export async function readConfiguration<S extends z.ZodType>(
  s3: S3Client,
  { CONFIG_BUCKET, CONFIG_KEY }: { CONFIG_BUCKET: string; CONFIG_KEY: string },
  schema: S,
): Promise<z.output<S>> {
  const where = `s3://${CONFIG_BUCKET}/${CONFIG_KEY}`;
  const stored = await readText(s3, CONFIG_BUCKET, CONFIG_KEY);
  if (stored === undefined) {
    throw new GateDependencyError(`there is no configuration at ${where}`, { help: 'Deploy Tocsin again.' });
  }
  return parseJson(schema, stored.text, where);
}
