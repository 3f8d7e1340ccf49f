import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BoostingOptions,
  boost,
  type Columns,
  predictor,
  TrainingError,
} from '../../../sandbox/model/boosting.ts';
import { createRandom } from '../../support/random.ts';

const OPTIONS: BoostingOptions = {
  trees: 30,
  learningRate: 0.3,
  maxLeaves: 8,
  minLeafWeight: 1,
  l2: 1,
  maxBins: 255,
  rowShare: 1,
  columnShare: 1,
  seed: 1,
};

/** Rows of numbers from 0 up to 1, and a label that follows from them, but for a share of them that is turned. */
function generate(rows: number, width: number, rule: (x: number[]) => boolean, noise = 0, seed = 7) {
  const random = createRandom(seed);
  const columns = Array.from({ length: width }, () => new Float64Array(rows));
  const labels = new Uint8Array(rows);
  for (let row = 0; row < rows; row++) {
    for (const column of columns) column[row] = random.uniform();
    const truth = rule(columns.map((column) => column[row] ?? Number.NaN));
    labels[row] = truth === random.uniform() >= noise ? 1 : 0;
  }
  return { columns, labels };
}

/** Share of the rows that are on the right side of 1/2. */
function accuracy(chances: Float64Array, labels: Uint8Array): number {
  return (
    chances.reduce((right, p, row) => right + Number(p >= 0.5 === (labels[row] === 1)), 0) / labels.length
  );
}

describe('boost', () => {
  it.each([
    ['a threshold', (x: number[]) => x[1]! > 0.37],
    ['an interval', (x: number[]) => x[0]! > 0.2 && x[0]! < 0.6],
    ['an exclusive or, which no single feature tells', (x: number[]) => x[0]! > 0.45 !== x[1]! > 0.6],
    ['a sum', (x: number[]) => x[0]! + x[1]! > 1],
  ])('learns %s', (_, rule) => {
    const { columns, labels } = generate(4000, 3, rule);
    const fresh = generate(2000, 3, rule, 0, 8);
    const model = boost(columns, labels, { ...OPTIONS, trees: 60 });
    expect(accuracy(predictor(model)(fresh.columns), fresh.labels)).toBeGreaterThan(0.97);
  });

  it('finds the threshold and the leaves of a single split by their definition', () => {
    const column = Float64Array.of(1, 2, 3, 10, 11, 12);
    const labels = Uint8Array.of(0, 0, 0, 1, 1, 0);
    const options = { ...OPTIONS, trees: 1, maxLeaves: 2, minLeafWeight: 0.1, l2: 0.5, learningRate: 0.25 };
    const { bias, trees } = boost([column], labels, options);
    // With p = 1/3 everywhere: left -(3p) / (3p(1-p) + l2), right (2 - 3p) / (3p(1-p) + l2).
    expect(bias).toBeCloseTo(Math.log(1 / 2), 14);
    expect(trees).toEqual([
      {
        feature: [0, -1, -1],
        threshold: [6.5, 0, 0],
        // Half of the rows are on either side.
        missingLeft: [expect.any(Number), 0, 0],
        left: [1, 0, 0],
        value: [
          0,
          expect.closeTo((0.25 * -1) / (2 / 3 + 0.5), 14),
          expect.closeTo((0.25 * 1) / (2 / 3 + 0.5), 14),
        ],
      },
    ]);
  });

  it('predicts chances as they are, where labels are a matter of chance', () => {
    const { columns, labels } = generate(20_000, 2, (x) => x[0]! > 0.5, 0.2);
    const chances = predictor(boost(columns, labels, { ...OPTIONS, trees: 10, minLeafWeight: 200 }))([
      Float64Array.of(0.1, 0.9),
      Float64Array.of(0.5, 0.5),
    ]);
    expect(chances[0]).toBeCloseTo(0.2, 1);
    expect(chances[1]).toBeCloseTo(0.8, 1);
  });

  it('lowers the loss with every tree', () => {
    const { columns, labels } = generate(3000, 4, (x) => x[0]! * x[1]! > 0.3, 0.1);
    const losses: number[] = [];
    boost(columns, labels, OPTIONS, (trees, loss) => {
      losses.push(loss);
      expect(losses).toHaveLength(trees);
    });
    expect(losses).toHaveLength(OPTIONS.trees);
    expect(losses[0]).toBeLessThan(Math.LN2);
    for (const [index, loss] of losses.slice(1).entries()) expect(loss).toBeLessThan(losses[index]!);
  });

  it('says the loss that its predictions have', () => {
    const { columns, labels } = generate(500, 2, (x) => x[0]! > x[1]!, 0.1);
    let last = Number.NaN;
    const model = boost(columns, labels, OPTIONS, (_, loss) => {
      last = loss;
    });
    const chances = predictor(model)(columns);
    const losses = Array.from(chances, (p, row) => -Math.log(labels[row] === 1 ? p : 1 - p));
    expect(last).toBeCloseTo(losses.reduce((sum, loss) => sum + loss, 0) / 500, 12);
  });

  it('keeps to the number of leaves, the weight of a leaf and the number of trees', () => {
    const { columns, labels } = generate(2000, 3, (x) => x[0]! + x[1]! * x[2]! > 0.6, 0.1);
    const leaves = (options: Partial<BoostingOptions>) =>
      boost(columns, labels, { ...OPTIONS, ...options }).trees.map(
        ({ feature }) => feature.filter((split) => split === -1).length,
      );
    expect(leaves({ trees: 5, maxLeaves: 6 })).toEqual([6, 6, 6, 6, 6]);
    // 2000 rows weigh at most 500 together.
    expect(Math.max(...leaves({ trees: 3, minLeafWeight: 100 }))).toBeLessThanOrEqual(5);
    expect(leaves({ minLeafWeight: 300 })).toEqual([]);
  });

  it('stops where no split gains anything', () => {
    const constant = new Float64Array(100).fill(3);
    const labels = Uint8Array.from(constant, (_, row) => row % 2);
    const model = boost([constant], labels, OPTIONS);
    expect(model).toEqual({ bias: 0, trees: [] });
    expect(predictor(model)([Float64Array.of(3, Number.NaN)])).toEqual(Float64Array.of(0.5, 0.5));
  });

  it.each([
    ['all of class 0', new Uint8Array(5), /all 5 rows are of class 0/],
    ['all of class 1', new Uint8Array(5).fill(1), /all 5 rows are of class 1/],
    ['no rows', new Uint8Array(0), /no rows/],
  ])('refuses %s', (_, labels, message) => {
    const learn = () => boost([new Float64Array(labels.length)], labels, OPTIONS);
    expect(learn).toThrow(TrainingError);
    expect(learn).toThrow(message);
  });
});

