import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EndpointState, Target } from '../../../functions/rollback-drill/endpoint.ts';
import {
  type Act,
  doingOf,
  endOf,
  nextAction,
  type Past,
  type Taken,
  wordsOf,
} from '../../../functions/rollback-drill/steer.ts';
import { type End, EndpointModel, type Setup, TRANSITION_MS } from '../../support/endpoint-model.ts';

const CLONE = 'tocsin-rollback-1a2b3c4d';

const past = (taken: Taken[] = [], anew = false): Past => ({ clone: CLONE, anew, taken });

const variant = (name: string, weight: number, instances: number | null = 1) => ({
  name,
  weight,
  desiredWeight: weight,
  instances,
  desiredInstances: instances,
  images: [],
});

const endpoint = (change: Partial<EndpointState> = {}): EndpointState => ({
  at: 0,
  status: 'InService',
  config: 'churn-7',
  failureReason: null,
  pending: null,
  variants: [variant('candidate', 0), variant('primary', 1)],
  ...change,
});

const update = (config: string, retain = true): Act => ({ do: 'update', config, retain });
const failed = (act: Act, said: string | null = null): Taken => ({ act, worked: false, said });
const worked = (act: Act): Taken => ({ act, worked: true, said: null });
const why = (...args: Parameters<typeof nextAction>) => {
  const action = nextAction(...args);
  expect(action.do).toBe('stop');
  return (action as { why: string }).why;
};

describe('an endpoint that is where it belongs', () => {
  it('needs nothing', () => {
    const target = {
      config: 'churn-7',
      weights: { primary: 1, candidate: 0 },
      instances: { primary: 1, candidate: 1 },
    };
    expect(nextAction(endpoint(), target, past())).toEqual({ do: 'nothing' });
    expect(nextAction(endpoint(), {}, past())).toEqual({ do: 'nothing' });
  });

  it('may have weights that SageMaker keeps in single precision', () => {
    const state = endpoint({ variants: [variant('primary', Math.fround(0.1)), variant('candidate', 0.9)] });
    expect(nextAction(state, { weights: { primary: 0.1 } }, past())).toEqual({ do: 'nothing' });
    expect(nextAction(state, { weights: { primary: 0.1001 } }, past())).toMatchObject({ do: 'weigh' });
  });
});

describe('an endpoint that nothing can be done with', () => {
  it.each<[string, EndpointState | null, string]>([
    [
      'is gone',
      null,
      'the endpoint does not exist any more: create it again from the endpoint configuration churn-6',
    ],
    [
      'is being deleted',
      endpoint({ status: 'Deleting' }),
      'the endpoint is being deleted: create it again from the endpoint configuration churn-6 once it is gone',
    ],
    [
      'has failed',
      endpoint({ status: 'Failed', failureReason: 'no capacity' }),
      'the endpoint has failed (no capacity) and takes no change: delete it, and create it again from the endpoint configuration churn-6',
    ],
  ])('%s', (_, state, expected) => {
    expect(why(state, { config: 'churn-6' }, past())).toBe(expected);
  });

  it('is told without a configuration where nobody named one', () => {
    expect(why(null, { weights: { primary: 1 } }, past())).toBe(
      'the endpoint does not exist any more: create it again',
    );
  });
});

describe('what is under way', () => {
  it.each<[Partial<EndpointState>, string]>([
    [{ status: 'Creating' }, 'the endpoint is Creating'],
    [{ status: 'Updating', pending: 'churn-8' }, 'the endpoint is Updating to churn-8'],
    [{ status: 'SystemUpdating' }, 'the endpoint is SystemUpdating'],
    [{ status: 'RollingBack' }, 'the endpoint is RollingBack'],
    [
      { variants: [{ ...variant('primary', 1), desiredInstances: 2 }] },
      'the endpoint is still changing its weights or instances',
    ],
  ])('is waited for: %j', (change, expected) => {
    expect(nextAction(endpoint(change), { config: 'churn-6' }, past())).toEqual({
      do: 'wait',
      why: expected,
    });
  });
});

