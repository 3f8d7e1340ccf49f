import { clip, formatShare, formatTime } from '../shared/format.ts';
import { type Content, html } from '../shared/report/html.ts';
import { type Section, tableOf } from '../shared/report/verdict-page.ts';
import { type EndpointState, sharesOf } from './endpoint.ts';
import type { Measurements, Request, Timeline } from './measurements.ts';
import { type Phase, requestsIn } from './phases.ts';
import { changesOf, type spanOf, tallyText } from './report-timeline.ts';
import type { LocatedRollbackDrill } from './schema.ts';
import type { WayBack } from './way-back.ts';
import { clockText, said, several } from './words.ts';

/*
 * The endpoint in the report of a rollback drill: before, during and after it. Pure.
 */

/** A drill, and what is derived from it. */
export interface Drilled {
  measurements: Measurements;
  timeline: Timeline;
  drill: LocatedRollbackDrill;
  way: WayBack | null;
  /** All, in order. */
  requests: Request[];
  phases: Phase[];
  span: ReturnType<typeof spanOf>;
}

/** One look at the endpoint. */
interface Look {
  name: string;
  /** Null: there was no such endpoint. */
  state: EndpointState | null;
  /** Of its configuration; null where nobody has read it. */
  sha256: string | null;
  answers: string;
  /** Whether it is to be as before. */
  isBack: boolean;
}

/** What the endpoint was, and what it said of itself when. */
export function endpointSection(drilled: Drilled): Section | undefined {
  const { timeline, span } = drilled;
  const looks = looksOf(drilled);
  const [first] = looks;
  const { changes, total } = changesOf(timeline.slices);
  if (first === undefined && changes.length === 0) return undefined;
  const rows: [name: string, of: (look: Look) => string][] = [
    ['status', ({ state }) => (state === null ? 'no such endpoint' : stateCell(state))],
    ['configuration', ({ state }) => state?.config ?? ''],
    ['what it says', ({ sha256 }) => (sha256 === null ? '' : `sha256:${sha256.slice(0, 12)}`)],
    ['traffic', ({ state }) => (state === null ? '' : sharesText(state))],
    ['instances', ({ state }) => (state === null ? '' : instancesText(state))],
    ['images', ({ state }) => (state === null ? '' : imagesText(state))],
    ['who answered', ({ answers }) => answers],
  ];
  const cell = (look: Look, name: string, of: (look: Look) => string): Content => {
    const text = of(look);
    const isOther =
      look.isBack &&
      name !== 'who answered' &&
      first !== undefined &&
      text !== '' &&
      of(first) !== '' &&
      text !== of(first);
    return isOther ? html`${text} <strong class="fail">✗ not as before</strong>` : text;
  };
  const clock = (at: number) =>
    span === null ? formatTime(at) : clockText(at - span.start, span.end - span.start);
  return {
    title: 'The endpoint',
    body: [
      looks.length > 0 &&
        tableOf(
          'Before, during and after',
          ['what', ...looks.map(({ name }) => name)],
          rows.map(([name, of]) => [name, ...looks.map((look) => cell(look, name, of))]),
        ),
      changes.length > 0 &&
        tableOf(
          'What it said of itself; letters are those of the picture',
          ['mark', { n: 'at' }, 'status', 'configuration', 'traffic'],
          changes.map(({ letter, at, state }) => [
            letter,
            clock(at),
            state === null ? 'no such endpoint' : stateCell(state),
            state?.config,
            state === null ? '' : sharesText(state),
          ]),
        ),
      total > changes.length &&
        html`<p class="soft">And ${total - changes.length} more, in timeline.json.</p>`,
    ],
  };
}

function looksOf({ measurements, requests, phases, way }: Drilled): Look[] {
  const { original, failure, procedure, after, restoration } = measurements;
  const before = phases.find(({ name }) => name === 'before');
  const until = procedure?.begunAt ?? restoration?.begunAt ?? Number.POSITIVE_INFINITY;
  const since = (from: number, to: number) => tallyText(requests.filter(({ at }) => at >= from && at < to));
  return [
    ...(original === null
      ? []
      : [
          {
            name: 'before',
            state: original.state,
            sha256: original.configSha256,
            answers: before === undefined ? '' : tallyText(requestsIn(before, requests)),
            isBack: false,
          },
        ]),
    ...(failure === null || failure.state === null
      ? []
      : [
          {
            name: 'with the failure',
            state: failure.state,
            sha256: null,
            answers: failure.servesAt === null ? '' : since(failure.begunAt, until),
            isBack: false,
          },
        ]),
    ...(procedure === null || way === null
      ? []
      : [
          {
            name: 'after the procedure',
            state: after?.state ?? null,
            sha256: after?.configSha256 ?? null,
            answers: since(way.settledAt ?? way.begunAt, way.watchedUntil),
            isBack: true,
          },
        ]),
    ...(restoration === null
      ? []
      : [
          {
            name: 'in the end',
            state: restoration.state,
            sha256: null,
            answers: {
              true: 'the previous model, every golden request',
              false: 'another model',
              null: 'nobody could ask',
            }[`${restoration.answers}`],
            isBack: true,
          },
        ]),
  ];
}

function sharesText({ variants }: EndpointState): string {
  const shares = Object.entries(sharesOf(variants)).map(([name, share]) => `${name} ${formatShare(share)}`);
  return shares.length === 0 ? 'no variant has any' : several(shares);
}

function instancesText({ variants }: EndpointState): string {
  return several(variants.map(({ name, instances }) => `${name} ${instances ?? 'serverless'}`));
}

/** Images by their digests, which is what tells them apart. */
function imagesText({ variants }: EndpointState): string {
  const short = (image: string) => image.replace(/^.*@sha256:([0-9a-f]{12})[0-9a-f]*$/, 'sha256:$1');
  return several(
    variants.map(
      ({ name, images }) =>
        `${name} ${images.length === 0 ? 'none' : clip(images.map(short).join(', '), 200)}`,
    ),
  );
}

/** What the endpoint was at some time, for a table: status, and why where SageMaker says so. */
function stateCell(state: EndpointState): string {
  const { status, pending, config, failureReason } = state;
  const to = pending === null || pending === config ? '' : ` to ${pending}`;
  return `${status}${to}${failureReason === null || failureReason === '' ? '' : ` (${said(failureReason)})`}`;
}
