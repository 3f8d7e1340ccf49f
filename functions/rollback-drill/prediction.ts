import { isSame, type Prediction } from '../shared/prediction.ts';
import type { Fingerprint, Who } from './measurements.ts';

/*
 * Whose predictions they are: the previous model's, or the bad one's. Pure.
 */

/**
 * Whose prediction an answer to a golden request is.
 *
 * @param golden number of the request
 */
export function whoOf(
  prediction: Prediction,
  golden: number,
  fingerprints: readonly Fingerprint[],
  tolerance: number,
): Exclude<Who, 'nobody'> {
  const parts = new Set(
    fingerprints
      .filter(({ predictions }) => isSame(prediction, predictions[golden], tolerance))
      .map(({ part }) => part),
  );
  if (parts.size === 2) return 'either';
  const [part = 'other'] = parts;
  return part;
}

/** Golden requests, by number, that no previous model answers as the bad one does. */
export function tellingOf(fingerprints: readonly Fingerprint[], tolerance: number): number[] {
  const previous = fingerprints.filter(({ part }) => part === 'previous');
  const bad = fingerprints.filter(({ part }) => part === 'bad');
  if (previous.length === 0 || bad.length === 0) return [];
  const count = Math.min(...fingerprints.map(({ predictions }) => predictions.length));
  return Array.from({ length: count }, (_, index) => index).filter((index) =>
    previous.every((one) =>
      bad.every((other) => !isSame(one.predictions[index], other.predictions[index], tolerance)),
    ),
  );
}