describe('an endpoint with another configuration', () => {
  const target = { config: 'churn-6', weights: { primary: 1 } };

  it('is updated first, since that resets the weights', () => {
    const state = endpoint({ variants: [variant('primary', 0.5)] });
    expect(nextAction(state, target, past())).toEqual(update('churn-6'));
    expect(nextAction({ ...state, config: 'churn-6' }, target, past([worked(update('churn-6'))]))).toEqual({
      do: 'weigh',
      changes: [{ variant: 'primary', weight: 1 }],
    });
  });

  it('is updated once more, without deployment configuration, where the update came to nothing', () => {
    const once = past([failed(update('churn-6'))]);
    expect(nextAction(endpoint(), target, once)).toEqual(update('churn-6', false));
  });

  it('is left where both came to nothing, with what SageMaker said', () => {
    const silent = past([failed(update('churn-6')), failed(update('churn-6', false))]);
    expect(why(endpoint(), target, silent)).toBe(
      'it stays as it is: 2 updates to the endpoint configuration churn-6 failed, the last without deployment configuration: SageMaker gives no reason',
    );
    const told = past([
      failed(update('churn-6'), 'an alarm rang'),
      failed(update('churn-6', false), 'quota'),
    ]);
    expect(why(endpoint(), target, told)).toMatch(/: an alarm rang; then: quota$/);
  });
});

describe('an endpoint that serves a mix', () => {
  const mixed = endpoint({ status: 'UpdateRollbackFailed' });
  const clone: Act = { do: 'clone', from: 'churn-7', to: CLONE };

  it('goes by way of a copy, whose name is new for certain, to the name that it is to have', () => {
    for (const config of ['churn-6', 'churn-7']) {
      expect(nextAction(mixed, { config }, past())).toEqual({ do: 'clone', from: config, to: CLONE });
    }
    const target = { config: 'churn-7' };
    expect(nextAction(mixed, target, past([worked(clone)]))).toEqual(update(CLONE));
    const onClone = endpoint({ config: CLONE });
    expect(nextAction(onClone, target, past([worked(clone), worked(update(CLONE))]))).toEqual(
      update('churn-7'),
    );
  });

  it('is at rest although its instances do not count as they should', () => {
    const variants = [{ ...variant('primary', 1), instances: 1, desiredInstances: 2 }];
    expect(nextAction({ ...mixed, variants }, { config: 'churn-7' }, past())).toEqual(clone);
  });

  it('that came of a deployment of a copy goes by way of another copy, without deployment configuration', () => {
    const taken = [worked(clone), failed(update(CLONE))];
    const second: Act = { ...clone, to: `${CLONE}-2` };
    expect(nextAction(mixed, { config: 'churn-7' }, past(taken))).toEqual(second);
    taken.push(worked(second));
    expect(nextAction(mixed, { config: 'churn-7' }, past(taken))).toEqual(update(`${CLONE}-2`, false));
    taken.push(failed(update(`${CLONE}-2`, false), 'quota'));
    expect(why(mixed, { config: 'churn-7' }, past(taken))).toBe(
      'it stays as it is: 2 updates to a copy of churn-7 failed, the last without deployment configuration: SageMaker gives no reason; then: quota',
    );
  });

  it('whose copies have failed is still tried twice under the name that it is to have', () => {
    const second: Act = { ...clone, to: `${CLONE}-2` };
    const taken = [worked(clone), failed(update(CLONE)), worked(second), worked(update(`${CLONE}-2`, false))];
    const onClone = endpoint({ config: `${CLONE}-2` });
    taken.push(failed(update('churn-7', false)));
    expect(nextAction(onClone, { config: 'churn-7' }, past(taken))).toEqual(update('churn-7', false));
  });

  it('cannot be helped without a configuration, or where none can be copied', () => {
    expect(why(mixed, { weights: { primary: 1 } }, past())).toMatch(
      /serves a mix of two endpoint configurations.*Roll it back to the endpoint configuration/,
    );
    expect(why(mixed, { config: 'churn-7' }, past([failed(clone, 'quota'), failed(clone, 'quota')]))).toBe(
      'the endpoint configuration churn-7 could not be copied: quota',
    );
  });

  it('gets its weights under the name of the copy, where its own name cannot be had, and says so', () => {
    const stuck = past([
      worked(clone),
      worked(update(CLONE)),
      failed(update('churn-7')),
      failed(update('churn-7', false)),
    ]);
    const state = endpoint({ config: CLONE, variants: [variant('primary', 0.5)] });
    const target = { config: 'churn-7', weights: { primary: 1 } };
    expect(nextAction(state, target, stuck)).toMatchObject({ do: 'weigh' });
    expect(why({ ...state, variants: [variant('primary', 1)] }, target, stuck)).toMatch(
      new RegExp(`^it serves what churn-7 says, under the name ${CLONE}, but 2 updates to the endpoint`),
    );
  });
});

