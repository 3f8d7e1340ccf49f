import {
  DeleteEndpointCommand,
  DeleteEndpointConfigCommand,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DrillAnswer } from '../../../functions/rollback-drill/drill-workflow.ts';
import {
  CONFIG,
  type DrillChange,
  ENDPOINT,
  ERRORS,
  GUARDED,
  MACHINE,
  ROLE,
  RUNBOOK,
  Staging,
  times,
} from '../../support/rollback-drill.ts';

/*
 * The drill against everything that an endpoint and a procedure may do: the verdict is right, the endpoint is as it was
 * found where that is possible and else the first line says so, and nothing is left.
 */

let staging: Staging;

beforeEach(() => arrange());
afterEach(() => staging.close());

async function arrange(options: Parameters<typeof Staging.start>[0] = {}): Promise<void> {
  await staging?.close();
  staging = await Staging.start(options);
}

/** How a drill is to end. */
interface Expected {
  outcome: 'pass' | 'fail' | 'inconclusive';
  /** Checks that fail, and that are inconclusive, in alphabetical order. */
  fail?: string[];
  inconclusive?: string[];
  /** Of the endpoint in the end; false: it cannot be as it was. */
  asFound?: boolean;
  /** Of what is left, where its endpoint can still be restored. */
  left?: unknown[];
}

/** Drills, and looks at everything that comes of it. */
async function expectDrill(change: DrillChange, expected: Expected): Promise<DrillAnswer> {
  const answer = await staging.run(change);
  const { outcome, fail = [], inconclusive = [], asFound = true, left = [] } = expected;
  const { world } = staging;
  expect({
    outcome: staging.verdict.outcome,
    fail: staging.checks('fail'),
    inconclusive: staging.checks('inconclusive'),
  }).toEqual({ outcome, fail, inconclusive });
  expect(answer).toMatchObject({ outcome, restored: asFound });
  if (asFound) await staging.expectAsFound();
  expect(staging.firstLine.startsWith(`NOT AS IT WAS FOUND: ${ENDPOINT}: `), staging.firstLine).toBe(
    !asFound,
  );
  expect(world.events).toHaveLength(1);
  const { id } = staging.verdict;
  const report = world.aws
    .get('evidence', `evidence/rollback-drill/staging/${id}/report.html`)
    .body.toString();
  expect(report).toContain('Who answered, and when');
  expect(report).not.toMatch(/could not be drawn|There was no room|NaN|undefined/);
  expect(world.left).toEqual(left);
  const { length } = world.asked;
  await world.sleep(60_000);
  expect(world.asked.slice(length), 'requests after the drill').toEqual([]);
  return answer;
}

const RECORD = `rollback/${ENDPOINT}.json`;
/** What restoring later needs. */
const RECORDED = [
  RECORD,
  expect.stringMatching(new RegExp(`^rollback/${ENDPOINT}/[0-9a-f]{8}/fingerprints\\.json$`)),
];

const message = (check: string) => staging.verdict.findings.find((one) => one.check === check)?.message;

/** Another endpoint configuration, whose primary variant has this model. */
async function configWith(name: string, model: string): Promise<void> {
  await staging.world.config(name, [
    { name: 'primary', model, instances: 2 },
    { name: 'candidate', model: 'bad', weight: 0 },
  ]);
}

