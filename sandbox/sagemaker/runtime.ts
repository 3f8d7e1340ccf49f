import { ACCOUNT, REGION } from '../emulator.ts';
import { type Answer, ContainerError } from './containers.ts';
import { take } from './endpoint-faults.ts';
import { ENDPOINTS, type Endpoint } from './endpoints.ts';
import type { Variant } from './fleets.ts';
import {
  type Call,
  type HttpAnswer,
  type HttpRequest,
  type Route,
  ServiceError,
  tagKeys,
} from './service.ts';

/** The longest body of a request and of an answer, in bytes. */
const MOST_BYTES = 6_291_456;

/** How long a model may take. */
const INVOCATION_MS = 60_000;

const TARGET_VARIANT = 'x-amzn-sagemaker-target-variant';
const CUSTOM_ATTRIBUTES = 'x-amzn-sagemaker-custom-attributes';
const INFERENCE_ID = 'x-amzn-sagemaker-inference-id';

/** Headers of what is not served here. */
const UNSUPPORTED = [
  'x-amzn-sagemaker-target-model',
  'x-amzn-sagemaker-target-container-hostname',
  'x-amzn-sagemaker-enable-explanations',
  'x-amzn-sagemaker-inference-component',
  'x-amzn-sagemaker-session-id',
  'x-amzn-sagemaker-prefix-aware-id',
];

/**
 * InvokeEndpoint: `POST /endpoints/{name}/invocations`.
 *
 * @param random from 0 to 1, below 1: chooses the variant, and what is captured
 */
export function invocationRoute(random: () => number = Math.random): Route {
  return async (request, call) => {
    const [, name] = /^\/endpoints\/([^/]+)\/invocations$/.exec(request.path) ?? [];
    if (name === undefined || request.method !== 'POST') return undefined;
    return invoke(name, request, call, random);
  };
}

/** The runtime as the server has it. */
export const handleInvocation: Route = invocationRoute();

async function invoke(
  name: string,
  { headers, body, signal }: HttpRequest,
  call: Call,
  random: () => number,
): Promise<HttpAnswer> {
  const target = headers[TARGET_VARIANT];
  const arn = ENDPOINTS.arn(name);
  await call.account.authorize(call.caller, 'sagemaker:InvokeEndpoint', arn, {
    ...tagKeys({}, call, arn),
    ...(target !== undefined && { 'sagemaker:TargetVariant': target }),
  });
  const header = UNSUPPORTED.find((it) => headers[it] !== undefined);
  if (header !== undefined) throw invalidRequest(`The local SageMaker does not know the header ${header}.`);
  if (body.length > MOST_BYTES) {
    throw invalidRequest(`Request body of ${body.length} bytes is larger than ${MOST_BYTES} bytes.`, 413);
  }
  if ((headers[CUSTOM_ATTRIBUTES]?.length ?? 0) > 1024) {
    throw invalidRequest('Custom attributes have at most 1024 characters.');
  }
  const endpoint = call.state.get(ENDPOINTS, name);
  // Without variants it is Creating or Failed; what is Deleting serves no more.
  if (
    endpoint === undefined ||
    endpoint.variants.length === 0 ||
    endpoint.status === 'Deleting' ||
    endpoint.status === 'OutOfService'
  ) {
    throw invalidRequest(`Endpoint ${name} of account ${ACCOUNT} not found.`);
  }
  refuse(name, call);
  const { fleet, chance } = chooseFleet(endpoint, random());
  const variant = target === undefined ? choose(fleet, chance) : findVariant(endpoint, fleet, target);
  const contentType = headers['content-type'];
  const asking = variant.hosted.container.invoke(body, forwarded(headers), {
    timeoutMs: INVOCATION_MS,
    signal,
  });
  variant.open.add(asking);
  let answer: Answer;
  try {
    answer = await asking;
  } catch (error) {
    if (signal.aborted) throw invalidRequest('The client went away.');
    if (!(error instanceof ContainerError)) throw error;
    call.log(`endpoint ${name}/${variant.name}: ${error.message}`);
    return modelError({ code: 0, message: unanswered(error), endpoint: name });
  } finally {
    variant.open.delete(asking);
  }
  if (answer.status < 200 || answer.status > 299) {
    return modelError({
      code: answer.status,
      message: answer.body.toString('utf8', 0, 1024),
      endpoint: name,
    });
  }
  if (answer.body.length > MOST_BYTES) {
    return modelError({
      code: 0,
      message: `The response body has more than ${MOST_BYTES} bytes.`,
      endpoint: name,
    });
  }
  variant.capture?.record(
    {
      input: { contentType, body },
      output: { contentType: answer.headers['content-type'], body: answer.body },
      inferenceId: headers[INFERENCE_ID],
    },
    random(),
  );
  return {
    status: 200,
    headers: {
      'content-type': answer.headers['content-type'] ?? 'application/octet-stream',
      'x-amzn-invoked-production-variant': variant.name,
      ...(typeof answer.headers[CUSTOM_ATTRIBUTES] === 'string' && {
        [CUSTOM_ATTRIBUTES]: answer.headers[CUSTOM_ATTRIBUTES],
      }),
    },
    body: answer.body,
  };
}

