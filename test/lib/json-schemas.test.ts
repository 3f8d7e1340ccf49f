import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../lib/config.ts';
import { jsonSchemas } from '../../lib/json-schemas.ts';

describe('JSON Schemas for editors', () => {
  test.each(Object.entries(jsonSchemas()))('%s is up to date (else: npm run schemas)', (file, text) => {
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('know every key, and refuse others', () => {
    const schema = JSON.parse(jsonSchemas()['docs/schemas/contract.schema.json'] ?? '');
    expect(schema.additionalProperties).toBe(false);
    expect(Object.keys(schema.properties)).toEqual(expect.arrayContaining(['dataset', 'columns', 'rules']));
    expect(schema.properties.columns.additionalProperties.additionalProperties).toBe(false);
  });

  test('are what the first line of each configuration file names', () => {
    const { datasets, documented } = loadConfig('tocsin.yaml');
    const contracts = datasets.map(({ contract }) => contract);
    for (const file of [
      'tocsin.yaml',
      ...contracts,
      ...(documented === undefined ? [] : [documented.file]),
    ]) {
      const text = readFileSync(file, 'utf8');
      const [, path = ''] = /^# yaml-language-server: \$schema=(\S+)\n/.exec(text) ?? [];
      const schema = jsonSchemas()[normalize(join(dirname(file), path))];
      // Of what these files use, the schema knows every key.
      const known = Object.keys(JSON.parse(schema ?? '{"properties":{}}').properties);
      expect(known).toEqual(expect.arrayContaining(Object.keys(parse(text))));
    }
  });
});
