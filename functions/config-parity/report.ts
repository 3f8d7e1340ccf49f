import { clip, countOf, formatNumber, formatTime, listOf } from '../shared/format.ts';
import { breakable, type Content, type Html, html, textOf } from '../shared/report/html.ts';
import { badge, factList, type Section, tableOf, type VerdictPage } from '../shared/report/verdict-page.ts';
import type { FindingOutcome } from '../shared/verdict.ts';
import type { Difference, DocumentedUse, ProbeOutcome } from './comparison.ts';
import { isOneSided, lineOfEntry, testText, uncoveredOf, undocumentedOf } from './documented.ts';
import type { Evaluation } from './evaluate.ts';
import type { ParityVerdict } from './identity.ts';
import { EXPIRES_SOON_DAYS } from './judge-differences.ts';
import { daysBetween } from './judging.ts';
import { matchedBy, nodeOf, unknownOf } from './pairing.ts';
import { type GoldenLine, goldenLines } from './probes.ts';
import { answersFigure, endingsFigure, type Shares, sharesFigure } from './report-pictures.ts';
import {
  DIFFERENCE_KINDS,
  type DifferenceKind,
  DOCUMENTED_FILE,
  type Parity,
  RESOURCE_KINDS,
  type ResourceKind,
  SEVERITY,
  SIDES,
  type Side,
} from './schema.ts';
import { type Piece, sideBySide } from './side-by-side.ts';
import type { Snapshot } from './snapshot.ts';
import { isSecret } from './words.ts';

/*
 * The report of a comparison: both environments side by side. Of the snapshots it takes what was read, when and where, and what
 * the endpoints answered; every value is one of the evaluation's, in which secrets are hashes. Pure, and bounded.
 */

/** Both environments. */
type Snapshots = Record<Side, Snapshot>;

/** Bytes of each part of the page: of thousands of differences the worst are shown, and the rest is counted. */
const ROOM = { answers: 40_000, undocumented: 80_000, documented: 50_000, reading: 30_000 } as const;

/** Of one table of answers, and of the differences of one documented entry. */
const ROOM_OF_ONE = 8_000;

/** Characters of a path, and of a reason or of what came of a test. */
const PATH = 300;
const TEXT = 500;

/** What each kind is about. */
const ABOUT: Record<DifferenceKind, string> = {
  schema: 'columns, features, contracts, types',
  inference: 'which model answers, and how',
  environment: 'variables, parameters, locations, roles',
  safety: 'alarms, monitors, data capture, isolation, encryption, rules and schedules',
  capacity: 'instances, memory, time-outs, scaling',
  cosmetic: 'descriptions, tags, comments',
};

/**
 * What a report says of a comparison.
 *
 * @param parity as it was compared, with what is documented of it
 */
export function parityPage(
  verdict: ParityVerdict,
  evaluation: Evaluation,
  snapshots: Snapshots,
  parity: Parity,
): VerdictPage {
  const { inputs } = verdict;
  const sideFact = (side: Side): [string, Content] => {
    const { account, region, sha256 } = inputs[side];
    return [
      side,
      html`account ${account}, ${region}, read at ${formatTime(snapshots[side].takenAt)}: <a href="${side}.json">${side}.json</a>, <span class="mono">${sha256}</span>`,
    ];
  };
  return {
    heading: `Comparison ${parity.name}`,
    facts: [
      ...SIDES.map(sideFact),
      ['Day', `${evaluation.asOf}, on which documented differences had to hold`],
      ['Configuration', html`<span class="mono">${inputs.configSha256}</span>`],
      [
        DOCUMENTED_FILE,
        inputs.documentedSha256 === null
          ? 'documents nothing of it'
          : html`<span class="mono">${inputs.documentedSha256}</span>`,
      ],
      ['All differences', html`<a href="comparison.json">comparison.json</a>`],
    ],
    sections: [
      { title: 'At a glance', body: glance(evaluation, snapshots, parity) },
      { title: 'Behaviour', body: behaviour(evaluation, snapshots, parity) },
      { title: 'Differences that nobody has documented', body: undocumented(evaluation, parity) },
      documented(evaluation, parity),
      { title: 'What was read', body: reading(evaluation, snapshots) },
    ],
  };
}

// ---------------------------------------------------------------------------------------------------------
// At a glance
// ---------------------------------------------------------------------------------------------------------

