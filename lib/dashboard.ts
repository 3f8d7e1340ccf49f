import { Duration, Stack } from 'aws-cdk-lib';
import {
  Alarm,
  AlarmStatusWidget,
  Color,
  Dashboard,
  GraphWidget,
  type IAlarm,
  type IMetric,
  type IWidget,
  TextWidget,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { BOARD_PAGE } from '../functions/board/schema.ts';
import { gateMetric } from './board.ts';
import { type ReadinessConfig, rowsOf } from './readiness.ts';
import type { EvidenceStore } from './shared/evidence-store.ts';
import { GateFunction } from './shared/gate-function.ts';
import type { Notifications } from './shared/notifications.ts';

/** CloudWatch shows at most so many alarms in one widget. */
const MAX_ALARMS = 100;

/** Columns of a dashboard. */
const WIDTH = 24;

/** Two widgets a row. */
const HALF = WIDTH / 2;
const HEIGHT = 6;

const PERIOD = Duration.hours(1);

export interface GatesDashboardProps {
  /** As {@link loadConfig} returns it. */
  config: ReadinessConfig;
  evidence: EvidenceStore;
  notifications: Notifications;
}

/**
 * The CloudWatch dashboard, called as the stack is: verdicts of each gate over time, what is overdue, what is broken, and the
 * state of every alarm. It shows the functions and alarms that its stack has when it is made: make it last.
 */
export class GatesDashboard extends Construct {
  constructor(scope: Construct, id: string, { config, evidence, notifications }: GatesDashboardProps) {
    super(scope, id);
    const stack = Stack.of(this);
    const all = stack.node.findAll();
    const functions = all.filter((construct) => construct instanceof GateFunction);
    const alarms = all.filter((construct) => construct instanceof Alarm);
    const gates = [...new Set(rowsOf(config).flatMap((row) => row.requirements.map(({ gate }) => gate)))];
    new Dashboard(this, 'Dashboard', {
      dashboardName: stack.stackName,
      defaultInterval: Duration.days(7),
      widgets: [
        [introduction(evidence, notifications)],
        ...chunksOf(alarms, MAX_ALARMS).map((some) => [alarmStates(some)]),
        ...chunksOf([boardGraph(), ...gates.map(verdictGraph)], WIDTH / HALF),
        [
          functionGraph('Failed attempts', functions, ({ alias }) => alias.metricErrors(SUM)),
          functionGraph('Events that nobody judged (dead letters)', functions, ({ deadLetters }) =>
            deadLetters.metricApproximateNumberOfMessagesVisible({ period: PERIOD, statistic: 'Maximum' }),
          ),
        ],
      ],
    });
  }
}

const SUM = { period: PERIOD, statistic: 'Sum' };

function introduction({ bucket }: EvidenceStore, notifications: Notifications): IWidget {
  const sections = (
    [
      ['gate-failed', 'a gate failed'],
      ['drill-overdue', 'a drill is overdue'],
      ['board-not-rebuilt', 'the board is not rebuilt'],
      ['dead-letters', 'dead letters'],
      ['errors', 'errors'],
      ['throttles', 'throttles'],
      ['drift-monitor', 'drift monitor'],
    ] as const
  ).map(([section, title]) => {
    const target = notifications.runbook(section);
    // A path in a repository leads nowhere from here.
    return /^https?:/.test(target) ? `[${title}](${target})` : `${title} (\`${target}\`)`;
  });
  return new TextWidget({
    width: WIDTH,
    height: 4,
    markdown: `# Tocsin\nWhich of the five gaps are closed for which model: run \`tocsin board\`, which opens \`${bucket.s3UrlForObject(BOARD_PAGE)}\`. Whether a release may go: \`tocsin ready --model NAME\`.\n\nRunbook: ${sections.join(', ')}.`,
  });
}

function alarmStates(alarms: readonly IAlarm[]): IWidget {
  return new AlarmStatusWidget({
    title: 'Alarms',
    alarms: [...alarms],
    width: WIDTH,
    height: 2 + Math.ceil(alarms.length / 6),
  });
}

function boardGraph(): IWidget {
  return countGraph('board', 'Maximum', 'Board', [
    ['Overdue', 'overdue', Color.PURPLE],
    ['Failing', 'failing', Color.RED],
    ['NotReady', 'releases that are not ready', Color.ORANGE],
  ]);
}

function verdictGraph(gate: string): IWidget {
  return countGraph(
    gate,
    'Sum',
    `Verdicts: ${gate.replaceAll('-', ' ')}`,
    [
      ['Passed', 'pass', Color.GREEN],
      ['Inconclusive', 'inconclusive', Color.ORANGE],
      ['Failed', 'fail', Color.RED],
    ],
    { stacked: true },
  );
}

/** What a gate, or the board, has counted. */
function countGraph(
  gate: string,
  statistic: 'Maximum' | 'Sum',
  title: string,
  counts: readonly (readonly [metric: string, label: string, color: string])[],
  more: { stacked?: boolean } = {},
): IWidget {
  return new GraphWidget({
    title,
    width: HALF,
    height: HEIGHT,
    ...more,
    left: counts.map(([metric, label, color]) =>
      gateMetric(metric, gate, statistic, PERIOD).with({ label, color }),
    ),
    leftYAxis: { min: 0, showUnits: false },
  });
}

function functionGraph(
  title: string,
  functions: readonly GateFunction[],
  metricOf: (gate: GateFunction) => IMetric & { with(props: { label: string }): IMetric },
): IWidget {
  return new GraphWidget({
    title,
    width: HALF,
    height: HEIGHT,
    left: functions.map((gate) => metricOf(gate).with({ label: gate.node.scope?.node.id ?? gate.node.id })),
    leftYAxis: { min: 0, showUnits: false },
  });
}

function chunksOf<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
