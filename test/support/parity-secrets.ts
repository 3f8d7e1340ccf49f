import { createHash } from 'node:crypto';
import { tryJson } from '../../functions/shared/schema.ts';
import type { EstateData } from './estate-api.ts';

/*
 * Secrets in whatever AWS answers.
 */

/** Texts by which things are found, or that say what the rest is: in place of one there would be nothing to read. */
const NAVIGATION = new Set([
  ...['EndpointName', 'EndpointArn', 'EndpointConfigName', 'EndpointConfigArn', 'VariantName', 'ModelName'],
  ...['ModelPackageName', 'ModelPackageArn', 'ModelArn', 'ContainerHostname', 'EndpointStatus'],
  ...['MonitoringScheduleName', 'MonitoringJobDefinitionName', 'MonitoringType', 'JobDefinitionName'],
  ...['MonitoringScheduleStatus', 'ServiceNamespace', 'ResourceId', 'PolicyName', 'ScheduledActionName'],
  ...['AlarmName', 'AlarmArn', 'FunctionName', 'FunctionArn', 'Name', 'ARN', 'Type', 'DatabaseName', 'Arn'],
  ...['FeatureGroupName', 'FeatureGroupArn', 'FeatureName', 'PipelineName', 'PipelineArn', 'EventBusName'],
  ...['GroupName', 'Id', 'LogicalResourceId', 'PhysicalResourceId', 'ResourceType', 'ResourceStatus'],
  ...['CONFIG_BUCKET', 'CONFIG_KEY'],
  // Of these AWS has a list.
  ...['State', 'LastUpdateStatus', 'StateValue', 'FeatureGroupStatus', 'PipelineStatus'],
]);

/** Where a user chooses the keys. */
const MAPS = new Set(['Environment', 'Variables', 'Parameters', 'InputPathsMap', 'tags']);

/** Random letters alone: at the key of a hash or of a version they are one. */
const OPAQUE = (core: string) => `${core.slice(0, 20)}/${core}`;
const DIGEST = /(?:etag|sha256|version)$/i;

/** What secrets look like; `core` is what nobody may see. */
const SHAPES: readonly ((core: string) => string)[] = [
  OPAQUE,
  (core) => `AKIA${core.slice(0, 16).toUpperCase()}`,
  (core) => `ghp_${core}`,
  (core) => `postgres://service:${core}@db.example.com:5432/flights`,
  (core) => `--user tocsin --password ${core}`,
  (core) => `Authorization: Bearer ${core}`,
  (core) => `https://hooks.slack.com/services/T00000000/B00000000/${core}`,
  (core) => `eyJhbGciOiJIUzI1NiJ9.${core}.${core}`,
  (core) => `hf_${core}`,
  (core) => `xoxb-${core}`,
  (core) => `-----BEGIN PRIVATE KEY-----\n${core}\n-----END PRIVATE KEY-----`,
  (core) => JSON.stringify({ retries: 3, apiKey: core }),
  (core) => Buffer.from(`db_password=${core}`).toString('base64'),
];

/** Keys that say that their values are secrets, which may look like anything. */
const KEYS = ['DB_PASSWORD', 'apiKey', 'client-secret', 'AUTH_TOKEN', 'signing_key'];

/** Secrets that have been planted. */
export class Planted {
  /** None of these may be seen; in Base64 each stands as it is encoded. */
  readonly texts: string[] = [];
  readonly #seed: string;

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** Random letters and digits, other ones each time. */
  #core(): string {
    const digest = createHash('sha512').update(`${this.#seed} ${this.texts.length}`).digest('base64');
    const core = digest.replaceAll(/[^A-Za-z0-9]/g, '').slice(0, 28);
    this.texts.push(core.slice(0, 16), core.slice(0, 16).toUpperCase());
    return core;
  }

  #shaped(key = ''): string {
    const shapes = SHAPES.filter((shape) => shape !== OPAQUE || !DIGEST.test(key));
    const shape = shapes[this.texts.length % shapes.length] as (core: string) => string;
    const core = this.#core();
    const text = shape(core);
    if (!text.includes(core) && !text.startsWith('AKIA')) this.texts.push(text.slice(0, 24));
    return text;
  }

  /** What is no more than a word, where only its key says that it is a secret. */
  #weak(): string {
    const word = `swordfish${this.#seed}${this.texts.length}x`;
    this.texts.push(word);
    return word;
  }

  /** A secret in place of every text that is not navigation, and beside all of them where keys are free. */
  in<T>(value: T, key = ''): T {
    if (typeof value === 'string') return this.#text(value, key) as T;
    if (value === null || typeof value !== 'object' || value instanceof Date) return value;
    if (Array.isArray(value)) {
      const items = value.map((item) => this.in(item, key));
      const isCommand = key === 'ContainerEntrypoint';
      const isNamed = value.some((item) => typeof item?.Name === 'string' && 'DefaultValue' in item);
      if (isCommand) items.push('--db-password', this.#weak());
      if (isNamed) items.push({ Name: 'ApiToken', Type: 'String', DefaultValue: this.#weak() });
      return items as T;
    }
    const entries = Object.entries(value).map(([inner, item]) => [inner, this.in(item, inner)]);
    if (MAPS.has(key)) for (const secret of KEYS) entries.push([secret, this.#weak()]);
    return Object.fromEntries(entries) as T;
  }

  #text(text: string, key: string): string {
    if (NAVIGATION.has(key)) return text;
    const json = tryJson(text);
    if (typeof json === 'object' && json !== null) return JSON.stringify(this.in(json, key));
    // A template is JSON only once it is filled in.
    if (text.startsWith('{')) return text.replace('{', `{"password": "${this.#weak()}", `);
    return this.#shaped(key);
  }

  /** Secrets in all of an account. */
  estate(data: EstateData): EstateData {
    const { objects, stacks, answers, tags, ...rest } = data;
    const planted = this.in(rest) as Omit<EstateData, 'objects' | 'stacks' | 'answers' | 'tags'>;
    for (const name of ['db-password', 'oauth/client_secret', 'sealed']) {
      const parameter = Object.values(planted.parameters)[0];
      const Name = `${parameter?.Name?.split('/').slice(0, 3).join('/')}/${name}`;
      const Type = name === 'sealed' ? 'SecureString' : 'String';
      planted.parameters[Name] = { ...parameter, Name, Type, Value: this.#weak() };
    }
    return {
      ...planted,
      stacks,
      answers,
      tags: Object.fromEntries(Object.entries(tags).map(([arn, own]) => [arn, this.in(own, 'tags')])),
      objects: Object.fromEntries(Object.entries(objects).map(([key, text]) => [key, this.#bundle(text)])),
    };
  }

  /** What Tocsin was deployed with: YAML in JSON. */
  #bundle(json: string): string {
    const bundle = JSON.parse(json) as Record<string, unknown>;
    this.#lines ??= `webhook: ${this.#shaped()}\ndbPassword: ${this.#weak()}\nnote: ghp_${this.#core()}\n`;
    const lines = this.#lines;
    const { text, contracts } = bundle as { text?: string; contracts?: Record<string, string> };
    return JSON.stringify({
      ...bundle,
      ...(text !== undefined && { text: text + lines }),
      ...(contracts && {
        contracts: Object.fromEntries(Object.entries(contracts).map(([file, one]) => [file, one + lines])),
      }),
    });
  }

  /** All functions of a deployment have the same configuration. */
  #lines: string | undefined;
}
