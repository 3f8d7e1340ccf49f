import { GateInputError } from '../shared/errors.ts';
import { formatDuration, formatNumber } from '../shared/format.ts';
import { type HoldoutQuestion, joinPredictions } from './adapters/holdout.ts';
import { measureMetrics } from './adapters/measure.ts';
import { needsOf } from './decide.ts';
import type { ChampionState, Measurements, MetricRequest, PredictionProblem } from './measurements.ts';

/** What became of the model that the candidate is compared with. */
export type Champion =
  | { kind: 'none' }
  | { kind: 'unavailable'; package: string; reason: string }
  /** Its predictions are at `path`. */
  | { kind: 'answered'; package: string; path: string };

/** The predictions of a model on a holdout, with everything that measuring them takes. */
export interface ModelQuestion extends HoldoutQuestion {
  /** The candidate's predictions; or why there are none, which is the candidate's own fault. */
  candidate: { path: string } | { failed: string };
  champion: Champion;
  /** Of the holdout, where it was counted already. */
  rows?: number;
  layout?: 'joined' | 'any';
  /** Wanted beside what the thresholds need. */
  also?: readonly MetricRequest[];
  /** Hexadecimal. */
  seed: string;
  /** Aborted when the time is up. */
  signal?: AbortSignal;
}

/**
 * Joins predictions with their labels and measures what the thresholds of the model need. Touches nothing but `scratch`.
 *
 * @throws GateInputError where tocsin.yaml does not fit the holdout, or a bound is hit
 * @throws GateDependencyError where the engine or the disk fails
 */
export async function measureModel(question: ModelQuestion): Promise<Measurements> {
  const { model, candidate, champion, also = [], limits, seed, signal } = question;
  const { confidence, replicates, task } = model.value;
  if ('failed' in candidate) {
    return {
      examples: question.rows ?? 0,
      transform: { completed: false, reason: candidate.failed },
      problems: [],
      champion: stateOf(champion, []),
    };
  }
  const needs = needsOf(model.value);
  const requests = [...needs.requests, ...also];
  const { rows, examples, problems, championProblems } = await joinPredictions({
    file: question.file,
    model,
    limits,
    scratch: question.scratch,
    candidate: candidate.path,
    ...(champion.kind === 'answered' && { champion: champion.path }),
    slicings: [...new Set(requests.flatMap(({ slicing }) => slicing ?? []))],
    ...(question.layout !== undefined && { layout: question.layout }),
  });
  return {
    examples: rows,
    transform: { completed: true },
    problems,
    champion: stateOf(champion, championProblems),
    ...(examples !== undefined && {
      metrics: await measureMetrics(
        { ...examples, task },
        requests,
        examples.champion === undefined ? [] : needs.differences,
        { confidence, replicates, seed, threads: limits.threads, ...(signal && { signal }) },
      ).catch((error: unknown) => {
        throw signal?.aborted ? outOfTime(rows, limits.timeoutMs, error) : error;
      }),
    }),
  };
}

function outOfTime(rows: number, timeoutMs: number, cause: unknown): GateInputError {
  const within = `within ${formatDuration(timeoutMs)}`;
  return new GateInputError(`the metrics of ${formatNumber(rows)} examples could not be computed ${within}`, {
    cause,
    help: 'Ask for fewer slices or replicates, take a smaller holdout, or allow more time (engine.timeout).',
  });
}

function stateOf(champion: Champion, problems: readonly PredictionProblem[]): ChampionState {
  if (champion.kind !== 'answered') return champion;
  if (problems.length === 0) return { kind: 'compared', package: champion.package };
  const counts = problems.map(({ kind, count }) => `${formatNumber(count)} ${kind}`);
  return {
    kind: 'unavailable',
    package: champion.package,
    reason: `its predictions cannot be used: ${counts.join(', ')}`,
  };
}
