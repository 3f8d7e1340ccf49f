import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseTrigger, requestsOf } from '../../../functions/config-parity/request.ts';
import type { Parity } from '../../../functions/config-parity/schema.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { stackEvent } from '../../support/events.ts';
import { type ParityInput, parityOf } from '../../support/parity-facts.ts';

const REMOTE: Partial<ParityInput> = {
  staging: { names: ['stg', 'staging'] },
  production: { role: 'arn:aws:iam::444455556666:role/reader' },
  compare: {
    endpoints: ['fraud-{environment}', { name: 'churn', staging: 'churn-1', production: 'churn-2' }],
  },
  afterDeployOf: ['Serving'],
};

const PARITIES = new Map<string, Parity>(
  [
    parityOf({ afterDeployOf: ['Serving', 'Training'] }, [], 'delay'),
    parityOf(REMOTE, [], 'fraud'),
    parityOf({ afterStage: [{ pipeline: 'release', stage: 'Staging' }] }, [], 'staged'),
  ].map((parity) => [parity.name, parity]),
);

const endpointEvent = (name: string, status = 'IN_SERVICE') => ({
  source: 'aws.sagemaker',
  'detail-type': 'SageMaker Endpoint State Change',
  detail: { EndpointName: name, EndpointStatus: status },
});

const stageEvent = (pipeline: string, stage: string, state = 'SUCCEEDED') => ({
  version: '0',
  source: 'aws.codepipeline',
  'detail-type': 'CodePipeline Stage Execution State Change',
  detail: { pipeline, 'execution-id': '01234567', stage, state, version: 3 },
});

function namesOf(event: unknown) {
  const requests = requestsOf(parseTrigger(event), PARITIES);
  return 'ignored' in requests ? requests : requests.map(({ parity }) => parity.name);
}

function refusalOf(event: unknown): string {
  try {
    requestsOf(parseTrigger(event), PARITIES);
  } catch (error) {
    expect(error).toBeInstanceOf(GateInputError);
    return (error as Error).message;
  }
  return expect.unreachable('it was not refused');
}

describe('what an invocation asks for', () => {
  test('a comparison by name, and what its run is called', () => {
    const parity = PARITIES.get('fraud');
    expect(requestsOf(parseTrigger({ parity: 'fraud' }), PARITIES)).toEqual([{ parity }]);
    expect(requestsOf(parseTrigger({ parity: 'fraud', run: 'mine-1' }), PARITIES)).toEqual([
      { parity, run: 'mine-1' },
    ]);
  });

  test('every comparison of a stack that was deployed', () => {
    expect(namesOf(stackEvent('Serving'))).toEqual(['delay', 'fraud']);
    expect(namesOf(stackEvent('Training', 'CREATE_COMPLETE'))).toEqual(['delay']);
  });

  test('every comparison of an endpoint that came into service, in whatever account', () => {
    expect(namesOf(endpointEvent('flight-delay-staging'))).toEqual(['delay', 'staged']);
    expect(namesOf(endpointEvent('flight-delay-production'))).toEqual(['delay', 'staged']);
    expect(namesOf(endpointEvent('fraud-stg'))).toEqual(['fraud']);
    expect(namesOf(endpointEvent('churn-1'))).toEqual(['fraud']);
    // Forwarded.
    expect(namesOf(endpointEvent('churn-2'))).toEqual(['fraud']);
    expect(namesOf(endpointEvent('fraud-production'))).toEqual(['fraud']);
    for (const elsewhere of ['fraud-staging', 'flight-delay']) {
      expect(namesOf(endpointEvent(elsewhere))).toEqual({
        ignored: `no comparison runs after the endpoint ${elsewhere} came into service`,
      });
    }
  });

  test("SageMaker's own event is understood", () => {
    const event = JSON.parse(readFileSync('test/fixtures/events/sagemaker-endpoint-in-service.json', 'utf8'));
    expect(parseTrigger(event)).toEqual({ endpoint: 'flight-delay' });
  });

  test('every comparison of a stage that has succeeded', () => {
    expect(namesOf(stageEvent('release', 'Staging'))).toEqual(['staged']);
    expect(namesOf(stageEvent('release', 'Production'))).toEqual({
      ignored: 'no comparison runs after the stage Production of the pipeline release',
    });
  });

  test.each([
    ['the stack Serving is UPDATE_ROLLBACK_COMPLETE', stackEvent('Serving', 'UPDATE_ROLLBACK_COMPLETE')],
    ['no comparison runs after a deployment of the stack Website', stackEvent('Website')],
    ['the endpoint fraud-stg is UPDATING', endpointEvent('fraud-stg', 'UPDATING')],
    ['the endpoint fraud-stg is InService', endpointEvent('fraud-stg', 'InService')],
    ['the stage Staging of the pipeline release is STARTED', stageEvent('release', 'Staging', 'STARTED')],
  ])('nothing, since %s', (ignored, event) => {
    expect(namesOf(event)).toEqual({ ignored });
  });

  test.each([
    [
      'an unknown name',
      { parity: 'frud' },
      'there is no comparison "frud", did you mean "fraud"?; there are delay, fraud, staged',
    ],
    ['nothing', {}, 'invocation: parity: expected string, it is missing'],
    ['a text', 'delay', 'invocation: expected object, got "delay"'],
    [
      'a key that is none',
      { parity: 'delay', local: true },
      'invocation: unknown key "local"; allowed: parity, run',
    ],
    [
      'another event',
      { source: 'aws.s3', 'detail-type': 'Object Created', detail: {} },
      /^event: detail-type: expected one of "CloudFormation Stack Status Change"\|"SageMaker Endpoint State Change"\|"CodePipeline Stage Execution State Change", got "Object Created"$/,
    ],
    [
      'an event that somebody else has sent',
      { ...stageEvent('release', 'Staging'), source: 'mine' },
      'event: source: expected "aws.codepipeline", got "mine"',
    ],
    [
      'an event without a name',
      { ...endpointEvent('x'), detail: { EndpointStatus: 'IN_SERVICE' } },
      'event: detail.EndpointName: expected string, it is missing',
    ],
  ])('%s is refused', (_, event, why) => {
    if (typeof why === 'string') expect(refusalOf(event)).toBe(why);
    else expect(refusalOf(event)).toMatch(why);
  });
});
