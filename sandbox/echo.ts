import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { GateName } from '../functions/shared/verdict.ts';
import type { Inbox } from './inbox.ts';
import { expect, type World } from './world.ts';

/**
 * Everything that a gate has done about a subject it has done once: so many verdicts in the evidence, messages to people
 * and events to machines.
 *
 * @throws SandboxError of kind `story` where there are more, or fewer
 */
export async function expectNoEcho(
  world: World,
  { gate, subject, people, machines }: { gate: GateName; subject: string; people: Inbox; machines: Inbox },
  count: number,
): Promise<void> {
  await people.empty();
  await machines.empty();
  const { Contents = [] } = await world.s3.send(
    new ListObjectsV2Command({
      Bucket: world.output('EvidenceBucket'),
      Prefix: `evidence/${gate}/${subject}/`,
    }),
  );
  const verdicts = Contents.filter(({ Key }) => Key?.endsWith('/verdict.json'));
  expect('verdicts in the evidence', verdicts.length, count);
  expect('messages', people.received.length, count);
  expect('events', machines.received.length, count);
}
