import {
  type AdditionalModelDataSource,
  type ContainerDefinition,
  type DeployedImage,
  DescribeModelCommand,
  type DescribeModelCommandOutput,
  DescribeModelPackageCommand,
  type DescribeModelPackageCommandOutput,
  type ModelDataSource,
  type ModelPackageContainerDefinition,
  type S3ModelDataSource,
} from '@aws-sdk/client-sagemaker';
import { mapLimit } from '../../shared/aws.ts';
import { isGone } from '../../shared/sagemaker.ts';
import { tryJson } from '../../shared/schema.ts';
import type { Path } from '../path.ts';
import { attempt, CONCURRENCY, DELETED, type Reading } from './reading.ts';
import { type JsonObject, membersOf, setOf, vpcOf } from './values.ts';

/*
 * Models of SageMaker as endpoints serve them: containers with the images that run, their environment and model data.
 */

/** The model of a variant. */
export interface DeployedModel {
  /** `<endpoint>/<variant>` */
  name: string;
  /** Its own name, which deployments make up. */
  physical: string;
  /** What runs: a tag may say something else by now. */
  images: readonly DeployedImage[];
}

/** A container of a model, or of the model package that it is made of. */
interface Container {
  /** As the model has it. */
  own: ContainerDefinition;
  /** Of the package. */
  packaged: ModelPackageContainerDefinition | undefined;
}

/**
 * Reads models.
 *
 * @throws GateDependencyError where nothing at all can be read
 */
export async function readModels(reading: Reading, models: readonly DeployedModel[]): Promise<void> {
  await mapLimit(models, CONCURRENCY, (model) => readModel(reading, model));
}

async function readModel(reading: Reading, { name, physical, images }: DeployedModel): Promise<void> {
  const { sink, clients } = reading;
  const path: Path = ['models', name];
  const of = { path, physical, action: 'sagemaker:DescribeModel' };
  const attempted = await attempt(
    reading,
    of,
    () => clients.sagemaker.send(new DescribeModelCommand({ ModelName: physical })),
    isGone,
  );
  if (attempted === undefined) return;
  // The endpoint has it all the same.
  if ('gone' in attempted) return sink.unreadable({ ...of, why: DELETED });
  const model = attempted.answer;
  const containers = await containersOf(reading, path, model);
  sink.add({ kind: 'models', name, physical, value: modelValue(model, containers, images) });
}

/** Undefined where they could not be read. */
async function containersOf(
  reading: Reading,
  path: Path,
  { ModelName = '', PrimaryContainer, Containers }: DescribeModelCommandOutput,
): Promise<Container[] | undefined> {
  // A model has one or the other.
  const definitions = PrimaryContainer === undefined ? (Containers ?? []) : [PrimaryContainer];
  const containers: Container[] = [];
  for (const own of definitions) {
    if (own.ModelPackageName === undefined) {
      containers.push({ own, packaged: undefined });
      continue;
    }
    const of = {
      // How many containers a package has, only the package says.
      path: [...path, 'containers'],
      physical: ModelName,
      action: 'sagemaker:DescribeModelPackage',
    };
    const { ModelPackageName } = own;
    const attempted = await attempt(
      reading,
      of,
      () => reading.clients.sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName })),
      isGone,
    );
    if (attempted === undefined) return undefined;
    if ('gone' in attempted) {
      reading.sink.unreadable({ ...of, why: DELETED });
      return undefined;
    }
    // What the model adds to the package is taken down once.
    const { Environment, ...rest } = own;
    for (const [index, packaged] of packagedOf(attempted.answer, own).entries()) {
      containers.push({ own: index === 0 ? own : rest, packaged });
    }
  }
  return containers;
}

/** The containers of a package, by the inference specification that the model names. */
function packagedOf(
  { InferenceSpecification, AdditionalInferenceSpecifications = [] }: DescribeModelPackageCommandOutput,
  { InferenceSpecificationName }: ContainerDefinition,
): ModelPackageContainerDefinition[] {
  const specification =
    InferenceSpecificationName === undefined
      ? undefined
      : AdditionalInferenceSpecifications.find(({ Name }) => Name === InferenceSpecificationName);
  return (specification ?? InferenceSpecification)?.Containers ?? [];
}

function modelValue(
  model: DescribeModelCommandOutput,
  containers: readonly Container[] | undefined,
  images: readonly DeployedImage[],
): JsonObject {
  // Recommendations are not configuration.
  const {
    $metadata,
    ModelName,
    ModelArn,
    CreationTime,
    DeploymentRecommendation,
    PrimaryContainer,
    Containers,
    InferenceExecutionConfig,
    ExecutionRoleArn,
    VpcConfig,
    EnableNetworkIsolation,
    ...more
  } = model;
  return setOf({
    ...membersOf(more),
    containers: containers?.map((container, index) =>
      containerOf(container, index, containers.length === 1, images),
    ),
    invocation: InferenceExecutionConfig?.Mode ?? 'Serial',
    networkIsolation: EnableNetworkIsolation ?? false,
    vpc: vpcOf(VpcConfig),
    role: ExecutionRoleArn,
  });
}

