import { dirname, extname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { GateDependencyError, messageOf } from '../../shared/errors.ts';
import type { ResampledSet } from '../measure.ts';
import { type ExampleSet, type Problem, type SetSummary, widthOf } from '../resample.ts';

/** What a thread gets. All arrays are shared memory: nothing is copied. */
export interface ThreadData {
  problem: Problem;
  chunks: Chunk[];
  /** One number: the next chunk that nobody has taken. */
  next: Int32Array;
  /** For each set, its resamples. */
  resamples: Float64Array[];
}

/** Some resamples of one set. */
export interface Chunk {
  set: number;
  from: number;
  /** Exclusive. */
  to: number;
}

/** What a thread says of each set that it takes part in. */
export interface ThreadMessage {
  set: number;
  summary: SetSummary;
}

/** Examples times resamples in a chunk, about: long enough to be worth taking, short enough to share out evenly. */
const CHUNK = 2.5e7;

/** The file of the threads: beside this one as a source and as a module, beside the bundle where this is in one. */
const THIS_FILE = import.meta.filename ?? __filename;
const WORKER_FILE = join(dirname(THIS_FILE), `bootstrap-worker${extname(THIS_FILE)}`);

/**
 * Draws all resamples of a problem, in threads that have ended when this does.
 *
 * @throws GateDependencyError where a thread dies
 * @throws the signal's reason once it is aborted
 */
export async function resampleInThreads(
  problem: Problem,
  threads: number,
  signal: AbortSignal | undefined,
  workerFile = WORKER_FILE,
): Promise<ResampledSet[]> {
  const { sets, replicates } = problem;
  const chunks = chunksOf(sets, replicates);
  const resamples = sets.map((set) => new Float64Array(sharedBytes(replicates * widthOf(set) * 8)));
  const data: ThreadData = {
    problem: {
      ...problem,
      labels: shareFloats(problem.labels),
      predictions: shareFloats(problem.predictions),
      champion: problem.champion && shareFloats(problem.champion),
      weights: problem.weights && shareFloats(problem.weights),
      sets: sets.map((set) => ({ ...set, ...(set.rows && { rows: shareIndices(set.rows) }) })),
    },
    chunks,
    next: new Int32Array(sharedBytes(4)),
    resamples,
  };
  const summaries = new Map<number, SetSummary>();
  const workers: Worker[] = [];
  const stopped = new AbortController();
  try {
    const started = Array.from({ length: Math.min(threads, chunks.length) }, () => {
      // What loads other modules into this process is not for its threads.
      const worker = new Worker(workerFile, { workerData: data, execArgv: [] });
      workers.push(worker);
      worker.on('message', ({ set, summary }: ThreadMessage) => summaries.set(set, summary));
      return endOf(worker);
    });
    await Promise.race([Promise.all(started), abortOf(signal, stopped.signal)]);
  } finally {
    stopped.abort();
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return sets.map((_, index) => ({ summary: summaries.get(index)!, resamples: resamples[index]! }));
}

/** The largest sets first, so that no thread is left alone with one at the end. */
function chunksOf(sets: readonly ExampleSet[], replicates: number): Chunk[] {
  return sets
    .map(({ count }, set) => ({ count, set }))
    .sort((a, b) => b.count - a.count)
    .flatMap(({ count, set }) => {
      const step = Math.max(1, Math.ceil(CHUNK / Math.max(count, 1)));
      return Array.from({ length: Math.ceil(replicates / step) }, (_, index) => ({
        set,
        from: index * step,
        to: Math.min(replicates, (index + 1) * step),
      }));
    });
}

/** Settles when the thread has ended. */
function endOf(worker: Worker): Promise<void> {
  return new Promise((done, fail) => {
    const died = (why: string, cause?: unknown) => {
      fail(
        new GateDependencyError(`a thread that computes metrics died: ${why}`, {
          cause,
          help: 'Try again; with the same error, give the function more memory.',
        }),
      );
    };
    worker.on('error', (error) => died(messageOf(error), error));
    worker.on('exit', (code) => {
      if (code === 0) done();
      else died(`exit code ${code}`);
    });
  });
}

/** Rejects once the signal is aborted; waits no longer than until `stopped`. */
function abortOf(signal: AbortSignal | undefined, stopped: AbortSignal): Promise<never> {
  return new Promise((_, fail) => {
    signal?.addEventListener('abort', () => fail(signal.reason), { signal: stopped });
  });
}

function sharedBytes(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes);
}

function shareFloats(values: Float64Array): Float64Array {
  const shared = new Float64Array(sharedBytes(values.byteLength));
  shared.set(values);
  return shared;
}

function shareIndices(values: Int32Array): Int32Array {
  const shared = new Int32Array(sharedBytes(values.byteLength));
  shared.set(values);
  return shared;
}