describe('after a failure by weights, a procedure', () => {
  /** What serves is the bad model, and nobody has moved the weights. */
  const STILL_BAD = ['previous-model-serves', 'weights'];
  const DONE_AND_WRONG = [...STILL_BAD, 'wrong-model-after-rollback'];

  test('that works', async () => {
    const answer = await expectDrill({}, { outcome: 'pass' });
    expect(answer).toMatchObject({ recoveryMs: 600, findings: [] });
    expect(staging.timeline.marks.map(({ what }) => what)).toEqual([
      'traffic begins',
      'failure begins',
      'bad model serves',
      'procedure begins',
      'procedure ends',
      'watching ends',
      'restoring begins',
      'restoring ends',
    ]);
    expect(staging.measured.restoration).toMatchObject({ outcome: 'unneeded', answers: true, actions: [] });
    expect(staging.world.warned).toEqual([]);
    const asked = staging.timeline.slices.flatMap(({ requests }) => requests);
    expect(asked.length).toBe(staging.world.invocations.length - 4);
    expect(new Set(asked.map(({ who }) => who))).toEqual(new Set(['previous', 'bad']));
    expect(staging.world.recorded).toEqual([
      ['staging', { outcome: 'pass', durationMs: expect.any(Number) }],
    ]);
  });

  test('that works slowly', async () => {
    staging.procedure(() => staging.world.later(30_000, () => staging.weigh({ primary: 1, candidate: 0 })));
    await staging.world.fault({ endpoint: ENDPOINT, does: 'linger', ms: 15_000, times: 'always' });
    expect(await expectDrill({}, { outcome: 'pass' })).toMatchObject({ recoveryMs: 45_000 });
  });

  test.each([
    ['a runbook', { ssmAutomation: { document: RUNBOOK } }],
    ['a state machine', { stateMachine: MACHINE }],
    ["Tocsin's own", { builtin: 'weights' }],
  ])('that works, as %s', async (_, procedure) => {
    await expectDrill({ procedure }, { outcome: 'pass' });
  });

  test('that takes too long is not waited for', async () => {
    staging.procedure(() => staging.world.later(65_000, () => staging.weigh({ primary: 1, candidate: 0 })));
    await expectDrill({}, { outcome: 'fail', fail: ['previous-model-serves', 'procedure', 'weights'] });
  });

  test('that never ends is stopped', async () => {
    staging.procedure(() => new Promise(() => {}));
    await expectDrill(
      { procedure: { stateMachine: MACHINE } },
      { outcome: 'fail', fail: ['previous-model-serves', 'procedure', 'weights'] },
    );
    expect(message('procedure')).toContain('was stopped');
  });

  test('that fails', async () => {
    staging.procedure(() => {
      throw new Error('no such stack');
    });
    await expectDrill({}, { outcome: 'fail', fail: ['previous-model-serves', 'procedure', 'weights'] });
    expect(message('procedure')).toContain('no such stack');
  });

  test('that says that it is done, and has done nothing', async () => {
    staging.procedure(() => 'done');
    await expectDrill({}, { outcome: 'fail', fail: DONE_AND_WRONG });
    expect(message('previous-model-serves')).toContain(
      "variant candidate answers with the bad model's predictions",
    );
  });

  test('that names a variant which was renamed', async () => {
    staging.procedure(() => staging.weigh({ main: 1, candidate: 0 }));
    await expectDrill({}, { outcome: 'fail', fail: ['previous-model-serves', 'procedure', 'weights'] });
    expect(message('procedure')).toContain('Could not find variant "main"');
  });

  test('that moves half of the weights', async () => {
    staging.procedure(() => staging.weigh({ primary: 1 }));
    await expectDrill({}, { outcome: 'fail', fail: DONE_AND_WRONG });
  });

  test('whose weights SageMaker takes over in part', async () => {
    staging.procedure(async () => {
      await staging.world.fault({ endpoint: ENDPOINT, does: 'stint', part: 0.5 });
      await staging.weigh({ primary: 1, candidate: 0 });
    });
    await expectDrill({}, { outcome: 'fail', fail: STILL_BAD });
  });

  test('that brings the wrong model under the right name of the variant', async () => {
    await configWith('other', 'stale');
    staging.procedure(() => staging.deploy('other'));
    await expectDrill(
      {},
      { outcome: 'fail', fail: ['configuration', 'previous-model-serves', 'wrong-model-after-rollback'] },
    );
    expect(message('previous-model-serves')).toContain('variant primary answers, under its old name');
  });

  test('that makes the endpoint configuration anew, with the wrong model', async () => {
    await configWith('other', 'good');
    staging.procedure(async () => {
      await staging.deploy('other');
      await staging.settled();
      await staging.world.sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: CONFIG }));
      await configWith(CONFIG, 'stale');
      await staging.deploy(CONFIG);
      await staging.settled();
    });
    await expectDrill(
      {},
      {
        outcome: 'fail',
        fail: ['configuration', 'previous-model-serves', 'restored', 'wrong-model-after-rollback'],
        asFound: false,
        left: RECORDED,
      },
    );
    expect(message('restored')).toContain('it was deleted, and another has its name');
  });

  test('that changes the model itself: nothing but the answers says so', async () => {
    staging.procedure(async () => {
      await staging.weigh({ primary: 1, candidate: 0 });
      staging.world.reprogram('good', times(7));
    });
    await expectDrill(
      {},
      {
        outcome: 'fail',
        fail: ['previous-model-serves', 'restored', 'wrong-model-after-rollback'],
        asFound: false,
        left: RECORDED,
      },
    );
    expect(staging.measured.restoration).toMatchObject({ outcome: 'failed', answers: false });
    // It was deployed anew, in vain.
    expect(staging.measured.restoration?.actions.length).toBeGreaterThan(1);
  });

  test('that resets the number of instances', async () => {
    await staging.world.config('small', [
      { name: 'primary', model: 'good' },
      { name: 'candidate', model: 'bad', weight: 0 },
    ]);
    staging.procedure(() => staging.deploy('small'));
    await expectDrill({}, { outcome: 'fail', fail: ['capacity', 'configuration'] });
  });

  test('after which the endpoint is Failed', async () => {
    await configWith('other', 'good');
    staging.procedure(async () => {
      await staging.world.fault({ endpoint: ENDPOINT, does: 'break' });
      await staging.deploy('other');
    });
    await expectDrill(
      {},
      {
        outcome: 'fail',
        fail: ['configuration', 'lost-requests', 'previous-model-serves', 'restored'],
        asFound: false,
        left: RECORDED,
      },
    );
    expect(staging.firstLine).toContain('Failed');
  });

  test('after which the endpoint serves a mix', async () => {
    await configWith('other', 'good');
    staging.procedure(async () => {
      await staging.world.fault({ endpoint: ENDPOINT, does: 'mix' });
      await staging.deploy('other');
    });
    await expectDrill(
      {},
      {
        outcome: 'fail',
        fail: ['configuration', 'previous-model-serves', 'weights', 'wrong-model-after-rollback'],
      },
    );
  });

  test('that deletes the endpoint', async () => {
    staging.procedure(() =>
      staging.world.sagemaker.send(new DeleteEndpointCommand({ EndpointName: ENDPOINT })),
    );
    await expectDrill(
      {},
      {
        outcome: 'fail',
        fail: ['configuration', 'lost-requests', 'previous-model-serves', 'restored'],
        asFound: false,
      },
    );
    expect(staging.firstLine).toContain('no such endpoint');
  });

  test('whose client is throttled, as the drill is', async () => {
    for (const operation of [
      'DescribeEndpoint',
      'UpdateEndpointWeightsAndCapacities',
      'DescribeEndpointConfig',
    ]) {
      await staging.world.fault({
        operation,
        type: 'ThrottlingException',
        message: 'Rate exceeded',
        times: 7,
      });
    }
    await expectDrill({}, { outcome: 'pass' });
  });

  test('that loses requests', async () => {
    staging.procedure(async () => {
      await staging.world.fault({ endpoint: ENDPOINT, does: 'refuse', every: 4, times: 3 });
      await staging.weigh({ primary: 1, candidate: 0 });
    });
    await expectDrill({}, { outcome: 'fail', fail: ['lost-requests'] });
    await arrange();
    staging.procedure(async () => {
      await staging.world.fault({ endpoint: ENDPOINT, does: 'refuse', every: 4, times: 3 });
      await staging.weigh({ primary: 1, candidate: 0 });
    });
    await expectDrill({ allow: { errorRate: '10%' } }, { outcome: 'pass' });
  });

  test('with several models before, of which the weights are in between', async () => {
    await staging.world.config('three', [
      { name: 'primary', model: 'good', weight: 3, instances: 2 },
      { name: 'second', model: 'stale', weight: 1 },
      { name: 'candidate', model: 'bad', weight: 0 },
    ]);
    await staging.deploy('three');
    await staging.world.settled();
    await staging.foundAnew();
    staging.procedure(() => staging.weigh({ primary: 3, second: 1, candidate: 0 }));
    await expectDrill({ failure: { shiftTraffic: { to: 'candidate', share: '40%' } } }, { outcome: 'pass' });
    expect(staging.measured.failure?.state?.variants.map(({ name, weight }) => [name, weight])).toEqual([
      ['candidate', expect.closeTo(0.4, 6)],
      ['primary', expect.closeTo(0.45, 6)],
      ['second', expect.closeTo(0.15, 6)],
    ]);
  });
});

