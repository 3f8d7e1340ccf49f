import {
  CreateEndpointConfigCommand,
  CreateModelCommand,
  DeleteEndpointConfigCommand,
  DeleteModelCommand,
  DescribeModelCommand,
  type DescribeModelCommandOutput,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { dependencyError } from '../../shared/aws.ts';
import { GateDependencyError, type GateError, GateInputError, messageOf } from '../../shared/errors.ts';
import { clip } from '../../shared/format.ts';
import { canonicalJson } from '../../shared/identity.ts';
import { isGone, isTaken, tagList } from '../../shared/sagemaker.ts';
import { DRILL_PREFIX, ROLLBACK_PREFIX } from '../schema.ts';
import { type ConfigDefinition, hashOf, readConfig } from './endpoint.ts';

/*
 * Models and endpoint configurations that drills and rollbacks make. Their names begin with a prefix of Tocsin's, and no
 * other is made or removed here. Every call may be repeated.
 */

/** What is kept of SageMaker's words. */
const REASON = 300;

/** A model of a package. */
export interface DrillModel {
  /** At most 63 letters, digits and inner hyphens. */
  name: string;
  /** ARN of an approved model package. */
  package: string;
  /** ARN of the role that it runs with. */
  role: string;
  /** The model whose VPC and network isolation it takes; null for none of both. */
  like: string | null;
  tags: Readonly<Record<string, string>>;
}

/**
 * Makes a model of a package; one that is there already and is the same is fine.
 *
 * @throws GateInputError where the model that it is to be like does not exist (nothing could bring that one back), or
 * SageMaker does not accept package or role
 * @throws GateDependencyError where SageMaker does not answer, or refuses; or the name belongs to another model
 */
export async function createModel(sagemaker: SageMakerClient, model: DrillModel): Promise<void> {
  const { name, package: arn, role, like, tags } = model;
  requireOurs(name);
  const network = like === null ? undefined : await describeModel(sagemaker, like);
  if (network === null) {
    throw new GateInputError(`there is no model ${like} any more, so nothing could deploy it again`);
  }
  const { VpcConfig, EnableNetworkIsolation } = network ?? {};
  try {
    await sagemaker.send(
      new CreateModelCommand({
        ModelName: name,
        Containers: [{ ModelPackageName: arn }],
        ExecutionRoleArn: role,
        ...(VpcConfig !== undefined && { VpcConfig }),
        ...(EnableNetworkIsolation !== undefined && { EnableNetworkIsolation }),
        Tags: tagList(tags),
      }),
    );
  } catch (error) {
    if (!isTaken(error)) throw refusal(`CreateModel ${name}`, error);
    const found = await describeModel(sagemaker, name);
    if (found?.ExecutionRoleArn !== role || canonicalJson(packagesOf(found)) !== canonicalJson([arn])) {
      throw notOurs('CreateModel', `model ${name}`, error);
    }
  }
}

/** SageMaker may say of one container that it is the primary one. */
function packagesOf({ Containers, PrimaryContainer }: DescribeModelCommandOutput): (string | undefined)[] {
  const containers = Containers ?? (PrimaryContainer === undefined ? [] : [PrimaryContainer]);
  return containers.map(({ ModelPackageName }) => ModelPackageName);
}

/** @returns null where there is none */
async function describeModel(
  sagemaker: SageMakerClient,
  name: string,
): Promise<DescribeModelCommandOutput | null> {
  try {
    return await sagemaker.send(new DescribeModelCommand({ ModelName: name }));
  } catch (error) {
    if (isGone(error)) return null;
    throw dependencyError(`DescribeModel ${name}`, error);
  }
}

/**
 * Deletes a model that a drill has made; one that is gone already is fine.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function deleteModel(sagemaker: SageMakerClient, name: string): Promise<void> {
  requireOurs(name);
  try {
    await sagemaker.send(new DeleteModelCommand({ ModelName: name }));
  } catch (error) {
    if (!isGone(error)) throw dependencyError(`DeleteModel ${name}`, error);
  }
}

/** A copy of an endpoint configuration. */
export interface ConfigClone {
  from: string;
  to: string;
  /** Other models by variant; the other variants keep theirs. */
  models?: Readonly<Record<string, string>>;
  /** Of the copy: those of the original are not copied. */
  tags: Readonly<Record<string, string>>;
}

/**
 * Makes a copy of an endpoint configuration, with all that it says; one that is there already and says the same is fine.
 *
 * @throws GateInputError where there is no such endpoint configuration or variant, or SageMaker does not accept what it
 * says: one of its models is gone
 * @throws GateDependencyError where SageMaker does not answer, or refuses; or the name belongs to another configuration
 */
export async function cloneConfig(
  sagemaker: SageMakerClient,
  { from, to, models = {}, tags }: ConfigClone,
): Promise<void> {
  requireOurs(to);
  const original = await readConfig(sagemaker, from);
  if (original === null) throw new GateInputError(`there is no endpoint configuration ${from}`);
  const definition = withModels(original, from, models);
  try {
    await sagemaker.send(
      new CreateEndpointConfigCommand({ ...definition, EndpointConfigName: to, Tags: tagList(tags) }),
    );
  } catch (error) {
    if (!isTaken(error)) throw refusal(`CreateEndpointConfig ${to}`, error);
    const found = await readConfig(sagemaker, to);
    if (found === null || hashOf(found) !== hashOf(definition)) {
      throw notOurs('CreateEndpointConfig', `endpoint configuration ${to}`, error);
    }
  }
}

function withModels(
  definition: ConfigDefinition,
  from: string,
  models: Readonly<Record<string, string>>,
): ConfigDefinition {
  const { ProductionVariants = [] } = definition;
  const replaced = new Map(Object.entries(models));
  const variants = ProductionVariants.map((variant) => {
    const { VariantName = '' } = variant;
    const ModelName = replaced.get(VariantName);
    replaced.delete(VariantName);
    return { ...variant, ...(ModelName !== undefined && { ModelName }) };
  });
  const [unknown] = replaced.keys();
  if (unknown !== undefined) {
    throw new GateInputError(`the endpoint configuration ${from} has no variant ${unknown}`);
  }
  return { ...definition, ProductionVariants: variants };
}

/**
 * Deletes an endpoint configuration that a drill or a rollback has made; one that is gone already is fine. None may be
 * deleted that an endpoint has or is on its way to.
 *
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function deleteConfig(sagemaker: SageMakerClient, config: string): Promise<void> {
  requireOurs(config);
  try {
    await sagemaker.send(new DeleteEndpointConfigCommand({ EndpointConfigName: config }));
  } catch (error) {
    if (!isGone(error)) throw dependencyError(`DeleteEndpointConfig ${config}`, error);
  }
}

/** Whatever went wrong before: nobody else's is touched. */
function requireOurs(name: string): void {
  if (name.startsWith(DRILL_PREFIX) || name.startsWith(ROLLBACK_PREFIX)) return;
  throw new GateInputError(`${name} is not Tocsin's: expected ${DRILL_PREFIX}... or ${ROLLBACK_PREFIX}...`);
}

/** What SageMaker calls invalid stays so however often it is asked. */
function refusal(what: string, error: unknown): GateError {
  if ((error as Error).name !== 'ValidationException') return dependencyError(what, error);
  return new GateInputError(`${what}: ${clip(messageOf(error), REASON)}`, { cause: error });
}

function notOurs(action: string, what: string, cause: unknown): GateError {
  return new GateDependencyError(`${action} failed: there is another ${what} already`, {
    cause,
    help: 'Find out who made it: names that begin with tocsin- are for Tocsin alone.',
  });
}
