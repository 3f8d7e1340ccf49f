import { GateDependencyError, GateInputError } from './errors.ts';

/** What Lambda says about an invocation, as far as the gate asks. */
export interface InvocationContext {
  awsRequestId: string;
  getRemainingTimeInMillis(): number;
}

/** Whether EventBridge sent this, rather than a direct invocation. */
export function isEvent(event: unknown): boolean {
  return typeof event === 'object' && event !== null && 'detail-type' in event;
}

/** An error whose message has its help, too: Lambda tells a caller the name and the message, and nothing else. */
export function withHelp(error: unknown): unknown {
  for (const Kind of [GateInputError, GateDependencyError]) {
    if (error instanceof Kind) {
      return new Kind([error.message, error.help].filter(Boolean).join(' '), { cause: error });
    }
  }
  return error;
}

/** Loads something once, however often it is asked for; when that fails, the next who asks tries again. */
export function remembered<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= load().catch((error) => {
      loading = undefined;
      throw error;
    });
    return loading;
  };
}