function glance(evaluation: Evaluation, snapshots: Snapshots, parity: Parity): Content {
  const { asOf, comparison, uses } = evaluation;
  const { failOn } = parity.value;
  const open = new Set(undocumentedOf(evaluation));
  const kinds = DIFFERENCE_KINDS.map((kind): Shares => {
    const differences = comparison.differences.filter((one) => one.kind === kind);
    const count = differences.filter((one) => open.has(one)).length;
    return {
      name: kind,
      equal: comparison.equal[kind],
      documented: differences.length - count,
      undocumented: count,
      unread: 0,
      warns: !failOn.includes(kind),
    };
  });
  const isVoid = uses.some(({ state }) => state === 'expired' || state === 'failing');
  const warning = DIFFERENCE_KINDS.filter((kind) => !failOn.includes(kind));
  const note = [
    `What nobody has documented fails${warning.length > 0 ? `; of ${listOf(warning)} it warns` : ''}.`,
    ...(isVoid ? ['What is documented by an entry that has expired or fails counts as undocumented.'] : []),
  ].join(' ');
  const endings = uses
    .filter(({ state }) => state === 'holds')
    .map(({ path, expires }) => ({ name: path, days: daysBetween(asOf, expires) }));
  return html`<div class="cards">
${sharesFigure('Values, by kind of difference', note, kinds, 'value')}
${sharesFigure('Things, by what they are', 'Each by the worst that is known of it.', thingsOf(evaluation, open, snapshots, parity), 'thing')}
${endingsFigure(endings, EXPIRES_SOON_DAYS, asOf)}</div>`;
}

/** Things that are compared, by what they are; each counts once. */
function thingsOf(
  { comparison }: Evaluation,
  open: ReadonlySet<Difference>,
  snapshots: Snapshots,
  parity: Parity,
): Shares[] {
  const keyOf = ([kind = '', name = '']: readonly string[]) => `${kind}\0${name}`;
  const differing = new Set(comparison.differences.map(({ path }) => keyOf(path)));
  const undocumentedOnes = new Set([...open].map(({ path }) => keyOf(path)));
  const failing = new Set(
    [...open].filter(({ kind }) => parity.value.failOn.includes(kind)).map(({ path }) => keyOf(path)),
  );
  const unclear = new Set([...comparison.ambiguous, ...comparison.missing].map(({ path }) => keyOf(path)));
  const pairing = matchedBy(snapshots, parity.value);
  const unknown = unknownOf(snapshots, pairing);
  const changing = new Set(SIDES.flatMap((side) => snapshots[side].unsettled.map(({ path }) => keyOf(path))));
  const rows = new Map<string, Shares>(
    RESOURCE_KINDS.map((kind) => [
      kind,
      { name: nameOfKind(kind), equal: 0, documented: 0, undocumented: 0, unread: 0, warns: true },
    ]),
  );
  const seen = new Set<string>();
  for (const { path, sides } of pairing.matched) {
    const key = keyOf(path);
    seen.add(key);
    const row = rows.get(path[0]);
    if (row === undefined) continue;
    const node = nodeOf(unknown, path[0], path[1]);
    const isNowhere = SIDES.every((side) => sides[side].every(({ value }) => value === null));
    if (failing.has(key)) row.warns = false;
    if (undocumentedOnes.has(key)) row.undocumented += 1;
    else if (node !== undefined || unclear.has(key) || changing.has(key)) row.unread += 1;
    else if (differing.has(key)) row.documented += 1;
    else if (!isNowhere) row.equal += 1;
  }
  for (const [kind, node] of unknown.below) {
    const row = rows.get(kind);
    if (row === undefined) continue;
    // A listing that could not be read has who knows how many.
    if (node.whole) row.unread += 1;
    for (const name of node.below.keys()) if (!seen.has(keyOf([kind, name]))) row.unread += 1;
  }
  return [...rows.values()].filter(
    ({ equal, documented: one, undocumented: other, unread }) => equal + one + other + unread > 0,
  );
}

