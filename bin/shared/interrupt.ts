const notices = new Set<() => void>();

/** Runs `step`; where a signal ends the process meanwhile, `notice` is the last thing that it says. */
export async function withNotice<T>(notice: () => void, step: () => Promise<T>): Promise<T> {
  notices.add(notice);
  try {
    return await step();
  } finally {
    notices.delete(notice);
  }
}

/** Says what there is to say; for a process that is about to die. */
export function giveNotice(): void {
  for (const notice of notices) notice();
}
