import { parentPort, workerData } from 'node:worker_threads';
import { createResampler, type Resampler } from '../resample.ts';
import type { ThreadData, ThreadMessage } from './workers.ts';

/*
 * One thread of resampleInThreads: takes chunks until none is left, and ends.
 */

const { problem, chunks, next, resamples } = workerData as ThreadData;

let prepared: { set: number; resampler: Resampler } | undefined;
for (;;) {
  const chunk = chunks[Atomics.add(next, 0, 1)];
  if (chunk === undefined) break;
  const { set, from, to } = chunk;
  if (prepared?.set !== set) {
    prepared = { set, resampler: createResampler(problem, problem.sets[set]!) };
    parentPort?.postMessage({ set, summary: prepared.resampler.summary } satisfies ThreadMessage);
  }
  const { width, resample } = prepared.resampler;
  for (let replicate = from; replicate < to; replicate++) {
    resample(replicate, resamples[set]!, replicate * width);
  }
}
