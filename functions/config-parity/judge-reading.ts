import { countOf, formatNumber, listOf } from '../shared/format.ts';
import type { Ambiguous, Comparison } from './comparison.ts';
import { dayOf, daysBetween, type Judging } from './judging.ts';
import type { Path } from './path.ts';
import { type Pair, pairName, SIDES, type Side } from './schema.ts';
import {
  NO_DATABASE,
  NO_STACK,
  NOT_COMPARED,
  NOTHING_SELECTED,
  type Resource,
  type Unreadable,
} from './snapshot.ts';

/*
 * What could not be read or compared, and how old is what was. Pure.
 */

/** Things that are named in one finding, and findings of one check. */
const NAMED = 5;
const MOST = 100;

/** Days after which a snapshot says little of what its environment is now. */
const OLD_DAYS = 7;

/** Everything that was not read: whether it is equal is not known. */
export function judgeUnreadable(judging: Judging): void {
  for (const side of SIDES) {
    const groups = groupsOf(judging.snapshots[side].unreadable);
    for (const group of groups.slice(0, MOST)) addUnreadable(judging, side, group);
    const rest = groups.slice(MOST).flat();
    if (rest.length > 0) {
      judging.add({
        check: 'unreadable',
        subject: side,
        outcome: 'inconclusive',
        message: `${countOf(rest.length, 'more thing')} could not be read in ${side}: ${side}.json has all.`,
        allowed: 'everything is read',
        observed: `${formatNumber(rest.length)} not read`,
        path: [side],
      });
    }
  }
}

/** What failed in the same way, the most first. */
function groupsOf(entries: readonly Unreadable[]): Unreadable[][] {
  const groups = Map.groupBy(entries, ({ action, why }) => JSON.stringify([action, why]));
  return [...groups.values()].sort((a, b) => b.length - a.length);
}

function addUnreadable(judging: Judging, side: Side, group: readonly Unreadable[]): void {
  const [first] = group;
  if (first === undefined) return;
  const { action, why } = first;
  const names = namesOf(group.map(({ physical }) => physical));
  judging.add({
    check: 'unreadable',
    subject: `${action} in ${side}`,
    outcome: 'inconclusive',
    message: `${countOf(group.length, 'thing')} could not be read in ${side}, so whether ${group.length === 1 ? 'it is' : 'they are'} equal is not known: ${action} failed (${why}) of ${names}.`,
    allowed: 'everything is read',
    observed: `${formatNumber(group.length)} not read`,
    value: group.length,
    path: [side],
    help: remedyOf(judging, side, action, why, group.length === 1 ? 'it' : 'them'),
  });
}

function remedyOf({ parity }: Judging, side: Side, action: string, why: string, on: string): string {
  if (/AccessDenied|Unauthorized|Forbidden|NotAuthorized/i.test(why)) {
    const { role } = parity.value[side];
    return role === undefined
      ? `Let Tocsin's role do ${action} on ${on}: deploy Tocsin with the tocsin.yaml of today.`
      : `Let ${role} do ${action} on ${on}: tocsin parity role ${parity.name} --for ${side} prints what it has to be.`;
  }
  if (/Throttl|TooManyRequests|RateExceeded|LimitExceeded|SlowDown/i.test(why)) {
    return 'AWS throttled. Run it again, when less else is asked there.';
  }
  if (why === NO_STACK) return 'Correct its name under compare in tocsin.yaml, or deploy it.';
  if (why === NO_DATABASE) return 'Name it under compare.tables in tocsin.yaml, as database.table.';
  if (isOneOf(NOTHING_SELECTED, why)) return 'Correct what compare selects in tocsin.yaml.';
  if (isOneOf(NOT_COMPARED, why)) {
    return 'Tocsin cannot tell whether they are equal: see to that by other means, and take the endpoint out of compare.';
  }
  return 'Run it again; if it stays so, look at what the message names.';
}

function isOneOf(reasons: Readonly<Record<string, string>>, why: string): boolean {
  return Object.values(reasons).includes(why);
}

/** `a, b, c, d, e and 3 more` */
function namesOf(names: readonly string[]): string {
  const known = [...new Set(names)];
  const more = known.length - NAMED;
  return listOf([...known.slice(0, NAMED), ...(more > 0 ? [`${formatNumber(more)} more`] : [])]);
}

/** What was changing while it was read. */
export function judgeUnsettled(judging: Judging): void {
  for (const side of SIDES) {
    const groups = Map.groupBy(judging.snapshots[side].unsettled, ({ status }) => status);
    for (const [status, entries] of [...groups].slice(0, MOST)) {
      const names = namesOf(entries.map(({ physical }) => physical));
      judging.add({
        check: 'unsettled',
        subject: `${status} in ${side}`,
        outcome: 'inconclusive',
        message: `In ${side} ${names} ${entries.length === 1 ? `was ${status} while it was` : `were ${status} while they were`} read, so what was compared may be neither old nor new.`,
        allowed: 'nothing changes meanwhile',
        observed: `${formatNumber(entries.length)} changing`,
        value: entries.length,
        path: [side],
        help: 'Run it again when that is over.',
      });
    }
  }
}

