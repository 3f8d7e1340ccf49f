import { clip, countOf, formatDuration, formatNumber, formatTime } from '../shared/format.ts';
import { breakable, type Content, type Html, html } from '../shared/report/html.ts';
import { badge, factList, type Section, tableOf, type VerdictPage } from '../shared/report/verdict-page.ts';
import { lineAt } from '../shared/schema.ts';
import type { Finding, Verdict } from '../shared/verdict.ts';
import { type Actions, conditionText, metricText, thresholdText } from './alarm.ts';
import { observationsOf, phasesOf } from './ladder.ts';
import type { ActionFacts, Facts, Measurements, Permission, Plan } from './measurements.ts';
import { delayFigure, hopsFigure, ladderFigure, rungName, stepsOf } from './report-ladder.ts';
import { hopsOf, roundFigures } from './report-lanes.ts';
import { pastFigures } from './report-past.ts';
import { phasesFigure, sentText } from './report-phases.ts';
import type { LocatedDrill } from './schema.ts';

/*
 * What the report of an alarm drill shows beside its findings. Pure, and bounded whatever was measured.
 */

/** Rows of a table that grows with what is measured; the rest is in measurements.json. */
const ROWS = 60;

/** Characters of a name, and of a sentence, in a table. */
const NAME = 120;
const WORDS = 300;

/** Subscriptions, and near names, that are listed. */
const LISTED = 8;

/** Checks of what was tried; all others are of the configuration. */
const TRIED =
  /^(samples|effective-threshold|ladder-(quiet|loud)|healthy|silence|recovery|forecast|receipts|live-(under|over)|monitor|traffic|drill|delivery)$/;

/**
 * What the report of a drill says.
 *
 * @param measurements that the verdict was judged from, as they were or as they were stored
 * @param drill as it was configured then
 */
export function alarmPage(verdict: Verdict, measurements: Measurements, drill: LocatedDrill): VerdictPage {
  return {
    heading: `Alarm ${drill.value.alarm}`,
    facts: factsOf(verdict, measurements, drill),
    sections: [
      firesSection(measurements, drill),
      roundsSection(verdict, measurements, drill),
      phasesSection(measurements, drill),
      deliveriesSection(measurements),
      configurationSection(verdict, measurements, drill),
      toldSection(measurements.facts),
      compositeSection(measurements.facts),
    ],
  };
}

function factsOf(
  { inputs }: Verdict,
  { facts, rounds, phases }: Measurements,
  drill: LocatedDrill,
): VerdictPage['facts'] {
  const { alarm } = facts;
  const { intended, mode } = drill.value;
  const starts = [...rounds, ...phases].map(({ startedAt }) => startedAt);
  const ends = [...rounds.map((round) => phasesOf(round).endsAt), ...phases.map(({ endedAt }) => endedAt)];
  const hash = (name: string) => html`<span class="mono">${clip(String(inputs[name] ?? 'none'), 64)}</span>`;
  return [
    ['Drill', drill.name],
    ['Alarm', html`<span class="mono">${alarm?.arn ?? drill.value.alarm}</span>`],
    [
      'Intended',
      html`${thresholdText(intended.fires)} within ${formatDuration(intended.within)} (<span class="mono">${lineAt(drill, ['intended'])}</span>)`,
    ],
    ...(alarm?.kind === 'metric'
      ? ([['Configured', `${conditionText(alarm)}; missing data: ${alarm.missingData}`]] as const)
      : []),
    ['Mode', MODES[mode]],
    ['Configuration read at', formatTime(facts.readAt)],
    ...(starts.length > 0
      ? ([['Drilled', `${formatTime(Math.min(...starts))} to ${formatTime(Math.max(...ends))}`]] as const)
      : []),
    ['Alarm configuration', hash('alarmSha256')],
    ['Drill configuration', hash('configurationSha256')],
    ['Run', hash('run')],
  ];
}

const MODES: Record<LocatedDrill['value']['mode'], string> = {
  shadow: 'shadow: clones of the alarm on metrics of their own',
  live: 'live: the real metric',
  traffic: 'traffic: drifted records to a staging endpoint',
};

// ---------------------------------------------------------------------------------------------------------
// What was tried
// ---------------------------------------------------------------------------------------------------------

