import { expect, test } from 'vitest';
import { renderSnapshot } from '../../bin/shared/snapshot-text.ts';
import type { Resource, Snapshot } from '../../functions/config-parity/snapshot.ts';
import { capture } from './support.ts';

const SNAPSHOT: Snapshot = {
  snapshot: 1,
  parity: 'churn',
  side: 'staging',
  account: '111122223333',
  region: 'eu-west-1',
  takenAt: 0,
  tocsin: '0.1.0',
  resources: [],
  unreadable: [],
  unsettled: [],
  probes: [],
  notRead: [],
};
const resource = (kind: Resource['kind'], name: string, value: Resource['value'] = {}): Resource => ({
  kind,
  name,
  physical: `${name}-staging`,
  value,
});
const lines = (of: Partial<Snapshot>) => renderSnapshot(capture().stdout, { ...SNAPSHOT, ...of }).split('\n');

test('says what was read, and what was not', () => {
  expect(
    lines({
      resources: [
        resource('alarms', 'errors'),
        resource('functions', 'features'),
        resource('functions', 'training'),
        resource('functions', 'gone', null),
      ],
      probes: [
        {
          probe: 'answers',
          uri: 's3://a/b',
          version: '1',
          sha256: '',
          answers: [{ error: 'E' }],
          recorded: [null],
        },
      ],
      unsettled: [{ path: ['endpoints', 'churn'], physical: 'churn-staging', status: 'Updating' }],
      unreadable: [
        { path: [], physical: '', action: 'tag:GetResources', why: 'AccessDeniedException' },
        { path: ['functions', 'a b'], physical: 'x', action: 'lambda:GetFunction', why: 'deleted\u001b' },
      ],
      notRead: [{ subject: 'secure parameters', why: 'decrypt is false' }],
    }),
  ).toEqual([
    'staging of churn, 111122223333 (eu-west-1): 3 resources',
    '  alarms     1',
    '  functions  2',
    'probes',
    '  answers (1 answer)',
    'not there',
    '  functions  gone-staging',
    'changing',
    '  endpoints.churn  Updating',
    'could not be read',
    '  anything  tag:GetResources  AccessDeniedException',
    '  functions."a b"  lambda:GetFunction  deleted\\u001b',
    'not looked at',
    '  secure parameters  decrypt is false',
    '',
  ]);
});

test('names fifty of a sort', () => {
  const notRead = Array.from({ length: 61 }, (_, index) => ({ subject: `s${index}`, why: 'w' }));
  expect(lines({ notRead }).slice(50)).toEqual(['  s48  w', '  s49  w', '  and 11 more', '']);
});