describe('after the deployment of another model, a procedure', () => {
  let failure: DrillChange;

  beforeEach(async () => {
    const arn = await staging.world.package('worse', times(11));
    failure = { failure: { deployModel: { package: arn, role: ROLE } } };
    staging.procedure(() => staging.deploy(CONFIG));
  });

  test('that works', async () => {
    const answer = await expectDrill(failure, { outcome: 'pass' });
    expect(answer).toMatchObject({ restored: true });
    expect(staging.measured.fingerprints.map(({ part, variant }) => [part, variant])).toEqual([
      ['previous', 'primary'],
      ['bad', 'primary'],
    ]);
    expect(staging.timeline.slices.flatMap(({ requests }) => requests).some(({ who }) => who === 'bad')).toBe(
      true,
    );
  });

  test("that works, as Tocsin's own", async () => {
    await expectDrill({ ...failure, procedure: { builtin: 'config' } }, { outcome: 'pass' });
  });

  test('that does nothing', async () => {
    staging.procedure(() => {});
    await expectDrill(failure, {
      outcome: 'fail',
      fail: ['configuration', 'previous-model-serves', 'wrong-model-after-rollback'],
    });
    expect(message('previous-model-serves')).toContain('variant primary answers, under its old name');
  });

  test('that is taken back without a word', async () => {
    staging.procedure(async () => {
      await staging.world.fault({ endpoint: ENDPOINT, does: 'fail' });
      await staging.deploy(CONFIG);
    });
    await expectDrill(failure, {
      outcome: 'fail',
      fail: ['configuration', 'previous-model-serves', 'wrong-model-after-rollback'],
    });
  });

  test('that leaves a mix', async () => {
    staging.procedure(async () => {
      await staging.world.fault({ endpoint: ENDPOINT, does: 'mix' });
      await staging.deploy(CONFIG);
    });
    await expectDrill(failure, {
      outcome: 'fail',
      fail: ['configuration', 'previous-model-serves', 'wrong-model-after-rollback'],
    });
  });

  test('that deletes the endpoint', async () => {
    staging.procedure(() =>
      staging.world.sagemaker.send(new DeleteEndpointCommand({ EndpointName: ENDPOINT })),
    );
    await expectDrill(failure, {
      outcome: 'fail',
      fail: ['configuration', 'lost-requests', 'previous-model-serves', 'restored'],
      asFound: false,
    });
  });

  test('where the model answers with errors', async () => {
    const arn = await staging.world.package('faulty', (body) => {
      if (Number(body) > 1) throw new Error('no such feature');
      return body;
    });
    const deployModel = { package: arn, role: ROLE, faulty: true };
    await expectDrill({ failure: { deployModel } }, { outcome: 'pass' });
    expect(staging.measured.telling).toEqual([1, 2, 3]);
  });

  test.each([
    ['is taken back without a word', { does: 'fail' }, 'SageMaker does not say why'],
    ['is taken back with a reason', { does: 'fail', reason: 'no capacity' }, 'no capacity'],
    ['ends in a mix', { does: 'mix' }, 'UpdateRollbackFailed'],
  ])('is not run where the deployment %s', async (_, fault, why) => {
    await staging.world.fault({ endpoint: ENDPOINT, ...fault });
    await expectDrill(failure, { outcome: 'inconclusive', inconclusive: ['drill'] });
    expect(staging.measured.notDrilled).toContain(why);
    expect(staging.world.started).toEqual([]);
  });

  test('is not run where the deployment breaks the endpoint', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'break' });
    await expectDrill(failure, {
      outcome: 'fail',
      fail: ['restored'],
      inconclusive: ['drill'],
      asFound: false,
      left: RECORDED,
    });
    expect(staging.world.started).toEqual([]);
  });

  test('is not run where the models are the same', async () => {
    const arn = await staging.world.package('same', times(2));
    await expectDrill(
      { failure: { deployModel: { package: arn, role: ROLE } } },
      { outcome: 'inconclusive', inconclusive: ['drill'] },
    );
    expect(staging.measured.notDrilled).toContain('nothing tells them apart');
  });

  test('is not run where the package is not approved', async () => {
    const arn = await staging.world.package('new', times(4), {}, 'PendingManualApproval');
    await expectDrill(
      { failure: { deployModel: { package: arn, role: ROLE } } },
      { outcome: 'inconclusive', inconclusive: ['drill'] },
    );
  });
});

