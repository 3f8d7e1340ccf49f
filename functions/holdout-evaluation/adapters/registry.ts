import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AdditionalModelDataSource,
  DescribeModelPackageCommand,
  ListModelPackagesCommand,
  type ModelDataSource,
  type ModelPackageContainerDefinition,
  type SageMakerClient,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { call, dependencyError } from '../../shared/aws.ts';
import { GateInputError } from '../../shared/errors.ts';
import { isGone } from '../../shared/sagemaker.ts';

/*
 * The model registry: what was registered, which model serves, and where a verdict is written down.
 */

/** A registered model. */
export interface ModelPackage {
  arn: string;
  /** Undefined of a package without versions, which nobody can approve. */
  group: string | undefined;
  version: number | undefined;
  /** `Completed` once it can be used. */
  status: string;
  /** `PendingManualApproval`, `Approved` or `Rejected`. */
  approval: string | undefined;
  /** The one line beside the approval. */
  description: string | undefined;
  metadata: Record<string, string>;
  /** In the order in which a request goes through them; mostly one. */
  containers: PackagedContainer[];
  /** Milliseconds since 1970. */
  createdAt: number;
}

/** One container of a registered model: what a model is built from, and what pins its bytes. */
export interface PackagedContainer {
  hostname?: string;
  /** As it was registered; its tag may name other bytes by now. */
  image: string;
  /** `sha256:...`, as SageMaker found it at the registration. */
  imageDigest: string | undefined;
  modelDataUrl?: string;
  modelDataSource?: ModelDataSource;
  additionalModelDataSources?: AdditionalModelDataSource[];
  modelDataEtag: string | undefined;
  environment: Record<string, string>;
}

/** Pages of a listing, 50 packages each, that are read in search of one. */
const MAX_PAGES = 10;

/** Attempts at an update that meets another one, and the first pause between them in milliseconds. */
const ATTEMPTS = 5;
const PAUSE_MS = 200;

/**
 * Looks a package up.
 *
 * @throws GateInputError where there is none: it was deleted, or never there
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function describePackage(sagemaker: SageMakerClient, arn: string): Promise<ModelPackage> {
  try {
    const found = await sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: arn }));
    return {
      arn: found.ModelPackageArn ?? arn,
      group: found.ModelPackageGroupName,
      version: found.ModelPackageVersion,
      status: found.ModelPackageStatus ?? 'unknown',
      approval: found.ModelApprovalStatus,
      description: found.ApprovalDescription,
      metadata: found.CustomerMetadataProperties ?? {},
      containers: (found.InferenceSpecification?.Containers ?? []).map(containerOf),
      createdAt: found.CreationTime?.getTime() ?? 0,
    };
  } catch (error) {
    if (isGone(error)) {
      throw new GateInputError(`there is no model package ${arn}; it was deleted, or never there`, {
        cause: error,
      });
    }
    throw dependencyError(`DescribeModelPackage ${arn}`, error);
  }
}

function containerOf(container: ModelPackageContainerDefinition): PackagedContainer {
  const source = container.ModelDataSource?.S3DataSource;
  return {
    ...(container.ContainerHostname !== undefined && { hostname: container.ContainerHostname }),
    image: container.Image ?? '',
    imageDigest: container.ImageDigest,
    ...(container.ModelDataUrl !== undefined && { modelDataUrl: container.ModelDataUrl }),
    ...(container.ModelDataSource !== undefined && { modelDataSource: container.ModelDataSource }),
    ...(container.AdditionalModelDataSources !== undefined && {
      additionalModelDataSources: container.AdditionalModelDataSources,
    }),
    modelDataEtag: container.ModelDataETag ?? source?.ETag ?? source?.ManifestEtag,
    environment: container.Environment ?? {},
  };
}

/**
 * The model that serves: the newest Approved package of a group.
 *
 * @param exceptArn the candidate, which may be Approved itself
 * @returns its ARN; undefined where there is none
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function latestApproved(
  sagemaker: SageMakerClient,
  group: string,
  exceptArn: string,
): Promise<string | undefined> {
  let token: string | undefined;
  for (let page = 0; page < MAX_PAGES && (page === 0 || token !== undefined); page++) {
    const answer = await call(
      `ListModelPackages of ${group}`,
      sagemaker.send(
        new ListModelPackagesCommand({
          ModelPackageGroupName: group,
          ModelApprovalStatus: 'Approved',
          SortBy: 'CreationTime',
          SortOrder: 'Descending',
          MaxResults: 50,
          ...(token !== undefined && { NextToken: token }),
        }),
      ),
    );
    const found = answer.ModelPackageSummaryList?.find(
      ({ ModelPackageArn, ModelPackageStatus }) =>
        ModelPackageArn !== exceptArn && ModelPackageStatus === 'Completed',
    );
    if (found !== undefined) return found.ModelPackageArn;
    token = answer.NextToken;
  }
  return undefined;
}

/** What is written down beside a package. */
export interface RegistryVerdict {
  /** Left out: the approval stays as it is. */
  approval?: 'Approved' | 'Rejected';
  /** One line, at most 1,024 characters. */
  description: string;
  /** At most 50 with those that are there already; the others stay. */
  metadata: Record<string, string>;
}

/**
 * Writes a verdict down, in one update. Doing so twice changes nothing more.
 *
 * @param pause waits that many milliseconds
 * @returns `gone` where the package was deleted meanwhile
 * @throws GateDependencyError where SageMaker does not answer, or refuses
 */
export async function setVerdict(
  sagemaker: SageMakerClient,
  arn: string,
  { approval, description, metadata }: RegistryVerdict,
  pause: (ms: number) => Promise<unknown> = sleep,
): Promise<'set' | 'gone'> {
  for (let attempt = 1; ; attempt++) {
    try {
      await sagemaker.send(
        new UpdateModelPackageCommand({
          ModelPackageArn: arn,
          ...(approval !== undefined && { ModelApprovalStatus: approval }),
          ApprovalDescription: description,
          // SageMaker refuses an empty map.
          ...(Object.keys(metadata).length > 0 && { CustomerMetadataProperties: metadata }),
        }),
      );
      return 'set';
    } catch (error) {
      if (isGone(error)) return 'gone';
      // Somebody else updates it at this moment, which the SDK takes for an error of the caller.
      if ((error as Error | null)?.name === 'ConflictException' && attempt < ATTEMPTS) {
        await pause(PAUSE_MS * 2 ** (attempt - 1));
        continue;
      }
      throw dependencyError(`UpdateModelPackage ${arn}`, error);
    }
  }
}
