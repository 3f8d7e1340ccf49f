import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ParityConfig, paritySchema, type Side } from '../../functions/config-parity/schema.ts';
import { readerStatements, readerTemplate } from '../../lib/shared/parity-reader.ts';
import { mayDo } from '../support/access.ts';
import { permissionsOf } from '../support/permissions.ts';
import { ACCOUNT, REGION } from '../support/synthesize.ts';

const place = { partition: 'aws', region: REGION, account: ACCOUNT };
const arn = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${resource}`;

/** One of every kind that has names. */
const NAMED = {
  endpoints: ['Delay-{environment}'],
  alarms: ['delay-{environment}-errors'],
  functions: ['delay-{environment}-features'],
  parameters: ['/delay/{environment}/'],
  featureGroups: ['Flights-{environment}'],
  tables: ['flights_{environment}.bookings'],
  pipelines: ['delay-{environment}-Training'],
  rules: ['delay-{environment}-retrain', { name: 'on', staging: 'default/a', production: 'orders/on' }],
  schedules: ['delay-{environment}', 'nightly/delay-{environment}'],
};

const parityOf = (input: object): ParityConfig => paritySchema.parse(input);
const statementsOf = (input: object, side: Side = 'staging') =>
  readerStatements([{ parity: parityOf(input), side, place }]);
/** As AWS takes them. */
const policyOf = (statements: ReturnType<typeof readerStatements>) => ({
  Version: '2012-10-17',
  Statement: statements.map(({ actions, resources, conditions }) => ({
    Effect: 'Allow',
    Action: actions,
    Resource: resources,
    ...(conditions !== undefined && { Condition: conditions }),
  })),
});
const tableOf = (input: object, side?: Side) => permissionsOf(policyOf(statementsOf(input, side)).Statement);

const ENDPOINT = ['sagemaker:DescribeEndpoint', 'sagemaker:ListTags'];
const FUNCTION = ['lambda:GetFunctionConcurrency', 'lambda:GetFunctionConfiguration'];
const PARAMETER = ['ssm:GetParameters', 'ssm:GetParametersByPath'];
const RULE = ['events:DescribeRule', 'events:ListTargetsByRule'];
const BEHIND = [
  'sagemaker:DescribeDataQualityJobDefinition',
  'sagemaker:DescribeEndpointConfig',
  'sagemaker:DescribeModel',
  'sagemaker:DescribeModelBiasJobDefinition',
  'sagemaker:DescribeModelExplainabilityJobDefinition',
  'sagemaker:DescribeModelPackage',
  'sagemaker:DescribeModelQualityJobDefinition',
  'sagemaker:DescribeMonitoringSchedule',
];
/** Whatever an endpoint consists of. */
const behindEndpoints = {
  ...Object.fromEntries(
    [
      'endpoint-config',
      'model',
      'monitoring-schedule',
      'data-quality-job-definition',
      'model-quality-job-definition',
      'model-bias-job-definition',
      'model-explainability-job-definition',
    ].map((resource) => [arn('sagemaker', `${resource}/*`), BEHIND]),
  ),
  [`arn:aws:sagemaker:${REGION}:*:model-package/*`]: BEHIND,
};
const SCALING = [
  'application-autoscaling:DescribeScalableTargets',
  'application-autoscaling:DescribeScalingPolicies',
  'application-autoscaling:DescribeScheduledActions',
];

describe('what reading an environment takes', () => {
  test('is exactly what is named', () => {
    expect(tableOf({ compare: NAMED })).toEqual({
      // SageMaker writes names in lower case into ARNs; IAM tells cases apart.
      [arn('sagemaker', 'endpoint/Delay-staging')]: ENDPOINT,
      [arn('sagemaker', 'endpoint/delay-staging')]: ENDPOINT,
      ...behindEndpoints,
      [arn('lambda', 'function:delay-staging-features')]: FUNCTION,
      [arn('ssm', 'parameter/delay/staging')]: PARAMETER,
      [arn('ssm', 'parameter/delay/staging/*')]: PARAMETER,
      [arn('sagemaker', 'feature-group/Flights-staging')]: ['sagemaker:DescribeFeatureGroup'],
      [arn('sagemaker', 'feature-group/flights-staging')]: ['sagemaker:DescribeFeatureGroup'],
      [arn('glue', 'catalog')]: ['glue:GetTable'],
      [arn('glue', 'database/flights_staging')]: ['glue:GetTable'],
      [arn('glue', 'table/flights_staging/bookings')]: ['glue:GetTable'],
      [arn('sagemaker', 'pipeline/delay-staging-Training')]: ['sagemaker:DescribePipeline'],
      [arn('sagemaker', 'pipeline/delay-staging-training')]: ['sagemaker:DescribePipeline'],
      [arn('events', 'rule/delay-staging-retrain')]: RULE,
      [arn('events', 'rule/a')]: RULE,
      [arn('scheduler', 'schedule/default/delay-staging')]: ['scheduler:GetSchedule'],
      [arn('scheduler', 'schedule/nightly/delay-staging')]: ['scheduler:GetSchedule'],
      '*': [...SCALING, 'cloudwatch:DescribeAlarms', 'sagemaker:ListMonitoringSchedules'],
    });
    const production = tableOf(
      { production: { names: ['prod', 'production'] }, compare: NAMED },
      'production',
    );
    expect(production).toMatchObject({
      [arn('lambda', 'function:delay-prod-features')]: FUNCTION,
      [arn('events', 'rule/orders/on')]: RULE,
    });
    expect(JSON.stringify(production)).not.toMatch(/staging|-production/);
  });

  test.each<[string, Record<string, string[]>]>([
    ['alarms', { '*': ['cloudwatch:DescribeAlarms'] }],
    ['functions', { [arn('lambda', 'function:delay-staging-features')]: FUNCTION }],
    [
      'parameters',
      {
        [arn('ssm', 'parameter/delay/staging')]: PARAMETER,
        [arn('ssm', 'parameter/delay/staging/*')]: PARAMETER,
      },
    ],
    [
      'endpoints',
      {
        [arn('sagemaker', 'endpoint/Delay-staging')]: ENDPOINT,
        [arn('sagemaker', 'endpoint/delay-staging')]: ENDPOINT,
        ...behindEndpoints,
        '*': [...SCALING, 'sagemaker:ListMonitoringSchedules'],
      },
    ],
  ])('is nothing else where %s alone are compared', (kind, expected) => {
    expect(tableOf({ compare: { [kind]: NAMED[kind as keyof typeof NAMED] } })).toEqual(expected);
  });

  test('is whatever is comparable where it is found in stacks', () => {
    expect(tableOf({ compare: { stacks: ['Delay-{environment}'] } })).toEqual({
      [arn('cloudformation', 'stack/Delay-staging/*')]: ['cloudformation:ListStackResources'],
      // Nested.
      [arn('cloudformation', 'stack/Delay-staging-*')]: ['cloudformation:ListStackResources'],
      [arn('sagemaker', 'endpoint/*')]: ENDPOINT,
      ...behindEndpoints,
      [arn('lambda', 'function:*')]: FUNCTION,
      [arn('ssm', 'parameter/*')]: PARAMETER,
      [arn('sagemaker', 'feature-group/*')]: ['sagemaker:DescribeFeatureGroup'],
      [arn('glue', 'catalog')]: ['glue:GetTable'],
      [arn('glue', 'database/*')]: ['glue:GetTable'],
      [arn('glue', 'table/*')]: ['glue:GetTable'],
      [arn('sagemaker', 'pipeline/*')]: ['sagemaker:DescribePipeline'],
      [arn('events', 'rule/*')]: RULE,
      [arn('scheduler', 'schedule/*')]: ['scheduler:GetSchedule'],
      '*': [
        ...SCALING,
        'cloudwatch:DescribeAlarms',
        'sagemaker:ListMonitoringSchedules',
        'scheduler:ListSchedules',
      ],
    });
  });

  test('is the same where it is found by tags, which takes no stack', () => {
    const { '*': everywhere = [], ...byTags } = tableOf({
      compare: { tags: [{ staging: { env: 'staging' }, production: { env: 'prod' } }] },
    });
    const inStacks = tableOf({ compare: { stacks: ['Delay-{environment}'] } });
    expect(everywhere).toEqual([...(inStacks['*'] ?? []), 'tag:GetResources']);
    expect(Object.keys(byTags)).toEqual(
      Object.keys(inStacks).filter((resource) => !/^\*$|cloudformation/.test(resource)),
    );
  });

  test("is the configuration and the functions of Tocsin's own stacks", () => {
    expect(tableOf({ compare: { tocsin: ['Tocsin-{environment}'] } })).toEqual({
      [arn('cloudformation', 'stack/Tocsin-staging/*')]: ['cloudformation:ListStackResources'],
      [arn('lambda', 'function:*')]: FUNCTION,
      [`arn:aws:s3:::cdk-*-assets-${ACCOUNT}-${REGION}/*.json`]: ['s3:GetObject'],
    });
  });

  test('is asking the endpoints of probes, and no others', async () => {
    const statements = statementsOf({
      compare: { endpoints: ['delay-{environment}', 'Churn-{environment}'] },
      probes: { usual: { endpoint: 'Churn', golden: 's3://golden/churn.jsonl' } },
    });
    const asks = (endpoint: string) =>
      mayDo(policyOf(statements), 'sagemaker:InvokeEndpoint', arn('sagemaker', `endpoint/${endpoint}`));
    expect([await asks('Churn-staging'), await asks('churn-staging')]).toEqual([true, true]);
    expect([await asks('delay-staging'), await asks('Churn-production')]).toEqual([false, false]);
  });

  test('decrypts through Systems Manager, where that is wanted', () => {
    const compare = { parameters: NAMED.parameters };
    expect(
      statementsOf({ compare, decrypt: true }).filter(({ actions }) => actions.includes('kms:Decrypt')),
    ).toEqual([
      {
        actions: ['kms:Decrypt'],
        resources: [arn('kms', 'key/*')],
        conditions: { StringLike: { 'kms:ViaService': `ssm.${REGION}.amazonaws.com*` } },
        wildcards: expect.any(String),
      },
    ]);
    for (const input of [{ compare }, { compare: { alarms: NAMED.alarms }, decrypt: true }]) {
      expect(JSON.stringify(statementsOf(input))).not.toContain('kms');
    }
  });

  test('changes nothing, and lets AWS evaluate each of its actions', async () => {
    const statements = statementsOf({
      compare: { ...NAMED, stacks: ['Delay-{environment}'], tocsin: ['Tocsin-{environment}'] },
      probes: { usual: { endpoint: 'Delay', golden: 's3://golden/delay.jsonl' } },
      decrypt: true,
    });
    const actions = new Set(statements.flatMap((statement) => statement.actions));
    expect([...actions].filter((action) => !/:(Describe|Get|List)[A-Z]/.test(action))).toEqual([
      'sagemaker:InvokeEndpoint',
      'kms:Decrypt',
    ]);
    const policy = policyOf(statements);
    for (const [action, resource] of [
      ['glue:GetTable', arn('glue', 'table/flights_staging/bookings')],
      ['ssm:GetParametersByPath', arn('ssm', 'parameter/delay/staging')],
      ['sagemaker:DescribeModelPackage', 'arn:aws:sagemaker:eu-central-1:999988887777:model-package/delay/7'],
      ['sagemaker:DescribeDataQualityJobDefinition', arn('sagemaker', 'data-quality-job-definition/1')],
      ['cloudwatch:DescribeAlarms', arn('cloudwatch', 'alarm:anything')],
      ['scheduler:GetSchedule', arn('scheduler', 'schedule/default/x')],
      ['cloudformation:ListStackResources', arn('cloudformation', 'stack/Delay-staging-Nested-1AB/0')],
      ['s3:GetObject', `arn:aws:s3:::cdk-hnb659fds-assets-${ACCOUNT}-${REGION}/0a1b.json`],
    ] as const) {
      expect(await mayDo(policy, action, resource), action).toBe(true);
    }
    expect(
      await mayDo(policy, 's3:GetObject', `arn:aws:s3:::cdk-hnb659fds-assets-${ACCOUNT}-${REGION}/0.zip`),
    ).toBe(false);
  });

  test('has a reason for every wildcard', () => {
    const everything = { ...NAMED, stacks: ['Delay-{environment}'], tocsin: ['Tocsin-{environment}'] };
    for (const compare of [NAMED, everything]) {
      for (const { resources, wildcards } of statementsOf({ compare, decrypt: true })) {
        const isWild = resources.some((resource) => resource.includes('*'));
        expect(wildcards !== undefined, resources.join()).toBe(isWild);
      }
    }
  });

  test('is said once where several environments are read with one role', () => {
    const first = parityOf({ compare: { functions: ['a-{environment}'], alarms: ['a-{environment}'] } });
    const second = parityOf({ compare: { functions: ['b-{environment}'] } });
    const elsewhere = { ...place, region: 'us-east-1' };
    const readers = [
      { parity: first, side: 'staging', place },
      { parity: first, side: 'production', place: elsewhere },
      { parity: second, side: 'staging', place },
    ] as const;
    expect(readerStatements(readers)).toEqual([
      {
        actions: ['lambda:GetFunctionConfiguration', 'lambda:GetFunctionConcurrency'],
        resources: [arn('lambda', 'function:a-staging'), arn('lambda', 'function:b-staging')],
      },
      { actions: ['cloudwatch:DescribeAlarms'], resources: ['*'], wildcards: expect.any(String) },
      {
        actions: ['lambda:GetFunctionConfiguration', 'lambda:GetFunctionConcurrency'],
        resources: [`arn:aws:lambda:us-east-1:${ACCOUNT}:function:a-production`],
      },
    ]);
    expect(readerStatements([])).toEqual([]);
  });
});

interface Policy {
  Type: 'AWS::IAM::ManagedPolicy';
  Properties: { PolicyDocument: unknown; Roles: unknown };
}
interface Template {
  Resources: Record<string, Policy> & {
    Reader: { Type: string; Properties: Record<string, unknown> };
  };
  Outputs: unknown;
}

const TRUSTED = `arn:aws:iam::${ACCOUNT}:role/tocsin-parity`;
const templateOf = (input: object, options: Partial<Parameters<typeof readerTemplate>[2]> = {}) =>
  readerTemplate(parityOf(input), 'production', { trusted: TRUSTED, ...options }) as Template;
const policiesOf = ({ Resources: { Reader: _, ...policies } }: Template) => Object.values(policies);

/** What CloudFormation makes of a template in an account. */
function deployedIn(region: string, value: unknown): unknown {
  if (Array.isArray(value)) return value.map((item) => deployedIn(region, item));
  if (typeof value !== 'object' || value === null) return value;
  const { 'Fn::Sub': text } = value as { 'Fn::Sub'?: string };
  if (text === undefined) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, deployedIn(region, inner)]));
  }
  const pseudo: Record<string, string> = { Partition: 'aws', Region: region, AccountId: '444455556666' };
  return text.replaceAll(/\$\{AWS::(\w+)\}/g, (_, name: string) => pseudo[name] ?? '');
}

