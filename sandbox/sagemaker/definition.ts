import * as z from 'zod';
import { createModelPackage } from './registry.ts';
import { invalid } from './service.ts';
import { createTrainingJob } from './training.ts';

const name = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9\-_]{1,64}$/);

const parameter = z.discriminatedUnion('Type', [
  z.strictObject({
    Name: name,
    Type: z.literal('String'),
    DefaultValue: z.string().optional(),
    EnumValues: z.array(z.string()).min(1).optional(),
  }),
  z.strictObject({ Name: name, Type: z.literal('Integer'), DefaultValue: z.int().optional() }),
  z.strictObject({ Name: name, Type: z.literal('Float'), DefaultValue: z.number().optional() }),
  z.strictObject({ Name: name, Type: z.literal('Boolean'), DefaultValue: z.boolean().optional() }),
]);

export type Parameter = z.output<typeof parameter>;
export type ParameterValue = string | number | boolean;

const step = z.strictObject({
  Name: name,
  Type: z.enum(['Training', 'RegisterModel', 'Fail'], {
    error: ({ input }) =>
      `the local SageMaker has steps of type Training, RegisterModel and Fail, not ${input}`,
  }),
  DisplayName: z.string().max(82).optional(),
  Description: z.string().max(3072).optional(),
  DependsOn: z.array(name).optional(),
  Arguments: z.record(z.string(), z.json()),
});

export type Step = z.output<typeof step>;

/** A pipeline in the language of 2020-12-01: what of it the local SageMaker runs. */
const definition = z.strictObject({
  Version: z.literal('2020-12-01'),
  Metadata: z.record(z.string(), z.unknown()).optional(),
  Parameters: z.array(parameter).max(200).default([]),
  PipelineExperimentConfig: z.unknown().optional(),
  Steps: z.array(step).min(1).max(50),
});

export type Definition = z.output<typeof definition>;

/** Members that a step's arguments may have; SageMaker names the job itself. */
const ARGUMENTS: Record<Step['Type'], readonly string[]> = {
  Training: Object.keys(createTrainingJob.shape),
  RegisterModel: Object.keys(createModelPackage.shape),
  Fail: ['ErrorMessage'],
};

/** What arguments may refer to while an execution runs. */
export interface Scope {
  parameters: Readonly<Record<string, ParameterValue>>;
  /** `PipelineExecutionId`, `StartDateTime`, ... */
  execution: Readonly<Record<string, string>>;
  /** What steps that have ended answered, by name: as the Describe operation of their kind. */
  steps: Readonly<Record<string, unknown>>;
}

/** Members of `Execution`. */
const EXECUTION = [
  'PipelineName',
  'PipelineArn',
  'PipelineExecutionId',
  'PipelineExecutionArn',
  'StartDateTime',
  'CurrentDateTime',
];

type Json = z.output<ReturnType<typeof z.json>>;

/** The function `Std:Join`. */
const joined = z.strictObject({ On: z.string(), Values: z.array(z.json()) });

/**
 * Parses a definition and checks everything that can be checked before it runs: members, names, references, cycles.
 *
 * @throws ServiceError ValidationException
 */
export function parseDefinition(text: string): Definition {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw unparsable((error as Error).message);
  }
  const result = definition.safeParse(json);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw unparsable(`${issue?.path.join('.')}: ${issue?.message}`);
  }
  check(result.data);
  return result.data;
}

function check({ Parameters, Steps }: Definition): void {
  const parameters = Parameters.map(({ Name }) => Name);
  const steps = Steps.map(({ Name }) => Name);
  for (const names of [parameters, steps]) {
    const twice = names.find((it, index) => names.indexOf(it) < index);
    if (twice !== undefined) throw unparsable(`The name ${twice} is not unique`);
  }
  for (const { Name, Type, Arguments, DependsOn = [] } of Steps) {
    const unknown = Object.keys(Arguments).find((member) => !ARGUMENTS[Type].includes(member));
    if (unknown !== undefined) throw unparsable(`Unknown Argument member '${unknown}'`);
    for (const [root = '', member = ''] of references(Arguments)) {
      const known = { Parameters: parameters, Steps: steps, Execution: EXECUTION }[root];
      if (!known?.includes(member))
        throw unparsable(`Step ${Name} refers to ${root}.${member}, which is not there`);
    }
    const missing = DependsOn.find((it) => !steps.includes(it));
    if (missing !== undefined) throw unparsable(`Step ${Name} depends on ${missing}, which is not there`);
  }
  const left = new Map(Steps.map((it) => [it.Name, dependencies(it)]));
  for (;;) {
    const free = [...left].filter(([, needs]) => needs.every((it) => !left.has(it)));
    if (free.length === 0) break;
    for (const [it] of free) left.delete(it);
  }
  if (left.size > 0) throw unparsable(`These steps wait for each other: ${[...left.keys()].join(', ')}`);
}

