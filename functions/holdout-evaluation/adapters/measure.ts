import { setImmediate } from 'node:timers/promises';
import { comparablePredictions, curvesOf, describePredictions } from '../curves.ts';
import { predictionDrift } from '../drift.ts';
import { conclude, planSets, type ResampledSet } from '../measure.ts';
import type { Examples, MetricMeasurements, MetricRequest } from '../measurements.ts';
import type { MetricQuery } from '../metric.ts';
import { createResampler, type Problem, widthOf } from '../resample.ts';
import { resampleInThreads } from './workers.ts';

export interface MeasureOptions {
  /** Of the two-sided intervals, between 0 and 1. */
  confidence: number;
  /** Resamples, at least 100 for bounds that mean something. */
  replicates: number;
  /** Hexadecimal; the same seed gives the same measurements, bit for bit, for any number of threads. */
  seed: string;
  /** Threads that resample; 1: none but this one. */
  threads: number;
  /** Ends it early. */
  signal?: AbortSignal;
}

/** Examples times resamples, over all sets, that are worth starting threads for. */
const WORTH_THREADS = 5e6;

/** Examples times resamples between two looks at the signal. */
const BREATH = 5e6;

/**
 * Computes metrics with their intervals, differences from the champion, its drift and the curves of a report.
 *
 * @param requests each on all examples or on every slice of a slicing, which the examples then have
 * @param differences metrics to compare with the champion by; needs `examples.champion`
 * @throws GateDependencyError where a thread dies
 * @throws RangeError for a metric that the task does not have, or a slicing that the examples do not have
 * @throws the signal's reason once it is aborted
 */
export async function measureMetrics(
  examples: Examples,
  requests: MetricRequest[],
  differences: MetricQuery[],
  options: MeasureOptions,
): Promise<MetricMeasurements> {
  const { confidence, replicates, seed, threads, signal } = options;
  signal?.throwIfAborted();
  const plan = planSets(examples, requests, differences);
  const problem: Problem = {
    task: examples.task,
    labels: Float64Array.from(examples.labels),
    predictions: examples.predictions,
    champion: examples.champion,
    classes: examples.classes,
    weights: examples.weights,
    sets: plan.sets,
    replicates,
    seed,
  };
  const work = plan.sets.reduce((sum, { count }) => sum + count * replicates, 0);
  const resampled =
    threads > 1 && work >= WORTH_THREADS
      ? await resampleInThreads(problem, threads, signal)
      : await resampleHere(problem, signal);
  const { predictions, champion } = examples;
  const drift =
    champion &&
    predictionDrift(
      comparablePredictions(examples, predictions),
      comparablePredictions(examples, champion),
      options,
    );
  return {
    examples: examples.count,
    confidence,
    replicates,
    seed,
    ...conclude(plan, examples.task, resampled, confidence),
    predictions: describePredictions(examples, predictions),
    ...(drift && { predictionDrift: drift }),
    curves: curvesOf(examples),
  };
}

async function resampleHere(problem: Problem, signal: AbortSignal | undefined): Promise<ResampledSet[]> {
  const resampled: ResampledSet[] = [];
  let breath = 0;
  for (const set of problem.sets) {
    const width = widthOf(set);
    const resampler = createResampler(problem, set);
    const resamples = new Float64Array(problem.replicates * width);
    for (let replicate = 0; replicate < problem.replicates; replicate++) {
      resampler.resample(replicate, resamples, replicate * width);
      breath += set.count;
      if (breath < BREATH) continue;
      breath = 0;
      await setImmediate();
      signal?.throwIfAborted();
    }
    resampled.push({ summary: resampler.summary, resamples });
  }
  return resampled;
}