describe('an endpoint that is out of service', () => {
  const down = endpoint({ status: 'OutOfService' });

  it('is deployed anew, by way of a copy only where it has the configuration already', () => {
    expect(nextAction(down, { config: 'churn-6' }, past())).toEqual(update('churn-6'));
    const clone: Act = { do: 'clone', from: 'churn-7', to: CLONE };
    expect(nextAction(down, { config: 'churn-7' }, past())).toEqual(clone);
    expect(nextAction(down, { config: 'churn-7' }, past([worked(clone)]))).toEqual(update(CLONE));
  });

  it('is no place for weights', () => {
    expect(why(down, { weights: { primary: 1 } }, past())).toMatch(
      /is OutOfService: it answers nobody, and takes no weights until one is deployed again/,
    );
  });
});

describe('an endpoint that serves something else under the right name', () => {
  it('is deployed anew by way of a copy', () => {
    const target = { config: 'churn-7' };
    const clone: Act = { do: 'clone', from: 'churn-7', to: CLONE };
    expect(nextAction(endpoint(), target, past([], true))).toEqual(clone);
    const taken = [worked(clone), worked(update(CLONE))];
    expect(nextAction(endpoint({ config: CLONE }), target, past(taken, true))).toEqual(update('churn-7'));
    taken.push(worked(update('churn-7')));
    expect(nextAction(endpoint(), target, past(taken, true))).toEqual({ do: 'nothing' });
  });

  it('needs no copy where it has another name by now', () => {
    expect(nextAction(endpoint({ config: 'churn-8' }), { config: 'churn-7' }, past([], true))).toEqual(
      update('churn-7'),
    );
  });
});

describe('weights and instances', () => {
  it('are set in one call, and only those that differ', () => {
    const target = { weights: { primary: 0.9, candidate: 0.1 }, instances: { primary: 2, candidate: 1 } };
    expect(nextAction(endpoint(), target, past())).toEqual({
      do: 'weigh',
      changes: [
        { variant: 'candidate', weight: 0.1 },
        { variant: 'primary', weight: 0.9, instances: 2 },
      ],
    });
  });

  it('of variants that there are not are told with those that there are', () => {
    expect(why(endpoint(), { weights: { primry: 1, x: 0 } }, past())).toBe(
      'the endpoint has no variant primry and x: it has candidate and primary',
    );
    expect(why(endpoint(), { instances: { canary: 1 } }, past())).toMatch(/no variant canary/);
  });

  it('are never all zero, whatever the target says', () => {
    expect(why(endpoint(), { weights: { primary: 0 } }, past())).toMatch(/no variant would keep a weight/);
    // What is 0 in single precision is 0.
    expect(why(endpoint(), { weights: { primary: 1e-60 } }, past())).toMatch(/no variant would keep/);
  });

  it('that were taken over in part are not waited for, but set again', () => {
    const part = endpoint({
      variants: [
        { ...variant('candidate', 0.5), desiredWeight: 0 },
        { ...variant('primary', 0.5), desiredWeight: 1 },
      ],
    });
    const act: Act = {
      do: 'weigh',
      changes: [
        { variant: 'candidate', weight: 0 },
        { variant: 'primary', weight: 1 },
      ],
    };
    expect(endOf(act, null, part)).toEqual(failed(act));
    const target = { weights: { primary: 1, candidate: 0 } };
    expect(nextAction(part, target, past([failed(act)]))).toEqual(act);
  });

  it('are set twice at most', () => {
    const act: Act = { do: 'weigh', changes: [{ variant: 'primary', weight: 0.5, instances: 2 }] };
    const target = { weights: { primary: 0.5 }, instances: { primary: 2 } };
    expect(nextAction(endpoint(), target, past([failed(act)]))).toEqual(act);
    expect(why(endpoint(), target, past([failed(act, 'no capacity'), failed(act)]))).toBe(
      'setting variant primary to weight 0.5 and 2 instances failed twice: no capacity; then: SageMaker gives no reason',
    );
  });
});

