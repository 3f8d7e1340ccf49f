import * as z from 'zod';

/*
 * CloudFormation's word that a stack was deployed, which is when a canary or a drill has something new to try.
 */

/** EventBridge's `CloudFormation Stack Status Change`. It has no stack name, only the id. */
export const stackEventSchema = z.object({
  source: z.literal('aws.cloudformation'),
  'detail-type': z.literal('CloudFormation Stack Status Change'),
  detail: z.object({
    'stack-id': z.string().startsWith('arn:'),
    'status-details': z.object({ status: z.string() }),
  }),
});

/** A deployment ends well in one of these. */
const DEPLOYED = ['CREATE_COMPLETE', 'UPDATE_COMPLETE'];

/**
 * The name of the stack that an event tells of.
 *
 * @returns the name; and why nothing has to run, where the deployment did not end, or not well
 */
export function stackOf({ detail }: z.output<typeof stackEventSchema>): {
  stack: string;
  unfinished?: string;
} {
  // arn:aws:cloudformation:region:account:stack/name/id
  const stack = detail['stack-id'].split('/')[1] ?? '';
  const { status } = detail['status-details'];
  return DEPLOYED.includes(status) ? { stack } : { stack, unfinished: `the stack ${stack} is ${status}` };
}
