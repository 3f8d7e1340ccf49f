import { GateDependencyError, GateInputError } from '../../shared/errors.ts';
import { MOST_RESOURCES } from '../schema.ts';

/** A page of a listing. */
export interface Page<T> {
  items: readonly T[] | undefined;
  /** Of the next page; absent or empty: there is none. */
  next: string | undefined;
}

/**
 * Every item of a listing.
 *
 * @param what is listed, `monitoring schedules of flight-delay-staging`
 * @param page reads one page
 * @throws GateInputError where there are more than {@link MOST_RESOURCES}
 * @throws GateDependencyError where the pages have no end
 */
export async function everyPage<T>(
  what: string,
  page: (token: string | undefined) => Promise<Page<T>>,
): Promise<T[]> {
  const found: T[] = [];
  const seen = new Set<string>();
  let token: string | undefined;
  do {
    const { items = [], next } = await page(token);
    found.push(...items);
    if (found.length > MOST_RESOURCES) {
      throw new GateInputError(`there are more than ${MOST_RESOURCES} ${what}`, {
        help: 'Narrow what is compared in tocsin.yaml.',
      });
    }
    token = next || undefined;
    if (token !== undefined && seen.has(token)) {
      throw new GateDependencyError(`the list of ${what} begins again after ${seen.size + 1} pages`);
    }
    if (token !== undefined) seen.add(token);
  } while (token !== undefined);
  return found;
}