describe('a guardrail', () => {
  const failure = { failure: { breakGuardrail: { alarm: ERRORS } }, procedure: undefined };

  beforeEach(() => arrange({ deploymentConfig: GUARDED }));

  /** The alarm is as it was, too. */
  async function expectGuardrail(expected: Expected, within = '60s'): Promise<void> {
    await expectDrill({ ...failure, within }, expected);
    expect(staging.world.alarms.get(ERRORS)).toBe('OK');
  }

  test('that rolls back', async () => {
    await expectGuardrail({ outcome: 'pass' });
    expect(staging.measured.procedure).toMatchObject({ kind: 'guardrail', outcome: 'succeeded' });
    expect(staging.world.started).toEqual([]);
  });

  test('that rolls back without a word', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'hush' });
    await expectGuardrail({ outcome: 'pass' });
  });

  test('that is as slow as it may be', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'linger', ms: 20_000, times: 'always' });
    await expectGuardrail({ outcome: 'pass' });
  });

  test('that is too slow', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'linger', ms: 90_000, times: 'always' });
    await expectGuardrail({
      outcome: 'fail',
      fail: ['configuration', 'procedure'],
      inconclusive: ['steady'],
    });
  });

  test('that does not look at the alarm', async () => {
    // Whoever looks at it finds it OK again.
    const { alarms } = staging.world;
    const set = alarms.set.bind(alarms);
    alarms.set = (name) => set(name, 'OK');
    await expectGuardrail({ outcome: 'fail', fail: ['procedure'] }, '5m');
    expect(message('procedure')).toContain('the deployment went through');
  });

  test('that the last deployment does not have is somebody to be told of', async () => {
    await arrange();
    expect(await staging.run(failure)).toMatchObject({
      error: 'GateInputError',
      message: expect.stringContaining('had no guardrail with the alarm errors-5xx'),
    });
    await staging.expectAsFound();
    expect(staging.world.left).toEqual([]);
  });

  test('whose alarm rings already is not drilled', async () => {
    staging.world.alarms.set(ERRORS, 'ALARM');
    expect(await staging.run(failure)).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toContain('a real incident comes first');
    expect(staging.world.changes).toEqual([]);
  });
});

