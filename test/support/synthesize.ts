import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { App, Validations } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { AwsSolutionsChecks } from 'cdk-nag';
import { type Config, loadConfig } from '../../lib/config.ts';
import { GatesStack } from '../../lib/gates-stack.ts';

/** A contract that says as little as a contract may. */
export function contractOf(dataset: string, more = ''): string {
  return `contract: 1\ndataset: ${dataset}\nformat: parquet\n${more}columns:\n  id: { type: integer }\n`;
}

/** Writes files into a directory of its own, hands it over, and removes it. */
export function withFiles<T>(files: Record<string, string>, use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'tocsin-test-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Loads a tocsin.yaml from its text; contracts are written beside it, by path. */
export function configOf(yaml: string, contracts: Record<string, string>): Config {
  return withFiles({ 'tocsin.yaml': yaml, ...contracts }, (directory) =>
    loadConfig(join(directory, 'tocsin.yaml')),
  );
}

/** An app with the feature flags of cdk.json that bundles nothing, so that templates take no time. */
function appWithoutBundling(): App {
  const { context } = JSON.parse(readFileSync('cdk.json', 'utf8')) as { context: Record<string, unknown> };
  return new App({ context: { ...context, 'aws:cdk:bundling-stacks': [] }, analyticsReporting: false });
}

/**
 * The stack as CloudFormation gets it.
 *
 * @param env where it is deployed; left out: wherever that will be
 */
export function synthesize(config: Config, env?: { account: string; region: string }): Template {
  return Template.fromStack(
    new GatesStack(appWithoutBundling(), 'Tocsin', { config, ...(env !== undefined && { env }) }),
  );
}

/**
 * Has cdk-nag look at the stack.
 *
 * @param prepare may add something to it
 * @throws Error with what it finds
 */
export function checkWithNag(config: Config, prepare: (stack: GatesStack) => void = () => {}): void {
  const app = appWithoutBundling();
  prepare(new GatesStack(app, 'Tocsin', { config }));
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
  app.synth();
}

/** Where the stand-in deployment of {@link deployed} is. */
export const ACCOUNT = '111122223333';
export const REGION = 'eu-central-1';

/**
 * What CloudFormation's functions in a value come to. The name of a resource is its logical id in lower case, without
 * the hash at its end.
 */
export function deployed<T = unknown>(template: Template, value: unknown): T {
  const resources = template.toJSON().Resources as Record<string, { Type: string }>;
  const nameOf = (id: string) => id.replace(/[0-9A-F]{8}$/, '').toLowerCase();
  const arnOf = (id: string): string => {
    const name = nameOf(id);
    const local = `${REGION}:${ACCOUNT}`;
    const arns: Record<string, string> = {
      'AWS::S3::Bucket': `arn:aws:s3:::${name}`,
      'AWS::IAM::Role': `arn:aws:iam::${ACCOUNT}:role/${name}`,
      'AWS::IAM::ManagedPolicy': `arn:aws:iam::${ACCOUNT}:policy/${name}`,
      'AWS::SQS::Queue': `arn:aws:sqs:${local}:${name}`,
      'AWS::KMS::Key': `arn:aws:kms:${local}:key/${name}`,
      'AWS::SNS::Topic': `arn:aws:sns:${local}:${name}`,
      'AWS::Logs::LogGroup': `arn:aws:logs:${local}:log-group:${name}:*`,
      'AWS::CloudWatch::Alarm': `arn:aws:cloudwatch:${local}:alarm:${name}`,
      'AWS::Lambda::Function': `arn:aws:lambda:${local}:function:${name}`,
      'AWS::Lambda::Alias': `arn:aws:lambda:${local}:function:gate:live`,
      'AWS::Lambda::Version': `arn:aws:lambda:${local}:function:gate:1`,
    };
    const arn = arns[resources[id]?.Type ?? ''];
    if (arn === undefined) throw new Error(`no stand-in for the ARN of ${id} (${resources[id]?.Type})`);
    return arn;
  };
  const pseudo: Record<string, string> = {
    'AWS::Partition': 'aws',
    'AWS::Region': REGION,
    'AWS::AccountId': ACCOUNT,
    'AWS::URLSuffix': 'amazonaws.com',
  };
  // What Ref gives for these types is the ARN.
  const refIsArn = ['AWS::SNS::Topic', 'AWS::Lambda::Alias', 'AWS::IAM::ManagedPolicy'];
  const visit = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(visit);
    if (node === null || typeof node !== 'object') return node;
    const [[key, argument] = ['', undefined], ...rest] = Object.entries(node);
    if (rest.length === 0) {
      if (key === 'Ref') {
        const id = argument as string;
        return pseudo[id] ?? (refIsArn.includes(resources[id]?.Type ?? '') ? arnOf(id) : nameOf(id));
      }
      if (key === 'Fn::GetAtt') {
        const [id, attribute] = argument as [string, string];
        return attribute === 'Arn' ? arnOf(id) : `${nameOf(id)}.${attribute}`;
      }
      if (key === 'Fn::Join') {
        const [separator, parts] = argument as [string, unknown[]];
        return parts.map(visit).join(separator);
      }
      if (key === 'Fn::Sub') {
        return (argument as string).replace(/\$\{([^}]+)\}/g, (_, name: string) => pseudo[name] ?? name);
      }
    }
    return Object.fromEntries(Object.entries(node).map(([name, inner]) => [name, visit(inner)]));
  };
  return visit(value) as T;
}

/** The resources of a type, by logical id, but those of the board and the dashboard: every stack has them, and they their own test. */
export function resourcesOfGates(template: Template, type: string): ReturnType<Template['findResources']> {
  const found = Object.entries(template.findResources(type));
  return Object.fromEntries(found.filter(([id]) => !/^(Board|Dashboard)/.test(id)));
}

/** The only resource of a type whose logical id begins so, with its functions resolved. */
export function resourceOf<T = Record<string, unknown>>(template: Template, type: string, id: string): T {
  const found = Object.entries(template.findResources(type)).filter(([name]) => name.startsWith(id));
  if (found.length !== 1) throw new Error(`expected one ${type} called ${id}..., found ${found.length}`);
  return deployed<T>(template, found[0]?.[1]?.Properties);
}
