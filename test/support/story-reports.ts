import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { alarmPage } from '../../functions/alarm-drill/report.ts';
import { type Board, boardOf } from '../../functions/board/board.ts';
import { configuredHash } from '../../functions/board/standing.ts';
import { parityPage } from '../../functions/config-parity/report.ts';
import { parseSnapshot } from '../../functions/config-parity/snapshot.ts';
import { type CanaryInputs, canaryPage } from '../../functions/holdout-evaluation/canary-report.ts';
import type { EvaluationVerdict } from '../../functions/holdout-evaluation/identity.ts';
import { evaluationPage } from '../../functions/holdout-evaluation/report.ts';
import { rollbackPage } from '../../functions/rollback-drill/report.ts';
import { parseVerdict } from '../../functions/shared/evidence.ts';
import { distinctRuns, entryOf, type HistoryEntry } from '../../functions/shared/history.ts';
import { sha256 } from '../../functions/shared/identity.ts';
import { renderReport, type VerdictPage } from '../../functions/shared/report/verdict-page.ts';
import type { Verdict } from '../../functions/shared/verdict.ts';
import { loadConfig } from '../../lib/config.ts';
import { rowsOf } from '../../lib/readiness.ts';
import { qualityReports } from './quality-report.ts';

/*
 * The reports of the five stories, healthy and sick, from what real runs of the sandbox have measured (the quality gate's
 * from real flights, judged now), and a board of them. It needs no test runner, so that pictures can be made of them.
 */

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FIXTURES = join(ROOT, 'test', 'fixtures', 'stories');

/** From the root, where tests run: its path is in what they say. */
const CONFIG = 'tocsin.yaml';

/** When these runs were, so that pictures are the same each time. */
const NOW = Date.UTC(2026, 10, 23, 6);
const HOUR = 3_600_000;

/** Names of the stories by gap; each is healthy once, and sick once. */
export const STORIES = ['data', 'pipeline', 'rollback', 'alarms', 'parity'] as const;

const file = (story: string, name: string) => readFileSync(join(FIXTURES, story, name), 'utf8');
const json = (story: string, name: string) => JSON.parse(file(story, name));
const verdictOf = <V extends Verdict>(story: string): V =>
  parseVerdict<V>(file(story, 'verdict.json'), story);

/** Reports as HTML documents, by story: `data-healthy`, `data-sick`, ..., and `canary-healthy`. */
export async function storyReports(): Promise<Record<string, string>> {
  const config = loadConfig(CONFIG);
  const found = <T>(map: ReadonlyMap<string, T>, name: string): T => {
    const entry = map.get(name);
    if (entry === undefined) throw new Error(`tocsin.yaml has no ${name}`);
    return entry;
  };
  const model = found(config.models, 'flight-delay');
  const pages: Record<string, (story: string) => VerdictPage> = {
    pipeline: (story) =>
      evaluationPage(verdictOf<EvaluationVerdict>(story), json(story, 'measurements.json'), model),
    rollback: (story) =>
      rollbackPage(
        verdictOf(story),
        json(story, 'measurements.json'),
        json(story, 'timeline.json'),
        found(config.rollbackDrills, 'flight-delay'),
      ),
    alarms: (story) =>
      alarmPage(
        verdictOf(story),
        json(story, 'measurements.json'),
        found(config.drills, 'flight-delay-drift'),
      ),
    parity: (story) => {
      const snapshot = (side: 'staging' | 'production') =>
        parseSnapshot(file(story, `${side}.json`), `${story}/${side}.json`);
      const snapshots = { staging: snapshot('staging'), production: snapshot('production') };
      return parityPage(
        verdictOf(story),
        json(story, 'comparison.json'),
        snapshots,
        found(config.parities, 'flight-delay'),
      );
    },
    canary: (story) =>
      canaryPage(
        verdictOf<Verdict<CanaryInputs>>(story),
        json(story, 'measurements.json'),
        found(config.canaries, 'flight-delay'),
        model.value.task,
      ),
  };
  const { healthy, sick } = await qualityReports();
  const reports: Record<string, string> = { 'data-healthy': healthy, 'data-sick': sick };
  for (const [gap, pageOf] of Object.entries(pages)) {
    for (const state of gap === 'canary' ? ['healthy'] : ['healthy', 'sick']) {
      const story = `${gap}-${state}`;
      reports[story] = renderReport(verdictOf(story), () => pageOf(story));
    }
  }
  return reports;
}

/** A board on which each story has been healthy for some days, until the sick one came this morning. */
export function storyBoard(): Board {
  const entries: HistoryEntry[] = [];
  const configured = configuredInputs();
  const add = (story: string, hoursAgo: number, subject?: string) => {
    const verdict = verdictOf(story);
    const own = { ...verdict, subject: subject ?? verdict.subject };
    const inputs = { ...verdict.inputs, ...configured.get(`${own.gate} ${own.subject}`) };
    entries.push(entryOf({ ...own, inputs }, `${story} ${hoursAgo}`, NOW - hoursAgo * HOUR));
  };
  for (const [index, gap] of (['pipeline', 'rollback', 'alarms', 'parity'] as const).entries()) {
    for (let day = 30; day >= 1; day -= gap === 'parity' ? 1 : 7) add(`${gap}-healthy`, 24 * day + index);
  }
  add('canary-healthy', 9);
  add('rollback-sick', 3);
  add('alarms-healthy', 30, 'flight-delay-errors');
  add('alarms-healthy', 31, 'flight-delay-chain');
  add('parity-sick', 1);
  for (const dataset of ['flights', 'flights-history', 'flights-holdout', 'flights-serving']) {
    const key = `quality-gate ${dataset}`;
    const base = { gate: 'quality-gate' as const, subject: dataset, inputs: configured.get(key) ?? {} };
    for (let day = 30; day >= 1; day -= 3) {
      const id = sha256(`${dataset} ${day}`).slice(0, 32);
      const reason = `75,000 rows of 5 columns meet contracts/${dataset}.yaml (33 checks).`;
      const verdict = { ...base, id, outcome: 'pass' as const, reason };
      entries.push(entryOf(verdict, `${dataset} ${day}`, NOW - day * 24 * HOUR));
    }
    if (dataset !== 'flights') continue;
    const reason =
      '3 of 33 checks failed; first: Column delay: 100% zeros, at most 10% allowed (contracts/flights.yaml:16); baseline has 3.9%.';
    const sick = { ...base, id: sha256(reason).slice(0, 32), outcome: 'fail' as const, reason };
    entries.push(entryOf(sick, dataset, NOW - 2 * HOUR));
  }
  const rows = rowsOf(loadConfig(CONFIG));
  const observed = rows
    .flatMap(({ requirements }) => requirements)
    .map(({ gate, subject }) => {
      const own = entries.filter((entry) => entry.gate === gate && entry.subject === subject);
      const history = distinctRuns(own);
      const [latest] = history;
      return { history, latest: own.find((entry) => entry.at === latest?.at) };
    });
  return boardOf(rows, observed, NOW);
}

/** Hashes of the configuration as it is now, by gate and subject: these runs were of another day. */
function configuredInputs(): Map<string, Record<string, string | null>> {
  const inputs = new Map<string, Record<string, string | null>>();
  for (const { requirements } of rowsOf(loadConfig(CONFIG))) {
    for (const { gate, subject, configured } of requirements) {
      inputs.set(
        `${gate} ${subject}`,
        Object.fromEntries(configured.map(({ input, value }) => [input, configuredHash(value)])),
      );
    }
  }
  return inputs;
}
