import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import * as z from 'zod';
import { boost, TrainingError } from './boosting.ts';
import { FEATURES, type Flights, featurizer, fitEncoding, sliceFlights } from './features.ts';
import { classifier, formatModel, MODEL_FILE, type Model } from './model.ts';

const share = z.coerce.number().gt(0).max(1);

/** Hyperparameters; SageMaker hands them over as strings. */
const hyperparametersSchema = z.strictObject({
  trees: z.coerce.number().int().min(1).max(1000).default(60),
  learning_rate: share.default(0.15),
  max_leaves: z.coerce.number().int().min(2).max(1024).default(31),
  min_leaf_weight: z.coerce.number().gt(0).default(20),
  l2: z.coerce.number().min(0).default(1),
  max_bins: z.coerce.number().int().min(2).max(255).default(255),
  row_share: share.default(1),
  column_share: share.default(1),
  /** Rows to learn from and to validate on: a sample where there are more. */
  max_rows: z.coerce.number().int().min(10).max(5_000_000).default(300_000),
  /** Share of those rows that the model is validated on and learns nothing from. */
  validation_share: z.coerce.number().min(0).max(0.5).default(0.1),
  /** Minutes of delay from which on, exclusive, a flight is late. */
  late_after_minutes: z.coerce.number().default(15),
  seed: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(1),
});

type Hyperparameters = z.output<typeof hyperparametersSchema>;

/** Flights of which it is known whether they were late: 0 or 1. */
interface LabelledFlights {
  flights: Flights;
  labels: Uint8Array;
}

/**
 * The training entry point of the container. Reads all Parquet files of the channel `training`, and writes the model
 * into the model directory; the reason into the file `failure` of the output directory where it cannot.
 *
 * @param print gets the lines of the job's log, metrics as `train:auc=0.68012`
 * @returns exit code, 0 or 1
 */
export async function train(env: NodeJS.ProcessEnv, print: (line: string) => void): Promise<number> {
  const channel = env.SM_CHANNEL_TRAINING ?? '/opt/ml/input/data/training';
  const modelDirectory = env.SM_MODEL_DIR ?? '/opt/ml/model';
  const outputDirectory = env.SM_OUTPUT_DIR ?? '/opt/ml/output';
  try {
    const model = await fitModel(channel, readHyperparameters(env), print);
    await mkdir(modelDirectory, { recursive: true });
    await writeFile(join(modelDirectory, MODEL_FILE), formatModel(model));
    return 0;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    print(reason);
    await mkdir(outputDirectory, { recursive: true });
    await writeFile(join(outputDirectory, 'failure'), reason);
    return 1;
  }
}

/**
 * The hyperparameters: `SM_HPS` has all as JSON, and `SM_HP_TREES` one of them, which goes first.
 *
 * @throws TrainingError with every mistake
 */
export function readHyperparameters(env: NodeJS.ProcessEnv): Hyperparameters {
  const given: Record<string, unknown> = {};
  try {
    Object.assign(given, z.record(z.string(), z.unknown()).parse(JSON.parse(env.SM_HPS ?? '{}')));
  } catch {
    throw new TrainingError('SM_HPS: expected a JSON object');
  }
  for (const [name, value] of Object.entries(env))
    if (name.startsWith('SM_HP_')) given[name.slice('SM_HP_'.length).toLowerCase()] = value;
  // SageMaker adds hyperparameters of its own.
  const own = Object.entries(given).filter(([name]) => !name.startsWith('sagemaker_'));
  const result = hyperparametersSchema.safeParse(Object.fromEntries(own));
  if (result.success) return result.data;
  const mistakes = result.error.issues.map(({ path, message }) => [...path, message].join(': '));
  throw new TrainingError(`hyperparameters: ${mistakes.join('; ')}`);
}

