import * as z from 'zod';
import { predictor } from './boosting.ts';
import { FEATURES, type Flights, featurizer } from './features.ts';

/** The file of a model in its directory, and so in `model.tar.gz`. */
export const MODEL_FILE = 'model.json';

const rate = z.number().min(0).max(1);
const encoding = z.strictObject({ prior: rate, rates: z.array(z.tuple([z.string(), rate])) });
const tree = z
  .strictObject({
    feature: z.array(
      z
        .int()
        .min(-1)
        .max(FEATURES.length - 1),
    ),
    threshold: z.array(z.number()),
    missingLeft: z.array(z.int().min(0).max(1)),
    left: z.array(z.int().min(0)),
    value: z.array(z.number()),
  })
  .refine(
    ({ feature, ...others }) =>
      feature.length > 0 && Object.values(others).every((array) => array.length === feature.length),
    'a tree needs one entry a node in each of its arrays',
  )
  // So that walking down a tree comes to an end, and inside it.
  .refine(
    ({ feature, left }) =>
      feature.every(
        (split, node) => split === -1 || (left[node]! > node && left[node]! + 1 < feature.length),
      ),
    'the children of a node must follow it',
  );

const modelSchema = z.strictObject({
  format: z.literal('flight-delay/1'),
  features: z
    .array(z.string())
    .refine((names) => names.join() === FEATURES.join(), `expected ${FEATURES.join(', ')}`),
  /** Minutes of delay from which on, exclusive, a flight is late. */
  lateAfterMinutes: z.number(),
  encodings: z.strictObject({ origin: encoding, destination: encoding }),
  booster: z.strictObject({ bias: z.number(), trees: z.array(tree) }),
});

/** A trained model: everything that a prediction needs. */
export type Model = z.output<typeof modelSchema>;

/** The bytes of a model file: the same for the same model. */
export function formatModel(model: Model): string {
  return `${JSON.stringify(model)}\n`;
}

/**
 * Reads a model file.
 *
 * @throws Error with every mistake where it is not one
 */
export function parseModel(text: string): Model {
  const result = modelSchema.safeParse(JSON.parse(text));
  if (result.success) return result.data;
  throw new Error(`${MODEL_FILE}: ${z.prettifyError(result.error)}`);
}

/** Makes the function that predicts each flight's chance of being late. */
export function classifier({ encodings, booster }: Model): (flights: Flights) => Float64Array {
  const toColumns = featurizer(encodings);
  const predict = predictor(booster);
  return (flights) => predict(toColumns(flights));
}