describe('the template of a reader role', () => {
  test('is a role that is assumed with its external id, and that reads', () => {
    const template = templateOf({
      production: {
        role: 'arn:aws:iam::444455556666:role/readers/tocsin-delay',
        region: 'us-west-2',
        externalId: 'delay-parity',
      },
      compare: { functions: ['delay-{environment}'], alarms: ['delay-{environment}'] },
    });
    expect(template.Resources.Reader).toEqual({
      Type: 'AWS::IAM::Role',
      Properties: {
        RoleName: 'tocsin-delay',
        Path: '/readers/',
        Description: expect.any(String),
        AssumeRolePolicyDocument: {
          Version: '2012-10-17',
          Statement: [
            {
              Effect: 'Allow',
              Principal: { AWS: TRUSTED },
              Action: 'sts:AssumeRole',
              Condition: { StringEquals: { 'sts:ExternalId': 'delay-parity' } },
            },
          ],
        },
      },
    });
    expect(deployedIn('eu-west-1', policiesOf(template))).toEqual([
      {
        Type: 'AWS::IAM::ManagedPolicy',
        Properties: {
          Description: expect.any(String),
          Roles: [{ Ref: 'Reader' }],
          PolicyDocument: {
            Version: '2012-10-17',
            Statement: [
              {
                Effect: 'Allow',
                Action: ['lambda:GetFunctionConfiguration', 'lambda:GetFunctionConcurrency'],
                Resource: ['arn:aws:lambda:us-west-2:444455556666:function:delay-production'],
              },
              { Effect: 'Allow', Action: ['cloudwatch:DescribeAlarms'], Resource: ['*'] },
            ],
          },
        },
      },
    ]);
    expect(template.Outputs).toEqual({
      Role: { Description: expect.any(String), Value: { 'Fn::GetAtt': ['Reader', 'Arn'] } },
    });
  });

  test('is where it is deployed, and called as it is told, where tocsin.yaml does not say', () => {
    const input = { compare: { functions: ['delay-{environment}'] } };
    const template = templateOf(input);
    expect(template.Resources.Reader.Properties).toMatchObject({
      RoleName: 'tocsin-parity-production',
      AssumeRolePolicyDocument: {
        Statement: [expect.not.objectContaining({ Condition: expect.anything() })],
      },
    });
    expect(JSON.stringify(deployedIn('eu-west-1', policiesOf(template)))).toContain(
      '"arn:aws:lambda:eu-west-1:444455556666:function:delay-production"',
    );
    expect(templateOf(input, { name: 'reader', externalId: 'x1' }).Resources.Reader.Properties).toMatchObject(
      {
        RoleName: 'reader',
        AssumeRolePolicyDocument: {
          Statement: [{ Condition: { StringEquals: { 'sts:ExternalId': 'x1' } } }],
        },
      },
    );
  });

  test('is the same each time', () => {
    expect(templateOf({ compare: NAMED })).toEqual(templateOf({ compare: NAMED }));
  });

  test('fits into what AWS takes, however much is compared', () => {
    const nameOf: Record<string, string> = {
      endpoints: 'A-long-name-of-{environment}-',
      functions: 'a-long-name-of-{environment}-',
      parameters: '/a-path/of/{environment}/',
      tables: 'lake_{environment}.table_',
      pipelines: 'A-long-name-of-{environment}-',
      rules: 'bus/a-long-name-of-{environment}-',
      tocsin: 'Tocsin-{environment}-',
    };
    const lists = Object.keys(nameOf);
    // Some that are all named, and some that cannot be.
    const counts = fc.array(fc.oneof(fc.nat(40), fc.nat(500)), {
      minLength: lists.length,
      maxLength: lists.length,
    });
    const fits = (lengths: readonly number[]): void => {
      const compare = Object.fromEntries(
        lists.map((list, which) => [
          list,
          Array.from({ length: lengths[which] ?? 0 }, (_, index) => `${nameOf[list]}${index + 1}`),
        ]),
      );
      const template = templateOf({ compare: { ...compare, alarms: ['a-{environment}'] } });
      const policies = policiesOf(template);
      const sizes = policies.map(
        ({ Properties }) => JSON.stringify(deployedIn('ap-southeast-1', Properties.PolicyDocument)).length,
      );
      expect(Math.max(...sizes)).toBeLessThanOrEqual(6_144);
      expect(policies.length).toBeLessThanOrEqual(10);
      expect(JSON.stringify(template, null, 2).length).toBeLessThanOrEqual(51_200);
    };
    const property = fc.property(counts, fits);
    const examples: [number[]][] = [[lists.map(() => 500)], [lists.map(() => 30)], [lists.map(() => 0)]];
    fc.assert(property, { numRuns: 15, seed: 20_261_122, examples });
  });

  test('names what fits, and allows as a whole what has most names', async () => {
    const functions = Array.from({ length: 500 }, (_, index) => `features-{environment}-${index}`);
    const policy = policyOf(statementsOf({ compare: { ...NAMED, functions } }));
    const may = (resource: string, action = 'lambda:GetFunctionConfiguration') =>
      mayDo(policy, action, resource);
    expect(await may(arn('lambda', 'function:features-staging-499'))).toBe(true);
    expect(await may(arn('lambda', 'function:other'))).toBe(true);
    const endpoints = ['Delay-staging', 'other'].map((name) =>
      may(arn('sagemaker', `endpoint/${name}`), 'sagemaker:DescribeEndpoint'),
    );
    expect(await Promise.all(endpoints)).toEqual([true, false]);
  });
});
