/*
 * Gradient-boosted trees for two classes: log loss, second-order gain, trees grown leaf by leaf on histograms.
 * The same data, options and seed give the same trees, bit for bit.
 */

/** One array a feature, all of one length. Finite numbers; NaN is a missing value. */
export type Columns = readonly Float64Array[];

/** How to boost. */
export interface BoostingOptions {
  /** At most so many; fewer where no split gains anything any more. */
  trees: number;
  /** What a tree's leaves are multiplied by, above 0 and at most 1. */
  learningRate: number;
  /** Leaves of a tree, at least 2. */
  maxLeaves: number;
  /** Least sum of p(1 - p) over the rows of a leaf; the more, the less a leaf follows single rows. */
  minLeafWeight: number;
  /** Draws the leaves towards 0; at least 0. */
  l2: number;
  /** Bins of the values of a feature, 2 to 255. */
  maxBins: number;
  /** Share of the rows that a tree is grown on, above 0 and at most 1. */
  rowShare: number;
  /** Share of the features that a tree may split on, above 0 and at most 1; at least one feature. */
  columnShare: number;
  /** Decides which rows and features; an integer. */
  seed: number;
}

/**
 * One tree, as arrays over its nodes; node 0 is the root. A row goes left where its value is at most the threshold.
 */
export interface Tree {
  /** What a node splits on; -1 in a leaf. */
  feature: number[];
  threshold: number[];
  /** 1 where a missing value goes left, 0 where it goes right. */
  missingLeft: number[];
  /** The left child; the right one follows it. 0 in a leaf. */
  left: number[];
  /** What a leaf adds to the log-odds; 0 in an inner node. */
  value: number[];
}

/** Boosted trees: the log-odds of class 1 are the bias and the sum of the leaves that a row falls into. */
export interface Booster {
  bias: number;
  trees: Tree[];
}

/** The data cannot be learnt from, whatever the options. */
export class TrainingError extends Error {
  override readonly name = 'TrainingError';
}

/** Bins of a histogram: up to 255 of values, and the last for missing values. */
const BINS = 256;
const MISSING = BINS - 1;

/** Where the rows without a value may go: right or left; it makes no difference where there are none. */
const EITHER_SIDE = [false, true];
const ONE_SIDE = [false];

/** A gain below this is rounding. */
const LEAST_GAIN = 1e-9;

/**
 * Learns the chance of class 1.
 *
 * @param labels 0 or 1, a row each
 * @param onTree gets the number of trees so far, and the mean log loss (natural logarithm) on these rows
 * @throws TrainingError where there are no rows, or all are of one class
 */
export function boost(
  columns: Columns,
  labels: Uint8Array,
  options: BoostingOptions,
  onTree?: (trees: number, loss: number) => void,
): Booster {
  const rows = labels.length;
  const positives = sum(labels);
  if (rows === 0) throw new TrainingError('there are no rows to learn from');
  if (positives === 0 || positives === rows)
    throw new TrainingError(`all ${rows} rows are of class ${labels[0]}: there is nothing to tell apart`);

  const features = columns.map((column) => binned(column, options.maxBins));
  const booster: Booster = { bias: Math.log(positives / (rows - positives)), trees: [] };
  const scores = new Float64Array(rows).fill(booster.bias);
  const gradients = new Float64Array(rows);
  const hessians = new Float64Array(rows);
  differentiate(scores, labels, gradients, hessians);
  const growth: Growth = {
    gradients,
    hessians,
    scores,
    order: new Uint32Array(rows),
    scratch: new Uint32Array(rows),
    options,
  };
  while (booster.trees.length < options.trees) {
    const round = booster.trees.length;
    dropRows(gradients, hessians, options, round);
    const tree = growTree(features, chooseFeatures(features.length, options, round), growth);
    if (tree.feature.length === 1) break;
    booster.trees.push(tree);
    const loss = differentiate(scores, labels, gradients, hessians);
    onTree?.(round + 1, loss);
  }
  return booster;
}

/**
 * Makes a function that predicts the chance of class 1, a row each, from columns in the order of the training.
 */