describe('what is not drilled', () => {
  test('an endpoint in maintenance', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'maintain', ms: 600_000 });
    await staging.world.sleep(1000);
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive', restored: true });
    expect(staging.measured.notDrilled).toBe('the endpoint is SystemUpdating');
    expect(staging.world.changes).toEqual([]);
    expect(staging.world.left).toEqual([]);
  });

  test('an endpoint that is deployed to', async () => {
    await configWith('other', 'good');
    await staging.world.sagemaker.send(
      new UpdateEndpointCommand({ EndpointName: ENDPOINT, EndpointConfigName: 'other' }),
    );
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toBe('the endpoint is Updating');
  });

  test('an endpoint that somebody drills already', async () => {
    const first = staging.run();
    const second = staging.world.later(8_000, () => staging.run({}, { id: 'run-2' }));
    expect(await second).toEqual({
      ignored: expect.stringMatching(
        /^a drill of the endpoint churn-staging is being run by the execution run-1-/,
      ),
    });
    expect(await first).toMatchObject({ outcome: 'pass' });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('a model that answers otherwise each time', async () => {
    let asked = 0;
    staging.world.reprogram('good', () => String(asked++));
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toContain('answered differently the second time');
  });

  test('another model than the recorded one', async () => {
    staging.world.golden([
      { body: '1', prediction: 2 },
      { body: '2', prediction: 5 },
    ]);
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toBe(
      'variant primary, golden request 2: the answer is not the recorded prediction, so another model serves already',
    );
  });

  test('models that golden requests do not tell apart', async () => {
    staging.world.golden([{ body: '0' }]);
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toContain('nothing tells them apart');
  });

  test('an endpoint that loses requests already', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'refuse', every: 5, times: 'always' });
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toMatch(/got no answer|there is no answer/);
    expect(staging.world.changes).toEqual([]);
    await staging.world.expectClean();
  });

  test('a variant that has traffic already', async () => {
    await arrange({ weights: { primary: 1, candidate: 1 } });
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toContain('variant candidate');
  });

  test('while an alarm rings', async () => {
    staging.world.alarms.set('unhealthy', 'ALARM');
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toBe('the alarm unhealthy is in ALARM: a real incident comes first');
  });
});

