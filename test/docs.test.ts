import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { drillResultSchema } from '../functions/alarm-drill/schema.ts';
import { CONCURRENCY } from '../functions/config-parity/adapters/reading.ts';
import {
  LONGEST_PARITY_MS,
  MOST_PROBES,
  MOST_RESOURCES,
  parityResultSchema,
  parseDocumented,
} from '../functions/config-parity/schema.ts';
import { LANES } from '../functions/config-parity/snapshot-workflow.ts';
import { resultSchema as evaluationSchema } from '../functions/holdout-evaluation/schema.ts';
import { validateRules } from '../functions/quality-gate/adapters/rule-sql.ts';
import { invocationSchema, parseContract, resultSchema } from '../functions/quality-gate/schema.ts';
import {
  incidentSchema,
  PLACING_MS,
  RESTORING_MS,
  drillResultSchema as rollbackDrillResultSchema,
} from '../functions/rollback-drill/schema.ts';
import { formatDuration, formatNumber } from '../functions/shared/format.ts';
import { MOST_GOLDEN } from '../functions/shared/golden.ts';
import { MAX_ANSWER } from '../functions/shared/prediction.ts';
import { parseYaml } from '../functions/shared/schema.ts';
import { TOCSIN_VERSION } from '../functions/shared/version.ts';
import { configSchema, loadConfig } from '../lib/config.ts';
import { synthesize } from './support/synthesize.ts';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');
const documents = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join('docs', file)),
];

/** Fenced blocks of one language, with the line where each begins. */
function blocks(file: string, language: string): { text: string; at: string }[] {
  const text = read(file);
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map((match) => ({
    text: match[1] ?? '',
    at: `${file}:${text.slice(0, match.index).split('\n').length}`,
  }));
}

