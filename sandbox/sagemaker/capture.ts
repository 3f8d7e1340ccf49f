import { randomUUID } from 'node:crypto';
import { PutObjectCommand } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { messageOf } from '../../functions/shared/errors.ts';
import { type Call, listOf, parseS3Uri, s3Uri, structure } from './service.ts';

/** How long captured requests are collected before a file is written. SageMaker takes minutes. */
const FLUSH_MS = 1_000;

/** A file is written earlier once it has so many bytes. */
const MOST_BYTES = 8 * 1024 * 1024;

/** A content type without parameters. */
const mediaType = z
  .string()
  .max(256)
  .regex(/^[a-zA-Z0-9](-*[a-zA-Z0-9.])*\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*$/);

/** DataCaptureConfig of an endpoint configuration. */
export const dataCaptureConfig = structure({
  EnableCapture: z.boolean().optional(),
  /** Of requests. */
  InitialSamplingPercentage: z.int().min(0).max(100),
  DestinationS3Uri: s3Uri.max(512),
  KmsKeyId: z.string().max(2048).optional(),
  CaptureOptions: listOf(structure({ CaptureMode: z.enum(['Input', 'Output', 'InputAndOutput']) }), 32, 1),
  CaptureContentTypeHeader: structure({
    CsvContentTypes: listOf(mediaType, 10, 1).optional(),
    JsonContentTypes: listOf(mediaType, 10, 1).optional(),
  }).optional(),
});

export type DataCaptureConfig = z.output<typeof dataCaptureConfig>;

/** One request that was answered. */
export interface Exchange {
  input: { contentType: string | undefined; body: Buffer };
  output: { contentType: string | undefined; body: Buffer };
  /** The caller's own id. */
  inferenceId: string | undefined;
}

/** Writes a share of a variant's requests and answers to S3, with the rights of the model's role. */
export class Capture {
  readonly #config: DataCaptureConfig;
  readonly #folder: string;
  readonly #roleArn: string;
  readonly #call: Call;
  #lines: string[] = [];
  #bytes = 0;
  #flushing = false;

  /**
   * @param folder `endpoint/variant`
   * @param call outlives the request that it came with
   */
  constructor(config: DataCaptureConfig, folder: string, roleArn: string, call: Call) {
    this.#config = config;
    this.#folder = folder;
    this.#roleArn = roleArn;
    this.#call = call;
  }

  /**
   * Takes down a request, or passes over it.
   *
   * @param chance from 0 to 1, below 1
   */
  record({ input, output, inferenceId }: Exchange, chance: number): void {
    const { InitialSamplingPercentage, CaptureOptions } = this.#config;
    if (chance * 100 >= InitialSamplingPercentage) return;
    const modes = CaptureOptions.map(({ CaptureMode }) => CaptureMode);
    const takes = (mode: 'Input' | 'Output') => modes.includes(mode) || modes.includes('InputAndOutput');
    const line = JSON.stringify({
      captureData: {
        ...(takes('Input') && { endpointInput: this.#side('INPUT', input) }),
        ...(takes('Output') && { endpointOutput: this.#side('OUTPUT', output) }),
      },
      eventMetadata: {
        eventId: randomUUID(),
        ...(inferenceId !== undefined && { inferenceId }),
        inferenceTime: new Date(this.#call.now()).toISOString().replace(/\.\d+Z$/, 'Z'),
      },
      eventVersion: '0',
    });
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#bytes > MOST_BYTES) this.#call.background('data capture', () => this.flush());
    else if (!this.#flushing) {
      this.#flushing = true;
      this.#call.background('data capture', async () => {
        await this.#call.wait(FLUSH_MS);
        this.#flushing = false;
        await this.flush();
      });
    }
  }

  /** Writes what was collected. What S3 refuses is lost, and in the log. */
  async flush(): Promise<void> {
    const lines = this.#lines;
    if (lines.length === 0) return;
    this.#lines = [];
    this.#bytes = 0;
    const { DestinationS3Uri, KmsKeyId } = this.#config;
    const { bucket, key } = parseS3Uri(DestinationS3Uri);
    const [, date = '', hour = '', minute, second, thousandth] =
      /^(.*)T(..):(..):(..)\.(...)Z$/.exec(new Date(this.#call.now()).toISOString()) ?? [];
    const path = [...key.split('/').filter(Boolean), this.#folder, ...date.split('-'), hour];
    const Key = `${path.join('/')}/${minute}-${second}-${thousandth}-${randomUUID()}.jsonl`;
    try {
      const s3 = await this.#call.account.s3As(this.#roleArn);
      await s3.send(
        new PutObjectCommand({
          Bucket: bucket,
          Key,
          Body: `${lines.join('\n')}\n`,
          ...(KmsKeyId !== undefined && { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: KmsKeyId }),
        }),
      );
    } catch (error) {
      this.#call.log(
        `data capture: ${lines.length} requests of ${this.#folder} are lost: ${messageOf(error)}`,
      );
    }
  }

  #side(mode: 'INPUT' | 'OUTPUT', { contentType, body }: Exchange['input']): object {
    const encoding = this.#encoding(contentType);
    return {
      ...(contentType !== undefined && { observedContentType: contentType }),
      mode,
      data: body.toString(encoding === 'BASE64' ? 'base64' : 'utf8'),
      encoding,
    };
  }

  /** Base64 for every content type that the configuration does not name. */
  #encoding(contentType = ''): 'CSV' | 'JSON' | 'BASE64' {
    const { CsvContentTypes = [], JsonContentTypes = [] } = this.#config.CaptureContentTypeHeader ?? {};
    const [type = ''] = contentType.split(';');
    const isIn = (types: readonly string[]) =>
      types.some((it) => it.toLowerCase() === type.trim().toLowerCase());
    return isIn(CsvContentTypes) ? 'CSV' : isIn(JsonContentTypes) ? 'JSON' : 'BASE64';
  }
}
