import { Command, Option } from 'commander';
import {
  ALARM_STATES,
  type AlarmState,
  conditionText,
  type Evaluated,
  longestWindowS,
  type MetricAlarm,
  MISSING_DATA,
  type MissingData,
  readsMetric,
} from '../../functions/alarm-drill/alarm.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { formatDuration } from '../../functions/shared/format.ts';
import type { Explanation, Given } from '../shared/alarm-picture.ts';
import { columnsOf, EXIT, type ExitCode, type Io, printable, run, style } from '../shared/cli.ts';
import { parsePeriod, parseWhole } from '../shared/options.ts';

export interface ExplainOptions {
  /** Data points, or `id=` and those of a metric. */
  series: string[];
  /** What `aws cloudwatch describe-alarms` answered. */
  from?: string;
  /** `>= 0.2` */
  fires?: string;
  m?: number;
  n?: number;
  /** Seconds. */
  period?: number;
  missing?: MissingData;
  /** Before the series. */
  state: AlarmState;
  json?: boolean;
}

export function alarmExplainCommand(io: Io): Command {
  return new Command('explain')
    .description(
      'Show what an alarm does to a series of data points: a picture of points, states and why they change',
    )
    .argument('[name]', 'an alarm in CloudWatch; without, and without --from, the options say it all')
    .requiredOption(
      '--series <points>',
      'data points, oldest first: 0.1 0.1 _ 0.3x5, with _ for a missing one and x5 for five; of metric math one for each metric: m1=0.1 0.3',
      (text: string, others: string[] | undefined) => [...(others ?? []), text],
    )
    .option('--from <file>', 'read the alarm from what aws cloudwatch describe-alarms has written')
    .option('--fires <condition>', "what a data point must be to breach: '>= 0.2'")
    .addOption(
      new Option('--m <count>', 'data points that must breach (default: all of --n)').argParser(parseWhole),
    )
    .addOption(
      new Option('--n <count>', 'newest data points that are looked at (default: --m, or 1)').argParser(
        parseWhole,
      ),
    )
    .addOption(
      new Option('--period <time>', 'of a data point: 60, 5m, 1h (default: 60)').argParser(parsePeriod),
    )
    .addOption(
      new Option('--missing <treatment>', 'of missing data (default: missing)').choices(MISSING_DATA),
    )
    .addOption(
      new Option('--state <state>', 'of the alarm before the series')
        .choices(ALARM_STATES)
        .default('INSUFFICIENT_DATA'),
    )
    .option('--json', 'print the evaluations as JSON')
    .addHelpText(
      'after',
      `
Options override what was read: what if M were 2? It talks to AWS only for a name without --from, and
changes nothing.

Exit code 0: explained. 2: the series or an option is wrong, or the alarm cannot be explained. 3: something broke.

Examples:
  tocsin alarm explain --fires '>= 0.2' --m 2 --n 3 --series '0.1 0.1 _ 0.3x5'
  tocsin alarm explain --fires '< 10' --n 3 --period 5m --missing breaching --state OK --series '12x3 _x6 11'
  tocsin alarm explain flight-drift --series '0.1x5 0.3x10'
  tocsin alarm explain flight-drift --m 2 --series '0.1x5 0.3 0.1 0.3x3' --json
  tocsin alarm explain --from alarm.json --series '0.1x5 0.3x10'
  tocsin alarm explain error-rate --series 'errors=0x5 12x5' --series 'requests=100x10'`,
    )
    .action(async (name: string | undefined, options: ExplainOptions) => {
      process.exitCode = await run(io, options.json === true, () => explainAlarm(name, options, io));
    });
}

/**
 * Prints what an alarm does to a series.
 *
 * @throws GateInputError where the series or an option is wrong, there is no such alarm, or nobody can say what it does
 * @throws GateDependencyError where CloudWatch does not answer
 */
async function explainAlarm(name: string | undefined, options: ExplainOptions, io: Io): Promise<ExitCode> {
  const { explain, renderPicture } = await import('../shared/alarm-picture.ts');
  const given = await givenBy(options.series);
  const read = await readAlarm(name, options.from);
  const alarm = await overridden(read, options);
  const notes = notesOn(alarm, given);
  const explanation = explain(alarm, given, options.state);
  if (options.json === true) {
    io.stdout.write(`${JSON.stringify(await plain(explanation, read?.name), null, 2)}\n`);
  } else {
    const columns = columnsOf(io.stdout);
    io.stdout.write(
      renderPicture(io.stdout, explanation, { columns, ...(read !== undefined && { name: read.name }) }),
    );
    for (const note of notes) io.stdout.write(`${style(io.stdout, 'dim', printable(note))}\n`);
  }
  return EXIT.pass;
}

/** `m1=0.1 0.3`: the id of a metric, and its data points. */
const NAMED = /^\s*([a-z]\w*)\s*=/;

async function givenBy(texts: readonly string[]): Promise<Given> {
  const { parseSeries } = await import('../../functions/alarm-drill/simulate.ts');
  const [text = '', ...others] = texts;
  if (others.length === 0 && !NAMED.test(text)) return parseSeries(text);
  const series = new Map<string, (number | null)[]>();
  for (const one of texts) {
    const [start = '', id] = NAMED.exec(one) ?? [];
    if (id === undefined) {
      throw new GateInputError(`several series, and "${one}" does not say of which metric it is`, {
        help: "Name the metrics of the alarm: --series 'm1=0.1 0.3' --series 'm2=100x2'.",
      });
    }
    if (series.has(id)) throw new GateInputError(`there are two series of ${id}`);
    // Blanks keep the positions that messages name.
    series.set(id, parseSeries(one.replace(start, ' '.repeat(start.length))));
  }
  return Object.fromEntries(series);
}

