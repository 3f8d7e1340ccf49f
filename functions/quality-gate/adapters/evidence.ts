import * as z from 'zod';
import { parseJson } from '../../shared/schema.ts';
import { resultSchema } from '../schema.ts';

const publishedSchema = z.object({
  published: z.literal(1),
  result: resultSchema,
  /** The versions that the verdict was first put on. */
  objects: z.array(z.object({ key: z.string(), versionId: z.string(), etag: z.string() })),
  pipelineExecution: z.exactOptional(z.string()),
});

/** What `published.json` holds. */
export type Published = z.output<typeof publishedSchema>;

/** @throws GateInputError where it is damaged */
export function parsePublished(text: string): Published {
  return parseJson(publishedSchema, text, 'published.json');
}
