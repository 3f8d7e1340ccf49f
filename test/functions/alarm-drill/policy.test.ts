import { runSimulation } from '@cloud-copilot/iam-simulate';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mayUse, type PolicyQuestion } from '../../../functions/alarm-drill/policy.ts';

const TOPIC = 'arn:aws:sns:eu-central-1:111122223333:ml-oncall';
const ALARM = 'arn:aws:cloudwatch:eu-central-1:111122223333:alarm:psi-distance';

const QUESTION: PolicyQuestion = {
  service: 'cloudwatch.amazonaws.com',
  action: 'sns:Publish',
  resource: TOPIC,
  account: '111122223333',
  context: { 'aws:SourceArn': ALARM },
};

const ALLOW = {
  Effect: 'Allow',
  Principal: { Service: 'cloudwatch.amazonaws.com' },
  Action: 'sns:Publish',
  Resource: TOPIC,
};

function ask(...statements: object[]) {
  return mayUse(JSON.stringify({ Version: '2012-10-17', Statement: statements }), QUESTION);
}

describe('policies as they are written', () => {
  const allowed: [string, object][] = [
    ['the service', {}],
    ['one of several services', { Principal: { Service: ['events.amazonaws.com', QUESTION.service] } }],
    ['everybody', { Principal: '*' }],
    ['everybody as AWS', { Principal: { AWS: '*' } }],
    [
      'the policy that a topic is born with',
      {
        Sid: '__default_statement_ID',
        Principal: { AWS: '*' },
        Action: ['SNS:GetTopicAttributes', 'SNS:Publish', 'SNS:Subscribe'],
        Condition: { StringEquals: { 'AWS:SourceOwner': '111122223333' } },
      },
    ],
    ['an action with a wildcard', { Action: 'SNS:Pub*' }],
    ['everything', { Action: '*', Resource: '*' }],
    ['any action but others', { Action: undefined, NotAction: 'sns:DeleteTopic' }],
    ['any resource but others', { Resource: undefined, NotResource: `${TOPIC}-other` }],
    ['no resource, as keys have it', { Resource: undefined }],
    ['the alarms of the account', { Condition: { ArnLike: { 'aws:SourceArn': `${ALARM.slice(0, -4)}*` } } }],
    ['the account', { Condition: { StringEquals: { 'aws:SourceAccount': ['1', '111122223333'] } } }],
    ['a key that services never have', { Condition: { Null: { 'aws:PrincipalOrgID': 'true' } } }],
    ['one that may be absent', { Condition: { StringEqualsIfExists: { 'aws:PrincipalOrgID': 'o-1' } } }],
    ['encrypted transport', { Condition: { Bool: { 'aws:SecureTransport': true } } }],
  ];
  test.each(allowed)('lets it: %s', (_, change) => {
    expect(ask({ ...ALLOW, ...change })).toEqual({
      verdict: 'allowed',
      why: 'the policy lets cloudwatch.amazonaws.com do sns:Publish',
    });
  });

  const denied: [string, object[], string][] = [
    [
      'another account',
      [{ ...ALLOW, Principal: { AWS: 'arn:aws:iam::999988887777:root' } }],
      'the policy lets only arn:aws:iam::999988887777:root do sns:Publish, not cloudwatch.amazonaws.com',
    ],
    [
      'other principals',
      [{ ...ALLOW, Principal: { AWS: ['1', '2'], Service: ['events.amazonaws.com', 's3.amazonaws.com'] } }],
      'the policy lets only 1, 2, events.amazonaws.com, 1 more do sns:Publish, not cloudwatch.amazonaws.com',
    ],
    [
      'another action',
      [{ ...ALLOW, Action: 'sns:Subscribe' }],
      'no statement of the policy lets cloudwatch.amazonaws.com do sns:Publish',
    ],
    [
      'another topic',
      [{ ...ALLOW, Resource: `${TOPIC}-other` }],
      'no statement of the policy lets cloudwatch.amazonaws.com do sns:Publish',
    ],
    [
      'another account in a condition',
      [{ ...ALLOW, Sid: 'Alarms', Condition: { StringEquals: { 'aws:SourceAccount': '999988887777' } } }],
      'statement Alarms of the policy lets cloudwatch.amazonaws.com do sns:Publish only where aws:SourceAccount StringEquals 999988887777, and here it is 111122223333',
    ],
    [
      'an organisation, which services are in none of',
      [{ ...ALLOW, Condition: { StringEquals: { 'aws:PrincipalOrgID': 'o-1' } } }],
      'a statement of the policy lets cloudwatch.amazonaws.com do sns:Publish only where aws:PrincipalOrgID StringEquals o-1, and here it is absent',
    ],
    [
      'an explicit deny',
      [ALLOW, { Sid: 'Nobody', Effect: 'Deny', Principal: '*', Action: 'sns:*', Resource: '*' }],
      'statement Nobody of the policy denies sns:Publish to cloudwatch.amazonaws.com',
    ],
    [
      'a deny for all but a role',
      [ALLOW, { Effect: 'Deny', NotPrincipal: { AWS: 'arn:aws:iam::1:role/a' }, Action: '*', Resource: '*' }],
      'a statement of the policy denies sns:Publish to cloudwatch.amazonaws.com',
    ],
    ['no statement', [], 'no statement of the policy lets cloudwatch.amazonaws.com do sns:Publish'],
  ];
  test.each(denied)('does not let it: %s', (_, statements, why) => {
    expect(ask(...statements)).toEqual({ verdict: 'denied', why });
  });

  test('does not let it: no policy', () => {
    expect(mayUse(null, QUESTION)).toEqual({
      verdict: 'denied',
      why: 'there is no policy that lets cloudwatch.amazonaws.com do sns:Publish',
    });
  });

  const unclear: [string, object[], string][] = [
    [
      'a key that is not known here',
      [{ ...ALLOW, Condition: { StringEquals: { 'aws:SourceOrgID': 'o-1' } } }],
      'a statement of the policy lets cloudwatch.amazonaws.com do sns:Publish only where aws:SourceOrgID StringEquals o-1, which cannot be decided from here',
    ],
    [
      'an operator that is not evaluated',
      [ALLOW, { ...ALLOW, Effect: 'Deny', Condition: { NumericLessThan: { 'aws:SourceAccount': '5' } } }],
      'a statement of the policy denies sns:Publish to cloudwatch.amazonaws.com only where aws:SourceAccount NumericLessThan 5, which cannot be decided from here',
    ],
    [
      'any of no values, if there are any',
      [{ ...ALLOW, Condition: { 'ForAnyValue:StringEqualsIfExists': { 'aws:PrincipalOrgID': 'o-1' } } }],
      'a statement of the policy lets cloudwatch.amazonaws.com do sns:Publish only where aws:PrincipalOrgID ForAnyValue:StringEqualsIfExists o-1, which cannot be decided from here',
    ],
    [
      'a policy variable',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how policies write variables
      [{ ...ALLOW, Condition: { ArnLike: { 'aws:SourceArn': 'arn:aws:*:*:${aws:SourceAccount}:*' } } }],
      // biome-ignore lint/suspicious/noTemplateCurlyInString: that is how policies write variables
      'a statement of the policy lets cloudwatch.amazonaws.com do sns:Publish only where aws:SourceArn ArnLike arn:aws:*:*:${aws:SourceAccount}:*, which cannot be decided from here',
    ],
  ];
  test.each(unclear)('cannot tell: %s', (_, statements, why) => {
    expect(ask(...statements)).toEqual({ verdict: 'unclear', why });
  });

  test('cannot tell: what is no policy', () => {
    for (const policy of ['', '{"Statement":["a"]}', 'null']) {
      expect(mayUse(policy, QUESTION).verdict).toBe('unclear');
    }
  });

  test('an open deny does not matter where nothing allows, nor an open condition beside a broken one', () => {
    const open = { StringEquals: { 'aws:SourceOrgID': 'o-1' } };
    expect(ask({ ...ALLOW, Effect: 'Deny', Condition: open }).verdict).toBe('denied');
    const both = { StringEquals: { 'aws:SourceOrgID': 'o-1', 'aws:SourceAccount': '9' } };
    expect(ask({ ...ALLOW, Condition: both }).verdict).toBe('denied');
  });
});

