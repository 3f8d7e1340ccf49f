import { setMaxListeners } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { REGION } from '../emulator.ts';
import { ContainerError, serve, unpackModel } from './containers.ts';
import type { Hostable, Hosted, HostOptions } from './hosted.ts';
import { type Call, parseS3Uri } from './service.ts';

/** Why a model could not be started. */
export class HostingError extends Error {
  override readonly name = 'HostingError';
  /** `access`: the image or the files of the model cannot be had; `ping`: its container does not become healthy. */
  readonly kind: 'access' | 'ping';

  constructor(kind: HostingError['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * Starts a model: finds its image, downloads its files with the rights of its role, and waits for its container.
 *
 * However many instances are asked for, it is one process.
 *
 * @throws HostingError where it does not start; the reason of `signal` where that aborts
 */
export async function host(
  model: Hostable,
  call: Call,
  { env = {}, label, signal }: HostOptions,
): Promise<Hosted> {
  // Many containers may listen to the end of one server.
  setMaxListeners(0, signal);
  const [definition] = model.containers;
  if (definition === undefined || model.containers.length > 1) {
    throw new HostingError('access', 'The local SageMaker serves models of one container only.');
  }
  const resolved = await call.images.resolve(definition.Image);
  if (resolved === undefined) {
    throw new HostingError(
      'access',
      `The image "${definition.Image}" does not exist. It is registered with POST /_sandbox/images.`,
    );
  }
  const resolvedAt = call.now();
  const directory = await mkdtemp(join(tmpdir(), 'model-'));
  const clean = () => {
    signal.removeEventListener('abort', clean);
    // Nobody waits for what ends with the server.
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  };
  signal.addEventListener('abort', clean, { once: true });
  try {
    if (definition.ModelDataUrl !== undefined) {
      await download(definition.ModelDataUrl, model.executionRoleArn, { directory, call, signal });
    }
    const container = await serve(resolved.image, {
      env: { ...definition.Environment, ...env },
      modelDirectory: directory,
      onLine: (line) => call.log(`${label}: ${line}`),
      signal,
    });
    return {
      container,
      specifiedImage: definition.Image,
      resolved,
      resolvedAt,
      stop: async () => {
        await container.stop();
        clean();
      },
    };
  } catch (error) {
    clean();
    if (error instanceof ContainerError) {
      call.log(`${label}: ${error.message}`);
      throw new HostingError('ping', error.message, { cause: error });
    }
    throw error;
  }
}

async function download(
  url: string,
  roleArn: string,
  { directory, call, signal }: { directory: string; call: Call; signal: AbortSignal },
): Promise<void> {
  const { bucket, key } = parseS3Uri(url);
  let archive: Readable;
  try {
    const s3 = await call.account.s3As(roleArn);
    const object = new GetObjectCommand({ Bucket: bucket, Key: key });
    const { Body } = await s3.send(object, { abortSignal: signal });
    archive = Body as Readable;
  } catch (cause) {
    signal.throwIfAborted();
    throw new HostingError(
      'access',
      `Could not access model data at ${url}. Please ensure that the role "${roleArn}" exists and that its trust ` +
        'relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". ' +
        `Also ensure that the role has "s3:GetObject" permissions and that the object is located in ${REGION}.`,
      { cause },
    );
  }
  await unpackModel(archive, directory).catch((cause: Error) => {
    throw new HostingError('access', `The model data at ${url} is no model.tar.gz: ${cause.message}.`, {
      cause,
    });
  });
}
