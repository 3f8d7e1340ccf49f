import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ConfigError } from '../functions/shared/schema.ts';
import { loadConfig } from '../lib/config.ts';
import { GatesStack } from '../lib/gates-stack.ts';

/*
 * The CDK app: `cdk deploy [-c config=tocsin.yaml] [-c architecture=arm64|x86_64] [-c durable=true|false]`.
 */
const app = new App();
try {
  const config = loadConfig(String(app.node.tryGetContext('config') ?? 'tocsin.yaml'));
  const architecture = oneOf('architecture', ['arm64', 'x86_64']) ?? config.engine.architecture;
  const durable = oneOf('durable', ['true', 'false']) ?? String(config.workflow === 'durable');
  new GatesStack(app, 'Tocsin', {
    config: {
      ...config,
      workflow: durable === 'true' ? 'durable' : 'in-process',
      engine: { ...config.engine, architecture },
    },
  });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  // The mistake is in a file of the user's: a stack trace would say nothing.
  console.error(error.message);
  process.exit(1);
}

/** A value of the context; undefined where there is none. */
function oneOf<T extends string>(key: string, allowed: readonly T[]): T | undefined {
  const value: unknown = app.node.tryGetContext(key);
  if (value === undefined) return undefined;
  // In cdk.json it may be true, on the command line it is 'true'.
  const found = allowed.find((candidate) => candidate === String(value));
  if (found !== undefined) return found;
  const message = `${key}: expected ${allowed.join(' or ')}, got ${value}`;
  throw new ConfigError([{ file: 'context', line: 1, column: 1, path: key, message }]);
}