describe('what came of it', () => {
  it('is judged by the configuration, not by InService', () => {
    const act = update('churn-6');
    expect(endOf(act, null, endpoint({ config: 'churn-6' }))).toEqual(worked(act));
    expect(endOf(act, null, endpoint())).toEqual(failed(act));
    expect(endOf(act, null, endpoint({ failureReason: 'an alarm rang' }))).toEqual(
      failed(act, 'an alarm rang'),
    );
    expect(endOf(act, null, endpoint({ config: 'churn-6', status: 'UpdateRollbackFailed' }))).toEqual(
      failed(act),
    );
    expect(endOf(act, null, null)).toEqual(failed(act));
    expect(endOf(act, 'it is taken', endpoint())).toEqual(failed(act, 'it is taken'));
  });

  it('is told in words', () => {
    const weigh: Act = { do: 'weigh', changes: [{ variant: 'primary', weight: 1, instances: 1 }] };
    expect(wordsOf(worked(weigh))).toBe('set variant primary to weight 1 and 1 instance');
    expect(wordsOf(failed(update('churn-6')))).toBe(
      'updated the endpoint to the endpoint configuration churn-6, in vain: SageMaker gives no reason',
    );
    expect(doingOf({ do: 'clone', from: 'a', to: 'b' })).toBe('copying the endpoint configuration a to b');
    expect(endOf({ do: 'clone', from: 'a', to: 'b' }, null, null).worked).toBe(true);
  });
});

