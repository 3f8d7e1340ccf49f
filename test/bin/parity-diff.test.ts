import { PassThrough } from 'node:stream';
import { WriteStream } from 'node:tty';
import { stripVTControlCharacters } from 'node:util';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { parseEvaluation, renderDiff } from '../../bin/shared/parity-diff.ts';
import type { Difference, DocumentedUse } from '../../functions/config-parity/comparison.ts';
import type { Evaluation } from '../../functions/config-parity/evaluate.ts';
import { type DifferenceKind, SEVERITY } from '../../functions/config-parity/schema.ts';
import { capture } from './support.ts';

const stream = capture().stdout;

function difference(
  text: string,
  kind: DifferenceKind,
  staging: Difference['staging']['value'],
  production: Difference['production']['value'],
  folded: { staging?: string; production?: string } = {},
): Difference {
  const side = (value: typeof staging, as: string | undefined) => ({
    ...(value !== undefined && { value }),
    ...(as !== undefined && { folded: as }),
  });
  return {
    path: text.split('.'),
    text,
    kind,
    severity: SEVERITY[kind],
    staging: side(staging, folded.staging),
    production: side(production, folded.production),
  };
}

function use(state: DocumentedUse['state'], ...covers: string[]): DocumentedUse {
  const about = { entry: 0, path: covers[0] ?? '', owner: 'ml-platform', expires: '2027-01-31' };
  return { ...about, covers, state, why: 'production >= staging.' };
}

function evaluation({
  differences = [],
  uses = [],
  probes = [],
  foldings = [],
  resources = 1234,
}: Partial<
  Pick<Evaluation, 'uses' | 'probes'> &
    Pick<Evaluation['comparison'], 'differences' | 'foldings' | 'resources'>
>): Evaluation {
  return {
    comparison: {
      comparison: 1,
      differences,
      foldings,
      ambiguous: [],
      missing: [],
      resources,
      equal: { schema: 0, inference: 41, environment: 7, safety: 0, capacity: 0, cosmetic: 2 },
    },
    uses,
    probes,
    asOf: '2026-11-22',
  };
}

const lines = (of: Parameters<typeof evaluation>[0], columns = 80) =>
  renderDiff(stream, evaluation(of), columns).split('\n');

