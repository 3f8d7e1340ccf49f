import { canonicalJson, sha256, verdictId } from '../shared/identity.ts';
import type { Judgement, Verdict } from '../shared/verdict.ts';
import { TOCSIN_VERSION } from '../shared/version.ts';
import { type LocatedModel, TEMPORARY } from './schema.ts';

/*
 * What a verdict of this gate is bound to, and the names that are derived from it. Pure.
 */

/** One container of a registered model, as far as it says which bytes answer and how they are set up. */
export interface PinnedContainer {
  image: string;
  imageDigest: string | null;
  /** `s3://...` of the model data. */
  modelData: string | null;
  modelDataEtag: string | null;
  /** `s3://...` of further model data, such as adapters, by channel; absent where there is none. */
  additionalModelData?: Record<string, { uri: string | null; etag: string | null }>;
  /** Hash of each value by name: values may be secrets. */
  environment: Record<string, string>;
}

/** A registered model, pinned. */
export interface PinnedPackage {
  arn: string;
  containers: PinnedContainer[];
}

/** What is known of a container when it is described. */
export interface DescribedContainer {
  image: string;
  imageDigest: string | undefined;
  modelDataUrl?: string;
  modelDataSource?: { S3DataSource?: { S3Uri?: string | undefined } | undefined };
  modelDataEtag: string | undefined;
  additionalModelDataSources?: readonly AdditionalModelData[];
  environment: Record<string, string>;
}

interface AdditionalModelData {
  ChannelName: string | undefined;
  S3DataSource:
    | { S3Uri: string | undefined; ETag?: string | undefined; ManifestEtag?: string | undefined }
    | undefined;
}

export function pinContainer(container: DescribedContainer): PinnedContainer {
  const { image, imageDigest, modelDataUrl, modelDataSource, modelDataEtag, environment } = container;
  const additional = (container.additionalModelDataSources ?? []).map(
    ({ ChannelName, S3DataSource: data }) => {
      const pinned = { uri: data?.S3Uri ?? null, etag: data?.ETag ?? data?.ManifestEtag ?? null };
      return [ChannelName ?? '', pinned] as const;
    },
  );
  return {
    image,
    imageDigest: imageDigest ?? null,
    modelData: modelDataUrl ?? modelDataSource?.S3DataSource?.S3Uri ?? null,
    modelDataEtag: modelDataEtag ?? null,
    ...(additional.length > 0 && { additionalModelData: Object.fromEntries(additional) }),
    environment: Object.fromEntries(
      Object.entries(environment).map(([name, value]) => [name, `sha256:${sha256(value).slice(0, 12)}`]),
    ),
  };
}

/** A version of a holdout that has passed its quality gate. */
export interface HoldoutVersion {
  /** `s3://bucket/key` */
  uri: string;
  version: string;
  /** Id of the verdict that it passed with. */
  qualityVerdict: string | null;
}

/** What a verdict is bound to; its id is derived from these. */
export interface EvaluationInputs extends Record<string, unknown> {
  model: string;
  candidate: PinnedPackage;
  /** Null: there is none, or nobody asks for one. `unavailable`: why it could not be compared with. */
  champion: (PinnedPackage & { unavailable?: string }) | null;
  holdout: HoldoutVersion & { sha256: string };
  configurationSha256: string;
}

export type EvaluationVerdict = Verdict<EvaluationInputs>;

/** Hash of what tocsin.yaml says of a model; comments, order and other models do not count. */
export function configurationHash(model: LocatedModel): string {
  return sha256(canonicalJson(model.value));
}

/** The id that {@link verdictOf} gives its verdict; also the seed of the bootstrap. */
export function idOf(inputs: Record<string, unknown>): string {
  return verdictId('holdout-evaluation', TOCSIN_VERSION, inputs);
}

/** A judgement, bound to what it is about. */
export function verdictOf<Inputs extends Record<string, unknown>>(
  subject: string,
  inputs: Inputs,
  judgement: Judgement,
): Verdict<Inputs> {
  return {
    verdict: 1,
    id: idOf(inputs),
    gate: 'holdout-evaluation',
    subject,
    ...judgement,
    inputs,
    tocsin: TOCSIN_VERSION,
  };
}

/** What tells one evaluation from another, before it is made. */
export interface Asked {
  /** ARN of the package. */
  package: string;
  configurationSha256: string;
  holdout: HoldoutVersion;
}

/** What was asked where these are the inputs of the verdict. */
export function askedOf({ candidate, configurationSha256, holdout }: EvaluationInputs): Asked {
  const { sha256: _, ...version } = holdout;
  return { package: candidate.arn, configurationSha256, holdout: version };
}

/**
 * 32 hexadecimal digits that name an evaluation before it is made: whatever event asks for the same package under the
 * same configuration on the same version of the holdout asks for the same evaluation.
 */
export function evaluationKey(asked: Asked): string {
  return sha256(canonicalJson({ evaluation: asked, tocsin: TOCSIN_VERSION })).slice(0, 32);
}

/**
 * Name of what one execution makes for one evaluation, to which `-c` or `-p` is added: at most 45 characters, so that
 * models and jobs stay within SageMaker's 63.
 *
 * @param key as of {@link evaluationKey}
 * @param token hexadecimal, of the execution
 */
export function temporaryName(key: string, token: string): string {
  return `${TEMPORARY}${key.slice(0, 16)}-${token.slice(0, 12)}`;
}
