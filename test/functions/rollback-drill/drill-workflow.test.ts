import { DeleteEndpointCommand } from '@aws-sdk/client-sagemaker';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { DrillAnswer } from '../../../functions/rollback-drill/drill-workflow.ts';
import type { RollbackVerdict } from '../../../functions/rollback-drill/identity.ts';
import { rollbackPage } from '../../../functions/rollback-drill/report.ts';
import { parseRollbackDrills } from '../../../functions/rollback-drill/schema.ts';
import { renderReport } from '../../../functions/shared/report/verdict-page.ts';
import {
  CONFIG,
  configOf,
  type DrillChange,
  ENDPOINT,
  ERRORS,
  GUARDED,
  MACHINE,
  ROLE,
  Staging,
  times,
  UNHEALTHY,
} from '../../support/rollback-drill.ts';

/*
 * The whole workflow with both implementations of the port; what breaks a drill off; and who restores what is left.
 */

const MINUTE = 60_000;

let staging: Staging;

beforeEach(async () => {
  staging = await Staging.start();
});
afterEach(() => staging.close());

const PORTS: Record<string, (change?: DrillChange, event?: object) => Promise<DrillAnswer>> = {
  'in process': (change, event = { drill: 'staging' }) => staging.run(change, { event }),
  durable: async (change, event = { drill: 'staging' }) => {
    const ended = await staging.durable(change).run(event);
    if ('result' in ended) return ended.result as DrillAnswer;
    throw Object.assign(new Error(ended.error.message), { name: ended.error.name });
  },
};

const RECORD = `rollback/${ENDPOINT}.json`;
const subjects = () => staging.world.messages.map(({ Subject }) => Subject);
const record = () => JSON.parse(staging.world.aws.get('work', RECORD).body.toString());

/** Does something once the traffic has gone on for so long. */
function later(ms: number, what: () => unknown): void {
  void staging.world.later(ms, what);
}

/** A procedure that does nothing: the endpoint has to be restored. */
const doNothing = () => staging.procedure(() => {});

