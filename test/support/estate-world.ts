import { Estate } from './estate.ts';
import { makeEndpoint } from './estate-endpoints.ts';
import {
  APP,
  clusterOf,
  Maker,
  type Place,
  STACK_SIZE,
  stackName,
  thingOf,
  tocsinStack,
  type WorldShape,
} from './estate-maker.ts';
import {
  makeFeatureGroup,
  makeFunction,
  makeParameter,
  makePipeline,
  makeRule,
  makeSchedule,
  makeTable,
  makeTocsin,
} from './estate-things.ts';

/*
 * Two environments that are each other's equal, as they are found in AWS: alike in what somebody decided, and different in
 * whatever bears the account, the region, the name of the environment, or what AWS makes up.
 */

export interface Places {
  staging: Place;
  production: Place;
}

/** An environment of that shape. */
export function estateOf(shape: WorldShape, place: Place): Estate {
  const maker = new Maker(shape, place);
  const each = (count: number, make: (maker: Maker, index: number) => void) => {
    for (let index = 0; index < count; index++) make(maker, index);
  };
  each(shape.endpoints, makeEndpoint);
  each(shape.functions, makeFunction);
  each(shape.parameters, makeParameter);
  each(shape.featureGroups, makeFeatureGroup);
  each(shape.tables, makeTable);
  each(shape.pipelines, makePipeline);
  each(shape.rules, makeRule);
  each(shape.schedules, makeSchedule);
  makeTocsin(maker);
  return new Estate(place.account, place.region, maker.data);
}

/** The section `parity` of tocsin.yaml, as JSON, that compares two environments of that shape. */
export function parityOf(shape: WorldShape, { staging, production }: Places): object {
  const { naming } = shape;
  const all = <T>(count: number, of: (index: number) => T): T[] =>
    Array.from({ length: count }, (_, index) => of(index));
  const named = (thing: string) => `${thing}-{environment}`;
  const busOf = (index: number) => (index % 3 === 0 ? `${APP}-bus/` : '');
  const side = ({ word, account, region }: Place) => ({
    names: [word],
    account,
    region,
    role: `arn:aws:iam::${account}:role/tocsin-parity`,
  });
  const things =
    shape.endpoints * 4 +
    shape.functions +
    shape.featureGroups +
    shape.pipelines +
    shape.rules +
    shape.schedules;
  const byName = {
    endpoints: all(shape.endpoints, (index) => named(thingOf(index))),
    alarms: all(shape.endpoints, (index) =>
      ['latency', 'errors', 'unhealthy'].map((what) => named(`${thingOf(index)}-${what}`)),
    ).flat(),
    functions: all(shape.functions, (index) => named(`${thingOf(index)}-features`)),
    featureGroups: all(shape.featureGroups, (index) => named(`${thingOf(index)}-group`)),
    pipelines: all(shape.pipelines, (index) => named(`${thingOf(index)}-training`)),
    rules: all(shape.rules, (index) => `${busOf(index)}${named(`${thingOf(index)}-landed`)}`),
  };
  const isGrouped = (index: number) => index % 3 === 0;
  const scheduled = all(shape.schedules, (index) => index)
    .filter((index) => naming === 'names' || (naming === 'tags' && !isGrouped(index)))
    .map((index) => `${isGrouped(index) ? `${APP}-jobs/` : ''}${named(`${thingOf(index)}-nightly`)}`);
  return {
    staging: side(staging),
    production: side(production),
    substitutions: [
      { staging: clusterOf(shape, staging), production: clusterOf(shape, production), as: 'cluster' },
    ],
    compare: {
      ...(shape.parameters > 0 && { parameters: [`/${APP}/{environment}/`] }),
      tables: all(shape.tables, (index) => `${APP}_{environment}.bookings_${index}`),
      schedules: scheduled,
      tocsin: [tocsinStack('{environment}')],
      ...(naming === 'names' && byName),
      ...(naming === 'stacks' && {
        stacks: all(Math.ceil(things / STACK_SIZE), (index) => stackName('{environment}', index)),
      }),
      ...(naming === 'tags' && {
        tags: [
          {
            staging: { app: APP, stage: staging.word },
            production: { app: APP, stage: production.word },
          },
        ],
      }),
    },
  };
}