function firesSection(measurements: Measurements, drill: LocatedDrill): Section {
  const { notDrilled, facts, rounds, phases } = measurements;
  if (rounds.length === 0 && phases.length === 0) {
    const why = (notDrilled ?? 'nothing was measured').replace(/\.+$/, '');
    const near = facts.alarm === null ? facts.near.slice(0, LISTED) : [];
    return {
      title: 'Not drilled',
      body: html`<p>Nothing was tried: ${clip(why, 600)}. Below is what its configuration says.</p>${near.length > 0 && html`<p>Alarms with a name like it: ${near.map((name, index) => html`${index > 0 && ', '}<span class="mono">${clip(name, NAME)}</span>`)}.</p>`}`,
    };
  }
  const steps = stepsOf(measurements, drill);
  return {
    title: 'Effective against intended threshold',
    body: html`<div class="cards">${ladderFigure(steps, facts, drill)}${rounds.length > 0 && delayFigure(steps, drill)}${hopsFigure(measurements)}</div>`,
  };
}

function roundsSection(
  { findings }: Verdict,
  measurements: Measurements,
  drill: LocatedDrill,
): Section | undefined {
  const { rounds, facts } = measurements;
  if (rounds.length === 0) return undefined;
  const silence = findings.find(({ check }) => check === 'silence')?.outcome;
  return {
    title: 'Rung by rung',
    body: [
      roundFigures(measurements, { facts, drill, silence }),
      transitionsTable(measurements),
      publishedTable(rounds.map(({ plan }) => plan)),
    ],
  };
}

function transitionsTable({ rounds, facts }: Measurements): Html | false {
  const rows = rounds
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .flatMap((round) =>
      observationsOf(round).flatMap((observation) =>
        hopsOf(observation, facts).map(({ transition, receipt, due }): Content[] => [
          clip(rungName(observation.rung), NAME),
          `${transition.from} to ${transition.to}`,
          formatTime(transition.at),
          formatDuration(transition.at - round.startedAt),
          ...(receipt === undefined
            ? [due ? 'did not arrive' : 'none', '']
            : [
                `+${formatDuration(Math.max(0, receipt.notifiedAt - transition.at))}`,
                `+${formatDuration(Math.max(0, receipt.receivedAt - transition.at))}`,
              ]),
        ]),
      ),
    );
  const words = rounds.flatMap(({ results }) => results.flatMap(({ failedActions }) => failedActions));
  const said = [...new Set(words)].slice(0, LISTED);
  if (rows.length === 0) return false;
  return html`<details><summary>${countOf(rows.length, 'change')} of state, with times</summary>
${tableOf('Changes of state, and their messages', ['rung', 'change', 'at', { n: 'since the round began' }, { n: 'at the topic' }, { n: 'in the queue' }], rows.slice(0, ROWS))}${rows.length > ROWS && html`<p>And ${rows.length - ROWS} more, in measurements.json.</p>`}${said.length > 0 && html`<p>CloudWatch says of actions that failed: ${said.map((text) => clip(text, WORDS)).join('; ')}</p>`}</details>`;
}

/** What was published so that the alarm sees a value, where that is not the value itself. */
function publishedTable(plans: readonly Plan[]): Html | false {
  const rows = new Map<number, Content[]>();
  for (const { value, samples } of plans.flatMap(({ published }) => published)) {
    const parts = Object.entries(samples);
    if (parts.length === 1 && parts.every(([, sample]) => sample.value === value && sample.count === 1))
      continue;
    const text = parts.map(
      ([id, sample]) =>
        `${id}: ${formatNumber(sample.value)}${sample.count === 1 ? '' : `, ${formatNumber(sample.count)} times`}`,
    );
    rows.set(value, [formatNumber(value), text.join('; ')]);
  }
  if (rows.size === 0) return false;
  const sorted = [...rows].toSorted(([a], [b]) => a - b).map(([, row]) => row);
  return html`<details><summary>What was published for each value</summary>
${tableOf('Samples of each data point', [{ n: 'the alarm sees' }, 'published each time, by query'], sorted.slice(0, ROWS))}</details>`;
}

function phasesSection(measurements: Measurements, drill: LocatedDrill): Section | undefined {
  const { phases } = measurements;
  if (phases.length === 0) return undefined;
  const traffic = phases.some(({ drift }) => drift !== undefined);
  const rows = phases
    .toSorted((a, b) => a.startedAt - b.startedAt)
    .map((phase): Content[] => {
      const { drift, records, failedRequests = 0, metric, state, startedAt, endedAt } = phase;
      const first = metric[0];
      const seen =
        first === undefined
          ? 'none'
          : `${countOf(metric.length, 'data point')}, the first after ${formatDuration(Math.max(0, first.at - startedAt))}`;
      return [
        phase.phase,
        ...(traffic
          ? [
              drift === undefined ? '' : formatNumber(drift.asked),
              drift === undefined ? '' : formatNumber(drift.sent, drift.asked),
              records === undefined ? '' : formatNumber(records),
              formatNumber(failedRequests),
            ]
          : [sentText(phase)]),
        formatDuration(endedAt - startedAt),
        seen,
        state,
      ];
    });
  const sent = traffic
    ? [{ n: 'drift asked for' }, { n: 'drift sent' }, { n: 'records' }, { n: 'failed requests' }]
    : ['sent'];
  return {
    title: traffic ? 'From traffic to the alarm' : 'The real alarm',
    body: [
      phasesFigure(measurements, drill),
      tableOf(
        'What was sent, and what came of it',
        ['phase', ...sent, { n: 'lasted' }, 'metric seen', 'state at the end'],
        rows,
      ),
      trafficText(drill),
    ],
  };
}

