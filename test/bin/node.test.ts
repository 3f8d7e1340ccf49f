import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { nodeComplaint } from '../../bin/shared/node.ts';

it.each(['22.15.0', '22.23.3', '24.0.0', process.versions.node])('runs on Node.js %s', (version) => {
  expect(nodeComplaint(version)).toBeUndefined();
});

it.each(['20.20.2', '22.14.9', '18.0.0'])('refuses Node.js %s in one line', (version) => {
  expect(nodeComplaint(version)).toBe(`expected Node.js 22.15 or later, got ${version}`);
});

it('says what package.json says', () => {
  const { engines } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(engines.node).toBe('>=22.15');
});
