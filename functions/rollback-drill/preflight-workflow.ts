import { mapLimit } from '../shared/aws.ts';
import { GateInputError } from '../shared/errors.ts';
import { listOf } from '../shared/format.ts';
import { ask, goldenPlace, readGolden } from '../shared/golden.ts';
import { fingerprintId, isSame, type Prediction } from '../shared/prediction.ts';
import type { Workflow } from '../shared/workflow.ts';
import { alarmStates } from './adapters/alarms.ts';
import { readSnapshot } from './adapters/endpoint.ts';
import type { EndpointState } from './endpoint.ts';
import type { Fingerprint } from './measurements.ts';
import { tellingOf } from './prediction.ts';
import {
  goldenOf,
  hold,
  type Known,
  markOf,
  NotDrilled,
  type Prepared,
  type RollbackDrillDependencies,
  type Run,
} from './run-workflow.ts';
import {
  ALLOWED,
  DRILL_PREFIX,
  DRILL_TAG,
  isProductionName,
  isProductionTagged,
  type LocatedRollbackDrill,
} from './schema.ts';
import { isChanging } from './timeline.ts';

/*
 * What has to hold before anything is changed: the endpoint may be drilled, is at rest, and its models are known by what
 * they answer. Nothing here changes anything.
 */

/** Golden requests that one step asks: what a step returns is bounded. */
const BATCH = 10;
/** Requests at a time. */
const CONCURRENCY = 4;
/** How often one is asked until it is answered, and the pause in between. */
const TRIES = 3;
const PAUSE_MS = 2_000;

/**
 * Reads the golden requests, which everything else is measured with.
 *
 * @throws GateInputError where there are none that can be used
 */
export async function begin(workflow: Workflow, run: Run, deps: RollbackDrillDependencies): Promise<Known> {
  const { value } = run.drill;
  const place = goldenPlace(value.golden, deps.env.DATA_BUCKET);
  const golden = await workflow.step('read the golden requests', async () => {
    await run.report('reading the golden requests');
    const { requests, ...of } = await readGolden(deps.s3, place);
    return { ...of, requests: requests.length };
  });
  return {
    measured: {
      endpoint: value.endpoint,
      original: null,
      golden,
      fingerprints: [],
      telling: [],
      failure: null,
      procedure: null,
      after: null,
      restoration: null,
      notDrilled: null,
    },
    marks: [],
    slices: 0,
    golden: goldenOf(deps.s3, place, golden.sha256),
  };
}

/**
 * Looks whether the endpoint may be drilled, and finds out who serves. What it has found is in `found` also where it throws.
 *
 * @throws GateInputError where somebody has to correct something
 * @throws NotDrilled where the world is not as it has to be
 */
export async function prepare(
  workflow: Workflow,
  run: Run,
  found: Known,
  deps: RollbackDrillDependencies,
): Promise<Prepared> {
  const { value } = run.drill;
  const { measured } = found;
  const endpoint = await workflow.step('read the endpoint', async () => {
    await run.report('reading the endpoint');
    return readSnapshot(deps.sagemaker, value.endpoint, deps.now);
  });
  if (endpoint === null) {
    throw new GateInputError(`there is no endpoint ${value.endpoint}`, {
      help: 'Create it, or correct endpoint of the drill.',
    });
  }
  const { snapshot, tags, models, plain } = endpoint;
  measured.original = snapshot;
  refuseForbidden(run.drill, tags);
  refuseUnfit(run.drill, snapshot.state, plain);
  if (!isAtRest(snapshot.state)) throw new NotDrilled(unrest(snapshot.state));
  const left = [snapshot.state.config, ...Object.values(models)].find((name) =>
    name.startsWith(DRILL_PREFIX),
  );
  if (left !== undefined) {
    // There is no record of it here: what another Tocsin drills, or has left, is nobody's previous model.
    throw new NotDrilled(
      `another drill has made ${left}, which the endpoint has: deploy what it is to serve`,
    );
  }
  const alarm = await lookAtAlarms(workflow, run.drill, snapshot.guardrail, deps);

  const { shiftTraffic } = value.failure;
  const bad = snapshot.state.variants.find(({ name }) => name === shiftTraffic?.to);
  if (bad !== undefined && (bad.weight > 0 || bad.desiredWeight > 0)) {
    throw new NotDrilled(
      `variant ${bad.name}, which is to be the bad one, has a part of the traffic already`,
    );
  }
  for (const { name, weight } of snapshot.state.variants) {
    if (weight > 0)
      measured.fingerprints.push(await fingerprint(workflow, run, found, name, 'previous', deps));
  }
  if (bad !== undefined) {
    measured.fingerprints.push(await fingerprint(workflow, run, found, bad.name, 'bad', deps));
    tellApart(run, found);
  }
  return { ...found, snapshot, models, alarm };
}