export function predictor({ bias, trees }: Booster): (columns: Columns) => Float64Array {
  const sizes = trees.map((tree) => tree.feature.length);
  const nodes = sizes.reduce((sum, size) => sum + size, 0);
  const feature = new Int32Array(nodes);
  const threshold = new Float64Array(nodes);
  const missingLeft = new Uint8Array(nodes);
  const left = new Int32Array(nodes);
  const value = new Float64Array(nodes);
  const roots = new Int32Array(trees.length);
  let base = 0;
  for (const [index, tree] of trees.entries()) {
    roots[index] = base;
    feature.set(tree.feature, base);
    threshold.set(tree.threshold, base);
    missingLeft.set(tree.missingLeft, base);
    const first = base;
    left.set(
      tree.left.map((child) => first + child),
      base,
    );
    value.set(tree.value, base);
    base += tree.feature.length;
  }

  return (columns) => {
    const chances = new Float64Array(columns[0]?.length ?? 0);
    for (let row = 0; row < chances.length; row++) {
      let score = bias;
      for (let index = 0; index < roots.length; index++) {
        let node = roots[index]!;
        for (let split = feature[node]!; split >= 0; split = feature[node]!) {
          const x = columns[split]![row]!;
          // A comparison with NaN is false.
          const goesLeft = x <= threshold[node]! || (missingLeft[node] === 1 && Number.isNaN(x));
          node = left[node]! + (goesLeft ? 0 : 1);
        }
        score += value[node]!;
      }
      chances[row] = 1 / (1 + Math.exp(-score));
    }
    return chances;
  };
}

function sum(numbers: Float64Array | Uint8Array): number {
  let total = 0;
  for (let at = 0; at < numbers.length; at++) total += numbers[at]!;
  return total;
}

/** A feature in bins. */
interface BinnedFeature {
  /** Bin of each row: {@link MISSING}, or the first whose cut is not below the value. */
  bins: Uint8Array;
  /** Upper ends of the bins, ascending; the last is the largest number there is. */
  cuts: Float64Array;
  hasMissing: boolean;
}

/** A bin for each value where there are few, else bins of about as many rows each. */
function binned(column: Float64Array, maxBins: number): BinnedFeature {
  const sorted = column.filter((x) => !Number.isNaN(x)).sort();
  let values = 0;
  for (let at = 0; at < sorted.length; at++) if (sorted[at] !== sorted[at + 1]) values++;
  const cuts: number[] = [];
  let inBin = 0;
  for (let at = 0; at + 1 < sorted.length && cuts.length < maxBins - 1; at++) {
    inBin++;
    if (sorted[at] === sorted[at + 1]) continue;
    // The rows that are left, this bin's too, are shared out over the bins that are left.
    const share = (sorted.length - 1 - at + inBin) / (maxBins - cuts.length);
    if (values > maxBins && inBin < share) continue;
    cuts.push(between(sorted[at]!, sorted[at + 1]!));
    inBin = 0;
  }
  cuts.push(Number.MAX_VALUE);
  const upper = Float64Array.from(cuts);
  const bins = new Uint8Array(column.length);
  for (let row = 0; row < bins.length; row++) {
    const x = column[row]!;
    bins[row] = Number.isNaN(x) ? MISSING : binOf(upper, x);
  }
  return { bins, cuts: upper, hasMissing: sorted.length < column.length };
}

/** A number from `a` on and below `b`, half way where there is one. */
function between(a: number, b: number): number {
  const middle = a / 2 + b / 2;
  return middle >= a && middle < b ? middle : a;
}

