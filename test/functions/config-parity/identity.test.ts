import { describe, expect, test } from 'vitest';
import { decide } from '../../../functions/config-parity/decide.ts';
import { evaluate } from '../../../functions/config-parity/evaluate.ts';
import { snapshotHash, sourcesOf, verdictOf } from '../../../functions/config-parity/identity.ts';
import type { Parity } from '../../../functions/config-parity/schema.ts';
import { parseParities } from '../../../functions/config-parity/schema.ts';
import type { Snapshot } from '../../../functions/config-parity/snapshot.ts';
import { DAY_MS, entryOf, NOON, parityOf, snapshotOf, TODAY } from '../../support/parity-facts.ts';

interface Facts {
  staging?: Partial<Snapshot>;
  production?: Partial<Snapshot>;
  parity?: Parity;
  asOf?: string;
}

function verdict({ staging, production, parity = parityOf(), asOf = TODAY }: Facts = {}) {
  const [one, other] = [snapshotOf('staging', staging), snapshotOf('production', production)];
  return verdictOf(one, other, evaluate(one, other, parity, asOf), parity, sourcesOf(parity));
}

describe('the verdict', () => {
  test('names what it is about', () => {
    const parity = parityOf({}, [entryOf()]);
    const { outcome, reason, findings, notChecked, ...identity } = verdict({ parity });
    const [staging, production] = [snapshotOf('staging'), snapshotOf('production')];
    expect({ outcome, reason, findings, notChecked }).toEqual(
      decide(staging, production, evaluate(staging, production, parity, TODAY), parity),
    );
    expect(identity).toEqual({
      verdict: 1,
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      gate: 'config-parity',
      subject: 'flight-delay',
      inputs: {
        parity: 'flight-delay',
        staging: {
          account: '111122223333',
          region: 'eu-west-1',
          takenOn: TODAY,
          sha256: snapshotHash(staging),
        },
        production: {
          account: '444455556666',
          region: 'eu-west-1',
          takenOn: TODAY,
          sha256: snapshotHash(production),
        },
        configSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        documentedSha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        asOf: TODAY,
      },
      tocsin: expect.any(String),
    });
    expect(verdict().inputs.documentedSha256).toBeNull();
  });

  test('is the same of the same state on the same day, and another of everything else', () => {
    const { id } = verdict();
    expect(verdict({ staging: { takenAt: NOON + 3_600_000 } }).id).toBe(id);
    const resource = { kind: 'alarms' as const, name: 'a', physical: 'a', value: { period: 60 } };
    const others = [
      verdict({ staging: { resources: [resource] } }),
      verdict({ production: { resources: [resource] } }),
      verdict({ production: { account: '777788889999' } }),
      verdict({ production: { region: 'us-east-1' } }),
      verdict({ production: { takenAt: NOON - DAY_MS } }),
      verdict({ staging: { notRead: [{ subject: 'x', why: 'y' }] } }),
      verdict({ parity: parityOf({ failOn: ['schema'] }) }),
      verdict({ parity: parityOf({}, [entryOf()]) }),
      verdict({ parity: parityOf({}, [entryOf({ owner: 'another' })]) }),
      verdict({ asOf: '2026-11-23' }),
    ].map((one) => one.id);
    expect(new Set([id, ...others]).size).toBe(11);
  });
});

test('sources are what files say, whatever else is in them', () => {
  const text = 'parity:\n  a: { compare: { alarms: [x-{environment}] } }\n';
  const documented = 'parity: 1\ndifferences:\n  b: []\n';
  const read = (tocsin: string, more: string) =>
    sourcesOf(
      parseParities({ file: 't', text: tocsin, documented: { file: 'p', text: more } }).get('a') as Parity,
    );
  const plain = read(text.replace('[x-{environment}]', "['x-{environment}']"), documented);
  expect(plain.documentedSha256).toBeNull();
  const commented = `# more\n${text.replace('[x-{environment}]', '["x-{environment}"]')}  c: { compare: { alarms: ["y-{environment}"] } }\n`;
  expect(read(commented, `# more\n${documented}`)).toEqual(plain);
});
