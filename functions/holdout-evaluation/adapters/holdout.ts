import type { EngineLimits, LocalFile } from '../../shared/engine/limits.ts';
import type { Examples, PredictionProblem } from '../measurements.ts';
import type { LocatedModel } from '../schema.ts';

/** What a transform job gets to see of a holdout. */
export interface Prepared {
  rows: number;
  /** Columns that the model gets, in its order. */
  features: string[];
  /** All columns of the holdout, in their order. */
  columns: string[];
  /** Of the file that was written. */
  bytes: number;
}

/** A holdout on the local disk, and what it is for. */
export interface HoldoutQuestion {
  file: LocalFile;
  model: LocatedModel;
  limits: EngineLimits;
  /** A directory; what is written there is removed again. */
  scratch: string;
}

/** The predictions of one or two models on a holdout, and which slices they are wanted by. */
export interface JoinQuestion extends HoldoutQuestion {
  /** Path of the candidate's predictions. */
  candidate: string;
  /** Path of the champion's. */
  champion?: string | undefined;
  /** Columns, or expressions, of the holdout. */
  slicings: readonly string[];
  /**
   * `joined`, the default: the output of a transform job of what {@link prepareHoldout} wrote. `any`: that, or a row
   * number and the prediction, or the predictions alone in the order of the holdout, with or without a header.
   */
  layout?: 'joined' | 'any';
}

/** Labels and predictions, joined. */
export interface Joined {
  /** Rows of the holdout. */
  rows: number;
  /** Absent where the candidate's predictions have problems; without `champion` where the champion's have. */
  examples?: Examples;
  problems: PredictionProblem[];
  championProblems: PredictionProblem[];
}

/**
 * Writes the input of a transform job: every row with its number and the model's features, nothing that tells the label.
 *
 * @param out path of the file to be written, on the disk of `scratch`
 * @throws ConfigError (a GateInputError) with the line of tocsin.yaml where that does not fit the holdout
 * @throws GateInputError where the holdout cannot be read or given to a model, or a bound is hit
 * @throws GateDependencyError where the engine or the disk fails
 */
export async function prepareHoldout(_question: HoldoutQuestion & { out: string }): Promise<Prepared> {
  throw new Error('prepareHoldout');
}

/**
 * Joins predictions with the labels of their rows, and proves that each row has exactly one.
 *
 * Errors as of {@link prepareHoldout}; what is wrong with predictions is no error but a problem.
 */
export async function joinPredictions(_question: JoinQuestion): Promise<Joined> {
  throw new Error('joinPredictions');
}