describe('against an independent simulator of IAM', () => {
  const some = <T>(...values: T[]) => fc.constantFrom(...values);
  const oneOrMore = <T>(value: fc.Arbitrary<T>) =>
    fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 2 }));

  const principal = fc.oneof(
    fc.constant('*'),
    fc.record({ Service: oneOrMore(some(QUESTION.service, 'events.amazonaws.com')) }),
    fc.record({ AWS: oneOrMore(some('*', '111122223333', 'arn:aws:iam::111122223333:root')) }),
  );
  const action = oneOrMore(some('sns:Publish', 'SNS:publish', 'sns:*', 'sns:Pub?ish', 'sns:Subscribe', '*'));
  const resource = oneOrMore(
    some(
      '*',
      TOPIC,
      `${TOPIC}-other`,
      'arn:aws:sns:*:111122223333:ml-*',
      'arn:aws:sns:*',
      'arn:*:sns:eu-*-1:*:??-oncall',
      'arn:aws:sqs:*:*:*',
    ),
  );
  const texts: Record<string, string[]> = {
    String: ['111122223333', '1111*', '999988887777', '*', 'x'],
    Arn: [ALARM, 'arn:aws:cloudwatch:*:*:alarm:*', 'arn:aws:cloudwatch:*:999988887777:alarm:*'],
  };
  const condition = fc
    .tuple(some('String', 'Arn'), some('', 'ForAnyValue:', 'ForAllValues:'), some('', 'IfExists'))
    .filter(([, set, suffix]) => set !== 'ForAnyValue:' || suffix === '')
    .chain(([kind, set, suffix]) =>
      fc.record({
        operator: (kind === 'String'
          ? some(
              'StringEquals',
              'StringNotEquals',
              'StringLike',
              'StringNotLike',
              'StringEqualsIgnoreCase',
              'StringNotEqualsIgnoreCase',
            )
          : some('ArnEquals', 'ArnLike', 'ArnNotEquals', 'ArnNotLike')
        ).map((operator) => `${set}${operator}${suffix}`),
        key:
          kind === 'String'
            ? some('aws:SourceAccount', 'AWS:sourceaccount', 'aws:PrincipalOrgID')
            : some('aws:SourceArn', 'aws:PrincipalArn'),
        values: oneOrMore(some(...texts[kind]!)),
      }),
    );
  const others = fc.oneof(
    fc.record({
      operator: some('Bool', 'BoolIfExists'),
      key: some('aws:SecureTransport', 'aws:MultiFactorAuthPresent'),
      values: some('true', 'false'),
    }),
    fc.record({
      operator: fc.constant('Null'),
      key: some('aws:SourceAccount', 'aws:PrincipalOrgID'),
      values: some('true', 'false'),
    }),
  );
  const statement = fc
    .record({
      effect: some('Allow', 'Allow', 'Deny'),
      principal: fc.record({ name: some('Principal', 'Principal', 'NotPrincipal'), value: principal }),
      action: fc.record({ name: some('Action', 'Action', 'NotAction'), value: action }),
      resource: fc.record({ name: some('Resource', 'Resource', 'NotResource'), value: resource }),
      conditions: fc.array(fc.oneof(condition, others), { maxLength: 2 }),
    })
    .map(({ effect, principal, action, resource, conditions }) => ({
      Effect: effect,
      [principal.name]: principal.value,
      [action.name]: action.value,
      [resource.name]: resource.value,
      ...(conditions.length > 0 && {
        Condition: Object.fromEntries(
          conditions.map(({ operator, key, values }) => [operator, { [key]: values }]),
        ),
      }),
    }));

  test('agrees on generated policies', async () => {
    const seen = { allowed: 0, denied: 0 };
    await fc.assert(
      fc.asyncProperty(fc.array(statement, { minLength: 1, maxLength: 3 }), async (statements) => {
        const policy = { Version: '2012-10-17', Statement: statements };
        const simulated = await runSimulation(
          {
            request: {
              principal: QUESTION.service,
              action: QUESTION.action,
              resource: { resource: TOPIC, accountId: QUESTION.account },
              contextVariables: {
                ...QUESTION.context,
                'aws:SourceAccount': QUESTION.account,
                'aws:SecureTransport': 'true',
              },
            },
            identityPolicies: [],
            serviceControlPolicies: [],
            resourceControlPolicies: [],
            resourcePolicy: policy,
          },
          {},
        );
        if (simulated.resultType === 'error') throw new Error(JSON.stringify(simulated.errors));
        const { verdict } = mayUse(JSON.stringify(policy), QUESTION);
        expect(verdict).toBe(simulated.overallResult === 'Allowed' ? 'allowed' : 'denied');
        seen[verdict as keyof typeof seen]++;
      }),
      { numRuns: 3000, seed: 4 },
    );
    expect(seen.allowed).toBeGreaterThan(60);
    expect(seen.denied).toBeGreaterThan(60);
  });
});
