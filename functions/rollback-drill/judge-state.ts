import { capital } from '../shared/format.ts';
import type { EndpointState } from './endpoint.ts';
import type { Check, Judging } from './judging.ts';
import type { Measurements } from './measurements.ts';
import {
  byHandText,
  capacityDifferences,
  differences,
  imageDifferences,
  isDead,
  isRestored,
  leftAs,
  modelText,
  RUNBOOK,
  said,
  several,
  statusText,
  weightDifferences,
} from './words.ts';

/*
 * What the endpoint says of itself: whether the procedure has brought back what was there, and whether the drill has left it
 * so.
 */

/** Whether the endpoint is as it was found. Of a drill that has changed nothing there is nothing to say. */
export function judgeRestored(judging: Judging): void {
  const { measurements, endpoint } = judging;
  const { original, failure, restoration, fingerprints } = measurements;
  if (restoration === null && failure === null) return;
  const state = restoration === null ? undefined : restoration.state;
  const changed = original === null || state === undefined ? [] : differences(original.state, state);
  const finding = { check: 'restored', allowed: 'as it was found', path: ['endpoint'] } as const;

  if (!isRestored(measurements)) {
    const wrong = [
      ...changed,
      ...(restoration?.answers === false
        ? [`it does not answer as ${modelText(fingerprints, 'previous')} does`]
        : []),
    ];
    const why =
      restoration === null
        ? 'the drill has not restored it'
        : restoration.why === null
          ? ''
          : `restoring it failed: ${said(restoration.why)}`;
    const text = [several(wrong), why].filter((part) => part !== '').join('; ');
    const left = leftAs(measurements);
    const byHand =
      original === null
        ? ''
        : ` By hand: ${byHandText(original, left === undefined ? original.state : left)}.`;
    const isLost = left === null || left?.status === 'Failed';
    const restore = `Have it restored: tocsin drill rollback ${judging.drill.name} --restore.`;
    judging.add({
      ...finding,
      outcome: 'fail',
      message: `${endpoint} is not as it was found: ${text === '' ? 'why is not known' : text}.`,
      observed: wrong.length === 0 ? 'not restored' : several(wrong),
      help: `${isLost ? 'Tocsin cannot restore it.' : restore}${byHand} The runbook: ${RUNBOOK}.`,
    });
    return;
  }
  const done = restoration?.actions ?? [];
  const how =
    restoration?.outcome === 'unneeded' || done.length === 0
      ? 'nothing had to be restored'
      : several(done.map(said));
  const images = state == null || original === null ? [] : imageDifferences(original.state, state);
  const again = mayGoOn(measurements) ? ['its procedure may still run, and change it once more'] : [];
  const but = [...images, ...again];
  if (restoration?.answers === null) {
    judging.add({
      ...finding,
      outcome: 'inconclusive',
      message: `${endpoint} looks as it was found (${how}), but nobody could ask whether ${modelText(fingerprints, 'previous')} answers.`,
      observed: 'not known',
      help: `Ask it yourself; if another model answers: tocsin drill rollback ${judging.drill.name} --restore. The runbook: ${RUNBOOK}.`,
    });
    return;
  }
  const isSame = but.length === 0;
  judging.add({
    ...finding,
    outcome: isSame ? 'pass' : 'warn',
    message: `${endpoint} is as it was found, and ${modelText(fingerprints, 'previous')} answers: ${how}${isSame ? '' : `; but ${several(but)}`}.`,
    observed: isSame ? 'as it was found' : several(but),
    ...(!isSame && {
      help:
        images.length > 0
          ? 'A tag such as latest is another image by now: name images by their digests.'
          : `See that its run is over, and then that ${endpoint} is still as it is now.`,
    }),
  });
}

/** Whether a procedure may go on that the drill could not stop. */
function mayGoOn({ procedure }: Measurements): boolean {
  if (procedure === null || procedure.kind === 'guardrail') return false;
  const canBeStopped = procedure.kind === 'ssmAutomation' || procedure.kind === 'stateMachine';
  return procedure.outcome === 'unknown' || (procedure.outcome === 'timed-out' && !canBeStopped);
}

