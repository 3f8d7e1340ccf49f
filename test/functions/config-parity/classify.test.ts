import { describe, expect, test } from 'vitest';
import {
  isKeyId,
  isTime,
  keepsOrder,
  keepsTimes,
  kindOf,
} from '../../../functions/config-parity/classify.ts';
import { type DifferenceKind, RESOURCE_KINDS } from '../../../functions/config-parity/schema.ts';

const path = (text: string) =>
  text.split('.').flatMap((part) => {
    const [key = '', ...items] = part.split('[');
    return [...(key === '' ? [] : [key]), ...items.map((item) => `[${item}`)];
  });

describe('the kind of a difference', () => {
  test.each<[string, DifferenceKind]>([
    ['models.m.containers[0].environment.SCALER_VERSION', 'environment'],
    ['models.m.containers[0].environment.description', 'environment'],
    ['models.m.containers[0].imageDigest', 'inference'],
    ['models.m.containers[0].modelData.uri', 'inference'],
    ['models.m.containers[0]', 'inference'],
    ['models.m.networkIsolation', 'safety'],
    ['models.m.role', 'environment'],
    ['endpoints.e.variants[a].instances', 'capacity'],
    ['endpoints.e.variants[a].weight', 'inference'],
    ['endpoints.e.variants[a]', 'inference'],
    ['endpoints.e.variants[a].scaling.policies[p].target', 'capacity'],
    ['endpoints.e.variants[a].scaling.scheduled[s].timezone', 'environment'],
    ['endpoints.e.shadow[s].instanceType', 'capacity'],
    ['endpoints.e.shadow', 'inference'],
    ['endpoints.e.capture.percentage', 'safety'],
    ['endpoints.e.capture.uri', 'environment'],
    ['endpoints.e.vpc.subnets', 'safety'],
    ['endpoints.e.deployment.type', 'safety'],
    ['endpoints.e.tags[team].value', 'cosmetic'],
    ['monitors.m.baseline.constraints', 'safety'],
    ['monitors.m.instanceType', 'capacity'],
    ['alarms.a.threshold', 'safety'],
    ['alarms.a.description', 'cosmetic'],
    ['functions.f.runtime', 'inference'],
    ['functions.f.layers[l].version', 'inference'],
    ['functions.f.memoryMb', 'capacity'],
    ['functions.f.architecture', 'environment'],
    ['functions.f.deadLetter', 'safety'],
    ['parameters./p/x.value', 'environment'],
    ['parameters./p/x.dataType', 'schema'],
    ['featureGroups.g.features[f].type', 'schema'],
    ['featureGroups.g.online.enabled', 'inference'],
    ['featureGroups.g.offline.uri', 'environment'],
    ['tables.t.columns[c].type', 'schema'],
    ['tables.t.columns[c].comment', 'cosmetic'],
    ['tables.t.columns', 'schema'],
    ['tables.t.location', 'environment'],
    ['pipelines.p.definition.Steps[Train].Arguments', 'inference'],
    ['pipelines.p.parallelism', 'capacity'],
    ['rules.r.state', 'safety'],
    ['rules.r.targets[t].retry.attempts', 'safety'],
    ['schedules.s.timezone', 'environment'],
    ['schedules.s.target.deadLetter', 'safety'],
    ['tocsin.t.configuration.parity', 'safety'],
    ['tocsin.t.contracts.flights.columns', 'schema'],
    ['tocsin.t.functions[Gate].memoryMb', 'capacity'],
    ['functions.f.constructor', 'inference'],
  ])('%s: %s', (text, kind) => {
    expect(kindOf(path(text))).toBe(kind);
  });

  test('of a whole thing is that of what it is for', () => {
    expect(Object.fromEntries(RESOURCE_KINDS.map((kind) => [kind, kindOf([kind, 'x'])]))).toEqual({
      endpoints: 'inference',
      models: 'inference',
      monitors: 'safety',
      alarms: 'safety',
      functions: 'inference',
      parameters: 'environment',
      featureGroups: 'schema',
      tables: 'schema',
      pipelines: 'inference',
      rules: 'safety',
      schedules: 'safety',
      tocsin: 'safety',
    });
  });
});

test.each<[string, boolean, boolean]>([
  ['models.m.containers', true, true],
  ['tables.t.columns', true, true],
  ['tables.t.partitionKeys', true, true],
  ['functions.f.layers', true, true],
  ['tocsin.t.functions[Gate].layers', true, true],
  ['parameters./p.value', false, true],
  ['pipelines.p.definition.Steps', true, false],
  ['pipelines.p.definition.Steps[T].Arguments.AppSpecification.ContainerArguments', false, true],
  ['pipelines.p.definition.Steps[T].DependsOn', false, false],
  ['parameters./p.value.steps', true, true],
  ['parameters./p.value.features', false, true],
  ['rules.r.targets[t].input.steps', true, true],
  ['rules.r.targets', true, false],
  ['rules.r.targets[t].more.command', false, true],
  ['schedules.s.target.more.command', false, true],
  ['endpoints.e.explainer.featureHeaders', false, true],
  ['rules.r.pattern.detail.delay[0].numeric', false, true],
  ['schedules.s.target.input.rows', false, true],
  ['schedules.s.target.input.rows', true, true],
  ['alarms.a.actions.alarm', false, false],
  ['endpoints.e.variants', true, false],
  ['rules.r.pattern.source', false, false],
])('%s with names: %s, keeps its order: %s', (text, named, kept) => {
  expect(keepsOrder(path(text), named)).toBe(kept);
});

test.each<[string, boolean]>([
  ['rules.r.schedule', true],
  ['monitors.m.schedule', true],
  ['endpoints.e.variants[a].scaling.scheduled[s].schedule', true],
  ['tocsin.t.configuration.alarmDrills.psi.within', true],
  ['pipelines.p.definition.Steps[T].CacheConfig.ExpireAfter', true],
  ['functions.f.environment.INTERVAL', false],
  ['models.m.containers[0].environment.schedule', false],
  ['parameters./p.value', false],
])('%s may be a length of time: %s', (text, may) => {
  expect(isTime(path(text))).toBe(may);
});

test('times are part of what decides predictions', () => {
  expect(keepsTimes(path('models.m.containers[0].modelData.uri'))).toBe(true);
  expect(keepsTimes(path('models.m.containers[0].environment.SCALER'))).toBe(true);
  expect(keepsTimes(path('tables.t.serde.library'))).toBe(true);
  expect(keepsTimes(path('monitors.m.baseline.constraints'))).toBe(true);
  expect(keepsTimes(path('monitors.m.preprocessor'))).toBe(true);
  expect(keepsTimes(path('rules.r.targets[t].input.model'))).toBe(true);
  expect(keepsTimes(path('schedules.s.target.input.model'))).toBe(true);
  expect(keepsTimes(path('tocsin.t.configuration.models.flights.golden'))).toBe(true);
  expect(keepsTimes(path('monitors.m.input.endpoint'))).toBe(false);
  expect(keepsTimes(path('alarms.a.description'))).toBe(false);
});

test('keys are known by what their field is called', () => {
  expect(isKeyId(path('endpoints.e.kmsKey'))).toBe(true);
  expect(isKeyId(path('functions.f.environment.KMS_KEY_ID'))).toBe(true);
  expect(isKeyId(path('functions.f.environment.SIGNING_KEY_ID'))).toBe(true);
  expect(isKeyId(path('functions.f.environment.TENANT'))).toBe(false);
});
