import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { layeredJson } from '../../../functions/config-parity/layered.ts';

describe('JSON in layers', () => {
  test('has a line for each item of three layers, and one for what is deeper', () => {
    const value = {
      snapshot: 1,
      resources: [
        { kind: 'functions', value: { timeoutSeconds: 30, environment: { MODE: 'live' } } },
        { kind: 'rules', value: null },
      ],
      unreadable: [],
      account: undefined,
    };
    expect(layeredJson(value)).toBe(`{
  "snapshot": 1,
  "resources": [
    {
      "kind": "functions",
      "value": {"timeoutSeconds":30,"environment":{"MODE":"live"}}
    },
    {
      "kind": "rules",
      "value": null
    }
  ],
  "unreadable": []
}
`);
  });

  test('is the JSON that it stands for', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(layeredJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  test('is what JSON makes of what is not set', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer(), { nil: undefined })), (items) => {
        const value = { items, missing: undefined };
        expect(JSON.parse(layeredJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