/** What the procedure has left, as the endpoint describes itself. */
export function judgeState(judging: Judging): void {
  const { after, original, procedure } = judging.measurements;
  if (original === null || procedure === null) return;
  if (after === null) {
    judging.add({
      check: 'configuration',
      outcome: 'fail',
      message: `${judging.endpoint} is gone: SageMaker knows no such endpoint any more; it had the configuration ${original.state.config}.`,
      allowed: original.state.config,
      observed: 'no endpoint',
      path: ['endpoint'],
      help: `See what the procedure deletes. To go on, ${byHandText(original, null)}.`,
    });
    return;
  }
  judgeConfiguration(judging, original.state, after.state);
  if (isDead(after.state)) {
    for (const check of ['images', 'weights', 'capacity'] as const) {
      judging.skip(check, `an endpoint that is ${after.state.status} has no fleet`);
    }
    return;
  }
  const add = (check: Check, found: readonly string[], fine: string, help: string): void => {
    const isFine = found.length === 0;
    judging.add({
      check,
      outcome: isFine ? 'pass' : 'fail',
      message: `${capital(isFine ? fine : several(found))}.`,
      allowed: 'as before',
      observed: isFine ? 'as before' : several(found),
      path: ['procedure'],
      ...(!isFine && { help }),
    });
  };
  if ([original, after].every(({ state }) => state.variants.every(({ images }) => images.length === 0))) {
    judging.skip('images', 'SageMaker says of no variant which image it runs');
  } else {
    add(
      'images',
      imageDifferences(original.state, after.state),
      'each variant runs the images from before, by digest',
      'Have the procedure name the former endpoint configuration: a tag such as latest may be another image by now.',
    );
  }
  add(
    'weights',
    weightDifferences(original.state, after.state),
    'the traffic is split as before',
    judging.drill.value.failure.shiftTraffic === undefined
      ? 'An update of an endpoint resets its weights: set them afterwards, or use RetainAllVariantProperties.'
      : 'Have the procedure bring back the weights from before, of every variant.',
  );
  add(
    'capacity',
    capacityDifferences(original.state, after.state),
    'each variant has its instances from before',
    'An update of an endpoint resets its numbers of instances: set them afterwards, or use RetainAllVariantProperties.',
  );
}

function judgeConfiguration(judging: Judging, before: EndpointState, now: EndpointState): void {
  const { original, after } = judging.measurements;
  const { endpoint } = judging;
  const hash = after?.configSha256 ?? null;
  const finding = {
    check: 'configuration',
    allowed: before.config,
    observed: now.config,
    path: ['procedure'],
  } as const;
  if (now.status !== 'InService') {
    judging.add({
      ...finding,
      outcome: 'fail',
      message: `${endpoint} is ${statusText(now)} after the procedure, and is to be InService on ${before.config}.`,
      observed: `${now.status} on ${now.config}`,
      help:
        now.status === 'UpdateRollbackFailed'
          ? 'It may serve a mix of models. Update it to a copy of its former endpoint configuration, as tocsin rollback does.'
          : 'Have the procedure wait until the endpoint is InService, and fail where it does not become so.',
    });
  } else if (hash === null) {
    judging.add({
      ...finding,
      outcome: 'fail',
      message: `${endpoint} is on the endpoint configuration ${now.config}, which does not exist any more: nobody can say what it serves, nor come back to it.`,
      help: 'Let nothing delete the endpoint configuration that an endpoint has.',
    });
  } else if (hash !== original?.configSha256) {
    judging.add({
      ...finding,
      outcome: 'fail',
      message:
        now.config === before.config
          ? `${endpoint} is on ${now.config} again, but that endpoint configuration says something else than before: it was deleted and made anew.`
          : `${endpoint} is on the endpoint configuration ${now.config}, and was on ${before.config}, which says something else.`,
      help: 'Have the procedure bring back the former endpoint configuration. Compare both: aws sagemaker describe-endpoint-config.',
    });
  } else if (now.config !== before.config) {
    judging.add({
      ...finding,
      outcome: 'warn',
      message: `${endpoint} is on the endpoint configuration ${now.config}, which says the same as ${before.config} from before.`,
      help: 'Whoever names endpoint configurations, such as a stack, has to know of the new name.',
    });
  } else {
    judging.add({
      ...finding,
      outcome: 'pass',
      message: `${endpoint} is on its endpoint configuration from before, ${before.config}, which says the same.`,
    });
  }
}

/** Whether the last deployment of the endpoint has the alarm that is to take it back. */
export function judgeGuardrail(judging: Judging): void {
  const { original } = judging.measurements;
  const alarm = judging.drill.value.failure.breakGuardrail?.alarm;
  if (alarm === undefined || original === null) return;
  const { guardrail } = original;
  const has = guardrail.includes(alarm);
  const others = guardrail.length === 0 ? 'none' : several(guardrail);
  judging.add({
    check: 'guardrail',
    outcome: has ? 'pass' : 'fail',
    message: has
      ? `The last deployment of ${judging.endpoint} has ${alarm} as an alarm of its guardrail.`
      : `The last deployment of ${judging.endpoint} does not have ${alarm} (${judging.at(['failure', 'breakGuardrail', 'alarm'])}) as an alarm of its guardrail: it has ${others}, so nothing takes a bad deployment back when ${alarm} rings.`,
    allowed: alarm,
    observed: others,
    path: ['failure', 'breakGuardrail', 'alarm'],
    ...(!has && {
      help: `Deploy with it: aws sagemaker update-endpoint --deployment-config '{"BlueGreenUpdatePolicy":{"TrafficRoutingConfiguration":{"Type":"ALL_AT_ONCE","WaitIntervalInSeconds":600}},"AutoRollbackConfiguration":{"Alarms":[{"AlarmName":"${alarm}"}]}}'`,
    }),
  });
}