/** @returns undefined where the options say it all */
async function readAlarm(
  name: string | undefined,
  from: string | undefined,
): Promise<MetricAlarm | undefined> {
  if (name === undefined && from === undefined) return undefined;
  const { alarmIn, liveAlarm } = await import('../shared/alarms.ts');
  const alarm = from === undefined ? await liveAlarm(name as string) : await alarmIn(from, name);
  if (alarm.kind === 'metric') return alarm;
  if (alarm.kind === 'other')
    throw new GateInputError(`alarm ${alarm.name} cannot be explained: ${alarm.why}`);
  const { alarmsIn, parseRule } = await import('../../functions/alarm-drill/composite.ts');
  const children = alarmsIn(parseRule(alarm.rule));
  throw new GateInputError(
    `alarm ${alarm.name} is a composite one: its state comes from ${children.join(', ') || 'no alarm'}`,
    children.length === 0
      ? {}
      : { help: `Explain one of them: tocsin alarm explain ${children[0]} --series ...` },
  );
}

/** The alarm as it was read, with what the options say instead. */
async function overridden(read: MetricAlarm | undefined, options: ExplainOptions): Promise<Evaluated> {
  const { fires, m, n, period, missing } = options;
  if (read === undefined && fires === undefined) {
    throw new GateInputError('expected the name of an alarm, --from or --fires', {
      help: "Such as: tocsin alarm explain --fires '>= 0.2' --m 2 --n 3 --series '0.1 0.3x2'",
    });
  }
  const { fires: condition } = await import('../../functions/alarm-drill/schema.ts');
  const { parseValue } = await import('../../functions/shared/schema.ts');
  const evaluationPeriods = n ?? read?.evaluationPeriods ?? m ?? 1;
  // All of them stays all of them.
  const all = read === undefined || read.datapointsToAlarm === read.evaluationPeriods;
  const alarm: Evaluated = {
    ...(read ?? BLANK),
    ...(fires !== undefined && parseValue(condition, fires, '--fires')),
    evaluationPeriods,
    datapointsToAlarm: m ?? (all ? evaluationPeriods : read.datapointsToAlarm),
    ...(period !== undefined && { periodS: period }),
    ...(missing !== undefined && { missingData: missing }),
  };
  assertPossible(alarm);
  return alarm;
}

const BLANK: Evaluated = {
  queries: [{ id: 'm1', metric: { namespace: '', name: '', dimensions: {} }, statistic: 'Average' }],
  returns: 'm1',
  periodS: 60,
  evaluationPeriods: 1,
  datapointsToAlarm: 1,
  comparison: 'GreaterThanThreshold',
  threshold: 0,
  missingData: 'missing',
};

function assertPossible(alarm: Evaluated): void {
  const { datapointsToAlarm: m, evaluationPeriods: n, periodS } = alarm;
  if (m > n) throw new GateInputError(`M, ${m}, is more than N, ${n}`, { help: 'Give --m and --n.' });
  const longest = longestWindowS(alarm);
  if (n * periodS <= longest) return;
  throw new GateInputError(
    `CloudWatch has no alarm on ${n} data points of ${periodS} s: together at most ${formatDuration(1000 * longest)}`,
    { help: `Give --n ${Math.floor(longest / periodS)} or less, or another --period.` },
  );
}

/** What the picture leaves out, as sentences. */
function notesOn({ queries, returns, lowSamples }: Evaluated, given: Given): string[] {
  const metrics = queries.filter(readsMetric).map(({ id }) => id);
  const isMath = !metrics.includes(returns);
  const named = Array.isArray(given) ? undefined : Object.keys(given);
  const without = named === undefined || !isMath ? [] : metrics.filter((id) => !named.includes(id));
  return [
    ...(isMath && named === undefined
      ? [
          `The series is what the expression gives; name metrics to compute it: --series '${metrics[0] ?? 'm1'}=...'.`,
        ]
      : []),
    ...(without.length > 0 ? [`Without a series, and so without data: ${without.join(', ')}.`] : []),
    ...(lowSamples === 'ignore'
      ? ['With few samples this alarm keeps its state; each data point is taken to be of enough of them.']
      : []),
  ];
}

async function plain(explanation: Explanation, name: string | undefined): Promise<object> {
  const { changesOf } = await import('../shared/alarm-picture.ts');
  const { alarm, initial, points, undocumented } = explanation;
  const { periodS, evaluationPeriods, datapointsToAlarm, comparison, threshold, missingData } = alarm;
  const one = (states: readonly AlarmState[]) => (states.length === 1 ? states[0] : null);
  return {
    ...(name !== undefined && { name }),
    condition: conditionText(alarm),
    alarm: { periodS, evaluationPeriods, datapointsToAlarm, comparison, threshold, missingData },
    initial,
    undocumented,
    evaluations: points.map(({ value, breaching, states }, index) => ({
      point: index + 1,
      atS: (index + 1) * periodS,
      value,
      breaching,
      state: one(states),
      possible: states,
    })),
    changes: changesOf(explanation).map(({ from, to, ...change }) => ({
      ...change,
      from: one(from),
      to: one(to),
      possible: to,
    })),
  };
}