describe('differences', () => {
  test('stand side by side, by kind, the worst first, with what became of each', () => {
    expect(
      lines({
        differences: [
          difference('endpoints.churn.variants[a].instances', 'capacity', 1, 4),
          difference('functions.features.description', 'cosmetic', undefined, 'the features'),
          difference(
            'models.churn.containers[0].environment.SCALER_VERSION',
            'environment',
            '2.1.0',
            '1.9.0',
          ),
          difference('models.churn.containers[0].imageDigest', 'inference', 'sha256:aa', 'sha256:bb'),
          difference('parameters./churn/blend.value', 'environment', 0.5, 0.75),
          difference('parameters./churn/size.value', 'environment', 1, 2),
          difference('parameters./churn/window.value', 'environment', 3, 4),
        ],
        uses: [
          use('holds', 'endpoints.churn.variants[a].instances'),
          use('expired', 'parameters./churn/blend.value'),
          use('failing', 'parameters./churn/size.value'),
          use('unknown', 'parameters./churn/window.value'),
          use('stale'),
        ],
      }),
    ).toEqual([
      'Staging and production: 7 differences, 1 of them documented',
      '',
      'inference',
      '  staging      | production',
      'models.churn.containers[0].imageDigest',
      'critical  undocumented',
      '  sha256:aa    | sha256:bb',
      '',
      'environment',
      '  staging      | production',
      'models.churn.containers[0].environment.SCALER_VERSION',
      'high  undocumented',
      '  2.1.0        | 1.9.0',
      '',
      'parameters./churn/blend.value',
      'high  documented until 2027-01-31 by ml-platform, which is over',
      '  0.5          | 0.75',
      '',
      'parameters./churn/size.value',
      'high  documented by ml-platform, and failing: production >= staging.',
      '  1            | 2',
      '',
      'parameters./churn/window.value',
      'high  documented by ml-platform, and not known: production >= staging.',
      '  3            | 4',
      '',
      'capacity',
      '  staging      | production',
      'endpoints.churn.variants[a].instances',
      'medium  documented until 2027-01-31 by ml-platform',
      '  1            | 4',
      '',
      'cosmetic',
      '  staging      | production',
      'functions.features.description',
      'low  undocumented',
      '  (absent)     | the features',
      '',
      '1,234 resources in both environments; equal values: 41 inference, 7 environment, 2 cosmetic',
      '',
      '',
    ]);
  });

  test('are told apart where they look the same', () => {
    const shown = (...values: [Difference['staging']['value'], Difference['staging']['value']]) =>
      lines({ differences: [difference('a.b', 'environment', ...values)] })[6];
    expect(shown('1', 1)).toBe('  "1"          | 1');
    expect(shown('', undefined)).toBe('  ""           | (absent)');
    expect(shown('(absent)', undefined)).toBe('  "(absent)"   | (absent)');
    expect(shown('null', null)).toBe('  "null"       | null');
    expect(shown('a\nb', 'a b')).toBe('  a\\nb         | a b');
    expect(shown({ a: [1] }, 'x')).toBe('  {"a":[1]}    | x');
  });

  test('of secrets are hashes, as short as they can be told apart', () => {
    const shown = (one: string, other: string) =>
      lines({ differences: [difference('a.b', 'environment', `sha256:${one}`, `sha256:${other}`)] })[6];
    expect(shown('ab12000000000000', 'cd34000000000000')).toBe('  sha256:ab12… | sha256:cd34…');
    expect(shown('ab12000000000000', 'ab12000000000001')).toBe(
      '  sha256:ab12000000000000 | sha256:ab12000000000001',
    );
  });

  test('are shown as they were compared, with what account and environment are called in both', () => {
    const arn = (account: string, role: string) => `arn:aws:iam::${account}:role/${role}`;
    expect(
      lines({
        differences: [
          difference('a.role', 'environment', arn('111122223333', 'a'), arn('444455556666', 'b'), {
            staging: arn('{account}', 'a'),
            production: arn('{account}', 'b'),
          }),
          difference('a.url', 'environment', 'http://staging.local', 'http://staging.local', {
            staging: 'http://{environment}.local',
          }),
        ],
      }).slice(4, 12),
    ).toEqual([
      'a.role',
      'high  undocumented',
      '  arn:aws:iam::{account}:role/a | arn:aws:iam::{account}:role/b',
      '',
      'a.url',
      'high  undocumented',
      '  http://{environment}.local    | http://staging.local',
      '  "http://staging.local" in both, and it names staging',
    ]);
  });

  test('of long values are cut to where they differ, and wrapped', () => {
    const long = (middle: string) => `${'before '.repeat(50)}${middle}${' behind'.repeat(50)}`;
    expect(
      lines({ differences: [difference('a.b', 'schema', long('this one'), long('the other'))] }).slice(6, 11),
    ).toEqual([
      '  …ore before before before before befo | …ore before before before before befor',
      '  re this one behind behind behind behi | e the other behind behind behind behin',
      '  nd behind beh…                        | d behind beh…',
      '',
      '1,234 resources in both environments; equal values: 41 inference, 7 environment, 2 cosmetic',
    ]);
    expect(
      lines({ differences: [difference('a.b', 'schema', long(''), undefined)] }).filter((line) =>
        line.includes('before'),
      ),
    ).toHaveLength(2);
  });

  test('behind what is kept of them are told', () => {
    expect(lines({ differences: [difference('a.b', 'schema', 'same…', 'same…')] })[7]).toBe(
      '  they differ behind what is kept of them',
    );
  });

  test('stand one below the other on a narrow terminal', () => {
    const wide = '日本'.repeat(12);
    const shown = lines({ differences: [difference('a.b', 'schema', 'x', wide)] }, 40);
    expect(shown.slice(2, 8)).toEqual([
      'schema',
      'a.b',
      'critical  undocumented',
      '  staging     x',
      `  production  ${wide.slice(0, 13)}`,
      `              ${wide.slice(13)}`,
    ]);
  });

  test('are a hundred at most, those that nobody has documented first', () => {
    const many = Array.from({ length: 120 }, (_, index) => difference(`a.${index}`, 'schema', index, -1));
    const shown = lines({
      differences: [...many, difference('b', 'cosmetic', 1, 2)],
      uses: [use('holds', ...many.slice(0, 30).map(({ text }) => text))],
    });
    expect(shown[0]).toBe('Staging and production: 121 differences, 30 of them documented');
    expect(shown.filter((line) => line.endsWith('undocumented'))).toHaveLength(91);
    expect(shown.filter((line) => line.includes('documented until'))).toHaveLength(9);
    expect(shown).toContain('and 21 more: --json has all');
  });

  test('are none', () => {
    expect(lines({})).toEqual([
      'No difference between staging and production',
      '',
      '1,234 resources in both environments; equal values: 41 inference, 7 environment, 2 cosmetic',
      '',
      '',
    ]);
  });

  test('are not known where nothing is in both', () => {
    expect(lines({ resources: 0 })[0]).toBe('Nothing is in both environments');
  });

  test('move no cursor', () => {
    const evil = '\u001b[2J\u0007';
    const shown = renderDiff(
      stream,
      evaluation({
        differences: [difference(`a.${evil}`, 'schema', evil, `${evil}x`)],
        uses: [{ ...use('failing', `a.${evil}`), why: evil, owner: evil }],
        probes: [
          {
            probe: 'p',
            outcome: 'fail',
            asked: 1,
            agreed: 0,
            answered: 1,
            why: evil,
            examples: [{ golden: 0, staging: evil, production: evil, recorded: evil }],
          },
        ],
        foldings: [
          {
            as: evil,
            staging: evil,
            production: evil,
            values: 1,
            examples: [{ text: evil, staging: evil, production: evil }],
          },
        ],
      }),
      80,
    );
    expect(shown).not.toContain('\u001b');
    expect(shown).not.toContain('\u0007');
  });
});

