import { createHash } from 'node:crypto';
import { type EstateData, emptyEstate } from './estate-api.ts';
import { createRandom, type Random } from './random.ts';

/*
 * What AWS makes up, what somebody decided, and what things are called by: for the generators of estates.
 */

/** How much there is of what, and what things are called by. */
export interface WorldShape {
  /** Of what was decided: the same for both environments. */
  seed: number;
  /**
   * `names`: flight-delay-0-staging. `stacks`: CloudFormation has named it. `tags`: staging-flight-delay-0, and what is
   * compared has tags.
   */
  naming: 'names' | 'stacks' | 'tags';
  endpoints: number;
  functions: number;
  parameters: number;
  featureGroups: number;
  tables: number;
  pipelines: number;
  rules: number;
  schedules: number;
}

/** Where an environment is. */
export interface Place {
  word: string;
  account: string;
  region: string;
}

export const PRODUCTS = ['flight-delay', 'seat-price', 'no-show', 'baggage-route', 'crew-rest', 'fuel-burn'];

/** Name of the nth thing without that of its environment. */
export const thingOf = (index: number) => `${PRODUCTS[index % PRODUCTS.length]}-${index}`;

const capital = (word: string) => word.charAt(0).toUpperCase() + word.slice(1);

/** FlightDelay0 of flight-delay-0 */
const pascal = (text: string) =>
  text
    .split(/[-_/.]/)
    .map(capital)
    .join('');

/** FlightDelay0RoleA1B2C3D4, as the CDK has it. */
const logicalId = (thing: string, type: string) =>
  `${pascal(thing)}${type}${sha256(`${type} ${thing}`).slice(0, 8).toUpperCase()}`;

export const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

/** CloudFormation takes at most 500 resources in a stack. */
export const STACK_SIZE = 400;

export const APP = 'flights';

export const tocsinStack = (word: string) => `Tocsin-${word}`;

export const stackName = (word: string, index: number) => `${word}-${APP}-${index}`;

/** `cluster-0a1b2c3d4e5f`: what tocsin.yaml has to declare. */
export const clusterOf = ({ seed }: WorldShape, { word }: Place) =>
  `cluster-${sha256(`${seed} ${word}`).slice(0, 12)}`;

/** An environment that is being made. */
export class Maker {
  readonly data: EstateData = emptyEstate();
  readonly shape: WorldShape;
  readonly place: Place;
  /** What somebody decided. */
  readonly decided: Random;
  /** What AWS makes up. */
  readonly made: Random;
  readonly vpc: { Subnets: string[]; SecurityGroupIds: string[] };
  readonly kmsKey: string;
  /** Of the databases: an id that no reader can tell from a word. */
  readonly cluster: string;
  #resources = 0;

  constructor(shape: WorldShape, place: Place) {
    this.shape = shape;
    this.place = place;
    this.decided = createRandom(shape.seed);
    this.made = createRandom(
      Number.parseInt(sha256(`${shape.seed} ${place.word} ${place.account}`).slice(0, 12), 16),
    );
    this.vpc = {
      Subnets: [0, 1, 2].map(() => `subnet-${this.hex(17)}`),
      SecurityGroupIds: [`sg-${this.hex(17)}`],
    };
    this.cluster = clusterOf(shape, place);
    this.kmsKey = this.arn('kms', `key/${this.uuid()}`);
  }

  /** A text of so many letters. */
  from(alphabet: string, length: number): string {
    return Array.from(
      { length },
      () => alphabet[Math.floor(this.made.uniform() * alphabet.length)] ?? '',
    ).join('');
  }

  hex(length: number): string {
    return this.from('0123456789abcdef', length);
  }

  /** As CloudFormation ends names. */
  suffix(): string {
    return this.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 12);
  }

  uuid(): string {
    return [8, 4, 4, 4, 12].map((length) => this.hex(length)).join('-');
  }

  date(): Date {
    return new Date(Date.UTC(2026, 8, 1) + Math.floor(this.made.uniform() * 60 * 86_400_000));
  }

  arn(service: string, rest: string): string {
    return `arn:aws:${service}:${this.place.region}:${this.place.account}:${rest}`;
  }

  role(thing: string): string {
    return `arn:aws:iam::${this.place.account}:role/${this.place.word}-${logicalId(thing, 'Role')}-${this.suffix()}`;
  }

  bucket(what: string): string {
    return `${APP}-${what}-${this.place.word}-${this.place.account}`;
  }

  topic(): string {
    return this.arn('sns', `${APP}-${this.place.word}-alerts`);
  }

  image(repository: string, tag: string): string {
    const { account, region } = this.place;
    return `${account}.dkr.ecr.${region}.amazonaws.com/${repository}:${tag}`;
  }

  resolved(repository: string, tag: string): string {
    const [host = ''] = this.image(repository, tag).split(':');
    return `${host}@sha256:${sha256(`${this.shape.seed} ${repository}:${tag}`)}`;
  }

  pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.decided.uniform() * from.length)] as T;
  }

  /** Names something, and has CloudFormation or its tags know it. */
  name(
    type: string,
    thing: string,
    arnOf: (name: string) => string,
    {
      physical = (name: string) => name,
      most = 63,
    }: { physical?: (name: string) => string; most?: number } = {},
  ): string {
    const { word } = this.place;
    const index = this.#resources++;
    if (this.shape.naming !== 'stacks') {
      const name = this.shape.naming === 'names' ? `${thing}-${word}` : `${word}-${thing}`;
      this.tag(arnOf(name));
      return name;
    }
    const stack = stackName(word, Math.floor(index / STACK_SIZE));
    const LogicalResourceId = logicalId(thing, type.split('::').at(-1) ?? '');
    const suffix = this.suffix();
    const name = `${`${stack}-${LogicalResourceId}`.slice(0, most - 13)}-${suffix}`;
    this.inStack(stack, type, LogicalResourceId, physical(name));
    return name;
  }

  /** Has something found by its tags. */
  tag(arn: string): void {
    if (this.shape.naming !== 'tags') return;
    this.data.tags[arn] = { app: APP, stage: this.place.word, 'cost-centre': '4711' };
  }

  inStack(stack: string, ResourceType: string, LogicalResourceId: string, physical: string): void {
    this.data.stacks[stack] ??= [];
    this.data.stacks[stack].push({
      LogicalResourceId,
      PhysicalResourceId: physical,
      ResourceType,
      LastUpdatedTimestamp: this.date(),
      ResourceStatus: 'UPDATE_COMPLETE',
    });
  }
}
