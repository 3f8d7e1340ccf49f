import { clientsOf, whoami } from '../../functions/config-parity/adapters/clients.ts';
import type { Clients } from '../../functions/config-parity/adapters/reading.ts';
import type { EnvironmentConfig, Parity, Side } from '../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../functions/config-parity/snapshot.ts';
import { type SnapshotDependencies, takeSnapshot } from '../../functions/config-parity/snapshot-workflow.ts';
import { GateDependencyError } from '../../functions/shared/errors.ts';
import { goldenPlace, readGolden } from '../../functions/shared/golden.ts';
import { InProcessWorkflow } from '../../functions/shared/in-process.ts';
import { remembered } from '../../functions/shared/lambda.ts';
import type { Golden } from '../../functions/shared/prediction.ts';
import { placeOf } from '../../functions/shared/schema.ts';
import { connectS3 } from './aws.ts';
import { type Io, withProgress } from './cli.ts';
import { readOutputs } from './deployment.ts';

/*
 * Environments, read from here.
 */

/**
 * Reads environments with the caller's own credentials, side by side. The roles of tocsin.yaml are assumed.
 *
 * @param outputs what `cdk deploy --outputs-file` wrote: where golden requests are that name no bucket
 * @throws GateInputError where the caller has no AWS region or credentials, or reads another account than tocsin.yaml says
 * @throws GateDependencyError where a role cannot be assumed, or AWS does not answer
 */
export async function readLive<S extends Side>(
  parity: Parity,
  sides: readonly S[],
  { outputs }: { outputs: string },
  io: Io,
): Promise<Record<S, Snapshot>> {
  const s3 = await connectS3();
  const clients = new Map<EnvironmentConfig, Clients>();
  for (const side of sides) {
    const environment = parity.value[side];
    const own = clientsOf(environment);
    // Outside of any step, which would try again for minutes: who may not ask is told at once.
    await whoami(own, environment);
    clients.set(environment, own);
  }
  const readRequests = async (place: string) => {
    const isOwn = placeOf(place).bucket === undefined;
    const { DataBucket } = isOwn ? await readOutputs(outputs) : {};
    return readGolden(s3, goldenPlace(place, DataBucket));
  };
  /** Readers by place: both environments are asked the same. */
  const golden = new Map<string, () => Promise<Golden>>();
  const kept = new Map<string, string>();
  const phases = new Map<Side, string>();
  const dependencies = (side: Side): SnapshotDependencies => ({
    clients: (environment) => clients.get(environment) as Clients,
    parts: {
      put: async (key, text) => void kept.set(key, text),
      get: async (key) => {
        const text = kept.get(key);
        if (text === undefined) throw new GateDependencyError(`there is no part ${key}`);
        return text;
      },
    },
    golden: (place) => {
      const read = golden.get(place) ?? remembered(() => readRequests(place));
      golden.set(place, read);
      return read();
    },
    now: Date.now,
    report: async (phase) => void phases.set(side, phase),
  });
  const workflow = new InProcessWorkflow({ id: 'local' });
  const read = await withProgress(
    io,
    () => [...phases.values()].join(', '),
    () =>
      workflow.map('read the environments', sides, async (part, side) => {
        const assemble = await takeSnapshot(part, { parity, side }, dependencies(side));
        return [side, await assemble()] as const;
      }),
  );
  return Object.fromEntries(read) as Record<S, Snapshot>;
}