/** `feature groups` */
function nameOfKind(kind: ResourceKind): string {
  return kind === 'tocsin' ? 'Tocsin' : kind.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

// ---------------------------------------------------------------------------------------------------------
// Behaviour
// ---------------------------------------------------------------------------------------------------------

const STATES: Record<GoldenLine['state'], string> = {
  alike: 'alike',
  different: 'different',
  wrong: 'alike, and not as recorded',
  silent: 'no two answers',
};

function behaviour({ probes }: Evaluation, { staging, production }: Snapshots, parity: Parity): Content {
  if (probes.length === 0) {
    return html`<p>tocsin.yaml has no probes of it: nobody asked both endpoints the same.</p>`;
  }
  const worst = probes.toSorted((a, b) => PROBE_RANK[a.outcome] - PROBE_RANK[b.outcome]);
  return fitting(worst, ROOM.answers, (outcome) =>
    probePart(outcome, goldenLines(staging, production, outcome.probe, parity.value), parity),
  ).with('probe', 'comparison.json');
}

const PROBE_RANK: Record<ProbeOutcome['outcome'], number> = { fail: 0, inconclusive: 1, pass: 2 };

function probePart(
  { probe, outcome, why }: ProbeOutcome,
  lines: readonly GoldenLine[],
  parity: Parity,
): Html {
  const endpoint = parity.value.probes[probe]?.endpoint;
  const picture = answersFigure(probe, lines);
  const alike = lines.filter(({ state }) => state === 'alike');
  const others = lines.filter(({ state }) => state !== 'alike');
  return html`<h3>${badge(outcome)} ${probe}${endpoint !== undefined && html` <span class="soft">of ${endpoint}</span>`}</h3>
<p>${clip(why, TEXT)}.</p>
${picture !== false && html`<div class="cards">${picture}</div>`}${others.length > 0 && answersTable(`Not answered alike: ${probe}`, others)}${
  alike.length > 0 &&
  html`<details><summary>${countOf(alike.length, 'golden request')} answered alike</summary>${answersTable(`Answered alike: ${probe}`, alike)}</details>`
}`;
}

function answersTable(caption: string, lines: readonly GoldenLine[]): Html {
  const hasRecorded = lines.some(({ recorded }) => recorded !== undefined);
  const shown = fitting(lines, ROOM_OF_ONE, ({ golden, staging, production, recorded, state }) => [
    golden,
    mono(staging),
    mono(production),
    ...(hasRecorded
      ? [recorded === undefined ? html`<span class="soft">not recorded</span>` : mono(recorded)]
      : []),
    state === 'alike' ? STATES[state] : html`<strong>${STATES[state]}</strong>`,
  ]);
  const columns = ['request', 'staging', 'production', ...(hasRecorded ? ['recorded'] : []), 'answers'];
  return html`${tableOf(caption, columns, shown.items)}${shown.rest('request', 'staging.json and production.json')}`;
}

function mono(text: string): Html {
  return html`<span class="mono">${visible(text)}</span>`;
}

// ---------------------------------------------------------------------------------------------------------
// Differences
// ---------------------------------------------------------------------------------------------------------

/** What nobody has documented, those that fail first; each kind has its share of the room. */
function undocumented(evaluation: Evaluation, parity: Parity): Content {
  const { failOn } = parity.value;
  const all = uncoveredOf(evaluation);
  if (all.length === 0) return html`<p>None.</p>`;
  const byKind = Map.groupBy(all, ({ kind }) => kind);
  const present = DIFFERENCE_KINDS.filter((kind) => byKind.has(kind));
  const ordered = [
    ...present.filter((kind) => failOn.includes(kind)),
    ...present.filter((kind) => !failOn.includes(kind)),
  ];
  let room: number = ROOM.undocumented;
  return ordered.map((kind, index) => {
    const differences = byKind.get(kind) ?? [];
    const shown = fitting(differences, room / (ordered.length - index), differenceRows);
    room -= shown.bytes;
    const outcome: FindingOutcome = failOn.includes(kind) ? 'fail' : 'warn';
    return html`<h3>${badge(outcome)} ${kind}</h3>
<p class="soft">${countOf(differences.length, 'difference')}, severity ${SEVERITY[kind]}: ${ABOUT[kind]}.</p>
${pairTable(`${kind}: what nobody has documented`, shown.items)}${shown.rest('difference', 'comparison.json')}
`;
  });
}

function pairTable(caption: string, rows: readonly Html[]): Html {
  return html`<table class="pair"><caption class="hidden">${caption}</caption>
<thead><tr><th scope="col">staging</th><th scope="col">production</th></tr></thead>
${rows}</table>`;
}

/** Two rows of a table: where it is, and both values. */
function differenceRows(difference: Difference): Html {
  const { sides, note } = sideBySide(difference, visible);
  // Where nothing is alike, everything would be marked.
  const isMarked =
    SIDES.some((side) => sides[side].some(({ differs }) => !differs)) && !isOneSided(difference);
  const notes = [
    ...(note === undefined ? [] : [note]),
    ...(SIDES.some((side) => isSecret(difference[side].value)) ? ['a secret, by its hash'] : []),
  ];
  return html`<tbody><tr><th scope="rowgroup" colspan="2">${pathText(difference.text)}${notes.length > 0 && html` <span class="note">(${notes.join('; ')})</span>`}</th></tr>
<tr>${SIDES.map((side) => html`<td>${difference[side].value === undefined ? html`<em class="soft">absent</em>` : piecesText(sides[side], isMarked)}</td>`)}</tr></tbody>
`;
}

function piecesText(pieces: readonly Piece[], isMarked: boolean): Html {
  return html`<span class="mono">${pieces.map(({ text, differs }) => (differs && isMarked ? html`<mark>${text}</mark>` : text))}</span>`;
}

/** A path, which may be broken behind its segments. */
function pathText(path: string): Html {
  return html`<span class="mono">${breakable(visible(clip(path, PATH)), /(?<=[./\]])/)}</span>`;
}

/** Characters that nobody sees, as `\u0007`. */
function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (character) => `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}

/** Worst first. */
const USES: readonly DocumentedUse['state'][] = ['failing', 'expired', 'stale', 'unknown', 'holds'];

/** Of what is documented: each entry, with what it is about. Undefined where nothing is. */
function documented(evaluation: Evaluation, parity: Parity): Section | undefined {
  const { uses, comparison } = evaluation;
  if (uses.length === 0) return undefined;
  const differences = new Map(comparison.differences.map((one) => [one.text, one]));
  const ordered = USES.flatMap((state) => uses.filter((use) => use.state === state));
  const counts = USES.map((state) => uses.filter((use) => use.state === state).length);
  const summary = USES.flatMap((state, index) =>
    (counts[index] ?? 0) === 0 ? [] : [`${formatNumber(counts[index] ?? 0)} ${WORDS[state]}`],
  );
  const shown = fitting(ordered, ROOM.documented, (use) => usePart(use, differences, evaluation, parity));
  return {
    title: 'Documented differences',
    body: html`<p>${countOf(uses.length, 'entry', 'entries')} of ${DOCUMENTED_FILE}: ${listOf(summary)}. Days are counted from ${evaluation.asOf}, the day of this comparison.</p>
${shown.with('entry', 'comparison.json', 'entries')}`,
  };
}

const WORDS: Record<DocumentedUse['state'], string> = {
  failing: 'failing',
  expired: 'expired',
  stale: 'stale',
  unknown: 'not known',
  holds: 'in force',
};

/** Characters of an owner where its entry is folded. */
const OWNER = 60;

function usePart(
  use: DocumentedUse,
  differences: ReadonlyMap<string, Difference>,
  { asOf }: Evaluation,
  parity: Parity,
): Html {
  const { entry, path, owner, expires, covers, state, why } = use;
  const days = daysBetween(asOf, expires);
  const outcome = outcomeOf(state, days);
  const source = parity.documented?.value[entry];
  const rows = fitting(
    covers.flatMap((text) => differences.get(text) ?? []),
    ROOM_OF_ONE,
    differenceRows,
  );
  const kinds = new Set(covers.flatMap((text) => differences.get(text)?.kind ?? []));
  return html`<details${state !== 'holds' && html` open`}><summary>${badge(outcome)} ${pathText(path)}: ${WORDS[state]}${state !== 'stale' && `, ${daysText(days)}`}, ${clip(visible(owner), OWNER)}</summary>
${factList([
  ['Entry', lineOfEntry(parity, entry)],
  ['Reason', source === undefined ? undefined : clip(visible(source.reason.replace(/\s+/g, ' ')), TEXT)],
  ['Owner', clip(visible(owner), TEXT)],
  ['Expires', `${expires}: ${daysText(days)}`],
  ['Test', source === undefined ? undefined : clip(visible(testText(source.test)), TEXT)],
  ['What came of it', clip(visible(why), TEXT)],
  [
    'Kind',
    kinds.size === 0 ? 'no difference' : DIFFERENCE_KINDS.filter((kind) => kinds.has(kind)).join(', '),
  ],
])}${rows.items.length > 0 && pairTable(`What ${path} is about`, rows.items)}${rows.rest('difference', 'comparison.json')}</details>
`;
}

function outcomeOf(state: DocumentedUse['state'], days: number): FindingOutcome {
  if (state === 'unknown') return 'inconclusive';
  if (state !== 'holds') return 'fail';
  return days <= EXPIRES_SOON_DAYS ? 'warn' : 'pass';
}

function daysText(days: number): string {
  if (days === 0) return 'its last day';
  return days > 0 ? `${countOf(days, 'day')} left` : `${countOf(-days, 'day')} over`;
}

// ---------------------------------------------------------------------------------------------------------
// What was read
// ---------------------------------------------------------------------------------------------------------

function reading({ comparison }: Evaluation, snapshots: Snapshots): Content {
  const { ambiguous, missing, foldings } = comparison;
  const both = (of: (snapshot: Snapshot) => Content): Content[] => SIDES.map((side) => of(snapshots[side]));
  const countIn = (kind: ResourceKind) => (snapshot: Snapshot) =>
    formatNumber(snapshot.resources.filter((one) => one.kind === kind && one.value !== null).length);
  const kinds = RESOURCE_KINDS.filter((kind) =>
    SIDES.some((side) => snapshots[side].resources.some((one) => one.kind === kind && one.value !== null)),
  );
  const unread = SIDES.flatMap((side) => [
    ...snapshots[side].unreadable.map(({ physical, action, why }) => [side, physical, `${action}: ${why}`]),
    ...snapshots[side].unsettled.map(({ physical, status }) => [
      side,
      physical,
      `${status} while it was read`,
    ]),
  ]);
  const unclear = [
    ...ambiguous.map(({ side, text, physical }) => [
      side,
      text,
      `may be any of ${formatNumber(physical.length)}: ${listOf(physical.slice(0, 5))}${physical.length > 5 ? ' and more' : ''}`,
    ]),
    ...missing.map(({ text, staging, production }) => [
      'neither',
      text,
      `there is no ${staging} in staging, and no ${production} in production`,
    ]),
  ];
  const not = fitting([...unread, ...unclear], ROOM.reading / 2, (cells) =>
    cells.map((cell) => clip(visible(cell), PATH)),
  );
  const folded = fitting(foldings, ROOM.reading / 2, ({ as, staging, production, values, examples }) => [
    mono(clip(as, PATH)),
    mono(clip(staging, PATH)),
    mono(clip(production, PATH)),
    formatNumber(values),
    examples[0] !== undefined && pathText(examples[0].text),
  ]);
  return html`${tableOf(
    'What was read, and when',
    ['what', ...SIDES.map((side) => ({ n: side }))],
    [
      ['account', ...both(({ account }) => account)],
      ['region', ...both(({ region }) => region)],
      ['read at', ...both(({ takenAt }) => formatTime(takenAt))],
      ...kinds.map((kind) => [nameOfKind(kind), ...both(countIn(kind))]),
      ['could not be read', ...both(({ unreadable }) => formatNumber(unreadable.length))],
      ['was changing meanwhile', ...both(({ unsettled }) => formatNumber(unsettled.length))],
    ],
  )}
${
  not.items.length > 0 &&
  html`<h3>What could not be read, or told apart</h3>
${tableOf('Whether it is equal is not known', ['environment', 'what', 'why'], not.items)}${not.rest('thing', 'comparison.json, staging.json and production.json')}`
}${
  folded.items.length > 0 &&
  html`<details><summary>${countOf(foldings.length, 'text')} that may stand for another</summary>${tableOf(
    'Equal only because one may stand for the other',
    ['as', 'staging', 'production', { n: 'values' }, 'such as'],
    folded.items,
  )}${folded.rest('text', 'comparison.json')}</details>`
}`;
}

// ---------------------------------------------------------------------------------------------------------
// Room
// ---------------------------------------------------------------------------------------------------------

/** As many items as there is room for. */
interface Fitting<T> {
  items: T[];
  bytes: number;
  /** How many are left out, and where they are; false where none is. */
  rest: (noun: string, where: string, plural?: string) => Html | false;
  /** The items, and the rest. */
  with: (noun: string, where: string, plural?: string) => Content;
}

/** Renders items in their order until there is no room for the next. */
function fitting<I, T extends Content>(
  items: readonly I[],
  room: number,
  render: (item: I) => T,
): Fitting<T> {
  const rendered: T[] = [];
  let bytes = 0;
  for (const item of items) {
    const content = render(item);
    const size = Buffer.byteLength(textOf(content));
    if (bytes + size > room) break;
    bytes += size;
    rendered.push(content);
  }
  const left = items.length - rendered.length;
  const rest = (noun: string, where: string, plural?: string) =>
    left > 0 && html`<p>And ${countOf(left, `more ${noun}`, plural && `more ${plural}`)}, in ${where}.</p>`;
  return { items: rendered, bytes, rest, with: (...told) => [rendered, rest(...told)] };
}
