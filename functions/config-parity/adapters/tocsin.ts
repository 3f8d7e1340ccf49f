import type { StackResourceSummary } from '@aws-sdk/client-cloudformation';
import type { S3Client } from '@aws-sdk/client-s3';
import { parse } from 'yaml';
import * as z from 'zod';
import { mapLimit } from '../../shared/aws.ts';
import { readText } from '../../shared/evidence.ts';
import { tryJson } from '../../shared/schema.ts';
import type { Json } from '../json.ts';
import { itemOf, type Path } from '../path.ts';
import { listStack } from './discovery.ts';
import { functionOf } from './functions.ts';
import { attempt, CONCURRENCY, DELETED, type Found, type Reading } from './reading.ts';
import { readEach } from './things.ts';
import type { JsonObject } from './values.ts';

/** Where a function of Tocsin has what it was deployed with, which is compared itself: the key is a hash of it. */
const PLACE = ['CONFIG_BUCKET', 'CONFIG_KEY'] as const;

const GET_OBJECT = 's3:GetObject';

const fileSchema = z.looseObject({ text: z.string() });

/** What functions of Tocsin are deployed with, of whatever gate: this version may read what an earlier one wrote. */
const bundleSchema = z.looseObject({
  /** tocsin.yaml */
  text: z.string().optional(),
  /** Of the quality gate, which does without tocsin.yaml. */
  datasets: z.record(z.string(), z.looseObject({ contract: z.string() })).optional(),
  /** By dataset; of the quality gate, texts by file. */
  contracts: z.record(z.string(), z.union([z.string(), fileSchema])).default({}),
  /** parity.yaml */
  documented: fileSchema.optional(),
});

type Bundle = z.output<typeof bundleSchema>;

/** What comes out of them. */
const DOCUMENTS = ['configuration', 'documented', 'contracts'];

/** Whose deployment it is. */
interface Own {
  reading: Reading;
  path: Path;
  physical: string;
}

/** Reads what Tocsin itself was deployed with: its configuration, contracts and functions. */
export async function readTocsin(reading: Reading, found: readonly Found[]): Promise<void> {
  await readEach(reading, found, (one) => deploymentOf(reading, one));
}

async function deploymentOf(
  reading: Reading,
  { kind, name, physical }: Found,
): Promise<JsonObject | null | undefined> {
  const { sink } = reading;
  const path = [kind, name];
  const action = 'cloudformation:ListStackResources';
  const listed = await listStack(reading, { path, physical, action }, physical);
  if (listed === undefined) return undefined;
  if ('gone' in listed) return null;
  const changing = listed.answer.find(({ ResourceStatus = '' }) => ResourceStatus.endsWith('_IN_PROGRESS'));
  if (changing !== undefined) sink.unsettled({ path, physical, status: changing.ResourceStatus ?? '' });

  const members = listed.answer.filter(({ ResourceType }) => ResourceType === 'AWS::Lambda::Function');
  const read = await mapLimit(members, CONCURRENCY, (member) => functionIn(reading, path, member));
  const functions = read.filter((one) => one !== undefined);
  const own = { reading, path, physical };
  // Of one that could not be read nobody knows what it was deployed with.
  const bundles = functions.length < members.length ? [] : await bundlesOf(own, functions);
  if (bundles === undefined) return undefined;
  if (functions.length < members.length) {
    for (const key of DOCUMENTS) {
      sink.unreadable({
        path: [...path, key],
        physical,
        action: GET_OBJECT,
        why: 'a function is not readable',
      });
    }
  }
  return {
    ...documentsOf(own, bundles),
    ...(functions.length > 0 && { functions: functions.map(withoutPlace) }),
  };
}

/** A function of the stack, by its logical id; undefined where it could not be read, which is taken down. */
async function functionIn(
  reading: Reading,
  path: Path,
  { LogicalResourceId: name = '', PhysicalResourceId: physical = '' }: StackResourceSummary,
): Promise<JsonObject | undefined> {
  const at = [...path, 'functions', itemOf(name)];
  const value = await functionOf(reading, physical, at);
  if (value === null) {
    reading.sink.unreadable({ path: at, physical, action: 'lambda:GetFunctionConfiguration', why: DELETED });
  }
  return value ? { name, ...value } : undefined;
}