/** Whether whoever owns the endpoint wants it drilled. */
function refuseForbidden({ value }: LocatedRollbackDrill, tags: Record<string, string>): void {
  const { endpoint, allowProduction } = value;
  if (tags[DRILL_TAG] !== ALLOWED) {
    throw new GateInputError(`the endpoint ${endpoint} is not tagged ${DRILL_TAG} = ${ALLOWED}`, {
      help: 'Tag it, where it is a staging endpoint that may serve a bad model for a while.',
    });
  }
  if (allowProduction === undefined && (isProductionName(endpoint) || isProductionTagged(tags))) {
    throw new GateInputError(`the endpoint ${endpoint} is production by its name or its tags`, {
      help: 'Drill staging, or say why production may be drilled in allowProduction: { endpoint, because }.',
    });
  }
}

/** Whether the drill fits the endpoint. */
function refuseUnfit(
  { value }: LocatedRollbackDrill,
  { variants }: EndpointState,
  plain: string | null,
): void {
  const { endpoint, failure } = value;
  if (plain !== null) throw new GateInputError(`the endpoint ${endpoint} cannot be drilled: ${plain}`);
  const { shiftTraffic } = failure;
  if (shiftTraffic !== undefined && !variants.some(({ name }) => name === shiftTraffic.to)) {
    const names = variants.map(({ name }) => name);
    throw new GateInputError(
      `the endpoint ${endpoint} has no variant ${shiftTraffic.to}; it has ${listOf(names)}`,
      { help: 'Correct failure.shiftTraffic.to of the drill, or deploy the variant with a weight of 0.' },
    );
  }
}

/** Whether nothing is under way at an endpoint, and nothing was left undone. */
function isAtRest(state: EndpointState): boolean {
  return state.status === 'InService' && !isChanging(state);
}

function unrest({ status, failureReason, pending }: EndpointState): string {
  const why = failureReason === null ? '' : `: ${failureReason}`;
  if (status !== 'InService') return `the endpoint is ${status}${why}`;
  if (pending !== null) return `a deployment of the endpoint configuration ${pending} goes on`;
  return 'weights or instances of the endpoint are still changing';
}

/** @returns the alarm that the drill is to set off, and its state */
async function lookAtAlarms(
  workflow: Workflow,
  { value }: LocatedRollbackDrill,
  guardrail: readonly string[],
  deps: RollbackDrillDependencies,
): Promise<Prepared['alarm']> {
  const { stopIf, failure, endpoint } = value;
  const own = failure.breakGuardrail?.alarm;
  if (own !== undefined && !guardrail.includes(own)) {
    throw new GateInputError(
      `the last deployment of the endpoint ${endpoint} had no guardrail with the alarm ${own}, but ${listOf(guardrail) || 'none'}`,
      {
        help: 'Deploy the endpoint once with AutoRollbackConfiguration.Alarms: the drill deploys as that did.',
      },
    );
  }
  if (own !== undefined && stopIf.includes(own)) {
    throw new GateInputError(`stopIf names ${own}, the alarm that the drill itself sets off`);
  }
  const names = [...new Set([...stopIf, ...(own === undefined ? [] : [own])])];
  if (names.length === 0) return null;
  const states = await workflow.step('read the alarms', () => alarmStates(deps.cloudwatch, names));
  const missing = names.filter((name) => states[name] === null);
  if (missing.length > 0) {
    throw new GateInputError(`there is no alarm ${listOf(missing, 'or')}`, {
      help: `Create it, or correct ${own !== undefined && missing.includes(own) ? 'failure.breakGuardrail.alarm' : 'stopIf'} of the drill.`,
    });
  }
  const ringing = names.filter((name) => states[name] === 'ALARM');
  if (ringing.length > 0) {
    const are = ringing.length === 1 ? `the alarm ${ringing[0]} is` : `the alarms ${listOf(ringing)} are`;
    throw new NotDrilled(`${are} in ALARM: a real incident comes first`);
  }
  const state = own === undefined ? undefined : states[own];
  if (own === undefined || state === undefined || state === null || state === 'ALARM') return null;
  return { name: own, state };
}

