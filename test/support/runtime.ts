import { ModelError } from '@aws-sdk/client-sagemaker-runtime';

/*
 * What SageMaker's runtime answers.
 */

/** A prediction. */
export const answer = (text: string, variant?: string) => ({
  Body: Buffer.from(text) as never,
  ...(variant !== undefined && { InvokedProductionVariant: variant }),
});

/** What a model has failed with, in its own words: nobody else is to read them. */
export const modelError = (status?: number) =>
  new ModelError({
    message: 'Received server error from primary with message "secret of the model"',
    ...(status !== undefined && { OriginalStatusCode: status }),
    OriginalMessage: 'secret of the model',
    $metadata: { httpStatusCode: 424 },
  });
