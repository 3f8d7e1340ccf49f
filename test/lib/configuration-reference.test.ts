import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { configurationReference, REFERENCE } from '../../lib/configuration-reference.ts';
import { jsonSchemas } from '../../lib/json-schemas.ts';

describe('the configuration reference', () => {
  const page = configurationReference();

  test('is up to date (else: npm run schemas)', () => {
    expect(readFileSync(REFERENCE, 'utf8')).toBe(page);
  });

  test('has a row for every key of every schema of a file that people write', () => {
    const keys = ['tocsin', 'contract', 'parity'].flatMap((name) =>
      keysOf(JSON.parse(jsonSchemas()[`docs/schemas/${name}.schema.json`] ?? '')),
    );
    expect(new Set(keys).size).toBeGreaterThan(150);
    expect(keys.filter((key) => !new RegExp(`^\\| \`([^\`]*\\.)?${key}\``, 'm').test(page))).toEqual([]);
  });

  const rows = page.split('\n').filter((line) => line.startsWith('| `'));

  test('says of every key what it means', () => {
    expect(rows.length).toBeGreaterThan(300);
    expect(rows.filter((row) => !/ \| [^|]*[A-Za-z]{3}[^|]* \|$/.test(row))).toEqual([]);
  });

  test('has four cells in each row, so that no bar within a text ends one', () => {
    expect(rows.filter((row) => row.replaceAll('\\|', '').split('|').length !== 6)).toEqual([]);
  });

  test('leads from its contents to every section, of which no two are called alike', () => {
    const headings = [...page.matchAll(/^##+ (.*)$/gm)].map(([, heading = '']) => heading);
    const listed = [...page.matchAll(/\[([^\]]+)\]\(#[a-z-]+\)/g)].map(([, title]) => title);
    expect(listed).toEqual(headings);
    expect(new Set(headings).size).toBe(headings.length);
  });

  test.each([
    ['engine.memory', 'integer, 1024 to 10240', '`3538`'],
    ['workflow', '`durable`, `in-process`', '`durable`'],
    ['datasets.<name>.contract', 'text', '**required**'],
    ['readiness.<name>.<name>.fresh.parity', 'duration', '`2d`'],
    ['columns.<name>.zeros', 'percentage or number, 0 to 1', 'optional'],
    ['columns.<name>.range', 'pair of number or text or null', 'optional'],
    ['models.<name>.require[].quantile', 'number, above 0, below 1', 'optional'],
    ['driftMonitors.<name>.alarm.threshold', 'number, above 0', '**required**'],
  ])('says of %s what it takes', (key, type, given) => {
    expect(page).toContain(`| \`${key}\` | ${type} | ${given} |`);
  });
});

/** Names of all properties of a JSON Schema, at every depth. */
function keysOf(schema: unknown): string[] {
  if (schema === null || typeof schema !== 'object') return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...new Set([...own, ...Object.values(schema).flatMap(keysOf)])];
}