async function fitModel(
  channel: string,
  hyperparameters: Hyperparameters,
  print: (line: string) => void,
): Promise<Model> {
  const all = await readFlights(channel, hyperparameters);
  // The sample is shuffled, so its end is as good as any other part.
  const learnt = all.labels.length - Math.floor(all.labels.length * hyperparameters.validation_share);
  const training = part(all, 0, learnt);
  const validation = part(all, learnt, all.labels.length);
  print(`${training.labels.length} flights to learn from, ${validation.labels.length} to validate on`);

  const encodings = {
    origin: fitEncoding(training.flights.origin, training.labels),
    destination: fitEncoding(training.flights.destination, training.labels),
  };
  const columns = featurizer(encodings)(training.flights);
  const booster = boost(
    columns,
    training.labels,
    {
      trees: hyperparameters.trees,
      learningRate: hyperparameters.learning_rate,
      maxLeaves: hyperparameters.max_leaves,
      minLeafWeight: hyperparameters.min_leaf_weight,
      l2: hyperparameters.l2,
      maxBins: hyperparameters.max_bins,
      rowShare: hyperparameters.row_share,
      columnShare: hyperparameters.column_share,
      seed: hyperparameters.seed,
    },
    (trees, loss) => {
      if (trees % 10 === 0) print(`${trees} trees, train:logloss=${loss.toFixed(5)}`);
    },
  );
  const model: Model = {
    format: 'flight-delay/1',
    features: [...FEATURES],
    lateAfterMinutes: hyperparameters.late_after_minutes,
    encodings,
    booster,
  };
  const classify = classifier(model);
  for (const [name, { flights, labels }] of Object.entries({ train: training, validation })) {
    const auc = rocAuc(classify(flights), labels);
    if (!Number.isNaN(auc)) print(`${name}:auc=${auc.toFixed(5)}`);
  }
  return model;
}

/**
 * Reads a sample of the channel's flights, decided by the seed, in an order decided by it too. Flights whose delay is
 * missing are left out.
 *
 * @throws TrainingError where the channel has no Parquet file; Error where a file or column cannot be read
 */
async function readFlights(
  channel: string,
  { max_rows, late_after_minutes, seed }: Hyperparameters,
): Promise<LabelledFlights> {
  const entries = await readdir(channel, { recursive: true });
  const files = entries.filter((name) => name.endsWith('.parquet')).sort();
  if (files.length === 0) throw new TrainingError('the channel training has no Parquet file');
  const list = files.map((name) => `'${join(channel, name).replaceAll("'", "''")}'`).join(', ');
  const instance = await DuckDBInstance.create(':memory:');
  try {
    const connection = await instance.connect();
    await connection.run("SET TimeZone = 'UTC'");
    const result = await connection.run(
      `SELECT epoch_ms(date::TIMESTAMP)::DOUBLE, distance::DOUBLE, origin::VARCHAR, destination::VARCHAR,
              (delay > $late)::INTEGER
       FROM read_parquet([${list}])
       WHERE delay IS NOT NULL
       ORDER BY hash(file_index, file_row_number, $seed::BIGINT), file_index, file_row_number
       LIMIT $limit::BIGINT`,
      { late: late_after_minutes, seed, limit: max_rows },
    );
    const [departure, distance, origin, destination, late] = await result.getColumns();
    return {
      flights: {
        departure: toNumbers(departure),
        distance: toNumbers(distance),
        origin: (origin ?? []) as (string | null)[],
        destination: (destination ?? []) as (string | null)[],
      },
      labels: Uint8Array.from((late ?? []) as number[]),
    };
  } finally {
    instance.closeSync();
  }
}

/** A column of DuckDB's doubles; null becomes NaN. */
function toNumbers(column: readonly unknown[] | undefined): Float64Array {
  return Float64Array.from(column ?? [], (value) => (value === null ? Number.NaN : (value as number)));
}

function part({ flights, labels }: LabelledFlights, start: number, end: number): LabelledFlights {
  return { flights: sliceFlights(flights, start, end), labels: labels.subarray(start, end) };
}

/**
 * The chance that a late flight is given a higher chance than one on time; ties count half. NaN where all are of one
 * kind.
 */
export function rocAuc(chances: Float64Array, labels: Uint8Array): number {
  const order = Uint32Array.from(chances, (_, row) => row).sort((a, b) => chances[a]! - chances[b]!);
  let late = 0;
  let rankSum = 0;
  for (let start = 0, end = 0; start < order.length; start = end) {
    let lateInTie = 0;
    for (; end < order.length && chances[order[end]!] === chances[order[start]!]; end++)
      lateInTie += labels[order[end]!]!;
    late += lateInTie;
    rankSum += (lateInTie * (start + end + 1)) / 2;
  }
  return (rankSum - (late * (late + 1)) / 2) / (late * (order.length - late));
}