function trafficText({ value: { traffic } }: LocatedDrill): Html | false {
  if (traffic === undefined) return false;
  return html`<p class="soft">Records of ${traffic.dataset} to endpoint ${traffic.endpoint}, in which ${clip(traffic.feature, NAME)} drifts, measured as ${traffic.measure}.</p>`;
}

function deliveriesSection({ deliveries }: Measurements): Section | undefined {
  if (deliveries.length === 0) return undefined;
  const rows = deliveries
    .toSorted((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : 0))
    .slice(0, ROWS)
    .map(({ topic, receipt, subscribers, failedActions }): Content[] => [
      divided(clip(topic, NAME)),
      receipt === null
        ? html`${badge('fail')} did not arrive`
        : subscribers > 0
          ? html`${badge('pass')} arrived`
          : html`${badge('fail')} arrived, and nobody is subscribed`,
      receipt === null ? '' : `+${formatDuration(Math.max(0, receipt.notifiedAt - receipt.changedAt))}`,
      receipt === null ? '' : `+${formatDuration(Math.max(0, receipt.receivedAt - receipt.changedAt))}`,
      formatNumber(subscribers),
      clip(failedActions.join('; '), WORDS),
    ]);
  return {
    title: 'A message down its own path',
    body: tableOf(
      'One message marked DRILL to each topic of the alarm',
      [
        'topic',
        'message',
        { n: 'at the topic' },
        { n: 'in the queue of the drill' },
        { n: 'others subscribed' },
        'CloudWatch says',
      ],
      rows,
    ),
  };
}

// ---------------------------------------------------------------------------------------------------------
// What is configured
// ---------------------------------------------------------------------------------------------------------

function configurationSection({ findings }: Verdict, { facts }: Measurements, drill: LocatedDrill): Section {
  const proof = findings.filter(({ check }) => !TRIED.test(check));
  const past = pastFigures(facts, drill);
  return {
    title: 'What its configuration says',
    body: [
      tableOf(
        'The static proof',
        ['outcome', 'check', 'of', 'intended', 'found'],
        proof.slice(0, ROWS).map(proofRow),
      ),
      proof.length > ROWS && html`<p>And ${proof.length - ROWS} more, in verdict.json.</p>`,
      metricsTable(facts),
      past.length > 0 && html`<p>What it saw before the drill:</p><div class="cards">${past}</div>`,
    ],
  };
}

function proofRow({ outcome, check, subject, allowed, observed }: Finding): Content[] {
  const [of, intended, found] = [clip(subject, NAME), clip(allowed, WORDS), clip(observed, WORDS)].map(
    divided,
  );
  return [badge(outcome), check, of, intended, found];
}

