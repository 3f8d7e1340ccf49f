import * as z from 'zod';
import {
  invalid,
  listOf,
  type Operation,
  operation,
  page,
  paging,
  structure,
  tagKey,
  tags,
} from './service.ts';

/** Tags that a resource may have. */
const MOST_TAGS = 50;

const resourceArn = z.string().max(256).regex(/^arn:/);

/** Tags of anything that has an ARN here. */
export const tagOperations: Record<string, Operation> = {
  AddTags: operation(
    structure({ ResourceArn: resourceArn, Tags: tags }),
    ({ ResourceArn }) => ResourceArn,
    ({ ResourceArn, Tags }, { state }) => {
      const has = existing(state.byArn(ResourceArn) && state.tags(ResourceArn), ResourceArn);
      const after = new Map([...has, ...Tags.map(({ Key, Value }) => [Key, Value] as const)]);
      if (after.size > MOST_TAGS) throw invalid(`A resource can have at most ${MOST_TAGS} tags.`);
      for (const [key, value] of after) has.set(key, value);
      return { Tags: [...has].map(([Key, Value]) => ({ Key, Value })) };
    },
  ),

  ListTags: operation(
    structure({ ...paging, ResourceArn: resourceArn, MaxResults: z.int().min(50).max(100).optional() }),
    ({ ResourceArn }) => ResourceArn,
    (input, { state }) => {
      const has = existing(
        state.byArn(input.ResourceArn) && state.tags(input.ResourceArn),
        input.ResourceArn,
      );
      const { items, ...next } = page([...has], input);
      return { Tags: items.map(([Key, Value]) => ({ Key, Value })), ...next };
    },
  ),

  DeleteTags: operation(
    structure({ ResourceArn: resourceArn, TagKeys: listOf(tagKey, MOST_TAGS, 1) }),
    ({ ResourceArn }) => ResourceArn,
    ({ ResourceArn, TagKeys }, { state }) => {
      const has = existing(state.byArn(ResourceArn) && state.tags(ResourceArn), ResourceArn);
      for (const key of TagKeys) has.delete(key);
      return {};
    },
  ),
};

function existing(found: Map<string, string> | undefined, arn: string): Map<string, string> {
  if (found === undefined) throw invalid(`Could not find a resource with the ARN ${arn}.`);
  return found;
}
