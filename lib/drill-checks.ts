import type { DrillConfig } from '../functions/alarm-drill/schema.ts';
import {
  type ColumnRule,
  type DatasetConfig,
  driftAlarmName,
  type MonitorConfig,
} from '../functions/quality-gate/schema.ts';
import { didYouMean, placeOf, secondsOf } from '../functions/shared/schema.ts';
import type { Loaded } from './model-checks.ts';
import type { Complain } from './place-checks.ts';

/*
 * What alarm drills and drift monitors say of datasets and of each other: mistakes that no schema of one section can
 * see.
 */

/** CloudWatch looks back at most so far: the period of an alarm times its evaluation periods. */
const LONGEST_LOOK_BACK_S = 7 * 86_400;

/** The sections of tocsin.yaml, and those of its datasets whose contracts hold. */
export interface DrillSections {
  datasets: Record<string, DatasetConfig>;
  alarmDrills: Record<string, DrillConfig>;
  driftMonitors: Record<string, MonitorConfig>;
  loaded: readonly Loaded[];
}

/** Checks the sections `alarmDrills` and `driftMonitors` against each other and against `datasets`. */
export function checkDrills(sections: DrillSections, complain: Complain): void {
  const { alarmDrills, driftMonitors } = sections;
  for (const [name, monitor] of Object.entries(driftMonitors)) {
    checkMonitor(['driftMonitors', name], monitor, sections, complain);
  }
  const written = new Map<string, string>();
  for (const [name, drill] of Object.entries(alarmDrills)) {
    const path = ['alarmDrills', name];
    checkTraffic(path, drill, sections, complain);
    checkOwnAlarm(path, drill, driftMonitors, complain);
    if (drill.mode !== 'live' || drill.intended.metric === undefined) continue;
    const { namespace, name: metric, dimensions } = drill.intended.metric;
    const key = JSON.stringify([namespace, metric, Object.entries(dimensions).toSorted()]);
    const other = written.get(key);
    if (other !== undefined) {
      complain(
        [...path, 'intended', 'metric'],
        `is that of "${other}": two live drills of one metric would each see what the other injects`,
      );
    }
    written.set(key, other ?? name);
  }
}

function checkTraffic(
  path: PropertyKey[],
  { traffic }: DrillConfig,
  sections: DrillSections,
  complain: Complain,
): void {
  if (traffic === undefined) return;
  const below = [...path, 'traffic'];
  const { features, feature, measure } = traffic;
  const dataset = findDataset([...below, 'dataset'], traffic.dataset, sections, complain);
  if (dataset === undefined) return;
  const rules = checkColumns([...below, 'features'], features, dataset, complain);
  rules.forEach((rule, index) => {
    if (rule?.pii !== true) return;
    complain(
      [...below, 'features', index],
      `"${features[index]}" is marked pii in ${dataset.contract}: no value of it is kept, and none may be sent on, so no record can be made; take mode: shadow`,
    );
  });
  const drifting = rules[features.indexOf(feature)];
  if (drifting !== undefined && !fits(measure, drifting)) {
    complain([...below, 'measure'], `${measure} compares numbers, "${feature}" is ${drifting.type}`);
  }
}

/** An alarm that a drift monitor of this file makes: the drill and the monitor have to speak of the same. */
function checkOwnAlarm(
  path: PropertyKey[],
  { alarm, traffic }: DrillConfig,
  monitors: Record<string, MonitorConfig>,
  complain: Complain,
): void {
  const prefix = driftAlarmName('');
  if (!alarm.startsWith(prefix)) return;
  const name = alarm.slice(prefix.length);
  const monitor = Object.hasOwn(monitors, name) ? monitors[name] : undefined;
  if (monitor === undefined) {
    complain(
      [...path, 'alarm'],
      `no drift monitor "${name}", which ${alarm} would be of${didYouMean(name, Object.keys(monitors))}`,
    );
    return;
  }
  if (monitor.alarm === undefined) complain([...path, 'alarm'], `the drift monitor "${name}" has no alarm`);
  if (traffic === undefined) return;
  for (const key of ['endpoint', 'dataset', 'measure', 'features'] as const) {
    if (String(traffic[key]) === String(monitor[key])) continue;
    complain(
      [...path, 'traffic', key],
      `expected that of the drift monitor "${name}", ${[monitor[key]].flat().join(', ')}, got ${[traffic[key]].flat().join(', ')}`,
    );
  }
}

