import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import * as z from 'zod';
import { GateInputError } from '../../functions/shared/errors.ts';
import { canonicalJson, sha256 } from '../../functions/shared/identity.ts';
import { parseValue, strict } from '../../functions/shared/schema.ts';
import { ACCOUNT, REGION } from '../emulator.ts';
import { ROOT } from '../paths.ts';

/** Where images of the emulated account have their names. Nothing answers there. */
const REGISTRY = `${ACCOUNT}.dkr.ecr.${REGION}.amazonaws.com`;

/** Patterns of ECR. */
const REPOSITORY = /^[a-z0-9]+([._/-][a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** So many versions of one repository are kept; a `by digest` address of an older one is forgotten. */
const MOST_VERSIONS = 100;

/** An image is a program on this machine. Files are named relative to the checkout, or absolutely. */
const imageDefinition = strict({
  repository: z.string().max(256).regex(REPOSITORY, 'a repository name of ECR'),
  tag: z.string().regex(TAG, 'a tag of ECR'),
  /** Program and arguments; SageMaker's own argument, `serve` or `train`, comes last. */
  command: z.array(z.string().min(1)).min(1).max(50),
  /** Files that the digest covers: the program's own. Arguments that name one of them are found in the checkout. */
  sources: z.array(z.string().min(1)).min(1).max(200),
});

export type ImageDefinition = z.output<typeof imageDefinition>;

/** A program that can be started as a container. */
export interface Image {
  /** Program and arguments, with absolute paths. */
  command: readonly string[];
}

/** What an image's address leads to. */
export interface ResolvedImage {
  /** `sha256:...` over the command and the content of the sources. */
  digest: string;
  /** Address by digest. */
  address: string;
  image: Image;
}

/** The images of the account, in place of ECR. */
export class ImageRegistry {
  /** Definitions by repository, the newest last. */
  readonly #repositories = new Map<string, ImageDefinition[]>();

  /**
   * Adds an image, or moves a tag to another one.
   *
   * @param definition an {@link ImageDefinition}
   * @returns its address by tag, and its digest
   * @throws GateInputError where it is none, or a source cannot be read
   */
  async register(definition: unknown): Promise<{ address: string; digest: string }> {
    const image = parseValue(imageDefinition, definition, 'image');
    const digest = await digestOf(image).catch((cause: Error) => {
      throw new GateInputError(`image ${image.repository}:${image.tag}: ${cause.message}`, { cause });
    });
    const versions = this.#repositories.get(image.repository) ?? [];
    this.#repositories.set(image.repository, [...versions, image].slice(-MOST_VERSIONS));
    return { address: `${REGISTRY}/${image.repository}:${image.tag}`, digest };
  }

  /**
   * Finds an image by `account.dkr.ecr.region.amazonaws.com/repository:tag` or `...@sha256:...`.
   *
   * The sources are read anew: an edited program is another image, which its tag leads to and its old digest
   * does not.
   *
   * @returns undefined where the account has no such image
   */
  async resolve(address: string): Promise<ResolvedImage | undefined> {
    if (!address.startsWith(`${REGISTRY}/`)) return undefined;
    const [, repository = '', tag = 'latest', digest] =
      /^(.+?)(?::([^:@]+))?(?:@(sha256:[0-9a-f]{64}))?$/.exec(address.slice(REGISTRY.length + 1)) ?? [];
    const versions = this.#repositories.get(repository)?.toReversed() ?? [];
    for (const version of digest === undefined
      ? versions.filter((it) => it.tag === tag).slice(0, 1)
      : versions) {
      const found = await digestOf(version).catch(() => undefined);
      if (found === undefined || (digest !== undefined && digest !== found)) continue;
      return {
        digest: found,
        address: `${REGISTRY}/${repository}@${found}`,
        image: { command: version.command.map((part) => locate(version, part)) },
      };
    }
    return undefined;
  }
}

/** Of the definition as it stands, not of its tag: two tags of one program have one digest. */
async function digestOf({ command, sources }: ImageDefinition): Promise<string> {
  const files = await Promise.all(
    sources.map(async (path) => [path, sha256(await readFile(resolve(ROOT, path)))] as const),
  );
  return `sha256:${sha256(canonicalJson({ command, sources: Object.fromEntries(files) }))}`;
}

function locate({ sources }: ImageDefinition, part: string): string {
  return sources.includes(part) ? resolve(ROOT, part) : part;
}