describe.each(Object.entries(PORTS))('a drill, %s', (_port, run) => {
  test('ends in a verdict, a message and an event', async () => {
    const answer = await run({}, { drill: 'staging', run: 'by-hand' });
    const { id, subject, gate, inputs } = staging.verdict;
    expect(answer).toEqual({
      drill: 'staging',
      endpoint: ENDPOINT,
      outcome: 'pass',
      reason: expect.stringMatching(/^Drill staging: 600 ms after the procedure began the previous model/),
      verdict: id,
      evidence: `s3://evidence/evidence/rollback-drill/staging/${id}/verdict.json`,
      recoveryMs: 600,
      restored: true,
      findings: [],
    });
    expect({ subject, gate, config: inputs.originalConfig, drilled: inputs.drilled }).toEqual({
      subject: 'staging',
      gate: 'rollback-drill',
      config: CONFIG,
      drilled: true,
    });
    expect(subjects()).toEqual(['Tocsin: rollback drill staging passed']);
    expect(staging.world.events).toEqual([
      {
        Entries: [
          {
            EventBusName: 'default',
            Source: 'tocsin',
            DetailType: 'Rollback Drill Finished',
            Detail: JSON.stringify(answer),
            Resources: [expect.stringMatching(/:endpoint\/churn-staging$/)],
          },
        ],
      },
    ]);
    const progress = JSON.parse(staging.world.aws.get('work', 'runs/by-hand.json').body.toString());
    expect(progress).toMatchObject({ run: 'by-hand', phase: 'done', result: answer });
    await staging.expectAsFound();
    await staging.world.expectClean();

    const folder = `evidence/rollback-drill/staging/${id}/`;
    const stored = staging.world.aws.changes.filter((change) => change.startsWith(`PutObject ${folder}`));
    expect(stored.slice(0, 4)).toEqual(
      ['timeline.json', 'report.html', 'measurements.json', 'verdict.json'].map(
        (file) => `PutObject ${folder}${file}`,
      ),
    );
    const { measured: measurements, timeline } = staging;
    const [drill] = parseRollbackDrills({ file: 'tocsin.yaml', text: configOf() }).values();
    const verdict = staging.verdict as RollbackVerdict;
    expect(staging.world.aws.get('evidence', `${folder}report.html`).body.toString()).toBe(
      renderReport(verdict, () => rollbackPage(verdict, measurements, timeline, drill!)),
    );
  });

  test('shows who answers while the procedure runs, not only after it', async () => {
    let phase = '';
    staging.procedure(async () => {
      await staging.world.later(5_000, () => {
        ({ phase } = JSON.parse(staging.world.aws.get('work', 'runs/by-hand.json').body.toString()));
      });
      await staging.weigh({ primary: 1, candidate: 0 });
    });
    await run({}, { drill: 'staging', run: 'by-hand' });
    expect(phase).toMatch(
      /^the procedure runs, [45]\b.* s: previous 0 %, bad 100 % of \d+ requests, 0 lost; /,
    );
    expect(phase).toMatch(/\nlast \d s: B+ \(B bad\)$/);
  });

  test('gives the procedure the incident, and no more', async () => {
    await run();
    expect(staging.world.started.map(({ input }) => input)).toEqual([
      { endpoint: ENDPOINT, drill: 'staging', run: expect.stringMatching(/^[0-9a-f]{8}$/) },
    ]);
  });

  test.each([
    ['before the failure', 1_500, false],
    ['while the bad model serves', 6_000, false],
    ['while the procedure runs', 14_000, true],
  ])('is broken off by an alarm %s', async (_when, ms, isStarted) => {
    staging.procedure(() => staging.world.later(40_000, () => {}));
    later(ms, () => staging.world.alarms.set(UNHEALTHY, 'ALARM'));
    expect(await run()).toMatchObject({ outcome: 'inconclusive', restored: true });
    expect(staging.measured.notDrilled).toBe('stop condition: the alarm unhealthy is in ALARM');
    expect(staging.world.started.length > 0).toBe(isStarted);
    await staging.expectAsFound();
    expect(staging.world.messages).toHaveLength(1);
    await staging.world.expectClean();
  });

  test('whose endpoint loses its tag in the middle says that it could not restore it', async () => {
    doNothing();
    later(9_000, () => {
      staging.world.forbidden.add('sagemaker:UpdateEndpointWeightsAndCapacities');
      staging.world.forbidden.add('sagemaker:UpdateEndpoint');
    });
    expect(await run()).toMatchObject({ outcome: 'fail', restored: false });
    expect(staging.firstLine).toMatch(/^NOT AS IT WAS FOUND: churn-staging: /);
    expect(staging.verdict.findings.find(({ check }) => check === 'restored')?.message).toContain(
      'may not sagemaker:Update',
    );
    expect(staging.world.left).toContain(RECORD);
    expect(record().failed).toMatchObject({
      config: CONFIG,
      why: expect.stringContaining('may not sagemaker:Update'),
    });

    // The watch tries again, and tells nobody what they know already.
    for (const id of ['watch-1', 'watch-2']) {
      await staging.run({}, { event: { watch: true }, id });
      expect(subjects().slice(1)).toEqual(['Tocsin: rollback drill staging not restored']);
    }
    staging.world.forbidden.clear();
    expect(await staging.run({}, { event: { watch: true }, id: 'watch-3' })).toEqual({
      done: `${ENDPOINT} was restored`,
    });
    expect(subjects().at(-1)).toBe('Tocsin: rollback drill staging restored');
    await staging.expectAsFound();
    await staging.world.expectClean();
  });
});