function placeOf({ environment = {} }: JsonObject): (Json | undefined)[] {
  return PLACE.map((key) => (environment as JsonObject)[key]);
}

function withoutPlace({ environment = {}, ...rest }: JsonObject): JsonObject {
  const variables = Object.entries(environment as JsonObject).filter(
    ([key]) => !PLACE.some((one) => one === key),
  );
  return { ...rest, ...(variables.length > 0 && { environment: Object.fromEntries(variables) }) };
}

/** What the functions of a stack were deployed with; undefined where one could not be read. */
async function bundlesOf(
  { reading, path, physical }: Own,
  functions: readonly JsonObject[],
): Promise<Bundle[] | undefined> {
  const { sink, clients } = reading;
  const places = new Map(
    functions.flatMap((one) => {
      const [bucket, key] = placeOf(one);
      return typeof bucket === 'string' && typeof key === 'string'
        ? [[`${bucket}/${key}`, { bucket, key }]]
        : [];
    }),
  );
  const read = await mapLimit([...places.values()], CONCURRENCY, async ({ bucket, key }) => {
    const of = { path, physical, action: GET_OBJECT };
    const stored = await attempt(reading, of, () => textOf(clients.s3, bucket, key));
    if (stored === undefined || !('answer' in stored)) return undefined;
    const bundle = bundleSchema.safeParse(tryJson(stored.answer ?? ''));
    if (bundle.success) return bundle.data;
    const why = stored.answer === undefined ? 'there is no such object' : 'no configuration of Tocsin';
    sink.unreadable({ ...of, why });
    return undefined;
  });
  return read.some((one) => one === undefined) ? undefined : read.flatMap((one) => one ?? []);
}

/** Its errors are those of the SDK: one object that is denied is no reason to give up. */
async function textOf(s3: S3Client, bucket: string, key: string): Promise<string | undefined> {
  try {
    return (await readText(s3, bucket, key))?.text;
  } catch (error) {
    throw (error as Error).cause ?? error;
  }
}

function documentsOf(own: Own, bundles: readonly Bundle[]): JsonObject {
  const texts = bundles.flatMap(({ text }) => text ?? []);
  const documented = bundles.flatMap((bundle) => bundle.documented?.text ?? []);
  const datasets = bundles.find((bundle) => bundle.datasets !== undefined)?.datasets;
  return {
    ...documentOf(own, 'configuration', texts),
    // Where the quality gate is all there is, it alone says how it is configured.
    ...(texts.length === 0 && datasets !== undefined && { configuration: { datasets: datasets as Json } }),
    ...documentOf(own, 'documented', documented),
    ...contractsOf(own, bundles),
  };
}

/** A file that functions of one stack were deployed with: all with the same, or it is not known which one counts. */
function documentOf({ reading, path, physical }: Own, key: string, texts: readonly string[]): JsonObject {
  const [text, another] = new Set(texts);
  if (text === undefined) return {};
  const value = yamlOf(text);
  if (another === undefined && value !== undefined) return { [key]: value };
  const why = another === undefined ? 'no YAML' : 'its functions have different ones';
  reading.sink.unreadable({ path: [...path, key], physical, action: GET_OBJECT, why });
  return {};
}

function contractsOf(own: Own, bundles: readonly Bundle[]): JsonObject {
  const byDataset = Map.groupBy(bundles.flatMap(contractsIn), ([dataset]) => dataset);
  const contracts = [...byDataset].map(([dataset, some]) =>
    documentOf(
      { ...own, path: [...own.path, 'contracts'] },
      dataset,
      some.map(([, text]) => text),
    ),
  );
  return contracts.length === 0 ? {} : { contracts: Object.assign({}, ...contracts) };
}

/** Datasets with the text of their contract. */
function contractsIn({ datasets = {}, contracts }: Bundle): [string, string][] {
  return Object.entries(contracts).flatMap(([key, contract]): [string, string][] => {
    if (typeof contract !== 'string') return [[key, contract.text]];
    const named = Object.entries(datasets).filter((one) => one[1].contract === key);
    return named.map(([dataset]) => [dataset, contract]);
  });
}

/** What a text says in YAML, as JSON; undefined where it is none. */
function yamlOf(text: string): Json | undefined {
  try {
    return JSON.parse(JSON.stringify(parse(text)));
  } catch {
    return undefined;
  }
}