describe('missing values', () => {
  it.each([
    [0, 'low'],
    [1, 'high'],
  ])('go to the side whose rows they are like: class %i', (like) => {
    const { columns, labels } = generate(2000, 1, (x) => x[0]! > 0.5);
    const column = Float64Array.from(columns[0]!, (x, row) =>
      labels[row] === like && row % 3 === 0 ? Number.NaN : x,
    );
    const chances = predictor(boost([column], labels, OPTIONS))([Float64Array.of(0.1, 0.9, Number.NaN)]);
    expect(chances[0]).toBeLessThan(0.05);
    expect(chances[1]).toBeGreaterThan(0.95);
    expect(Math.abs(chances[2]! - like)).toBeLessThan(0.05);
  });

  it('can be all that tells the classes apart', () => {
    const column = Float64Array.from({ length: 200 }, (_, row) => (row % 2 === 0 ? Number.NaN : row));
    const labels = Uint8Array.from(column, (_, row) => row % 2);
    const chances = predictor(boost([column], labels, OPTIONS))([Float64Array.of(Number.NaN, 1, 1e300)]);
    expect(chances[0]).toBeLessThan(0.05);
    expect(chances[1]).toBeGreaterThan(0.95);
    expect(chances[2]).toBe(chances[1]);
  });

  it('go where most rows went, if the training had none', () => {
    const column = Float64Array.from({ length: 400 }, (_, row) => row);
    const labels = Uint8Array.from(column, (x) => (x < 100 ? 1 : 0));
    const chances = predictor(boost([column], labels, OPTIONS))([Float64Array.of(50, 300, Number.NaN)]);
    expect(chances[2]).toBe(chances[1]);
    expect(chances[0]).toBeGreaterThan(0.9);
  });
});

describe('the same', () => {
  const { columns, labels } = generate(1500, 5, (x) => x[0]! + x[1]! > x[2]!, 0.15);
  const sampled = { ...OPTIONS, rowShare: 0.6, columnShare: 0.5 };
  const bytes = (options: BoostingOptions) => JSON.stringify(boost(columns, labels, options));

  it('trees come of the same seed, and others of another', () => {
    expect(bytes(sampled)).toBe(bytes(sampled));
    expect(bytes({ ...sampled, seed: 2 })).not.toBe(bytes(sampled));
    // Without sampling there is nothing for a seed to decide.
    expect(bytes({ ...OPTIONS, seed: 2 })).toBe(bytes(OPTIONS));
  });

  it('predictions come of a model that was written and read', () => {
    const model = boost(columns, labels, sampled);
    const chances = predictor(model)(columns);
    expect(predictor(JSON.parse(JSON.stringify(model)))(columns)).toEqual(chances);
    expect(accuracy(chances, labels)).toBeGreaterThan(0.75);
  });

  it('loss, and predictions, come of any strictly rising change of a feature that keeps its values apart', () => {
    const coarse = columns.map((column) => column.map((x) => Math.round(x * 200)));
    const bent = coarse.map((column) => column.map((x) => x ** 3 - 1e6));
    const options = { ...OPTIONS, trees: 5 };
    expect(predictor(boost(bent, labels, options))(bent)).toEqual(
      predictor(boost(coarse, labels, options))(coarse),
    );
  });
});

it('learns any rows of two classes, and predicts chances between 0 and 1', () => {
  const value = fc.oneof(
    fc.double({ noDefaultInfinity: true }),
    fc.constantFrom(0, -0, 1, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, Number.NaN),
  );
  fc.assert(
    fc.property(
      fc.array(fc.tuple(value, value, fc.boolean()), { minLength: 2, maxLength: 40 }),
      fc.integer({ min: 2, max: 20 }),
      fc.double({ min: 0.2, max: 1, noNaN: true }),
      (rows, maxBins, rowShare) => {
        const labels = Uint8Array.from(rows, (row) => Number(row[2]));
        fc.pre(labels.includes(0) && labels.includes(1));
        const columns: Columns = [
          Float64Array.from(rows, (row) => row[0]),
          Float64Array.from(rows, (row) => row[1]),
        ];
        const model = boost(columns, labels, {
          ...OPTIONS,
          trees: 4,
          minLeafWeight: 0.01,
          maxBins,
          rowShare,
        });
        const chances = predictor(model)(columns);
        expect(chances.every((p) => p > 0 && p < 1)).toBe(true);
        expect(predictor(JSON.parse(JSON.stringify(model)))(columns)).toEqual(chances);
      },
    ),
    { seed: 3, numRuns: 300 },
  );
});
