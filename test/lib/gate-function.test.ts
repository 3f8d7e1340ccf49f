import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Architecture } from 'aws-cdk-lib/aws-lambda';
import { expect, test } from 'vitest';
import { GateFunction } from '../../lib/shared/gate-function.ts';
import { Notifications } from '../../lib/shared/notifications.ts';

test('functions with handlers in one folder have a bundle each', () => {
  const app = new App({ analyticsReporting: false });
  const stack = new Stack(app, 'Stack');
  const notifications = new Notifications(stack, 'Notifications', { emails: [] });
  for (const entry of ['holdout-evaluation/handler', 'holdout-evaluation/canary-handler']) {
    new GateFunction(stack, entry, {
      name: entry,
      entry,
      architecture: Architecture.ARM_64,
      memory: 1024,
      disk: 512,
      timeout: Duration.minutes(1),
      concurrency: 'unreserved',
      layers: [],
      notifications,
      unjudged: 'nothing happens',
    });
  }
  const { directory } = app.synth();
  const bundles = readdirSync(directory).filter((name) => /^asset\.[0-9a-f]{64}$/.test(name));
  const codes = bundles.map((name) => readFileSync(join(directory, name, 'index.js'), 'utf8'));
  expect(codes).toHaveLength(2);
  // The type of its event is in the canary alone.
  expect(codes.map((code) => code.includes('Pipeline Canary Finished')).toSorted()).toEqual([false, true]);
});
