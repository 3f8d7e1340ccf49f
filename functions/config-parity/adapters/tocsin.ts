import type { S3Client } from '@aws-sdk/client-s3';
import { parse } from 'yaml';
import * as z from 'zod';
import { mapLimit } from '../../shared/aws.ts';
import { readText } from '../../shared/evidence.ts';
import { tryJson } from '../../shared/schema.ts';
import type { Json } from '../json.ts';
import { itemOf } from '../path.ts';
import { listStack } from './discovery.ts';
import { functionOf } from './functions.ts';
import { attempt, CONCURRENCY, type Found, type Reading } from './reading.ts';
import { readEach } from './things.ts';
import type { JsonObject } from './values.ts';

/** Where a function of Tocsin has what it was deployed with; the key is a hash, and the code follows from the version. */
const PLACE = ['CONFIG_BUCKET', 'CONFIG_KEY'] as const;

const GET_OBJECT = 's3:GetObject';

const fileSchema = z.looseObject({ text: z.string() });

/** What functions of Tocsin are deployed with, of whatever gate: this version may read what an earlier one wrote. */
const bundleSchema = z.looseObject({
  /** tocsin.yaml */
  text: z.string().optional(),
  /** By dataset, or, of the quality gate, texts by file. */
  contracts: z.record(z.string(), z.union([z.string(), fileSchema])).default({}),
  /** parity.yaml */
  documented: fileSchema.optional(),
});

type Bundle = z.output<typeof bundleSchema>;

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
  const resources = listed.answer.filter(({ ResourceType }) => ResourceType === 'AWS::Lambda::Function');
  const changing = listed.answer.find(({ ResourceStatus = '' }) => ResourceStatus.endsWith('_IN_PROGRESS'));
  if (changing !== undefined) sink.unsettled({ path, physical, status: changing.ResourceStatus ?? '' });

  const read = await mapLimit(resources, CONCURRENCY, async (resource) => {
    const { LogicalResourceId = '', PhysicalResourceId = '' } = resource;
    const at = [...path, 'functions', itemOf(LogicalResourceId)];
    const value = await functionOf(reading, PhysicalResourceId, at);
    if (value === null) {
      const why = 'deleted while it was read';
      sink.unreadable({
        path: at,
        physical: PhysicalResourceId,
        action: 'lambda:GetFunctionConfiguration',
        why,
      });
    }
    return value ? [{ name: LogicalResourceId, ...value } as JsonObject] : [];
  });
  const functions = read.flat();
  const bundles = await bundlesOf(reading, { path, physical }, functions);
  if (bundles === undefined) return undefined;
  const own = { reading, path, physical };
  return {
    ...documentOf(
      own,
      'configuration',
      bundles.flatMap(({ text }) => text ?? []),
    ),
    ...documentOf(
      own,
      'documented',
      bundles.flatMap(({ documented }) => documented?.text ?? []),
    ),
    ...contractsOf(own, bundles),
    ...(functions.length > 0 && { functions: functions.map(withoutPlace) }),
  };
}

function placeOf({ environment = {} }: JsonObject): (Json | undefined)[] {
  return PLACE.map((key) => (environment as JsonObject)[key]);
}

function withoutPlace({ code: _, environment = {}, ...rest }: JsonObject): JsonObject {
  const variables = Object.entries(environment as JsonObject).filter(
    ([key]) => !PLACE.some((one) => one === key),
  );
  return { ...rest, ...(variables.length > 0 && { environment: Object.fromEntries(variables) }) };
}

/** What the functions of a stack were deployed with; undefined where one could not be read. */
async function bundlesOf(
  reading: Reading,
  { path, physical }: { path: string[]; physical: string },
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

interface Own {
  reading: Reading;
  path: string[];
  physical: string;
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
  const texts = bundles.flatMap(({ contracts }) =>
    Object.values(contracts).map((contract) => (typeof contract === 'string' ? contract : contract.text)),
  );
  const byDataset = Map.groupBy(new Set(texts), (text) => datasetOf(yamlOf(text)));
  const contracts = [...byDataset].map(([dataset, some]) =>
    documentOf({ ...own, path: [...own.path, 'contracts'] }, dataset, some),
  );
  return contracts.length === 0 ? {} : { contracts: Object.assign({}, ...contracts) };
}

/** A contract names its dataset. */
function datasetOf(contract: Json | undefined): string {
  const { dataset } = z.looseObject({ dataset: z.string() }).safeParse(contract).data ?? {};
  return dataset ?? 'unknown';
}

/** What a text says in YAML, as JSON; undefined where it is none. */
function yamlOf(text: string): Json | undefined {
  try {
    return JSON.parse(JSON.stringify(parse(text)));
  } catch {
    return undefined;
  }
}