describe('what is refused, and told', () => {
  const refused = async (change: DrillChange, why: string) => {
    expect(await staging.run(change)).toMatchObject({
      drill: 'staging',
      error: 'GateInputError',
      message: expect.stringContaining(why),
    });
    expect(staging.world.messages).toHaveLength(1);
    expect(staging.world.changes).toEqual([]);
    expect(staging.world.left).toEqual([]);
    expect(staging.world.asked).toEqual([]);
  };

  test('an endpoint that there is not', () =>
    refused({ endpoint: 'churn-staging-2' }, 'there is no endpoint'));

  test('an endpoint without the tag', async () => {
    await arrange({ tags: { 'tocsin:drill': 'no' } });
    await refused({}, 'is not tagged tocsin:drill = allowed');
  });

  test('production by its tags, unless somebody says why', async () => {
    await arrange({ tags: { 'tocsin:drill': 'allowed', Environment: 'production' } });
    await refused({}, 'is production');
    await arrange({ tags: { 'tocsin:drill': 'allowed', Environment: 'production' } });
    const allowProduction = { endpoint: ENDPOINT, because: 'there is no other' };
    expect(await staging.run({ allowProduction })).toMatchObject({ outcome: 'pass' });
  });

  test('a variant that there is not', () =>
    refused({ failure: { shiftTraffic: { to: 'challenger' } } }, 'it has candidate and primary'));

  test('an alarm that there is not', async () => {
    await refused({ stopIf: ['unhealthi'] }, 'there is no alarm unhealthi');
    expect(staging.world.messages[0]?.Message).toContain('correct stopIf of the drill');
  });

  test('golden requests that there are not', () => refused({ golden: 's3://data/none.jsonl' }, 'none.jsonl'));
});