// ---------------------------------------------------------------------------------------------------------
// Fingerprints
// ---------------------------------------------------------------------------------------------------------

/** What a variant has answered to a golden request, or why that is no answer to know it by. */
type Told = { prediction: Prediction } | { refused: string };

/**
 * Asks a variant every golden request, twice.
 *
 * @throws NotDrilled where it does not answer, or not always the same, or not as it was recorded
 */
export async function fingerprint(
  workflow: Workflow,
  run: Run,
  { measured, golden }: Pick<Known, 'measured' | 'golden'>,
  variant: string,
  part: Fingerprint['part'],
  deps: RollbackDrillDependencies,
): Promise<Fingerprint> {
  const { failure } = run.drill.value;
  const mayFail = part === 'bad' && failure.deployModel?.faulty === true;
  const predictions: Prediction[] = [];
  for (let from = 0; from < measured.golden.requests; from += BATCH) {
    const told = await workflow.step(`ask variant ${variant}, from golden request ${from + 1}`, async () => {
      await run.report(`asking variant ${variant}`);
      await hold(run.drill.value.endpoint, run.execution, deps);
      const requests = (await golden()).slice(from, from + BATCH);
      return mapLimit(requests, CONCURRENCY, ({ body, prediction }) =>
        askTwice(run, { body, variant, recorded: part === 'bad' ? undefined : prediction }, deps),
      );
    });
    for (const [index, one] of told.entries()) {
      if ('prediction' in one) predictions.push(one.prediction);
      // What fails is known by that, too.
      else if (mayFail) predictions.push(null);
      else throw new NotDrilled(`variant ${variant}, golden request ${from + index + 1}: ${one.refused}`);
    }
  }
  return { id: fingerprintId(predictions), variant, part, predictions };
}

async function askTwice(
  run: Run,
  { body, variant, recorded }: { body: string; variant: string; recorded: Prediction | undefined },
  deps: RollbackDrillDependencies,
): Promise<Told> {
  const { tolerance } = run.drill.value;
  const [first, second] = [
    await askPatiently(run, body, variant, deps),
    await askPatiently(run, body, variant, deps),
  ];
  if ('refused' in first) return first;
  if ('refused' in second) return second;
  if (!isSame(first.prediction, second.prediction, tolerance)) {
    return { refused: 'it was answered differently the second time, so nothing tells who answers' };
  }
  if (recorded !== undefined && !isSame(first.prediction, recorded, tolerance)) {
    return { refused: 'the answer is not the recorded prediction, so another model serves already' };
  }
  return first;
}

/** Asks until there is an answer, a few times. */
async function askPatiently(
  { drill, token }: Run,
  body: string,
  variant: string,
  { runtime, sleep }: RollbackDrillDependencies,
): Promise<Told> {
  const { endpoint, content } = drill.value;
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(runtime, { endpoint, content, body, variant, mark: markOf(token) });
    if (!('error' in answer)) return { prediction: answer.prediction };
    if (attempt === TRIES) return { refused: `there is no answer (${answer.error})` };
    await sleep(PAUSE_MS);
  }
}

/**
 * Finds the golden requests that tell the bad model from those before.
 *
 * @throws NotDrilled where none does
 */
export function tellApart({ drill }: Run, { measured }: Pick<Known, 'measured'>): void {
  measured.telling = tellingOf(measured.fingerprints, drill.value.tolerance);
  if (measured.telling.length > 0) return;
  throw new NotDrilled(
    'the bad model answers every golden request as the previous model does, so nothing tells them apart',
  );
}