/** What of a request's headers reaches the container. */
function forwarded(headers: HttpRequest['headers']): Record<string, string> {
  return Object.fromEntries(
    ['content-type', 'accept', CUSTOM_ATTRIBUTES].flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** Refuses a request where somebody has asked for that. */
function refuse(name: string, { state }: Call): void {
  const fault = take(name, 'refuse', state);
  if (fault !== undefined) throw new ServiceError(fault.type, fault.message, fault.status);
}

/**
 * A fleet by its share of the traffic; there are two while a deployment goes on.
 *
 * @param chance from 0 to 1, below 1
 * @returns with it the chance that is left for its variants
 */
function chooseFleet(
  { variants, incoming }: Endpoint,
  chance: number,
): { fleet: readonly Variant[]; chance: number } {
  if (incoming === undefined) return { fleet: variants, chance };
  const { share } = incoming;
  if (chance < share) return { fleet: incoming.variants, chance: chance / share };
  return { fleet: variants, chance: (chance - share) / (1 - share) };
}

/** A variant by its share of the weights. */
function choose(variants: readonly Variant[], chance: number): Variant {
  let left = chance * variants.reduce((sum, { weight }) => sum + weight, 0);
  const weighted = variants.filter(({ weight }) => weight > 0);
  const found = weighted.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  // Rounding may leave a crumb. One weight is positive: nothing else is let in.
  return found ?? (weighted.at(-1) as Variant);
}

/** A variant by name: where a deployment goes on, that of the fleet that was chosen, if it has one. */
function findVariant({ name, variants }: Endpoint, fleet: readonly Variant[], target: string): Variant {
  const found = [...fleet, ...variants].find((variant) => variant.name === target);
  if (found === undefined) throw invalidRequest(`Variant ${target} of endpoint ${name} not found.`);
  return found;
}

function unanswered({ kind, message }: ContainerError): string {
  if (kind === 'timeout')
    return 'Your invocation timed out while waiting for a response from container primary.';
  if (kind === 'exit') return 'An error occurred while handling request as the model process exited.';
  return message;
}

function invalidRequest(message: string, status = 400): ServiceError {
  return new ServiceError('ValidationError', message, status);
}

/**
 * What the model itself did wrong.
 *
 * @param code its status; 0 where it gave none
 */
function modelError({
  code,
  message,
  endpoint,
}: {
  code: number;
  message: string;
  endpoint: string;
}): HttpAnswer {
  const who = code >= 400 && code < 500 ? 'client' : 'server';
  const group = `/aws/sagemaker/Endpoints/${endpoint}`;
  return {
    status: 424,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': 'ModelError' },
    body: JSON.stringify({
      Message: `Received ${who} error (${code}) from primary with message "${message}".`,
      OriginalStatusCode: code,
      OriginalMessage: message,
      LogStreamArn: `arn:aws:logs:${REGION}:${ACCOUNT}:log-group:${group}`,
    }),
  };
}
