import { normalize } from 'node:path';
import {
  type CanaryConfig,
  checkRequirement,
  type ModelConfig,
} from '../functions/holdout-evaluation/schema.ts';
import type { DatasetConfig, LocatedContract } from '../functions/quality-gate/schema.ts';
import { didYouMean } from '../functions/shared/schema.ts';
import { bucketName, type Complain, checkPlace, isBelow } from './place-checks.ts';

/*
 * What models and canaries say of datasets and of each other: mistakes that no schema of one section can see.
 */

/** A dataset with its contract. */
export interface Loaded extends DatasetConfig {
  contractFile: LocatedContract;
}

/** The sections of tocsin.yaml, and those of its datasets whose contracts hold. */
export interface Sections {
  datasets: Record<string, DatasetConfig>;
  models: Record<string, ModelConfig>;
  canaries: Record<string, CanaryConfig>;
  loaded: readonly Loaded[];
}

/** Checks the sections `models` and `canaries` against each other and against `datasets`. */
export function checkModels(sections: Sections, complain: Complain): void {
  const { models, canaries } = sections;
  const groups = new Map<string, string>();
  for (const [name, model] of Object.entries(models)) {
    checkHoldout(['models', name, 'holdout'], model, sections, complain);
    // Names that differ in case alone have the same ARN.
    const group = model.modelPackageGroup.toLowerCase();
    const other = groups.get(group);
    if (other !== undefined) {
      complain(['models', name, 'modelPackageGroup'], `"${model.modelPackageGroup}" is that of "${other}"`);
    }
    groups.set(group, other ?? name);
  }
  for (const [name, canary] of Object.entries(canaries)) {
    checkCanary(['canaries', name], canary, sections, complain);
    const owner = groups.get(canary.modelPackageGroup.toLowerCase());
    if (owner !== undefined) {
      complain(
        ['canaries', name, 'modelPackageGroup'],
        `"${canary.modelPackageGroup}" is that of model "${owner}"; a canary needs a group of its own, in which none is ever Approved`,
      );
    }
  }
}

function checkHoldout(path: PropertyKey[], model: ModelConfig, sections: Sections, complain: Complain): void {
  const { uri, contract, label, features = [], weight } = model.holdout;
  const exists = checkPlace([...path, 'uri'], uri, sections, complain);
  if (uri.endsWith('/')) complain([...path, 'uri'], 'expected one object, got a folder');

  const contracts = Object.values(sections.datasets).map((dataset) => dataset.contract);
  if (!contracts.some((one) => samePath(one, contract))) {
    complain(
      [...path, 'contract'],
      `expected the contract of a dataset above, got ${contract}${didYouMean(contract, contracts)}`,
    );
    return;
  }
  const dataset = sections.loaded.find((one) => samePath(one.contract, contract));
  // Its contract has mistakes of its own, which are reported already.
  if (dataset === undefined) return;
  if (exists && !isBelow(uri, dataset)) {
    complain(
      [...path, 'uri'],
      `expected an object below "${dataset.prefix}" in ${bucketName(dataset.bucket)}, where ${contract} is enforced, got ${uri}`,
    );
  }
  features.forEach((feature, index) => {
    checkColumn([...path, 'features', index], feature, dataset, complain);
  });
  if (weight !== undefined) checkColumn([...path, 'weight'], weight, dataset, complain);
  checkExpression([...path, 'label'], label, dataset, complain);
  checkPersonal([...path, 'label'], label, dataset, complain);
  model.require.forEach(({ slices = [] }, requirement) => {
    slices.forEach((slice, index) => {
      const below = [...path.slice(0, -1), 'require', requirement, 'slices', index];
      checkExpression(below, slice, dataset, complain);
      checkPersonal(below, slice, dataset, complain);
    });
  });
}