/** Names of metrics and ARNs, which have no spaces, may go on in the next line. */
function divided(text: string): Html {
  return breakable(text, /(?<=[/{=:])/);
}

function metricsTable({ metrics, readAt }: Facts): Html | false {
  const rows = Object.entries(metrics).map(
    ([id, { metric, exists, near, periods, every, newestAt, extremes }]) => [
      clip(id, NAME),
      html`${divided(clip(metricText(metric), WORDS))}${!exists && html` (does not exist${near.length > 0 && `; near: ${near.map((one) => clip(metricText(one), NAME)).join(', ')}`})`}`,
      formatNumber(periods.asked),
      every === undefined ? 'not known' : `every ${formatDuration(every)}`,
      newestAt === undefined ? 'never' : `${formatDuration(Math.max(0, readAt - newestAt))} before`,
      extremes === undefined ? '' : `${formatNumber(extremes.min)} to ${formatNumber(extremes.max)}`,
    ],
  );
  if (rows.length === 0) return false;
  return tableOf(
    'What it watches',
    ['query', 'metric', { n: 'periods with data' }, 'comes', 'newest', 'single values'],
    rows.slice(0, ROWS),
  );
}

/** Who tells whom of what. */
function toldSection(facts: Facts): Section | undefined {
  const { alarm, parents, actions, mutes, guardrail } = facts;
  if (alarm === null) return undefined;
  const rows = [alarm, ...parents].flatMap((one) =>
    STATES.flatMap(([key, state]) =>
      one.actions[key].map((arn): Content[] => [
        clip(one.name, NAME),
        one.actions.enabled ? state : `${state} (actions disabled)`,
        divided(clip(arn, NAME)),
        ...targetCells(actions[arn], state),
      ]),
    ),
  );
  const held = mutes
    .slice(0, ROWS)
    .map(({ name, active, until }): Content[] => [
      clip(name, NAME),
      active ? 'now' : 'later',
      until === undefined ? '' : formatTime(until),
    ]);
  return {
    title: 'Who is told',
    body: [
      rows.length === 0
        ? html`<p>Nobody: neither the alarm nor a composite alarm above it has an action.</p>`
        : tableOf(
            'Actions, and who is behind them',
            ['alarm', 'on', 'tells', 'CloudWatch may', 'subscriptions'],
            rows.slice(0, ROWS),
          ),
      rows.length > ROWS && html`<p>And ${rows.length - ROWS} more, in measurements.json.</p>`,
      held.length > 0 && tableOf('Mute rules', ['rule', 'holds actions back', 'until'], held),
      guardrail !== undefined &&
        factList([
          [
            'Endpoint that it guards',
            `${clip(guardrail.endpoint, NAME)}${guardrail.exists ? '' : ', which does not exist'}`,
          ],
          ['Alarms of its last deployment', clip(guardrail.alarms.join(', ') || 'none', WORDS)],
          [
            'New capacity is watched for',
            guardrail.bakeMs === undefined ? 'not known' : formatDuration(guardrail.bakeMs),
          ],
        ]),
    ],
  };
}

const STATES: readonly [Exclude<keyof Actions, 'enabled'>, string][] = [
  ['alarm', 'ALARM'],
  ['insufficientData', 'INSUFFICIENT_DATA'],
  ['ok', 'OK'],
];

/** What is known of a target: whether CloudWatch may use it, and who listens. */
function targetCells(target: ActionFacts | undefined, state: string): Content[] {
  // That all is well again must reach nobody.
  if (target === undefined) return [state === 'OK' ? 'not looked at' : 'nothing was read of it', ''];
  if (target.kind === 'unchecked') return [`not checked: ${clip(target.why, WORDS)}`, ''];
  if (!target.exists) return ['does not exist', ''];
  if (target.kind === 'lambda') return [permissionText(target.invoke), 'a function'];
  const key =
    target.key === undefined ? '' : `; key ${clip(target.key.id, NAME)}: ${permissionText(target.key)}`;
  const { subscriptions } = target;
  const some = subscriptions
    .slice(0, LISTED)
    .map(
      ({ protocol, endpoint, pending, filter }) =>
        html`<div>${clip(protocol, NAME)} ${divided(clip(endpoint, NAME))}${pending && ', not confirmed'}${filter !== undefined && html`, filter <span class="mono">${clip(filter, NAME)}</span>`}</div>`,
    );
  const more = subscriptions.length - some.length;
  return [
    `${permissionText(target.publish)}${key}`,
    some.length === 0 ? 'nobody' : html`${some}${more > 0 && html`<div>and ${more} more</div>`}`,
  ];
}

function permissionText(permission: Permission | undefined): string {
  return permission === undefined ? 'not known' : `${permission.verdict}: ${clip(permission.why, WORDS)}`;
}

function compositeSection({ parents, others }: Facts): Section | undefined {
  if (parents.length === 0) return undefined;
  const rows = parents
    .slice(0, ROWS)
    .map(({ name, rule, state, suppressor, actions }): Content[] => [
      clip(name, NAME),
      html`<span class="mono">${clip(rule, WORDS)}</span>`,
      state,
      suppressor === undefined
        ? ''
        : `${clip(suppressor.alarm, NAME)}, for ${formatDuration(suppressor.waitS * 1000)} and ${formatDuration(suppressor.extensionS * 1000)} after`,
      actions.enabled ? countOf(actions.alarm.length, 'action') : 'actions disabled',
    ]);
  const named = Object.entries(others).slice(0, ROWS);
  return {
    title: 'Composite alarms above it',
    body: [
      tableOf('Composite alarms', ['alarm', 'rule', 'state when read', 'suppressed by', 'tells'], rows),
      parents.length > ROWS && html`<p>And ${parents.length - ROWS} more, in measurements.json.</p>`,
      named.length > 0 &&
        tableOf(
          'Other alarms that their rules name',
          ['alarm', 'state when read'],
          named.map(([name, state]) => [clip(name, NAME), state ?? 'there is no such alarm']),
        ),
    ],
  };
}
