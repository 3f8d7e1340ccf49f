import {
  GetParametersByPathCommand,
  GetParametersCommand,
  type Parameter,
  type SSMClient,
} from '@aws-sdk/client-ssm';
import { mapLimit } from '../../shared/aws.ts';
import { chunksOf } from '../../shared/chunks.ts';
import { GateError } from '../../shared/errors.ts';
import { countOf } from '../../shared/format.ts';
import type { Json } from '../json.ts';
import { jsonOf } from '../json-text.ts';
import { everyPage } from './pages.ts';
import { attempt, CONCURRENCY, DELETED, type Found, type Reading } from './reading.ts';
import { setOf } from './values.ts';

/** Names, or parameters, of one call. */
const AT_A_TIME = 10;

/** A parameter as it is named in the snapshot. */
interface Named {
  name: string;
  parameter: Parameter;
}

/**
 * Reads parameters of the parameter store. A physical name that ends in a slash is a prefix: of everything below it, and of
 * the parameter of that name itself. Any other is one parameter.
 */
export async function readParameters(reading: Reading, found: readonly Found[]): Promise<void> {
  const prefixes = found.filter(({ physical }) => physical.endsWith('/'));
  const singles = found.filter(({ physical }) => !physical.endsWith('/'));
  await mapLimit(prefixes, CONCURRENCY, (one) => readPrefix(reading, one));
  await readSingles(reading, singles);
}

async function readPrefix(reading: Reading, { kind, name, physical }: Found): Promise<void> {
  const { ssm } = reading.clients;
  const itself = physical.slice(0, -1);
  // What was not listed may be anywhere below it: no path says where.
  const below = await attempt(reading, { path: [kind], physical, action: 'ssm:GetParametersByPath' }, () =>
    everyPage(`parameters below ${physical}`, async (NextToken) => {
      const { Parameters, NextToken: next } = await ssm.send(
        new GetParametersByPathCommand({
          Path: itself,
          Recursive: true,
          // What is secure is decrypted by itself: one key that is denied must not hide the others.
          WithDecryption: false,
          MaxResults: AT_A_TIME,
          ...(NextToken !== undefined && { NextToken }),
        }),
      );
      return { items: Parameters, next };
    }),
  );
  const called = name.replace(/\/$/, '');
  const own = await attempt(
    reading,
    { path: [kind, called], physical: itself, action: 'ssm:GetParameters' },
    () => parametersOf(ssm, [itself], false),
  );
  if (below === undefined || own === undefined) return;
  const parameters = [...('answer' in own ? own.answer : []), ...('answer' in below ? below.answer : [])];
  if (parameters.length === 0) {
    reading.sink.add({ kind, name, physical, value: null });
    return;
  }
  const named = parameters.map((parameter) => ({
    name: called + (parameter.Name ?? '').slice(itself.length),
    parameter,
  }));
  await takeDown(reading, named, `below ${physical}`);
}

async function readSingles(reading: Reading, found: readonly Found[]): Promise<void> {
  const read = await mapLimit(chunksOf(found, AT_A_TIME), CONCURRENCY, (some) => readTogether(reading, some));
  await takeDown(reading, read.flat(), 'of stacks and tags');
}

/** Several parameters, each by itself where that fails: one that is denied must not hide the others. */
async function readTogether(reading: Reading, found: readonly Found[]): Promise<Named[]> {
  const { sink, clients } = reading;
  const byName = new Map<string | undefined, Parameter>();
  const read = async (names: readonly string[]) => {
    if (names.length === 0) return;
    for (const parameter of await parametersOf(clients.ssm, names, false))
      byName.set(parameter.Name, parameter);
  };
  try {
    await read(found.map(({ physical }) => physical));
    // An ARN does not say whether a name without other slashes begins with one.
    const others = found.filter(({ physical }) => !byName.has(physical) && !physical.startsWith('/'));
    await read(others.map(({ physical }) => `/${physical}`));
  } catch (error) {
    if (error instanceof GateError) throw error;
    const [one] = found;
    if (found.length > 1 || one === undefined) {
      const each = await mapLimit(found, 1, (single) => readTogether(reading, [single]));
      return each.flat();
    }
    const of = { path: [one.kind, one.name], physical: one.physical, action: 'ssm:GetParameters' };
    await attempt(reading, of, () => Promise.reject(error));
    return [];
  }
  return found.flatMap((one) => {
    const parameter = byName.get(one.physical) ?? byName.get(`/${one.physical}`);
    if (parameter === undefined) sink.add({ ...one, value: null });
    return parameter === undefined ? [] : [{ name: one.name, parameter }];
  });
}

/** Those of at most ten names that there are. */
async function parametersOf(
  ssm: SSMClient,
  Names: readonly string[],
  WithDecryption: boolean,
): Promise<Parameter[]> {
  const { Parameters = [] } = await ssm.send(new GetParametersCommand({ Names: [...Names], WithDecryption }));
  return Parameters;
}

/** @param where they are, for messages */
async function takeDown(reading: Reading, named: readonly Named[], where: string): Promise<void> {
  const { sink, parity } = reading;
  const secure = named.filter(({ parameter }) => parameter.Type === 'SecureString');
  const values = parity.decrypt ? await secretsOf(reading, secure) : new Map<string, string>();
  if (secure.length > 0 && !parity.decrypt) {
    sink.notRead({
      subject: `values of ${countOf(secure.length, 'secure parameter')} ${where}`,
      why: 'decrypt is false in tocsin.yaml',
    });
  }
  for (const { name, parameter } of named) {
    const { Name: physical = '', Type, DataType, Value = '' } = parameter;
    const secret = values.get(physical);
    sink.add({
      kind: 'parameters',
      name,
      physical,
      value: {
        ...setOf({ type: Type, dataType: DataType }),
        ...(Type !== 'SecureString' && { value: parameterValue(Type, Value) }),
        // Under a key that says what it is.
        ...(secret !== undefined && { value: { secret } }),
      },
    });
  }
}

function parameterValue(type: string | undefined, value: string): Json {
  return type === 'StringList' ? value.split(',') : jsonOf(value);
}

/** Secure values in clear, by name; what cannot be decrypted is unreadable. */
async function secretsOf(reading: Reading, secure: readonly Named[]): Promise<Map<string, string>> {
  const read = await mapLimit(chunksOf(secure, AT_A_TIME), CONCURRENCY, (some) =>
    decryptTogether(reading, some),
  );
  return new Map(read.flat().map(({ Name = '', Value = '' }) => [Name, Value]));
}

async function decryptTogether(reading: Reading, secure: readonly Named[]): Promise<Parameter[]> {
  const { sink, clients } = reading;
  const action = 'ssm:GetParameters';
  const names = secure.map(({ parameter }) => parameter.Name ?? '');
  try {
    const found = await parametersOf(clients.ssm, names, true);
    const there = new Set(found.map(({ Name }) => Name));
    for (const { name, parameter } of secure) {
      const { Name: physical = '' } = parameter;
      if (there.has(physical)) continue;
      sink.unreadable({ path: ['parameters', name], physical, action, why: DELETED });
    }
    return found;
  } catch (error) {
    if (error instanceof GateError) throw error;
    const [one] = secure;
    if (secure.length > 1 || one === undefined) {
      const each = await mapLimit(secure, 1, (single) => decryptTogether(reading, [single]));
      return each.flat();
    }
    const of = { path: ['parameters', one.name, 'value'], physical: one.parameter.Name ?? '', action };
    await attempt(reading, of, () => Promise.reject(error));
    return [];
  }
}