/** Steps that have to end before a step starts: those that it names, and those that its arguments refer to. */
export function dependencies({ DependsOn = [], Arguments }: Step): string[] {
  const referred = references(Arguments).flatMap(([root, member]) =>
    root === 'Steps' && member !== undefined ? [member] : [],
  );
  return [...new Set([...DependsOn, ...referred])];
}

/** Paths of all `Get` functions in a value. */
function references(value: Json): string[][] {
  if (typeof value !== 'object' || value === null) return [];
  if (!Array.isArray(value) && typeof value.Get === 'string') return [pathOf(value.Get)];
  return Object.entries(value).flatMap(([key, member]) => {
    if (key.startsWith('Std:') && key !== 'Std:Join')
      throw unparsable(`The function ${key} is not known here`);
    if (key === 'Std:Join' && !joined.safeParse(member).success)
      throw unparsable('Std:Join has On and Values');
    return references(member);
  });
}

/** `Steps.Train.Outputs['model'].S3Uri` as its parts. */
function pathOf(expression: string): string[] {
  return expression
    .replace(/\[['"]?([^\]'"]+)['"]?\]/g, '.$1')
    .split('.')
    .filter((part) => part !== '');
}

/**
 * Arguments with every function in them evaluated.
 *
 * @throws ServiceError ValidationException where a step has no such property
 */
export function evaluate(value: Json, scope: Scope): unknown {
  if (Array.isArray(value)) return value.map((member) => evaluate(member, scope));
  if (typeof value !== 'object' || value === null) return value;
  if (typeof value.Get === 'string') return lookUp(value.Get, scope);
  const join = value['Std:Join'];
  if (join !== undefined) {
    const { On, Values } = joined.parse(join);
    return Values.map((member) => String(evaluate(member, scope))).join(On);
  }
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, evaluate(member, scope)]));
}

function lookUp(expression: string, { parameters, execution, steps }: Scope): unknown {
  const [root = '', ...path] = pathOf(expression);
  const roots: Record<string, unknown> = { Parameters: parameters, Execution: execution, Steps: steps };
  let found: unknown = roots[root];
  for (const part of path) {
    found =
      typeof found === 'object' && found !== null && Object.hasOwn(found, part)
        ? (found as Record<string, unknown>)[part]
        : undefined;
  }
  if (found === undefined) throw invalid(`Property reference ${expression} has no value.`);
  return found;
}

/**
 * Values of all parameters for one execution.
 *
 * @throws ServiceError ValidationException for one that is not known, of another type, or missing
 */
export function bindParameters(
  { Parameters }: Definition,
  given: readonly { Name: string; Value: string }[],
): Record<string, ParameterValue> {
  const values = new Map(given.map(({ Name, Value }) => [Name, Value]));
  if (values.size < given.length) throw invalid('Pipeline parameter names must be unique.');
  const unknown = [...values.keys()].filter((it) => !Parameters.some(({ Name }) => Name === it));
  if (unknown.length > 0) {
    throw invalid(
      `Unknown parameters [${unknown.join(', ')}] were provided. The pipeline does not define them.`,
    );
  }
  return Object.fromEntries(
    Parameters.map((defined) => {
      const value = values.get(defined.Name) ?? defined.DefaultValue;
      if (value === undefined) throw invalid(`No value was provided for the parameter [${defined.Name}].`);
      return [defined.Name, typed(defined, value)];
    }),
  );
}

function typed(defined: Parameter, value: ParameterValue): ParameterValue {
  const { Name, Type } = defined;
  const text = String(value);
  const number = Number(text);
  if (Type === 'String') {
    if (defined.EnumValues?.includes(text) !== false) return text;
    throw invalid(`Parameter [${Name}] must be one of [${defined.EnumValues.join(', ')}], got ${text}.`);
  }
  if (Type === 'Integer' && Number.isInteger(number)) return number;
  if (Type === 'Float' && Number.isFinite(number)) return number;
  if (Type === 'Boolean' && ['true', 'false'].includes(text.toLowerCase()))
    return text.toLowerCase() === 'true';
  throw invalid(`Parameter [${Name}] must be of type ${Type}, got ${text}.`);
}

function unparsable(why: string) {
  return invalid(`Unable to parse pipeline definition. ${why}`);
}