/** The first bin whose cut is not below `x`. */
function binOf(cuts: Float64Array, x: number): number {
  let low = 0;
  let high = cuts.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (cuts[middle]! < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Writes the first and second derivatives of the log loss by the score; returns the mean loss. */
function differentiate(
  scores: Float64Array,
  labels: Uint8Array,
  gradients: Float64Array,
  hessians: Float64Array,
): number {
  let loss = 0;
  for (let row = 0; row < scores.length; row++) {
    const score = scores[row]!;
    // exp of minus the size does not overflow.
    const small = Math.exp(-Math.abs(score));
    const chance = (score >= 0 ? 1 : small) / (1 + small);
    gradients[row] = chance - labels[row]!;
    hessians[row] = small / ((1 + small) * (1 + small));
    loss += Math.log1p(small) + (labels[row] === 1 ? Math.max(-score, 0) : Math.max(score, 0));
  }
  return loss / scores.length;
}

/** Takes rows out of a tree: a row without derivatives counts nowhere, and still gets its score. */
function dropRows(
  gradients: Float64Array,
  hessians: Float64Array,
  { rowShare, seed }: BoostingOptions,
  round: number,
): void {
  if (rowShare >= 1) return;
  for (let row = 0; row < gradients.length; row++) {
    if (uniform(seed, 2 * round, row) < rowShare) continue;
    gradients[row] = 0;
    hessians[row] = 0;
  }
}

/** The features that a tree may split on, ascending. */
function chooseFeatures(count: number, { columnShare, seed }: BoostingOptions, round: number): number[] {
  const all = Array.from({ length: count }, (_, feature) => feature);
  if (columnShare >= 1) return all;
  const draws = all.map((feature) => uniform(seed, 2 * round + 1, feature));
  return all
    .toSorted((a, b) => draws[a]! - draws[b]!)
    .slice(0, Math.max(1, Math.round(count * columnShare)))
    .sort((a, b) => a - b);
}

/** A number from 0 up to but not 1, decided by three integers: each is mixed in, then all bits are stirred. */
function uniform(seed: number, stream: number, index: number): number {
  let x = seed | 0;
  for (const part of [stream, index, 0x9e3779b9]) {
    x = Math.imul(x ^ part, 0x85ebca6b);
    x = Math.imul(x ^ (x >>> 15), 0xc2b2ae35);
    x ^= x >>> 13;
  }
  return (x >>> 0) / 2 ** 32;
}

/** A leaf of the tree that is being grown. */
interface Leaf {
  node: number;
  /** Its rows stand from here ... */
  start: number;
  /** ... to before here. */
  end: number;
  gradient: number;
  hessian: number;
  /** Sums of gradients and hessians in turn, by bin, feature after feature. */
  histogram: Float64Array;
  best: Split | undefined;
}

/** The best that can be done with a leaf. */
interface Split {
  gain: number;
  feature: number;
  bin: number;
  missingLeft: boolean;
  /** Sums over the rows that go left. */
  gradient: number;
  hessian: number;
}

/** What a tree is grown from. */
interface Growth {
  gradients: Float64Array;
  hessians: Float64Array;
  /** The leaves' values are added to these. */
  scores: Float64Array;
  /** Room for the row numbers, twice. */
  order: Uint32Array;
  scratch: Uint32Array;
  options: BoostingOptions;
}

/** Grows a tree: always splits the leaf that gains the most. */
function growTree(features: readonly BinnedFeature[], allowed: readonly number[], growth: Growth): Tree {
  const { gradients, hessians, scores, order, scratch, options } = growth;
  const tree: Tree = { feature: [], threshold: [], missingLeft: [], left: [], value: [] };
  const addNode = () => {
    tree.threshold.push(0);
    tree.missingLeft.push(0);
    tree.left.push(0);
    tree.value.push(0);
    return tree.feature.push(-1) - 1;
  };
  for (let row = 0; row < order.length; row++) order[row] = row;
  const fill = (start: number, end: number) =>
    histogramOf(features, allowed, growth, order.subarray(start, end));

  const root: Leaf = {
    node: addNode(),
    start: 0,
    end: order.length,
    gradient: sum(gradients),
    hessian: sum(hessians),
    histogram: fill(0, order.length),
    best: undefined,
  };
  root.best = bestSplit(features, allowed, root, options);
  const leaves = [root];
  while (leaves.length < options.maxLeaves) {
    let chosen: Leaf | undefined;
    for (const leaf of leaves)
      if (leaf.best !== undefined && leaf.best.gain > (chosen?.best?.gain ?? 0)) chosen = leaf;
    if (chosen?.best === undefined) break;
    const { start, end, node, best, histogram } = chosen;
    const { bins, cuts } = features[best.feature]!;
    const middle = partition(order, scratch, chosen, (row) =>
      bins[row] === MISSING ? best.missingLeft : bins[row]! <= best.bin,
    );
    tree.feature[node] = best.feature;
    tree.threshold[node] = cuts[best.bin]!;
    tree.missingLeft[node] = best.missingLeft ? 1 : 0;
    tree.left[node] = addNode();
    addNode();

    // Only the smaller child is counted: the other is what remains of the parent.
    const leftIsSmall = middle - start <= end - middle;
    const small = leftIsSmall ? fill(start, middle) : fill(middle, end);
    for (let slot = 0; slot < small.length; slot++) histogram[slot]! -= small[slot]!;
    const left: Leaf = {
      node: tree.left[node]!,
      start,
      end: middle,
      gradient: best.gradient,
      hessian: best.hessian,
      histogram: leftIsSmall ? small : histogram,
      best: undefined,
    };
    const right: Leaf = {
      node: left.node + 1,
      start: middle,
      end,
      gradient: chosen.gradient - best.gradient,
      hessian: chosen.hessian - best.hessian,
      histogram: leftIsSmall ? histogram : small,
      best: undefined,
    };
    left.best = bestSplit(features, allowed, left, options);
    right.best = bestSplit(features, allowed, right, options);
    leaves.splice(leaves.indexOf(chosen), 1, left, right);
  }

  for (const { node, start, end, gradient, hessian } of leaves) {
    const value = (-gradient / (hessian + options.l2)) * options.learningRate;
    tree.value[node] = value;
    for (let at = start; at < end; at++) scores[order[at]!]! += value;
  }
  return tree;
}

/** Puts the rows of a leaf that go left before the others, both in their order; returns where the others start. */
function partition(
  order: Uint32Array,
  scratch: Uint32Array,
  { start, end }: Leaf,
  goesLeft: (row: number) => boolean,
): number {
  let left = start;
  let right = 0;
  for (let at = start; at < end; at++) {
    const row = order[at]!;
    if (goesLeft(row)) order[left++] = row;
    else scratch[right++] = row;
  }
  order.set(scratch.subarray(0, right), left);
  return left;
}

/** The histograms of the allowed features over some rows. */
function histogramOf(
  features: readonly BinnedFeature[],
  allowed: readonly number[],
  { gradients, hessians }: Growth,
  rows: Uint32Array,
): Float64Array {
  const histogram = new Float64Array(features.length * BINS * 2);
  for (const feature of allowed) {
    const { bins } = features[feature]!;
    const base = feature * BINS;
    for (let at = 0; at < rows.length; at++) {
      const row = rows[at]!;
      const slot = (base + bins[row]!) * 2;
      histogram[slot]! += gradients[row]!;
      histogram[slot + 1]! += hessians[row]!;
    }
  }
  return histogram;
}

/** The split of a leaf that lowers the loss the most; none where no split does with enough weight on both sides. */
function bestSplit(
  features: readonly BinnedFeature[],
  allowed: readonly number[],
  { gradient, hessian, histogram }: Leaf,
  { l2, minLeafWeight }: BoostingOptions,
): Split | undefined {
  const unsplit = (gradient * gradient) / (hessian + l2);
  let best: Split | undefined;
  for (const feature of allowed) {
    const { cuts, hasMissing } = features[feature]!;
    const base = feature * BINS;
    const missingGradient = histogram[(base + MISSING) * 2]!;
    const missingHessian = histogram[(base + MISSING) * 2 + 1]!;
    let valueGradient = 0;
    let valueHessian = 0;
    for (let bin = 0; bin < cuts.length; bin++) {
      valueGradient += histogram[(base + bin) * 2]!;
      valueHessian += histogram[(base + bin) * 2 + 1]!;
      for (const missingLeft of hasMissing ? EITHER_SIDE : ONE_SIDE) {
        const leftGradient = valueGradient + (missingLeft ? missingGradient : 0);
        const leftHessian = valueHessian + (missingLeft ? missingHessian : 0);
        const rightGradient = gradient - leftGradient;
        const rightHessian = hessian - leftHessian;
        if (leftHessian < minLeafWeight || rightHessian < minLeafWeight) continue;
        const gain =
          (leftGradient * leftGradient) / (leftHessian + l2) +
          (rightGradient * rightGradient) / (rightHessian + l2) -
          unsplit;
        if (gain <= Math.max(best?.gain ?? 0, LEAST_GAIN)) continue;
        best = {
          gain,
          feature,
          bin,
          // Where no row of the training lacks the value there is no better side: the heavier one then.
          missingLeft: hasMissing ? missingLeft : leftHessian >= rightHessian,
          gradient: leftGradient,
          hessian: leftHessian,
        };
      }
    }
  }
  return best;
}
