import { GateDependencyError, GateError, GateInputError, messageOf } from './errors.ts';
import { verdictFolder } from './identity.ts';
import type { Message } from './message.ts';
import { type Outlets, tellOnce, withRunbook } from './outlets.ts';
import type { GateName } from './verdict.ts';
import type { Workflow } from './workflow.ts';

/** What has no verdict, and how its owners are told. */
export interface Failed {
  gate: GateName;
  /** Of its evidence. */
  subject: string;
  /** What names it: the same mistake of the same is told once. */
  about: Record<string, string>;
  /** Names the message in the evidence. */
  idOf: (about: Record<string, string>) => string;
  message: (error: GateError) => Message;
}

/**
 * Tells the owners why there is no verdict: of one mistake once, of the trouble of one execution once. Where that fails,
 * too, it is logged.
 */
export async function tellFailure(
  workflow: Workflow,
  { gate, subject, about, idOf, message }: Failed,
  error: unknown,
  deps: Outlets & { warn: (message: string, error: unknown) => void },
): Promise<void> {
  const refused = error instanceof GateInputError;
  const id = idOf({ ...about, ...(refused ? { error: error.message } : { execution: workflow.id }) });
  const folder = verdictFolder(gate, subject, refused ? 'refusals' : 'troubles');
  const told = error instanceof GateError ? error : new GateDependencyError(messageOf(error));
  try {
    await workflow.step('tell why there is no verdict', () =>
      tellOnce(deps, `${folder}${id}.json`, () => withRunbook(message(told), deps.env)),
    );
  } catch (untold) {
    // What is wrong with the run is worth more than what is wrong with telling it.
    deps.warn('the owners could not be told', untold);
  }
}