describe('a drill that is broken off', () => {
  test('where golden requests are replaced', async () => {
    doNothing();
    let read = 0;
    const { aws, golden } = { aws: staging.world.aws, golden: () => staging.world.golden([{ body: '7' }]) };
    const body = aws.body;
    aws.body = (input, bytes) => {
      if (input.Key === 'golden.jsonl' && ++read === 1) later(3_000, golden);
      return body(input, bytes);
    };
    const ended = await staging.durable().run({ drill: 'staging' });
    expect(ended).toMatchObject({ result: { outcome: 'inconclusive', restored: true } });
    expect(staging.measured.notDrilled).toContain('was replaced while the endpoint was drilled with it');
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('where SageMaker shifts only a part of the traffic', async () => {
    await staging.world.fault({ endpoint: ENDPOINT, does: 'stint', part: 0.5 });
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive', restored: true });
    expect(staging.measured.notDrilled).toMatch(
      /^all traffic to variant candidate: SageMaker did only a part of it \(variant \w+ has \d+% of the traffic instead of \d+%; /,
    );
    expect(staging.world.started).toEqual([]);
    await staging.expectAsFound();
  });

  test('where nobody answers any more', async () => {
    later(3_300, () =>
      staging.world.fault({
        endpoint: ENDPOINT,
        does: 'refuse',
        type: 'ThrottlingException',
        status: 429,
        message: 'too many',
        every: 1,
        times: 'always',
      }),
    );
    expect(await staging.run()).toMatchObject({ outcome: 'inconclusive' });
    expect(staging.measured.notDrilled).toMatch(
      /was not seen to answer .* of \d+ requests it answered \d+, the previous model \d+, and [1-9]\d* got no answer$/,
    );
    expect(staging.world.started).toEqual([]);
  });

  test('by the end of its endpoint, before the procedure', async () => {
    later(3_300, () => staging.world.sagemaker.send(new DeleteEndpointCommand({ EndpointName: ENDPOINT })));
    expect(await staging.run()).toMatchObject({ outcome: 'fail', restored: false });
    expect(staging.measured.notDrilled).toBeTruthy();
    expect(staging.world.started).toEqual([]);
    expect(staging.firstLine).toContain('no such endpoint');
    expect(staging.world.left).toEqual([]);
  });

  test('by the time that one process has: what is left is restored by the watch', async () => {
    staging.procedure(() => staging.world.later(50_000, () => {}));
    const deadline = staging.world.now() + 20_000;
    expect(await staging.run({}, { deadline })).toMatchObject({
      outcome: expect.any(String),
      restored: false,
    });
    expect(staging.measured.notDrilled).toContain('out of time');
    const { length } = staging.world.asked;
    await staging.world.sleep(60_000);
    expect(staging.world.asked).toHaveLength(length);
    await staging.run({}, { event: { watch: true }, id: 'watch' });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('waits for its procedure, and holds its claim meanwhile', async () => {
    staging.procedure(() => new Promise(() => {}));
    later(14_000, () => staging.world.alarms.set(UNHEALTHY, 'ALARM'));
    const watched = staging.world.later(25 * MINUTE, () =>
      staging.run({}, { event: { watch: true }, id: 'watch' }),
    );
    const answer = await staging.run({ procedure: { stateMachine: MACHINE }, within: '30m' });
    expect(answer).toMatchObject({ outcome: 'inconclusive', restored: true });
    expect(await watched).toEqual({ done: expect.stringContaining('is at it') });
    expect(staging.measured.procedure).toMatchObject({ outcome: 'timed-out' });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('by a deployment of somebody else: the endpoint is as it was before the drill', async () => {
    await staging.world.config('new', [
      { name: 'primary', model: 'stale', instances: 2 },
      { name: 'candidate', model: 'bad', weight: 0 },
    ]);
    staging.procedure(() => staging.world.later(5_000, () => staging.deploy('new')));
    expect(await staging.run()).toMatchObject({ outcome: 'fail', restored: true });
    await staging.expectAsFound();
  });

  test('before it has begun: an endpoint that nobody may read has no verdict', async () => {
    staging.world.forbidden.add('sagemaker:DescribeEndpoint');
    await expect(staging.run()).rejects.toThrow('DescribeEndpoint');
    expect(subjects()).toEqual(['Tocsin: rollback drill staging not run']);
    expect(staging.world.changes).toEqual([]);
    expect(staging.world.left).toEqual([]);
  });
});

describe('what a dead run has left', () => {
  /** Lets a drill die for good once the bad model serves. */
  async function die(change: DrillChange = {}): Promise<void> {
    staging.procedure(() => staging.world.later(30_000, () => {}));
    const dying = staging.run(change, { id: 'dead' }).then(
      () => 'alive',
      () => 'dead',
    );
    later(12_000, () => {
      staging.world.aws.diesAfter = staging.world.aws.changes.length;
    });
    await staging.world.clock.until(Promise.race([dying, staging.world.later(13_000, () => {})]));
    await staging.world.revive();
    expect(staging.world.left).toContain(RECORD);
    expect(record()).toMatchObject({ drill: 'staging', failed: null });
  }

  test('is no business of the watch as long as its claim holds', async () => {
    await die();
    expect(await staging.run({}, { event: { watch: true }, id: 'watch' })).toEqual({
      done: expect.stringMatching(/^churn-staging: the execution dead-[0-9a-f]{8} is at it; /),
    });
    expect(staging.world.messages).toEqual([]);
  });

  test('is restored by hand after three minutes without a sign of life, and until then it is said when', async () => {
    await die();
    const byHand = () => staging.run({}, { event: { drill: 'staging', only: 'restore' }, id: 'by-hand' });
    const answer = (await byHand()) as { ignored: string };
    const [, from = ''] = /it is taken for dead from (\S+Z) on$/.exec(answer.ignored) ?? [];
    const leftMs = Date.parse(from) - staging.world.now();
    expect(leftMs).toBeGreaterThan(2.5 * MINUTE);
    expect(leftMs).toBeLessThan(3 * MINUTE);
    expect(staging.world.messages).toEqual([]);
    await staging.world.sleep(leftMs + 1000);
    expect(await staging.run({}, { event: { watch: true }, id: 'watch' })).toEqual({
      done: expect.stringContaining('is at it'),
    });
    expect(await byHand()).toEqual({ done: `${ENDPOINT} was restored` });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('is not restored by hand while a run is alive', async () => {
    staging.procedure(() => staging.world.later(10 * MINUTE, () => {}));
    const alive = staging.run({ within: '15m' });
    const answers = await Promise.all(
      [1, 4, 8].map((minutes) =>
        staging.world.later(minutes * MINUTE, () =>
          staging.run({}, { event: { drill: 'staging', only: 'restore' }, id: 'by-hand' }),
        ),
      ),
    );
    expect(answers).toEqual(Array(3).fill({ ignored: expect.stringContaining('is at it') }));
    expect(await alive).toMatchObject({ outcome: 'fail', restored: true });
  });

  test.each([
    ['by the watch', { watch: true }, { done: `${ENDPOINT} was restored` }],
    ['by hand', { drill: 'staging', only: 'restore' }, { done: `${ENDPOINT} was restored` }],
    ['by the next run', { drill: 'staging' }, { outcome: 'pass' }],
  ])('is restored %s', async (_who, event, answer) => {
    await die();
    await staging.world.sleep(16 * MINUTE);
    staging.procedure(() => staging.weigh({ primary: 1, candidate: 0 }));
    expect(await staging.run({}, { event, id: 'next' })).toMatchObject(answer);
    expect(subjects()[0]).toBe('Tocsin: rollback drill staging restored');
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('of a deployment is restored, and all that it made removed', async () => {
    const arn = await staging.world.package('worse', times(11));
    await die({ failure: { deployModel: { package: arn, role: ROLE } } });
    await staging.world.sleep(16 * MINUTE);
    await staging.run({}, { event: { watch: true }, id: 'watch' });
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('of a guardrail is restored, its alarm too', async () => {
    await staging.close();
    staging = await Staging.start({ deploymentConfig: GUARDED });
    await staging.world.fault({ endpoint: ENDPOINT, does: 'linger', ms: 20_000, times: 'always' });
    await die({ failure: { breakGuardrail: { alarm: ERRORS } }, procedure: undefined, within: '5m' });
    await staging.world.sleep(16 * MINUTE);
    staging.world.alarms.set(ERRORS, 'ALARM');
    await staging.run({}, { event: { watch: true }, id: 'watch' });
    expect(staging.world.alarms.get(ERRORS)).toBe('OK');
    await staging.expectAsFound();
    await staging.world.expectClean();
  });

  test('is nothing, where it is not', async () => {
    for (const event of [{ watch: true }, { drill: 'staging', only: 'restore' }]) {
      expect(await staging.run({}, { event })).toEqual({
        done: expect.stringContaining('nothing was left to restore'),
      });
    }
    expect(staging.world.messages).toEqual([]);
    expect(staging.world.left).toEqual([]);
  });

  test('that cannot be restored keeps the next drill from running, and says why', async () => {
    await die();
    await staging.world.sleep(16 * MINUTE);
    staging.world.forbidden.add('sagemaker:UpdateEndpointWeightsAndCapacities');
    await expect(staging.run({}, { id: 'next' })).rejects.toThrow(
      /is not as it was found by an earlier drill/,
    );
    await expect(
      staging.run({}, { event: { drill: 'staging', only: 'restore' }, id: 'by-hand' }),
    ).rejects.toThrow('could not be restored');
    expect(subjects()).toEqual([
      'Tocsin: rollback drill staging not restored',
      'Tocsin: rollback drill staging not run',
    ]);
    expect(staging.world.left).toContain(RECORD);
    expect(staging.world.aws.keys('work', 'claims/')).toEqual([]);
  });

  test('is left as it is where somebody has deployed something else by now', async () => {
    await die();
    await staging.world.sleep(16 * MINUTE);
    staging.world.forbidden.add('sagemaker:UpdateEndpointWeightsAndCapacities');
    await staging.run({}, { event: { watch: true }, id: 'watch-1' });
    staging.world.forbidden.clear();
    await staging.world.config('new', [{ name: 'primary', model: 'stale' }]);
    await staging.deploy('new');
    await staging.world.settled();
    const found = await staging.look();
    expect(await staging.run({}, { event: { watch: true }, id: 'watch-2' })).toEqual({
      done: `${ENDPOINT}: it has new by now, which somebody else has deployed: it was left as it is`,
    });
    expect(await staging.look()).toEqual(found);
    expect(subjects()).toEqual(['Tocsin: rollback drill staging not restored']);
    await staging.world.expectClean();
  });

  test('of an endpoint that is no more is forgotten', async () => {
    await die();
    await staging.world.sleep(16 * MINUTE);
    await staging.world.sagemaker.send(new DeleteEndpointCommand({ EndpointName: ENDPOINT }));
    await staging.world.settled();
    await staging.run({}, { event: { watch: true }, id: 'watch' });
    expect(subjects()).toEqual(['Tocsin: rollback drill staging not restored']);
    await staging.world.expectClean();
  });

  test('that cannot be removed is no reason to hold anybody up', async () => {
    const arn = await staging.world.package('worse', times(11));
    staging.world.forbidden.add('sagemaker:DeleteModel');
    staging.procedure(() => staging.deploy(CONFIG));
    const failure = { failure: { deployModel: { package: arn, role: ROLE } } };
    expect(await staging.run(failure)).toMatchObject({ outcome: 'pass', restored: true });
    expect(record().failed.why).toContain('DeleteModel');
    expect(staging.world.warned.join()).toContain('something could not be removed');
    staging.world.forbidden.clear();
    expect(await staging.run(failure, { id: 'next' })).toMatchObject({ outcome: 'pass' });
    await staging.world.expectClean();
  });
});

test('drills of one endpoint that one event starts take turns', async () => {
  const config = JSON.stringify({
    rollbackDrills: Object.fromEntries(
      ['first', 'second'].map((name) => [name, JSON.parse(configOf()).rollbackDrills.staging]),
    ),
  });
  const workflow = staging.world.workflow();
  const answers = await workflow.map('run each drill', ['first', 'second'], (part, drill) =>
    staging.drill(part, config, { drill }, staging.world.deps()),
  );
  expect(answers).toMatchObject([
    { drill: 'first', outcome: 'pass' },
    { drill: 'second', outcome: 'pass' },
  ]);
  const [first, second] = staging.world.started;
  expect(second!.at - first!.at).toBeGreaterThan(10_000);
  await staging.expectAsFound();
  await staging.world.expectClean();
});
