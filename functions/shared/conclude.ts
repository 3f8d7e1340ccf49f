import * as z from 'zod';
import { type EvidenceStore, prettyJson } from './evidence.ts';
import type { Judged } from './history.ts';
import { verdictFolder } from './identity.ts';
import type { Message } from './message.ts';
import type { Outlets } from './outlets.ts';
import type { RunReporting } from './run-handler.ts';
import { parseJson } from './schema.ts';
import { type Telling, tellVerdict } from './telling.ts';
import type { GateName, Outcome, Verdict } from './verdict.ts';
import type { Workflow } from './workflow.ts';

/*
 * The end of a run of a canary, a drill or a comparison: its verdict is stored, told and announced, and the run has ended. Everything
 * here happens once, however often it is tried.
 */

/** Of whose runs it is. */
export interface RunSubject {
  gate: GateName;
  /** Of its evidence. */
  subject: string;
}

/** What a run came to. */
export interface Conclusion<Result> extends Concluded {
  verdict: Verdict;
  /** What it was judged from, by the name of its file, such as `measurements.json`: values, or whole texts. */
  files: Record<string, unknown>;
  /** @param evidence where the verdict is, `s3://...` */
  resultOf: (evidence: string) => Result;
  messageOf: (result: Result) => Message;
  /** Tells whoever follows the run. */
  report: (phase: string) => Promise<void>;
}

/** Of which run a verdict is, and what machines are told of it. */
export interface Concluded {
  verdict: Judged;
  /** Of the event. */
  detailType: string;
  /** What the event is about: an ARN, or a name where there is none. */
  resource: string;
  /** In metrics. */
  name: string;
  /** Milliseconds since 1970. */
  startedAt: number;
  isPart?: Telling['isPart'];
}

/** What names a verdict, and how it ended. */
export type StoredVerdict = Pick<Verdict, 'gate' | 'subject' | 'id' | 'outcome'>;

/** What concluding takes. */
export interface ConcludeDependencies extends Outlets, Pick<RunReporting, 'record'> {
  /** Milliseconds since 1970. */
  now: () => number;
}

/**
 * Stores a verdict, tells people and machines of it, and writes down that the run has ended.
 *
 * @returns what the run answers
 * @throws GateDependencyError where something could not be written, after a few attempts
 */
export async function conclude<Result extends { outcome: Outcome }>(
  workflow: Workflow,
  conclusion: Conclusion<Result>,
  deps: ConcludeDependencies,
): Promise<Result> {
  const { verdict, files, messageOf } = conclusion;
  const result = conclusion.resultOf(verdictUri(deps.store, verdict));
  await workflow.step('store the verdict', async () => {
    await conclusion.report('publishing the verdict');
    await storeVerdict(deps.store, verdict, files);
  });
  await tellConcluded(workflow, conclusion, result, () => messageOf(result), deps);
  return result;
}

/** Where a verdict is, or will be. */
export function verdictUri(store: EvidenceStore, { gate, subject, id }: StoredVerdict): string {
  return store.uri(`${verdictFolder(gate, subject, id)}verdict.json`);
}

/**
 * Stores a verdict with what it was judged from. What is there already stays as it is.
 *
 * @throws GateDependencyError where S3 does not answer, or refuses
 */
export async function storeVerdict(
  store: EvidenceStore,
  verdict: Verdict,
  files: Conclusion<never>['files'],
): Promise<void> {
  const folder = verdictFolder(verdict.gate, verdict.subject, verdict.id);
  for (const [file, content] of Object.entries(files)) {
    await store.create(`${folder}${file}`, typeof content === 'string' ? content : prettyJson(content));
  }
  // The last: where it is, everything is.
  await store.create(`${folder}verdict.json`, prettyJson(verdict));
}

/**
 * Tells people and machines of a verdict that is stored, and writes down that the run has ended.
 *
 * @param result what the run answers
 * @throws GateDependencyError where something could not be written, after a few attempts
 */
export async function tellConcluded(
  workflow: Workflow,
  { verdict, detailType, resource, name, startedAt, isPart = false }: Concluded,
  result: object,
  message: () => Message,
  deps: ConcludeDependencies,
): Promise<void> {
  const { outcome } = verdict;
  await workflow.step('tell what came of it', () =>
    tellVerdict(deps, {
      verdict,
      run: workflow.id,
      at: deps.now(),
      message,
      announcement: { detailType, detail: result, resource },
      isPart,
    }),
  );
  await workflow.step('publish the result', async () => {
    await deps.store.create(publishedKey(verdict, workflow.id), prettyJson({ published: 1, result }));
    deps.record(name, { outcome, durationMs: deps.now() - startedAt });
  });
}

/**
 * What a run ended in; undefined where it has not.
 *
 * @param execution of the workflow: a retry of one that has ended runs nothing again
 * @param schema of the result
 * @throws GateDependencyError where S3 does not answer
 */
export async function readConcluded<S extends z.ZodType>(
  store: EvidenceStore,
  of: RunSubject,
  execution: string,
  schema: S,
): Promise<z.output<S> | undefined> {
  const key = publishedKey(of, execution);
  const stored = await store.read(key);
  if (stored === undefined) return undefined;
  const published = z.object({ published: z.literal(1), result: schema });
  return (parseJson(published, stored.text, store.uri(key)) as { result: z.output<S> }).result;
}

function publishedKey({ gate, subject }: RunSubject, execution: string): string {
  return `${verdictFolder(gate, subject, 'runs')}${execution}.json`;
}