function containerOf(
  { own, packaged }: Container,
  index: number,
  isOnly: boolean,
  images: readonly DeployedImage[],
): JsonObject {
  const {
    ContainerHostname,
    Image = packaged?.Image,
    ImageConfig,
    Mode,
    ModelDataUrl,
    ModelDataSource,
    AdditionalModelDataSources = packaged?.AdditionalModelDataSources,
    Environment,
    ModelPackageName,
    InferenceSpecificationName,
    MultiModelConfig,
    ContainerMetricsConfig,
    ...more
  } = own;
  const isPackaged = ModelDataUrl === undefined && ModelDataSource === undefined;
  return setOf({
    ...membersOf(more),
    ...(packaged && packagedMembersOf(packaged)),
    name: ContainerHostname ?? packaged?.ContainerHostname ?? String(index),
    image: Image,
    imageDigest: digestOf(Image, packaged?.ImageDigest, isOnly, images),
    environment: { ...packaged?.Environment, ...Environment },
    modelData: isPackaged
      ? modelDataOf(packaged?.ModelDataUrl, packaged?.ModelDataSource, Mode, packaged?.ModelDataETag)
      : modelDataOf(ModelDataUrl, ModelDataSource, Mode),
    additionalModelData: additionalOf(AdditionalModelDataSources),
    mode: Mode ?? 'SingleModel',
    multiModelCache: MultiModelConfig?.ModelCacheSetting,
    repositoryAccess: ImageConfig?.RepositoryAccessMode ?? 'Platform',
    repositoryProvider: ImageConfig?.RepositoryAuthConfig?.RepositoryCredentialsProviderArn,
    metrics: ContainerMetricsConfig?.MetricsEndpoints?.map((endpoint) => ({
      name: endpoint.MetricsEndpointPath,
      frequencySeconds: endpoint.MetricPublishFrequencyInSeconds,
    })),
    package: ModelPackageName,
    inferenceSpecification: InferenceSpecificationName,
  });
}

/** What only packages say of a container. */
function packagedMembersOf({
  ContainerHostname,
  Image,
  ImageDigest,
  ModelDataUrl,
  ModelDataSource,
  ModelDataETag,
  AdditionalModelDataSources,
  Environment,
  ModelInput,
  ...more
}: ModelPackageContainerDefinition): JsonObject {
  const input = ModelInput?.DataInputConfig;
  return setOf({ ...membersOf(more), input: input === undefined ? undefined : (tryJson(input) ?? input) });
}

/** What the image of a container is, whatever its tag says; undefined where nobody says. */
function digestOf(
  image: string | undefined,
  packaged: string | undefined,
  isOnly: boolean,
  images: readonly DeployedImage[],
): string | undefined {
  const deployed =
    images.find(({ SpecifiedImage }) => SpecifiedImage === image) ??
    // Of a package SageMaker may name it in another way.
    (isOnly && images.length === 1 ? images[0] : undefined);
  const written = (text: string | undefined) => /@(sha256:[0-9a-f]+)$/.exec(text ?? '')?.[1];
  return written(deployed?.ResolvedImage) ?? packaged ?? written(image);
}

/** Where model data is: a URL is the short form of an archive, or of where the archives of several models are. */
function modelDataOf(
  url: string | undefined,
  source: ModelDataSource | undefined,
  mode: string | undefined,
  etag?: string,
): JsonObject {
  const { S3DataSource: object, ...more } = source ?? {};
  const short =
    mode === 'MultiModel'
      ? { uri: url, type: 'S3Prefix' }
      : { uri: url, type: 'S3Object', compression: 'Gzip' };
  return setOf({
    ...membersOf(more),
    ...(object === undefined ? url !== undefined && short : sourceOf(object)),
    etag: object?.ETag ?? etag,
  });
}

function sourceOf({
  S3Uri,
  S3DataType,
  CompressionType,
  ModelAccessConfig,
  HubAccessConfig,
  ManifestS3Uri,
  ETag,
  ManifestEtag,
  ...more
}: S3ModelDataSource): JsonObject {
  return setOf({
    ...membersOf(more),
    uri: S3Uri,
    type: S3DataType,
    compression: CompressionType,
    acceptEula: ModelAccessConfig?.AcceptEula,
    hubContent: HubAccessConfig?.HubContentArn,
    manifest: ManifestS3Uri,
    manifestEtag: ManifestEtag,
  });
}

function additionalOf(sources: readonly AdditionalModelDataSource[] = []): JsonObject[] {
  return sources.map(({ ChannelName, S3DataSource, ...more }) =>
    setOf({
      ...membersOf(more),
      name: ChannelName,
      ...(S3DataSource && { ...sourceOf(S3DataSource), etag: S3DataSource.ETag }),
    }),
  );
}