/** What could not be told apart, is one and the same, or is nowhere. */
export function judgePairing(judging: Judging): void {
  judgeSameness(judging);
  const { ambiguous, missing } = judging.evaluation.comparison;
  for (const one of ambiguous.slice(0, MOST)) addAmbiguous(judging, one);
  for (const one of missing.slice(0, MOST)) addMissing(judging, one);
  for (const [check, all] of [
    ['ambiguous', ambiguous],
    ['missing', missing],
  ] as const) {
    const more = all.length - MOST;
    if (more <= 0) continue;
    judging.add({
      check,
      subject: 'compare',
      outcome: 'inconclusive',
      message: `Of ${countOf(more, 'more thing')} the same is to be said: comparison.json has all.`,
      allowed: 'everything is compared',
      observed: `${formatNumber(more)} more`,
      value: more,
      path: ['compare'],
    });
  }
}

/** Tags and stacks of both environments may lead to one thing, which is its own equal. */
function judgeSameness(judging: Judging): void {
  const { staging, production } = judging.snapshots;
  if (staging.account !== production.account || staging.region !== production.region) return;
  const identityOf = ({ kind, physical }: Resource) => `${kind} ${physical}`;
  const ofStaging = new Set(staging.resources.filter(isThere).map(identityOf));
  const shared = production.resources.filter((one) => isThere(one) && ofStaging.has(identityOf(one)));
  for (const [kind, resources] of Map.groupBy(shared, (one) => one.kind)) {
    const names = namesOf(resources.map(({ physical }) => physical));
    judging.add({
      check: 'compared-with-itself',
      subject: kind,
      outcome: 'inconclusive',
      message: `Of the kind ${kind}, ${names} ${resources.length === 1 ? 'is' : 'are'} in both environments, and would be compared with ${resources.length === 1 ? 'itself' : 'themselves'}.`,
      allowed: 'one thing of each environment',
      observed: `${formatNumber(resources.length)} in both`,
      value: resources.length,
      path: ['compare'],
      help: 'Correct the names, tags or stacks under compare, or the region or role of an environment.',
    });
  }
}

/** Two endpoints may serve one model; which monitors an endpoint has follows from it. */
function isThere({ kind, value }: Resource): boolean {
  return value !== null && kind !== 'models' && kind !== 'monitors';
}

function addAmbiguous(judging: Judging, { side, path, text, physical }: Ambiguous): void {
  judging.add({
    check: 'ambiguous',
    subject: text,
    outcome: 'inconclusive',
    message: `${text} may be any of ${formatNumber(physical.length)} in ${side}, ${namesOf(physical)}, so none of them was compared.`,
    allowed: 'one of that name',
    observed: `${formatNumber(physical.length)} in ${side}`,
    value: physical.length,
    path: selectionOf(judging, path),
    help: `Name them one by one under compare, as { name, staging, production }, or correct the names of ${side}.`,
  });
}

function addMissing(
  judging: Judging,
  { path, text, staging, production }: Comparison['missing'][number],
): void {
  judging.add({
    check: 'missing',
    subject: text,
    outcome: 'inconclusive',
    message: `${text} is in neither environment: there is no ${staging} in staging, and no ${production} in production.`,
    allowed: 'in both',
    observed: 'in neither',
    path: selectionOf(judging, path),
    help: 'Correct its name in tocsin.yaml, or remove it there.',
  });
}

/** Where tocsin.yaml names something; the list of its kind, where none of its names is this one's. */
function selectionOf({ parity }: Judging, [kind, name]: Path): readonly PropertyKey[] {
  const lists: Partial<Record<string, readonly unknown[]>> = parity.value.compare;
  const list = kind === undefined || kind === 'tags' ? undefined : lists[kind];
  if (kind === undefined || list === undefined) return ['compare'];
  const index = (list as readonly Pair[]).findIndex((pair) => pairName(pair) === name);
  return index < 0 ? ['compare', kind] : ['compare', kind, index];
}

/** Snapshots that were saved may be old, or of different days. */
export function judgeAge(judging: Judging): void {
  const { asOf } = judging.evaluation;
  const { staging, production } = judging.snapshots;
  const days = { staging: dayOf(staging.takenAt), production: dayOf(production.takenAt) };
  const old = SIDES.filter((side) => daysBetween(days[side], asOf) > OLD_DAYS);
  const apart = Math.abs(daysBetween(days.staging, days.production));
  const complaints = [
    ...old.map(
      (side) =>
        `that of ${side} is of ${days[side]}, ${countOf(daysBetween(days[side], asOf), 'day')} before ${asOf}`,
    ),
    ...(apart > 1
      ? [`they were taken ${countOf(apart, 'day')} apart, on ${days.staging} and ${days.production}`]
      : []),
    ...(staging.tocsin === production.tocsin
      ? []
      : [`they were taken by different versions of Tocsin, ${staging.tocsin} and ${production.tocsin}`]),
  ];
  if (complaints.length === 0) return;
  judging.add({
    check: 'old-snapshot',
    subject: 'snapshots',
    outcome: 'warn',
    message: `The snapshots may not say how both environments are: ${complaints.join('; ')}.`,
    allowed: `at most ${OLD_DAYS} days old, of the same day and version of Tocsin`,
    observed: listOf(SIDES.map((side) => `${side} of ${days[side]}`)),
    path: [],
    help: `Take them anew: tocsin parity snapshot ${judging.parity.name} --of staging, and --of production.`,
  });
}