function checkMonitor(
  path: PropertyKey[],
  monitor: MonitorConfig,
  sections: DrillSections,
  complain: Complain,
): void {
  const { endpoint, capture, features, measure } = monitor;
  const place = placeOf(capture);
  if (place.bucket === undefined || !capture.endsWith('/')) {
    complain([...path, 'capture'], `expected s3://bucket/prefix/, which ends in a slash, got ${capture}`);
  }
  const captured = `${place.key}${endpoint}/`;
  for (const [name, { bucket, prefix }] of Object.entries(sections.datasets)) {
    if (bucket === undefined || bucket !== place.bucket) continue;
    if (!captured.startsWith(prefix) && !prefix.startsWith(captured)) continue;
    complain(
      [...path, 'capture'],
      `"${captured}" overlaps "${prefix}" of dataset "${name}" in the same bucket: what is captured would be judged, and locked`,
    );
  }
  checkPeriod(path, monitor, complain);

  const dataset = findDataset([...path, 'dataset'], monitor.dataset, sections, complain);
  if (dataset === undefined) return;
  const rules = checkColumns([...path, 'features'], features, dataset, complain);
  // A column that cannot be compared may stand among others: it says what has which place in a record.
  if (rules.every((rule) => rule !== undefined && (rule.pii === true || !fits(measure, rule)))) {
    complain(
      [...path, 'features'],
      `none can be compared by ${measure}: each is of another type, or marked pii in ${dataset.contract}`,
    );
  }
}

/** The period of the alarm is the time between two measurements, so that each has a data point. */
function checkPeriod(path: PropertyKey[], { alarm, schedule }: MonitorConfig, complain: Complain): void {
  if (alarm === undefined) return;
  const seconds = secondsOf(schedule) ?? 0;
  if (seconds === 0 || seconds > LONGEST_LOOK_BACK_S) {
    complain(
      [...path, 'schedule'],
      `expected rate(...) of at most 7 days, which the period of the alarm is made of, got ${schedule}`,
    );
  } else if (seconds * alarm.evaluationPeriods > LONGEST_LOOK_BACK_S) {
    complain(
      [...path, 'alarm', 'evaluationPeriods'],
      `expected at most ${Math.floor(LONGEST_LOOK_BACK_S / seconds)} of ${schedule}, got ${alarm.evaluationPeriods}: CloudWatch looks back 7 days`,
    );
  }
}

/** @returns undefined where there is none, which is told, and where its contract has mistakes, which are told elsewhere */
function findDataset(
  path: PropertyKey[],
  name: string,
  { datasets, loaded }: DrillSections,
  complain: Complain,
): Loaded | undefined {
  if (!Object.hasOwn(datasets, name)) {
    complain(path, `no dataset "${name}"${didYouMean(name, Object.keys(datasets))}`);
    return undefined;
  }
  return loaded.find(({ contractFile }) => contractFile.value.dataset === name);
}

/**
 * Baselines have the columns that the contract names, and no others.
 *
 * @returns what the contract says of each; undefined where it does not know it
 */
function checkColumns(
  path: PropertyKey[],
  names: readonly string[],
  { contract, contractFile }: Loaded,
  complain: Complain,
): (ColumnRule | undefined)[] {
  const { columns } = contractFile.value;
  return names.map((column, index) => {
    if (Object.hasOwn(columns, column)) return columns[column];
    complain(
      [...path, index],
      `no column "${column}" in ${contract}${didYouMean(column, Object.keys(columns))}`,
    );
    return undefined;
  });
}

/** Whether a column has what a measure of drift compares. */
function fits(measure: MonitorConfig['measure'], { type }: ColumnRule): boolean {
  const categories = type === 'string' || type === 'boolean';
  if (measure === 'linf') return categories;
  return !categories || measure === 'psi' || measure === 'js';
}
