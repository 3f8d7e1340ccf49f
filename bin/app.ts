import { App, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';
import { ConfigError } from '../functions/shared/schema.ts';
import { loadConfig } from '../lib/config.ts';
import { GatesStack } from '../lib/gates-stack.ts';

/*
 * The CDK app: `cdk deploy [-c config=tocsin.yaml] [-c architecture=arm64|x86_64]`.
 */
const app = new App();
try {
  const config = loadConfig(String(app.node.tryGetContext('config') ?? 'tocsin.yaml'));
  const architecture: unknown = app.node.tryGetContext('architecture') ?? config.engine.architecture;
  if (architecture !== 'arm64' && architecture !== 'x86_64') {
    throw new ConfigError([
      {
        file: 'context',
        line: 1,
        column: 1,
        path: 'architecture',
        message: `architecture: expected arm64 or x86_64, got ${architecture}`,
      },
    ]);
  }
  new GatesStack(app, 'Tocsin', { config: { ...config, engine: { ...config.engine, architecture } } });
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  // The mistake is in a file of the user's: a stack trace would say nothing.
  console.error(error.message);
  process.exit(1);
}