function checkCanary(
  path: PropertyKey[],
  canary: CanaryConfig,
  sections: Sections,
  complain: Complain,
): void {
  const { dataset, negativeControl, parameters, groupParameter } = canary;
  const model = sections.models[canary.model];
  if (model === undefined) {
    const near = didYouMean(canary.model, Object.keys(sections.models));
    complain([...path, 'model'], `no model "${canary.model}"${near}`);
  } else {
    canary.expect.forEach((expected, index) => {
      checkRequirement(expected, model, (below, message) =>
        complain([...path, 'expect', index, ...below], message),
      );
    });
  }
  checkPlace([...path, 'dataset', 'uri'], dataset.uri, sections, complain);
  if (negativeControl.uri !== undefined) {
    checkPlace([...path, 'negativeControl', 'uri'], negativeControl.uri, sections, complain);
    if (negativeControl.uri === dataset.uri) {
      complain([...path, 'negativeControl', 'uri'], 'is the known dataset itself');
    }
  }
  const gated = sections.loaded.find((one) => isBelow(dataset.uri, one));
  if (gated !== undefined && negativeControl.corrupt !== undefined) {
    for (const column of Object.keys(negativeControl.corrupt)) {
      checkColumn([...path, 'negativeControl', 'corrupt', column], column, gated, complain);
    }
    checkCopies([...path, 'dataset', 'uri'], gated, complain);
  }
  for (const [parameter, what] of [
    [groupParameter, 'the group'],
    [dataset.parameter, 'the dataset'],
  ] as const) {
    if (parameter in parameters) {
      complain([...path, 'parameters', parameter], `is the parameter for ${what} already`);
    }
  }
  if (groupParameter === dataset.parameter) {
    complain(
      [...path, 'dataset', 'parameter'],
      `"${dataset.parameter}" is the parameter for the group already`,
    );
  }
}

/** A corrupted copy lands beside the known dataset: it must be judged there like any upload, and start nothing. */
function checkCopies(
  path: PropertyKey[],
  { prefix, onAccept, contractFile }: Loaded,
  complain: Complain,
): void {
  if (onAccept !== undefined) {
    complain(
      path,
      `is below "${prefix}", where what is accepted starts the pipeline ${onAccept.pipeline}: a corrupted copy must not; take a prefix of its own`,
    );
  }
  if (contractFile.value.batch === 'marker') {
    complain(
      path,
      `is below "${prefix}", where only whole folders are judged: a corrupted copy never would be; take a prefix of its own, or negativeControl.uri`,
    );
  }
}

function checkColumn(path: PropertyKey[], column: string, dataset: Loaded, complain: Complain): void {
  const { columns, extraColumns } = dataset.contractFile.value;
  if (extraColumns !== 'forbid' || Object.hasOwn(columns, column)) return;
  complain(path, `no column "${column}" in ${dataset.contract}${didYouMean(column, Object.keys(columns))}`);
}

/** Anything but one plain name is SQL, which DuckDB checks when it runs. */
function checkExpression(path: PropertyKey[], text: string, dataset: Loaded, complain: Complain): void {
  if (/^[A-Za-z_]\w*$/.test(text)) checkColumn(path, text, dataset, complain);
}

/** Values of labels and of slices stand in messages, in the evidence and in the metadata of packages. */
function checkPersonal(path: PropertyKey[], sql: string, dataset: Loaded, complain: Complain): void {
  const { columns } = dataset.contractFile.value;
  const read = Object.hasOwn(columns, sql) ? [sql] : namesIn(sql);
  const isRead = (column: string) => read.some((name) => name.toLowerCase() === column.toLowerCase());
  for (const [column, { pii }] of Object.entries(columns)) {
    if (pii !== true || !isRead(column)) continue;
    complain(
      path,
      `"${column}" is marked pii in ${dataset.contract}, and values of labels and slices are shown: take another column`,
    );
  }
}

/** The names in a SQL expression that may be columns. Texts are none, nor is what stands before a bracket. */
function namesIn(sql: string): string[] {
  const tokens = /'(?:[^']|'')*'|"((?:[^"]|"")*)"|([\p{L}_][\p{L}\p{N}_$]*)(?!\p{L}|\p{N}|[_$]|\s*\()/gu;
  return [...sql.matchAll(tokens)].flatMap(([, quoted, bare]) => quoted?.replaceAll('""', '"') ?? bare ?? []);
}

/** Whether two paths from the same directory name the same file: `./a.yaml` is `a.yaml`. */
function samePath(a: string, b: string): boolean {
  return normalize(a) === normalize(b);
}
