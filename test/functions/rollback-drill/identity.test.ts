import { describe, expect, test } from 'vitest';
import { decide } from '../../../functions/rollback-drill/decide.ts';
import { configurationHash, verdictOf } from '../../../functions/rollback-drill/identity.ts';
import type { Measurements } from '../../../functions/rollback-drill/measurements.ts';
import {
  CONFIG,
  CONFIG_SHA,
  drillOf,
  FINGERPRINTS,
  measuredOf,
  type RollbackDrillInput,
  snapshotOf,
  timelineOf,
  UNTOUCHED,
} from '../../support/rollback-facts.ts';

function verdict(
  change: Partial<Measurements> = {},
  { config = {}, run = 'run-1' }: { config?: Partial<RollbackDrillInput>; run?: string } = {},
) {
  return verdictOf(measuredOf(change), timelineOf(), drillOf(config), run);
}

describe('the verdict', () => {
  test('names what it is about', () => {
    const { outcome, reason, findings, notChecked, ...identity } = verdict();
    expect({ outcome, reason, findings, notChecked }).toEqual(decide(measuredOf(), timelineOf(), drillOf()));
    expect(identity).toEqual({
      verdict: 1,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      gate: 'rollback-drill',
      subject: 'flight-delay',
      inputs: {
        drill: 'flight-delay',
        endpoint: 'flight-delay-staging',
        endpointArn: snapshotOf().arn,
        originalConfig: CONFIG,
        originalConfigSha256: CONFIG_SHA,
        goldenSha256: 'd'.repeat(64),
        goldenVersion: 'v1',
        fingerprints: { previous: ['3fa2c1d0'], bad: ['9b1f02aa'] },
        configurationSha256: configurationHash(drillOf()),
        run: 'run-1',
        drilled: true,
      },
      tocsin: expect.any(String),
    });
  });

  test('is the same however often the run starts again, and another of everything else', () => {
    const { id } = verdict();
    expect(verdict().id).toBe(id);
    expect(verdict({ fingerprints: FINGERPRINTS.toReversed() }).id).toBe(id);
    const { golden } = measuredOf();
    const others = [
      verdict({}, { run: 'run-2' }),
      verdict({}, { config: { within: '5m' } }),
      verdict({ golden: { ...golden, version: 'v2' } }),
      verdict({ golden: { ...golden, sha256: 'f'.repeat(64) } }),
      verdict({ fingerprints: FINGERPRINTS.slice(0, 1) }),
      verdict({ original: snapshotOf({ configSha256: 'f'.repeat(64) }) }),
      verdict({ ...UNTOUCHED, notDrilled: 'x' }),
    ].map((one) => one.id);
    expect(new Set([id, ...others]).size).toBe(8);
  });

  test('of a drill that did not get as far', () => {
    const { inputs, outcome } = verdict({ ...UNTOUCHED, original: null, fingerprints: [], notDrilled: 'x' });
    expect(outcome).toBe('inconclusive');
    expect(inputs).toMatchObject({
      endpoint: 'flight-delay-staging',
      endpointArn: null,
      originalConfig: null,
      originalConfigSha256: null,
      fingerprints: { previous: [], bad: [] },
      drilled: false,
    });
  });
});