const scratch = mkdtempSync(join(tmpdir(), 'tocsin-docs-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('documents', () => {
  it.each(documents)('%s links to what is there', (file) => {
    const broken = [...read(file).matchAll(/\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)/g)].flatMap(
      ([, path = '', anchor]) => {
        const target = path === '' ? file : relative(ROOT, join(ROOT, dirname(file), path));
        if (!existsSync(join(ROOT, target))) return [path];
        return anchor === undefined || anchorsOf(target).includes(anchor) ? [] : [`${path}${anchor}`];
      },
    );
    expect(broken).toEqual([]);
  });

  it.each(
    documents.flatMap((file) => blocks(file, 'yaml')).filter(({ text }) => /^contract: 1$/m.test(text)),
  )('the contract at $at holds', async ({ text, at }) => {
    await expect(validateRules(parseContract(text, at), scratch)).resolves.toBeUndefined();
  });

  it.each(documents.flatMap((file) => blocks(file, 'yaml')).filter(({ text }) => /^tocsin: 1$/m.test(text)))(
    'the configuration at $at holds',
    ({ text, at }) => {
      expect(() => parseYaml(configSchema, text, at)).not.toThrow();
    },
  );

  it.each(documents.flatMap((file) => blocks(file, 'json')))('the JSON at $at parses', ({ text }) => {
    expect(() => JSON.parse(text)).not.toThrow();
  });

  it('the answer and the invocation in the guide are what the gate speaks', () => {
    const [answer] = blocks('docs/quality-gate.md', 'json');
    expect(resultSchema.strict().parse(JSON.parse(answer?.text ?? ''))).toMatchObject({ dataset: 'flights' });
    const [, invocation] = /^ {2}--payload '(.*?)'/m.exec(read('docs/quality-gate.md')) ?? [];
    expect(() => invocationSchema.parse(JSON.parse(invocation ?? ''))).not.toThrow();
  });

  it('the guide to the contract names every key', () => {
    const guide = read('docs/contract.md');
    const keys = keysOf(JSON.parse(read('docs/schemas/contract.schema.json')));
    expect(keys.length).toBeGreaterThan(60);
    // In backticks, by itself or as part of a dotted path.
    expect(keys.filter((key) => !new RegExp(`\`([a-z]+\\.)?${key}\``).test(guide))).toEqual([]);
  });

  it('the guides to tocsin.yaml name every key', () => {
    const guides = [
      'quality-gate',
      'holdout',
      'alarm-drill',
      'rollback-drill',
      'parity',
      'readiness',
      'notifications',
    ]
      .map((guide) => read(`docs/${guide}.md`))
      .join('');
    const keys = keysOf(JSON.parse(read('docs/schemas/tocsin.schema.json')));
    expect(keys.length).toBeGreaterThan(60);
    // As a key of an example, or in backticks, by itself or as part of a dotted path.
    const named = (key: string) => new RegExp(`[\\s{]${key}:|\`(\\w+\\.)*${key}(\\.\\w+)*\``).test(guides);
    expect(keys.filter((key) => !named(key))).toEqual([]);
  });

  it('the guide to the holdout evaluation shows what it emits', () => {
    const events = blocks('docs/holdout.md', 'json').map(({ text }) => JSON.parse(text));
    const detail = events.find((event) => 'approval' in event);
    expect(evaluationSchema.strict().parse(detail)).toMatchObject({ approval: 'Rejected' });
  });

  it('the guide to the alarm drill shows what it emits', () => {
    const [detail] = blocks('docs/alarm-drill.md', 'json');
    expect(drillResultSchema.strict().parse(JSON.parse(detail?.text ?? ''))).toMatchObject({
      outcome: 'fail',
    });
  });

  it('the guide to the rollback drill shows what a procedure gets and what it emits', () => {
    const [, incident, detail] = blocks('docs/rollback-drill.md', 'json').map(({ text }) => JSON.parse(text));
    expect(incidentSchema.strict().parse(incident)).toMatchObject({ drill: 'flight-delay' });
    expect(rollbackDrillResultSchema.strict().parse(detail)).toMatchObject({ restored: true });
  });

  it('the guide to config parity shows what it emits', () => {
    const [detail] = blocks('docs/parity.md', 'json');
    expect(parityResultSchema.strict().parse(JSON.parse(detail?.text ?? ''))).toMatchObject({
      parity: 'flight-delay',
    });
  });

  it.each(documents.flatMap((file) => blocks(file, 'yaml')).filter(({ text }) => /^parity: 1$/m.test(text)))(
    'the documented differences at $at hold',
    ({ text, at }) => {
      expect(parseDocumented({ file: at, text }).size).toBeGreaterThan(0);
    },
  );

  it('the guide to the rollback drill has the limits that the drill has', () => {
    const guide = read('docs/rollback-drill.md');
    const { perSecond } = JSON.parse(read('docs/schemas/tocsin.schema.json')).properties.rollbackDrills
      .additionalProperties.properties.traffic.properties;
    for (const limit of [
      `a second, ${perSecond.minimum} to ${perSecond.maximum}; ${perSecond.default} by default`,
      `answers of at most ${MAX_ANSWER.toLocaleString('en')} characters`,
      `${formatDuration(PLACING_MS)} for the failure to be in place`,
      `${formatDuration(RESTORING_MS)} for restoring`,
    ]) {
      expect(guide).toContain(limit);
    }
  });

  it('the guide to config parity has the limits that comparisons have', () => {
    const guide = read('docs/parity.md').replaceAll(/\s+/g, ' ');
    const { compare } = JSON.parse(read('docs/schemas/tocsin.schema.json')).properties.parity
      .additionalProperties.properties;
    const { differences } = JSON.parse(read('docs/schemas/parity.schema.json')).properties;
    for (const limit of [
      `At most ${formatNumber(MOST_RESOURCES)} things in each environment`,
      `${compare.properties.endpoints.maxItems} names in each list`,
      `${MOST_PROBES} probes, each of at most ${MOST_GOLDEN} golden requests`,
      `${formatNumber(differences.additionalProperties.maxItems)} documented differences`,
      `may take ${LONGEST_PARITY_MS / 3_600_000} hours`,
      `${LANES} parts are read at a time, each with ${CONCURRENCY} calls at a time`,
    ]) {
      expect(guide).toContain(limit);
    }
  });

  it('the guide to deploying counts the alarms of the template', () => {
    const alarms = synthesize(loadConfig('tocsin.yaml')).findResources('AWS::CloudWatch::Alarm');
    const [, count, sum] = /^\| alarms \| (\d+) x 0\.10 \| (\S+) \|$/m.exec(read('docs/deploy.md')) ?? [];
    expect(Number(count)).toBe(Object.keys(alarms).length);
    expect(sum).toBe((Number(count) * 0.1).toFixed(2));
  });

  it('the guide to deploying adds up', () => {
    const [, table = ''] = /^## What it costs in a month$([\s\S]*?)^## /m.exec(read('docs/deploy.md')) ?? [];
    const parts = [...table.matchAll(/^\|.*\| (\d+\.\d\d) \|$/gm)].map(([, amount]) => Number(amount));
    const [, sum] = /^\| \*\*sum\*\* \| \| \*\*about (\d+)\*\* \|$/m.exec(table) ?? [];
    expect(parts.length).toBeGreaterThan(10);
    expect(Number(sum)).toBe(Math.round(parts.reduce((total, part) => total + part, 0)));
  });

  const sources = ['bin', 'docs', 'functions', 'lib', 'sandbox', 'test'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
      join('/', folder, file),
    ),
  );

  it.each(['CONTRIBUTING.md', 'docs/architecture.md'])('%s names files that there are', (file) => {
    const named = [...read(file).matchAll(/`((?:[\w<>*-]+\/)*[\w.*-]+\.(?:ts|py|cjs|md))`/g)].map(
      ([, path = '']) => path,
    );
    expect(named.length).toBeGreaterThan(15);
    const isThere = (path: string) => {
      const example = path.replaceAll('<gate>', 'config-parity');
      const pattern = example.replaceAll('.', '\\.').replaceAll('*', '[\\w-]*');
      return existsSync(join(ROOT, example)) || sources.some((file) => new RegExp(`/${pattern}$`).test(file));
    };
    expect(named.filter((path) => !isThere(path))).toEqual([]);
  });

  describe('the guide to contributing', () => {
    const guide = read('CONTRIBUTING.md');
    it('names words of the code that there are, and a check that there is not', () => {
      const code = sources
        .filter((file) => /^\/(functions|lib)\/.*\.ts$/.test(file))
        .map(read)
        .join('');
      const words = [...guide.matchAll(/`([A-Z][A-Za-z]+|[A-Z_]+)`/g)].map(([, word = '']) => word);
      expect(words).toContain('ColumnMeasurements');
      expect(
        words.filter((word) => !new RegExp(`(interface|type|const|class) ${word}\\b`).test(code)),
      ).toEqual([]);
      expect(guide).toContain("  padded: percent.optional().describe('");
      expect(read('functions/quality-gate/schema.ts')).toContain("  empty: percent.optional().describe('");
      expect(guide).toContain('`padded?: Breach`');
      expect(read('functions/quality-gate/profile.ts')).toContain('  empty?: Breach;');
      expect(read('functions/quality-gate/schema.ts')).not.toContain('padded');
    });
  });

  it.each([...documents, 'CONTRIBUTING.md'])('%s names scripts of npm that there are', (file) => {
    const { scripts } = JSON.parse(read('package.json'));
    const named = [...read(file).matchAll(/npm run (?:-s )?([a-z][\w:-]*)/g)].map(
      ([, script = '']) => script,
    );
    expect(named.filter((script) => !Object.hasOwn(scripts, script))).toEqual([]);
  });

  it("CI runs the README's commands as they are written there", () => {
    const [start, test] = blocks('README.md', 'sh').map(({ text }) => text.trim());
    expect([start, test]).toEqual(['npm ci && npm start', 'npm ci && npm test']);
    const ci = read('.ci/run');
    for (const command of [start, test]) expect(ci).toContain(`\nrun '${command}'\n`);
  });
});

it("a verdict carries the package's version", () => {
  expect(TOCSIN_VERSION).toBe(JSON.parse(read('package.json')).version);
});

/** Anchors that GitHub gives the headings of a document. */
function anchorsOf(file: string): string[] {
  return [...read(file).matchAll(/^#+ (.*)$/gm)].map(
    ([, heading = '']) =>
      `#${heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N} -]/gu, '')
        .replaceAll(' ', '-')}`,
  );
}

/** Names of all properties of a JSON Schema, at every depth. */
function keysOf(schema: unknown): string[] {
  if (schema === null || typeof schema !== 'object') return [];
  const own = 'properties' in schema ? Object.keys(schema.properties as object) : [];
  return [...new Set([...own, ...Object.values(schema).flatMap(keysOf)])];
}
