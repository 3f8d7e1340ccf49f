import { toldOf } from './progress.ts';
import type { WorkBucket } from './work.ts';
import { keepError, type Workflow } from './workflow.ts';

/** What following takes. */
export interface FollowDependencies {
  work: WorkBucket;
  /** Logs what went wrong beside the run. */
  warn: (message: string, error: unknown) => void;
}

/** The answer to what somebody got wrong. */
interface Refused {
  error: string;
  message: string;
  help?: string;
}

/**
 * Runs a workflow so that somebody can follow it: where it is stands in the work bucket, and in the end its answer or its
 * error. Nobody follows a run without a name.
 *
 * @param body gets the time when it began, milliseconds since 1970, and what tells where it is
 */
export async function followed<Answer extends object>(
  workflow: Workflow,
  run: string | undefined,
  { work, warn }: FollowDependencies,
  body: (startedAt: number, report: (phase: string) => Promise<void>) => Promise<Answer>,
): Promise<Answer> {
  const startedAt = await workflow.step('begin', async () => Date.now());
  const report = (progress: Omit<Parameters<WorkBucket['report']>[1], 'startedAt'>) =>
    // Whoever follows the run may miss something; the run does not depend on it.
    work.report(run, { startedAt, ...progress }).catch((error) => warn('progress was not written', error));
  const end = async (progress: Parameters<typeof report>[0]) => {
    if (run !== undefined) await workflow.step('report the end', () => report(progress));
  };
  try {
    const answer = await body(startedAt, (phase) => report({ phase }));
    if (isRefused(answer)) {
      await end({ phase: 'refused', error: toldOf({ ...answer, name: answer.error }) });
    } else await end({ phase: 'done', result: answer });
    return answer;
  } catch (error) {
    await end({ phase: 'failed', error: toldOf(keepError(error)) });
    throw error;
  }
}

function isRefused(answer: object): answer is Refused {
  return 'error' in answer;
}
