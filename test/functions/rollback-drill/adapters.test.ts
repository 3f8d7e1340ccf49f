import { expect, test } from 'vitest';
import { cloneConfig } from '../../../functions/rollback-drill/adapters/artifacts.ts';
import {
  configHash,
  readEndpoint,
  readSnapshot,
  setWeights,
  updateEndpoint,
} from '../../../functions/rollback-drill/adapters/endpoint.ts';
import { RollbackWorld } from '../../support/rollback.ts';

/*
 * The adapters and the local SageMaker agree.
 */

test('a clone is deployed, and weights are set, each asked for twice', async () => {
  const world = await RollbackWorld.start();
  try {
    await world.model('good', () => '1');
    await world.model('bad', () => '2');
    await world.endpoint('staging', {
      variants: [
        { name: 'stable', model: 'good' },
        { name: 'candidate', model: 'bad', weight: 0 },
      ],
    });
    const { sagemaker: client } = world.deps();
    const found = await readSnapshot(client, 'staging', world.now);
    expect(found).toMatchObject({
      snapshot: { deployed: false, guardrail: [], state: { status: 'InService', config: 'staging-config' } },
      tags: { 'tocsin:drill': 'allowed' },
      models: { stable: 'good', candidate: 'bad' },
      plain: null,
    });
    const to = 'tocsin-drill-0a1b';
    for (let time = 0; time < 2; time++) await cloneConfig(client, { from: 'staging-config', to, tags: {} });
    expect(await configHash(client, to)).toBe(found?.snapshot.configSha256);
    for (let time = 0; time < 2; time++) {
      await updateEndpoint(client, { endpoint: 'staging', config: to, retain: false });
    }
    expect(await readEndpoint(client, 'staging', world.now)).toMatchObject({
      status: 'Updating',
      config: 'staging-config',
      pending: to,
    });
    await world.settled();
    const changes = [
      { variant: 'stable', weight: 0 },
      { variant: 'candidate', weight: 1 },
    ];
    for (let time = 0; time < 2; time++) await setWeights(client, 'staging', changes);
    await world.settled();
    await setWeights(client, 'staging', changes);
    expect(await readEndpoint(client, 'staging', world.now)).toMatchObject({
      status: 'InService',
      config: to,
      pending: null,
      variants: [
        { name: 'candidate', weight: 1, desiredWeight: 1 },
        { name: 'stable', weight: 0, desiredWeight: 0 },
      ],
    });
    expect(world.changes.map(({ operation }) => operation)).toEqual([
      'CreateEndpointConfig',
      'UpdateEndpoint',
      'UpdateEndpointWeightsAndCapacities',
    ]);
  } finally {
    await world.close();
  }
});
