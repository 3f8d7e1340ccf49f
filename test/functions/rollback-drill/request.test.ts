import { describe, expect, test } from 'vitest';
import { parseTrigger, requestsOf } from '../../../functions/rollback-drill/request.ts';
import { parseRollbackDrills } from '../../../functions/rollback-drill/schema.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { stackEvent } from '../../support/events.ts';

const drill = (name: string, stack: string) => `  ${name}:
    endpoint: ${name}-staging
    failure: { shiftTraffic: { to: candidate } }
    procedure: { builtin: weights }
    golden: golden.jsonl
    within: 5m
    afterDeployOf: [${stack}]
`;

const DRILLS = parseRollbackDrills({
  file: 'tocsin.yaml',
  text: `rollbackDrills:\n${drill('delay', 'Serving')}${drill('churn', 'Serving')}${drill('fraud', 'Fraud')}`,
});

const namesOf = (event: unknown) => {
  const requests = requestsOf(parseTrigger(event), DRILLS);
  return 'ignored' in requests
    ? requests
    : requests.map((request) => ('watch' in request ? 'watch' : request.drill.name));
};

function refusalOf(event: unknown): string {
  try {
    requestsOf(parseTrigger(event), DRILLS);
  } catch (error) {
    expect(error).toBeInstanceOf(GateInputError);
    return (error as Error).message;
  }
  return expect.unreachable('it was not refused');
}

describe('what an invocation asks for', () => {
  test('a drill by name, with how it is to run', () => {
    const churn = DRILLS.get('churn');
    expect(requestsOf(parseTrigger({ drill: 'churn' }), DRILLS)).toEqual([{ drill: churn }]);
    const asked = { drill: 'churn', run: 'mine-1', only: 'restore' };
    expect(requestsOf(parseTrigger(asked), DRILLS)).toEqual([{ ...asked, drill: churn }]);
  });

  test('the watch over dead runs, with and without drills', () => {
    expect(requestsOf(parseTrigger({ watch: true }), DRILLS)).toEqual([{ watch: true }]);
    expect(requestsOf(parseTrigger({ watch: true }), new Map())).toEqual([{ watch: true }]);
  });

  test('every drill of a stack that was deployed', () => {
    expect(namesOf(stackEvent('Serving'))).toEqual(['delay', 'churn']);
    expect(namesOf(stackEvent('Fraud', 'CREATE_COMPLETE'))).toEqual(['fraud']);
  });

  test.each([
    ['of no drill', stackEvent('Website'), 'no drill runs after a deployment of the stack Website'],
    ['that goes on', stackEvent('Serving', 'UPDATE_IN_PROGRESS'), 'the stack Serving is UPDATE_IN_PROGRESS'],
    [
      'that was rolled back',
      stackEvent('Serving', 'UPDATE_ROLLBACK_COMPLETE'),
      'the stack Serving is UPDATE_ROLLBACK_COMPLETE',
    ],
  ])('nothing at a deployment %s', (_, event, ignored) => {
    expect(namesOf(event)).toEqual({ ignored });
  });

  test('an unknown drill is refused, with the name that was meant', () => {
    expect(refusalOf({ drill: 'chrun' })).toBe(
      'there is no rollback drill "chrun", did you mean "churn"?; there are delay, churn, fraud',
    );
    expect(() => requestsOf({ drill: 'churn' }, new Map())).toThrow(
      'there is no rollback drill "churn"; there are none',
    );
  });

  test.each([
    ['nothing', {}, 'drill: expected string, it is missing'],
    ['a text', 'churn', 'expected object, got "churn"'],
    ['a key that is none', { drill: 'churn', force: true }, 'unknown key "force"; allowed: drill, run, only'],
    ['a watch that is off', { watch: false }, 'watch: expected true, got false'],
    ['a drill and the watch', { drill: 'churn', watch: true }, 'unknown key "drill"; allowed: watch'],
    [
      'the name of a run that is none',
      { drill: 'churn', run: 'a b' },
      'run: expected at most 64 letters, digits and hyphens, got "a b"',
    ],
    [
      'a part of a drill that is none',
      { drill: 'churn', only: 'proof' },
      'only: expected "restore", got "proof"',
    ],
  ])('%s is refused', (_, event, why) => {
    expect(refusalOf(event)).toBe(`invocation: ${why}`);
  });

  test('other events are refused', () => {
    const event = { source: 'aws.sagemaker', 'detail-type': 'SageMaker Endpoint State Change', detail: {} };
    expect(refusalOf(event)).toMatch(/^event: source: expected "aws.cloudformation"/);
  });
});