test('below are the probes, and what was equal by folding', () => {
  const shown = lines({
    probes: [
      {
        probe: 'blend',
        outcome: 'pass',
        asked: 12,
        agreed: 12,
        answered: 12,
        why: 'All agree.',
        examples: [],
      },
      {
        probe: 'predictions',
        outcome: 'fail',
        asked: 12,
        agreed: 9,
        answered: 12,
        why: 'Three differ.',
        examples: [
          { golden: 2, staging: '0.31', production: '0.72', recorded: '0.31' },
          { golden: 10, staging: '0.4', production: 'ModelError 500' },
        ],
      },
    ],
    foldings: [
      {
        as: '{account}',
        staging: '111122223333',
        production: '444455556666',
        values: 1200,
        examples: [{ text: 'models.churn.role', staging: 'a', production: 'b' }],
      },
      { as: '{environment}', staging: 'staging', production: 'production', values: 3, examples: [] },
    ],
  });
  expect(shown.slice(2, -3)).toEqual([
    'probes',
    'PASS  blend        12 of 12 golden requests agreed',
    'FAIL  predictions  9 of 12 golden requests agreed',
    '    Three differ.',
    '  golden 2   staging 0.31  production 0.72            recorded 0.31',
    '  golden 10  staging 0.4   production ModelError 500',
    '',
    'equal by folding',
    '               staging       production    values',
    '{account}      111122223333  444455556666   1,200  such as models.churn.role',
    '{environment}  staging       production         3',
    '',
  ]);
  expect(
    lines({ foldings: [{ as: '{account}', staging: '1', production: '2', values: 1, examples: [] }] }, 40),
  ).toContain('{account}  1 | 2  1 value');
});

describe('on a terminal', () => {
  beforeEach(() => {
    for (const name of ['NO_COLOR', 'FORCE_COLOR', 'NODE_DISABLE_COLORS', 'CI']) vi.stubEnv(name, undefined);
    vi.stubEnv('TERM', 'xterm-256color');
    return () => vi.unstubAllEnvs();
  });
  const terminal = () =>
    Object.assign(new PassThrough(), { isTTY: true, getColorDepth: WriteStream.prototype.getColorDepth });
  const some = evaluation({
    differences: [
      difference('a.instance', 'capacity', 'ml.m5.large', 'ml.m5.xlarge'),
      difference('b', 'schema', 'x', undefined),
    ],
    uses: [use('holds', 'b')],
  });

  test('what both have in common is dim, and what differs stands out', () => {
    const shown = renderDiff(terminal(), some, 80).replaceAll('\u001b[', '<').split('\n');
    expect(shown.slice(4, 7)).toEqual([
      '<1mb<22m',
      '<2mcritical<22m  <32mdocumented until 2027-01-31 by ml-platform<39m',
      '  <1m<33mx<39m<22m           <2m | <22m<2m(absent)<22m',
    ]);
    expect(shown.slice(10, 13)).toEqual([
      '<1ma.instance<22m',
      '<33mmedium<39m  undocumented',
      '  <2mml.m5.<22m<1m<33mlarge<39m<22m <2m | <22m<2mml.m5.<22m<1m<36mxlarge<39m<22m',
    ]);
  });

  test('it says the same as elsewhere', () => {
    expect(stripVTControlCharacters(renderDiff(terminal(), some, 80))).toBe(renderDiff(stream, some, 80));
    vi.stubEnv('NO_COLOR', '1');
    expect(renderDiff(terminal(), some, 80)).toBe(renderDiff(stream, some, 80));
  });
});

test('what is stored is read as it was', () => {
  const stored = evaluation({
    differences: [difference('a', 'schema', { a: null }, undefined, { staging: '{account}' })],
    uses: [use('stale')],
  });
  expect(parseEvaluation(JSON.stringify(stored), 'x')).toEqual(stored);
  expect(() => parseEvaluation('{"comparison":{}}', 's3://evidence/comparison.json')).toThrow(
    /^s3:\/\/evidence\/comparison.json: comparison.comparison: expected 1/,
  );
});
