import { randomBytes } from 'node:crypto';
import { GateInputError } from './errors.ts';
import { type Failed, tellFailure } from './failure.ts';
import type { Outlets } from './outlets.ts';
import type { Ignored } from './verdict.ts';
import type { WorkBucket } from './work.ts';
import type { Workflow } from './workflow.ts';

/** The answer to a run that could not be made, through somebody's mistake. Its owners were told. */
export interface Refusal {
  error: 'GateInputError';
  message: string;
  /** What to do next; absent where the message says it. */
  help?: string;
}

/** Something that is run by one execution at a time. */
export interface Claimed<Answer> {
  /** `the drill psi`: whoever comes second gets to read it. */
  what: string;
  /** Absent of what touches nothing, and need not wait for anybody. */
  claim?: {
    /** In the work bucket. */
    key: string;
    /** How long it holds, unless it is claimed again: longer than its owner can take. */
    lifeMs: number;
  };
  /**
   * Whether an attempt goes on with the token of the one before it, which has died: what that has made has names that
   * this one knows. Otherwise each has a token of its own, and what is left is found by other means.
   */
  resumes: boolean;
  /** Removes what other runs have left that died; also where this one has ended. */
  sweep?: (token: string) => Promise<void>;
  /** What an earlier attempt of this execution has ended in, which died before it could answer. */
  ended: () => Promise<Answer | undefined>;
  /** How the owners are told where there is no answer. */
  failed: Failed;
  /** @param token eight hexadecimal digits or more, of this run alone: part of the names of what it makes */
  run: (token: string) => Promise<Answer>;
  /** Removes whatever the run has made, also where it was cut short. Its error is that of a run that had none. */
  cleanUp: (token: string) => Promise<void>;
}

/** What it takes. */
export interface ClaimDependencies extends Outlets {
  work: WorkBucket;
  /** Logs what went wrong beside the run. */
  warn: (message: string, error: unknown) => void;
}

/**
 * Runs something that is claimed first, cleaned up in any case, and whose owners are told where there is no answer.
 *
 * @returns its answer; that somebody else runs it; or with whose mistake keeps it from running
 * @throws GateDependencyError (and whatever is a bug) where there is no answer through no fault of anybody's
 */
export async function claimed<Answer>(
  workflow: Workflow,
  of: Claimed<Answer>,
  deps: ClaimDependencies,
): Promise<Answer | Ignored | Refusal> {
  const { what, claim, resumes } = of;
  const nameOf = (token: string) => (resumes ? `${workflow.id}.${token}` : workflow.id);
  const { owner, token, before } = await workflow.step(`claim ${what}`, async () => {
    const fresh = randomBytes(resumes ? 6 : 4).toString('hex');
    const found =
      claim === undefined ? nameOf(fresh) : await deps.work.claim(claim.key, nameOf(fresh), claim.lifeMs);
    return {
      owner: found,
      token: resumes ? (found.split('.')[1] ?? '') : fresh,
      before: await of.ended(),
    };
  });
  const [execution] = owner.split('.');
  if (execution !== workflow.id) return { ignored: `${what} is being run by the execution ${execution}` };

  let ended: { answer: Answer } | { error: unknown };
  try {
    await of.sweep?.(token);
    ended = { answer: before ?? (await of.run(token)) };
  } catch (error) {
    await tellFailure(workflow, of.failed, error, deps);
    ended = { error };
  }
  let isClean = true;
  try {
    await of.cleanUp(token);
  } catch (error) {
    isClean = false;
    if ('answer' in ended) ended = { error };
    else deps.warn('the clean-up failed, too', error);
  }
  // Who resumes keeps it where something is left. Others find that by themselves, and must not have to wait.
  if (claim !== undefined && (isClean || !resumes)) {
    await workflow.step('release the claim', () => deps.work.release(claim.key, owner));
  }
  if ('answer' in ended) return ended.answer;
  if (!(ended.error instanceof GateInputError)) throw ended.error;
  const { message, help } = ended.error;
  return { error: 'GateInputError', message, ...(help !== undefined && { help }) };
}
