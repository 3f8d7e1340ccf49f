import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { drillsOf, parseTrigger } from '../../../functions/alarm-drill/request.ts';
import { parseDrills } from '../../../functions/alarm-drill/schema.ts';
import { GateInputError } from '../../../functions/shared/errors.ts';
import { stackEvent } from '../../support/events.ts';

const DRILLS = parseDrills({
  file: 'tocsin.yaml',
  text: `alarmDrills:
  drift:
    alarm: drift-alarm
    intended: { fires: '>= 0.2', within: 10m }
    afterDeployOf: [Monitoring, Serving]
  drift-live:
    alarm: drift-alarm
    intended: { fires: '>= 0.2', within: 10m, metric: { namespace: ML, name: psi } }
    mode: live
    live: { because: staging }
  latency:
    alarm: latency-alarm
    intended: { fires: '> 500', within: 5m }
    afterDeployOf: [Serving]
`,
});

const fixture = (name: string) =>
  JSON.parse(readFileSync(new URL(`../../fixtures/events/${name}.json`, import.meta.url), 'utf8'));

/** As EventBridge sends it. */
const changed = (alarmName: string, operation: string) => ({
  version: '0',
  id: '2b4a3f9d-1c1f-5b8e-9d67-0c1a2b3c4d5e',
  'detail-type': 'CloudWatch Alarm Configuration Change',
  source: 'aws.cloudwatch',
  account: '111122223333',
  time: '2026-01-05T00:00:00Z',
  region: 'us-east-1',
  resources: [`arn:aws:cloudwatch:us-east-1:111122223333:alarm:${alarmName}`],
  detail: {
    alarmName,
    operation,
    state: { value: 'INSUFFICIENT_DATA', timestamp: '2026-01-05T00:00:00.000+0000' },
    configuration: { threshold: 1, evaluationPeriods: 3 },
  },
});

/** Names of the drills that an event starts, or why it starts none. */
function startedBy(event: unknown): string[] | string {
  const requests = drillsOf(parseTrigger(event), DRILLS);
  return 'ignored' in requests ? requests.ignored : requests.map(({ drill }) => drill.name);
}

describe('a request', () => {
  test('by hand or of a schedule names a drill, and may name a run and what is wanted of it', () => {
    expect(parseTrigger({ drill: 'drift' })).toEqual({ drill: 'drift' });
    const all = { drill: 'drift', run: 'run-1', only: 'proof' };
    expect(parseTrigger(all)).toEqual(all);
    expect(drillsOf(parseTrigger(all), DRILLS)).toEqual([
      { drill: DRILLS.get('drift'), run: 'run-1', only: 'proof' },
    ]);
  });

  test.each(['create', 'update', 'delete'])('is the %s of an alarm, for every drill of it', (operation) => {
    expect(startedBy(changed('drift-alarm', operation))).toEqual(['drift', 'drift-live']);
  });

  test('is not what a drill itself does', () => {
    expect(startedBy(changed('tocsin-drill-0a1b2c3d-1-2x', 'create'))).toBe(
      "tocsin-drill-0a1b2c3d-1-2x is a drill's own",
    );
  });

  test('is not the change of another alarm', () => {
    expect(startedBy(changed('drift', 'update'))).toBe('no drill is of the alarm drift');
  });

  test('is the deployment of a stack, once it is done', () => {
    expect(startedBy(stackEvent('Serving'))).toEqual(['drift', 'latency']);
    expect(startedBy(stackEvent('Monitoring', 'CREATE_COMPLETE'))).toEqual(['drift']);
    expect(startedBy(stackEvent('Serving', 'UPDATE_IN_PROGRESS'))).toBe(
      'the stack Serving is UPDATE_IN_PROGRESS',
    );
    expect(startedBy(stackEvent('Website'))).toBe('no drill runs after a deployment of the stack Website');
    expect(parseTrigger(fixture('cloudformation-stack-rolled-back'))).toHaveProperty('unfinished');
  });

  test.each<[string, unknown, RegExp]>([
    ['nothing', undefined, /^invocation: /],
    ['a text', 'drift', /^invocation: /],
    ['no name', {}, /drill/],
    ['an unknown key', { drill: 'drift', onyl: 'proof' }, /unknown key "onyl", did you mean "only"/],
    ['a run that is no name', { drill: 'drift', run: '../x' }, /at most 64 letters, digits and hyphens/],
    ['something else to do', { drill: 'drift', only: 'ladder' }, /proof/],
    ['another event', fixture('s3-object-created-put'), /^event: /],
    ['another event of CloudWatch', { ...changed('a', 'update'), 'detail-type': 'x' }, /detail-type/],
    ['another operation', changed('a', 'rename'), /operation/],
  ])('that is malformed is a mistake: %s', (_what, event, message) => {
    expect(() => parseTrigger(event)).toThrow(GateInputError);
    expect(() => parseTrigger(event)).toThrow(message);
  });

  test('for a drill that does not exist is a mistake, with what was meant', () => {
    expect(() => drillsOf({ drill: 'drfit' }, DRILLS)).toThrow(
      new GateInputError(
        'there is no alarm drill "drfit", did you mean "drift"?; there are drift, drift-live, latency',
      ),
    );
    expect(() => drillsOf({ drill: 'drift' }, new Map())).toThrow(/there are none$/);
  });
});
