import { setTimeout } from 'node:timers/promises';
import { DescribeEndpointCommand } from '@aws-sdk/client-sagemaker';
import { mapLimit } from '../../shared/aws.ts';
import { GateError } from '../../shared/errors.ts';
import { type Answer, ask } from '../../shared/golden.ts';
import type { Golden } from '../../shared/prediction.ts';
import { isGone } from '../../shared/sagemaker.ts';
import type { ProbeAnswers } from '../snapshot.ts';
import type { Clients, Reading } from './reading.ts';

/*
 * What endpoints answer to golden requests.
 */

/** Requests at a time: they come on top of what an endpoint has to do. */
const OPEN = 4;

/** Before a request that was throttled or timed out is made again. */
const PAUSE_MS = 1_000;

/** What says that the endpoint was busy; what a model answers, errors too, is its answer. */
const BUSY =
  /^(ThrottlingException|TooManyRequestsException|ServiceUnavailable|TimeoutError|RequestTimeout|ETIMEDOUT|ESOCKETTIMEDOUT|HTTP (429|503|504))$/;

/** What is asked of whom. */
export interface Probe {
  probe: string;
  /** Its name in this environment. */
  endpoint: string;
  golden: Golden;
  /** Media type of the requests. */
  content: string;
}

/**
 * Asks an endpoint each golden request; once more, where it was too busy to answer.
 *
 * Of several variants the one with the largest weight is asked, whatever the weights choose: the same one in each run.
 *
 * @param sleep waits for milliseconds
 */
export async function readProbe(
  { sink, clients }: Reading,
  { probe, endpoint, golden, content }: Probe,
  sleep: (ms: number) => Promise<unknown> = setTimeout,
): Promise<void> {
  const { uri, version, sha256, requests } = golden;
  const answered = (answers: ProbeAnswers['answers']) =>
    sink.probe({
      probe,
      uri,
      version,
      sha256,
      answers,
      recorded: requests.map(({ prediction }) => (prediction === undefined ? null : { prediction })),
    });

  const variants = await variantsOf(clients, endpoint);
  if ('error' in variants) return answered(requests.map(() => variants));
  const [target, ...others] = variants.served;
  for (const { name } of others) {
    sink.notRead({
      subject: `answers of the variant ${name} of ${endpoint}`,
      why: `golden requests go to ${target?.name}, which has the largest weight`,
    });
  }
  const mark = `tocsin-parity-${sha256.slice(0, 8)}`;
  const answers = await mapLimit([...requests.entries()], OPEN, async ([index, { body }]) => {
    const question = {
      endpoint,
      content,
      body,
      mark: `${mark}-${index}`,
      ...(target !== undefined && others.length > 0 && { variant: target.name }),
    };
    const first = await ask(clients.runtime, question);
    if (!('error' in first) || !BUSY.test(first.error)) return first;
    await sleep(PAUSE_MS);
    return ask(clients.runtime, question);
  });
  answered(answers.map(answerOf));
}

function answerOf(answer: Answer): ProbeAnswers['answers'][number] {
  return 'error' in answer ? answer : { prediction: answer.prediction };
}

/**
 * The variants of an endpoint that have traffic, those with the most first.
 *
 * @returns the class of what went wrong, where they could not be read
 * @throws GateError where nothing at all can be read
 */
async function variantsOf(
  { sagemaker }: Pick<Clients, 'sagemaker'>,
  endpoint: string,
): Promise<{ served: { name: string; weight: number }[] } | { error: string }> {
  try {
    const { ProductionVariants = [] } = await sagemaker.send(
      new DescribeEndpointCommand({ EndpointName: endpoint }),
    );
    const served = ProductionVariants.map(({ VariantName = '', CurrentWeight = 0 }) => ({
      name: VariantName,
      weight: CurrentWeight,
    })).filter(({ weight }) => weight > 0);
    return { served: served.sort((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1)) };
  } catch (error) {
    if (error instanceof GateError) throw error;
    if (isGone(error)) return { error: 'EndpointNotFound' };
    const { name = '' } = (error ?? {}) as Partial<Error>;
    return { error: /^\w{1,60}$/.test(name) ? name : 'Error' };
  }
}
