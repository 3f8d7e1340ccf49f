import { describe, expect, test } from 'vitest';
import { evaluate } from '../../../functions/config-parity/evaluate.ts';
import type { Json } from '../../../functions/config-parity/json.ts';
import type { Side } from '../../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../../functions/config-parity/snapshot.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import {
  answersOf,
  entryOf,
  type ParityInput,
  PROBES,
  parityOf,
  SCALER,
  snapshotOf,
  TODAY,
} from '../../support/parity-facts.ts';

/** An environment with one model. */
function modelled(side: Side, version: Json, change: Partial<Snapshot> = {}): Snapshot {
  const value = { containers: [{ name: '0', environment: { SCALER_VERSION: version } }] };
  return snapshotOf(side, {
    resources: [{ kind: 'models', name: 'flight-delay/main', physical: `flight-delay-${side}-0a1b`, value }],
    ...change,
  });
}

const shown = (
  staging: Partial<Snapshot> = {},
  production: Partial<Snapshot> = {},
  parity = parityOf({}, [entryOf()]),
  version = '1',
) => evaluate(modelled('staging', '1', staging), modelled('production', version, production), parity, TODAY);

describe('what two snapshots show', () => {
  test('is what differs, what is documented of it, and how the endpoints answer', () => {
    const probes = [answersOf([1], [1])];
    const parity = parityOf(PROBES, [entryOf()]);
    const evaluation = shown({ probes }, { probes }, parity, '2');
    expect(evaluation.comparison.differences.map(({ path }) => path)).toEqual([SCALER]);
    expect(evaluation).toMatchObject({
      uses: [{ state: 'holds', covers: [evaluation.comparison.differences[0]?.text] }],
      probes: [{ outcome: 'pass' }],
      asOf: TODAY,
    });
  });

  test.each<[string, Partial<Snapshot>, Partial<Snapshot>]>([
    [
      'the model could not be read',
      { unreadable: [{ path: ['models', 'flight-delay/main'], physical: 'x', action: 'y', why: 'z' }] },
      {},
    ],
    [
      'all its endpoint could not be read',
      {},
      { unreadable: [{ path: ['endpoints', 'flight-delay'], physical: 'x', action: 'y', why: 'z' }] },
    ],
    [
      'endpoints were not listed',
      { unreadable: [{ path: ['endpoints'], physical: 'x', action: 'y', why: 'z' }] },
      {},
    ],
    [
      'the model was changing',
      {},
      { unsettled: [{ path: SCALER.slice(0, 2), physical: 'x', status: 'Updating' }] },
    ],
    [
      'there are two of that name',
      {
        resources: ['a', 'b'].map((physical) => ({
          kind: 'models' as const,
          name: 'flight-delay/main',
          physical,
          value: {},
        })),
      },
      {},
    ],
    [
      'it is in neither',
      { resources: [{ kind: 'models', name: 'flight-delay', physical: 'a', value: null }] },
      { resources: [{ kind: 'models', name: 'flight-delay', physical: 'b', value: null }] },
    ],
  ])('an entry is unknown where %s', (_, staging, production) => {
    expect(shown(staging, production).uses).toMatchObject([{ state: 'unknown' }]);
  });

  test('an entry is stale where everything was read, and is equal', () => {
    const elsewhere = [{ path: ['alarms', 'x'], physical: 'x', action: 'y', why: 'z' }];
    expect(shown({ unreadable: elsewhere }).uses).toMatchObject([{ state: 'stale' }]);
  });
});

describe('snapshots that are not of the comparison are refused', () => {
  function refusalOf(
    staging: Partial<Snapshot>,
    production: Partial<Snapshot> = {},
    config: Partial<ParityInput> = {},
  ): [string, string | undefined] {
    try {
      shown(staging, production, parityOf(config));
    } catch (error) {
      expect(error).toBeInstanceOf(GateInputError);
      return [(error as GateInputError).message, (error as GateInputError).help];
    }
    return expect.unreachable('it was not refused');
  }

  test('of another comparison', () => {
    expect(refusalOf({}, { parity: 'fraud' })).toEqual([
      'the snapshot of production is of the comparison fraud, not of flight-delay',
      'Take it anew: tocsin parity snapshot flight-delay --of production.',
    ]);
  });

  test('of the same environment, and the wrong way round', () => {
    const help = 'Give that of staging first, and that of production second.';
    expect(refusalOf({ side: 'production' })).toEqual([
      'expected a snapshot of staging, got one of production',
      help,
    ]);
    expect(refusalOf({}, { side: 'staging' })).toEqual([
      'expected a snapshot of production, got one of staging',
      help,
    ]);
  });

  test('of another account or region than tocsin.yaml says', () => {
    const role = 'arn:aws:iam::777788889999:role/reader';
    expect(refusalOf({}, {}, { production: { role } })[0]).toBe(
      'the snapshot of production is of the account 444455556666, and tocsin.yaml says 777788889999',
    );
    expect(refusalOf({}, {}, { staging: { region: 'us-east-1' } })[0]).toBe(
      'the snapshot of staging is of the region eu-west-1, and tocsin.yaml says us-east-1',
    );
    expect(() =>
      shown(
        {},
        {},
        parityOf({ production: { role: role.replace('777788889999', '444455556666'), region: 'eu-west-1' } }),
      ),
    ).not.toThrow();
  });
});
