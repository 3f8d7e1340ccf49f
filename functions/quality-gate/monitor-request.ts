import { GateInputError } from '../shared/errors.ts';
import { didYouMean, parseValue, placeOf, secondsOf } from '../shared/schema.ts';
import {
  type LocatedContract,
  type LocatedMonitor,
  type MonitorBundle,
  type MonitorConfig,
  monitorRequestSchema,
  parseContract,
  parseMonitors,
} from './schema.ts';

/*
 * From what invoked the drift monitor to what it is to compare: which monitor, which hours of which capture. Pure.
 */

/** A span of time, milliseconds since 1970: from `from`, up to before `to`. */
export interface Window {
  from: number;
  to: number;
}

/** What the function is asked to compare. */
export interface MonitorRequest {
  monitor: LocatedMonitor;
  /** Of its dataset; only the columns that are features, and nothing of them but what they are. */
  contract: LocatedContract;
  window: Window;
}

const HOUR_MS = 3_600_000;

/** How late SageMaker writes what it captures, at most. */
const CAPTURE_MS = 5 * 60_000;

/**
 * Reads an invocation.
 *
 * @param now milliseconds since 1970
 * @throws GateInputError where it is malformed, there is no such monitor, or its contract does not hold
 */
export function resolveMonitor(event: unknown, bundle: MonitorBundle, now: number): MonitorRequest {
  const { monitor: asked } = parseValue(monitorRequestSchema, event, 'invocation');
  const monitors = parseMonitors(bundle);
  const monitor = monitors.get(asked);
  if (monitor === undefined) {
    const names = [...monitors.keys()];
    throw new GateInputError(
      `no drift monitor "${asked}" in ${bundle.file}${didYouMean(asked, names)}; it has: ${names.join(', ')}`,
    );
  }
  const { dataset } = monitor.value;
  const contract = Object.hasOwn(bundle.contracts, dataset) ? bundle.contracts[dataset] : undefined;
  if (contract === undefined) {
    throw new GateInputError(
      `the deployed configuration has no contract of dataset ${dataset}, which the drift monitor ${asked} names`,
    );
  }
  return {
    monitor,
    contract: featuresOnly(parseContract(contract.text, contract.file), monitor.value),
    window: windowOf(monitor.value, now),
  };
}

/**
 * What the records of a capture look like: text, with the types of the contract. Its rules are about datasets, and
 * nobody judges a record of an endpoint by them.
 */
function featuresOnly(contract: LocatedContract, { features, dataset }: MonitorConfig): LocatedContract {
  const columns = features.map((feature) => {
    const rule = Object.hasOwn(contract.value.columns, feature) ? contract.value.columns[feature] : undefined;
    if (rule === undefined) {
      throw new GateInputError(`${contract.file} has no column "${feature}", a feature of the drift monitor`);
    }
    const { type, timeFormat, pii } = rule;
    return [
      feature,
      { type, ...(timeFormat !== undefined && { timeFormat }), ...(pii !== undefined && { pii }) },
    ] as const;
  });
  const { contract: version, confidence, columnOrder } = contract.value;
  return {
    ...contract,
    value: {
      contract: version,
      dataset,
      format: 'csv',
      batch: 'object',
      columns: Object.fromEntries(columns),
      extraColumns: 'forbid',
      columnOrder,
      confidence,
      rules: [],
    },
  };
}

/**
 * The window that is compared. It ends so long ago that what was captured in it has been written: 5 minutes, or a quarter
 * of the window or of the time between two runs where that is less, so that an alarm whose period is that time still sees
 * the data point.
 */
export function windowOf({ window, schedule }: MonitorConfig, now: number): Window {
  const seconds = secondsOf(schedule);
  const every = seconds === undefined ? window : 1000 * seconds;
  const late = Math.min(CAPTURE_MS, window / 4, every / 4);
  // What is captured knows its time to the second.
  const to = Math.floor((now - late) / 1000) * 1000;
  return { from: to - window, to };
}

/**
 * Folders below `{prefix}/{endpoint}/{variant}/` that may have records of a window, `2026/01/31/23/`: its hours, the one
 * before, whose last file may have been begun there, and the one after, into which it may have been written late.
 */
export function hourFolders({ from, to }: Window): string[] {
  const folders: string[] = [];
  for (let hour = Math.floor(from / HOUR_MS) - 1; hour * HOUR_MS <= to + HOUR_MS; hour++) {
    folders.push(`${new Date(hour * HOUR_MS).toISOString().slice(0, 13).replace(/[-T]/g, '/')}/`);
  }
  return folders;
}

/**
 * Where the capture of a monitor's endpoint is: the keys of its variants begin with `prefix`.
 *
 * @throws GateInputError where the configuration names no bucket
 */
export function captureOf({ capture, endpoint }: MonitorConfig): { bucket: string; prefix: string } {
  const { bucket, key } = placeOf(capture);
  if (bucket === undefined) throw new GateInputError(`expected s3://bucket/prefix/, got ${capture}`);
  return { bucket, prefix: `${key}${key === '' || key.endsWith('/') ? '' : '/'}${endpoint}/` };
}
