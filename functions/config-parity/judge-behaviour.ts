import { capital, countOf, listOf } from '../shared/format.ts';
import type { ProbeOutcome } from './comparison.ts';
import type { Judging } from './judging.ts';
import { differenceText } from './words.ts';

/*
 * Whether both environments behave alike. Pure.
 */

/** Examples and settings that are named in one message. */
const NAMED = 3;

/** How the probes went. */
export function judgeBehaviour(judging: Judging): void {
  const { evaluation, parity } = judging;
  for (const outcome of evaluation.probes) addProbe(judging, outcome);
  if (evaluation.probes.length === 0) {
    judging.skip(
      parity.name,
      'behaviour',
      'tocsin.yaml has no probes of it: nobody asked both endpoints the same',
    );
  }
}

function addProbe(
  judging: Judging,
  { probe, outcome, asked, agreed, answered, why, examples }: ProbeOutcome,
): void {
  const endpoint = judging.parity.value.probes[probe]?.endpoint ?? probe;
  const such = examples
    .slice(0, NAMED)
    .map(
      ({ golden, staging, production, recorded }) =>
        `number ${golden} is ${staging} in staging and ${production} in production${recorded === undefined ? '' : ` (recorded: ${recorded})`}`,
    );
  const message =
    outcome === 'pass'
      ? `Probe ${probe}: ${why}.`
      : outcome === 'inconclusive'
        ? `Probe ${probe}: whether ${endpoint} answers alike in both is not known: ${why}.`
        : `Probe ${probe} of ${endpoint}: ${why}.${such.length === 0 ? '' : ` ${capital(listOf(such))}.`} ${settingsText(judging, endpoint)}`;
  judging.add({
    check: 'behaviour',
    subject: `probe ${probe}`,
    outcome,
    message,
    allowed: 'all alike, and as recorded',
    observed: `${agreed} of ${asked}${answered === asked ? '' : `, ${answered} answered`}`,
    limit: asked,
    value: agreed,
    path: ['probes', probe],
    ...(outcome === 'fail' && { help: helpOf(judging, endpoint) }),
    ...(outcome === 'inconclusive' && {
      help: /AccessDenied/.test(why)
        ? 'Let the role that reads that environment do sagemaker:InvokeEndpoint on it.'
        : 'See why an endpoint does not answer, or correct the golden requests.',
    }),
  });
}

/** Whether the settings of the model say why: the next that whoever reads this would look up. */
function settingsText(judging: Judging, endpoint: string): string {
  const settings = settingsOf(judging, endpoint);
  const [first] = settings;
  if (first === undefined) return 'No setting of its model that was compared differs.';
  const more = settings.length - NAMED;
  const named = settings.slice(0, NAMED).map(differenceText);
  return `Of its model ${countOf(settings.length, 'setting')} ${settings.length === 1 ? 'differs' : 'differ'}: ${listOf([...named, ...(more > 0 ? [`${more} more`] : [])])}.`;
}

/** Differences of the models of an endpoint that may change what they answer. */
function settingsOf({ evaluation }: Judging, endpoint: string) {
  return evaluation.comparison.differences.filter(
    ({ kind, path: [resource, name] }) =>
      kind !== 'cosmetic' &&
      resource === 'models' &&
      (name === endpoint || name?.startsWith(`${endpoint}/`) === true),
  );
}

function helpOf(judging: Judging, endpoint: string): string {
  return settingsOf(judging, endpoint).length > 0
    ? 'Make the settings of the model equal, and compare again.'
    : 'Look at what is not compared: the bytes of the model, what it looks up while it answers, code in an image without a digest.';
}
