import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { Transcript } from '../../sandbox/console.ts';
import type { Emulator } from '../../sandbox/emulator.ts';
import { expect as claim, World } from '../../sandbox/world.ts';

const world = new World({
  emulator: {
    endpoint: 'https://127.0.0.1:1',
    sagemaker: 'http://127.0.0.1:2',
    cloudwatch: 'http://127.0.0.1:3',
  } as Emulator,
  outputs: {
    DataBucket: 'data',
    QualityGateReaderPolicyflights775E3A62: 'arn:flights',
    QualityGateReaderPolicyflightshistory7271BD52: 'arn:history',
  },
  transcript: new Transcript(new Writable()),
  signal: new AbortController().signal,
  directory: '/nowhere',
  verbose: false,
});

describe('outputs of the stack', () => {
  it('are found by their names, without the digits that the CDK adds', () => {
    expect(world.output('DataBucket')).toBe('data');
    expect(world.output('QualityGateReaderPolicyflights')).toBe('arn:flights');
    expect(world.output('QualityGateReaderPolicyflightshistory')).toBe('arn:history');
    expect(world.output('QualityGateReaderPolicyflights775E3A62')).toBe('arn:flights');
  });

  it('are missed by name', () => {
    expect(() => world.output('QualityGateReader')).toThrow('The stack has no output QualityGateReader.');
  });
});

it('says what a claim of a story expected and got', () => {
  claim('the outcome', 'pass', 'pass');
  expect(() => claim('the outcome', 'fail', 'pass')).toThrow('the outcome: expected pass, got fail');
});