describe('from any state', () => {
  const CONFIGS = ['churn-6', 'churn-7', 'churn-8'];
  const VARIANTS = ['candidate', 'primary'];
  const numbers = (arbitrary: fc.Arbitrary<number>, names = VARIANTS) =>
    fc.dictionary(fc.constantFrom(...names), arbitrary, { maxKeys: 3 });
  const config = fc.constantFrom(...CONFIGS);
  const weight = fc.constantFrom(0, 0.1, 1, 2);
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const end: fc.Arbitrary<End> = fc.constantFrom<End>(
    'done',
    'silent',
    { reason: 'an alarm rang' },
    'mixed',
    'Failed',
  );

  const scenario = fc
    .record({
      setup: fc.record({
        status: fc.constantFrom<NonNullable<Setup['status']>>(
          'InService',
          'InService',
          'Creating',
          'Updating',
          'SystemUpdating',
          'RollingBack',
          'UpdateRollbackFailed',
          'UpdateRollbackFailed',
          'Deleting',
          'Failed',
          'OutOfService',
        ),
        config,
        pending: optional(config),
        serves: optional(fc.constant('something else')),
        weights: numbers(weight),
        instances: numbers(fc.integer({ min: 1, max: 3 })),
      }),
      target: fc.record({
        config: optional(config),
        // Of a variant that some configurations do not have, too.
        weights: optional(numbers(weight, [...VARIANTS, 'shadow'])),
        instances: optional(numbers(fc.integer({ min: 1, max: 3 }))),
      }),
      anew: fc.boolean(),
      ends: fc.array(end, { maxLength: 8 }),
    })
    // Which SageMaker does not have: a variant with traffic there always is.
    .filter(({ setup }) => VARIANTS.some((name) => (setup.weights[name] ?? 1) > 0))
    .filter(({ setup }) => setup.pending !== setup.config);

  function steered({
    setup,
    target: wanted,
    anew,
    ends,
  }: typeof scenario extends fc.Arbitrary<infer T> ? T : never) {
    let now = 0;
    const model = new EndpointModel(() => now);
    for (const name of CONFIGS) {
      const variants = Object.fromEntries(
        [...VARIANTS, ...(name === 'churn-8' ? ['shadow'] : [])].map((one) => [
          one,
          { weight: 1, instances: 1 },
        ]),
      );
      model.configs.set(name, { content: name, variants });
    }
    model.ends.push(...ends);
    const { pending, serves, ...rest } = setup;
    model.set({ ...rest, ...(pending && { pending }), ...(serves && { serves }) });
    const target = JSON.parse(JSON.stringify(wanted)) as Target;
    const taken: Taken[] = [];
    let acts = 0;
    for (let turn = 0; turn < 40; turn++) {
      const action = nextAction(model.state, target, past(taken, anew));
      if (action.do === 'nothing' || action.do === 'stop') return { model, target, action, acts };
      if (action.do !== 'wait') {
        acts++;
        let refused: string | null = null;
        try {
          if (action.do === 'update') model.update(action.config, action.retain);
          else if (action.do === 'weigh') model.weigh(action.changes);
          else model.clone(action.from, action.to);
        } catch (error) {
          refused = (error as Error).message;
        }
        if (model.isBusy) now += TRANSITION_MS;
        taken.push(endOf(action, refused, model.state));
      } else now += TRANSITION_MS;
    }
    throw new Error(`it does not end: ${taken.map(wordsOf).join('; ')}`);
  }

  it('it gets there or says why not, in a few changes, and asks for nothing that must not be', () => {
    fc.assert(
      fc.property(scenario, (given) => {
        const { model, target, action, acts } = steered(given);
        expect(model.violations).toEqual([]);
        expect(acts).toBeLessThanOrEqual(10);
        if (action.do === 'stop') {
          expect(action.why.length).toBeGreaterThan(20);
          return;
        }
        const state = model.state!;
        expect(state.status).toBe('InService');
        expect(state).toMatchObject(target.config === undefined ? {} : { config: target.config });
        for (const { name, weight, instances } of state.variants) {
          expect(weight).toBe(target.weights?.[name] ?? weight);
          expect(instances).toBe(target.instances?.[name] ?? instances);
        }
        if (given.anew && target.config !== undefined) expect(model.serves).toBe(target.config);
      }),
      { seed: 5, numRuns: 3_000 },
    );
  });

  it('it gets there where SageMaker does as it is asked, and there is anything to bring there', () => {
    const feasible = scenario.filter(
      ({ setup, target }) =>
        !['Deleting', 'Failed'].includes(setup.status) &&
        (target.config !== undefined || !['UpdateRollbackFailed', 'OutOfService'].includes(setup.status)) &&
        target.weights?.shadow === undefined &&
        VARIANTS.every((name) => (target.weights?.[name] ?? 1) > 0),
    );
    fc.assert(
      fc.property(feasible, (given) => {
        const { model, action, acts } = steered({ ...given, ends: [] });
        expect(action).toEqual({ do: 'nothing' });
        expect(model.violations).toEqual([]);
        // A copy, to it, back, and weights.
        expect(acts).toBeLessThanOrEqual(4);
      }),
      { seed: 5, numRuns: 1_000 },
    );
  });
});
