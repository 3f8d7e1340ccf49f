import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { validateRules } from '../../../functions/quality-gate/adapters/rule-sql.ts';
import { parseContract } from '../../../functions/quality-gate/schema.ts';
import { ConfigError } from '../../../functions/shared/schema.ts';
import { useLab } from '../../support/datasets.ts';

let scratch = '';
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'tocsin-test-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const COLUMNS = `
columns:
  date: { type: timestamp }
  delay: { type: integer }
  share: { type: number }
  origin: { type: string }
  destination: { type: string }
  cancelled: { type: boolean }
  "order id": { type: integer }
`;

/** What is wrong with the expressions, all in one contract: the message for each, or undefined. */
async function verdictsOn(expressions: string[]): Promise<(string | undefined)[]> {
  const rules = expressions.map((sql, index) => `  - { name: rule ${index}, sql: ${JSON.stringify(sql)} }`);
  const text = `contract: 1\ndataset: probe\nformat: csv\nrules:\n${rules.join('\n')}${COLUMNS}`;
  const error: unknown = await validateRules(parseContract(text, 'contract.yaml'), scratch).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(await readdir(scratch)).toEqual([]);
  if (error === undefined) return expressions.map(() => undefined);
  if (!(error instanceof ConfigError)) throw error;
  return expressions.map((_, index) => {
    const issue = error.issues.find(({ path }) => path === `rules.${index}.sql`);
    // The rules stand in lines 5 and below.
    if (issue !== undefined) expect(issue.line).toBe(index + 5);
    return issue?.message.replace(`rule "rule ${index}": `, '');
  });
}

test('an expression over the columns of one row is a rule', async () => {
  const good = [
    'origin <> destination',
    'delay BETWEEN -90 AND 2000',
    'delay IS NULL OR delay > 0',
    'delay IN (1, 2, 3) AND delay NOT IN (4)',
    "origin LIKE 'A%' OR origin ILIKE 'b_'",
    "regexp_matches(origin, '^[A-Z]+$')",
    'CASE WHEN delay > 0 THEN cancelled ELSE NOT cancelled END',
    'abs(delay) < 5 AND NOT (share = 0)',
    "date >= DATE '2001-01-01' AND date < TIMESTAMP '2001-02-01' + INTERVAL 1 DAY",
    "date > '2001-01-01'",
    "year(date) = 2001 AND date_diff('day', date, TIMESTAMP '2001-02-01') < 40",
    'coalesce(delay, 0) >= 0',
    "nullif(delay, 0) IS NULL AND split_part(origin, '-', 1) = 'A'",
    'ABS(delay) > 0 AND Length(origin) = 3',
    'length(trim(origin)) = 3',
    '"order id" > 0',
    'delay::DOUBLE / 2 < 5 AND TRY_CAST(origin AS INTEGER) IS NULL',
    'cancelled',
    'isfinite(share)',
    "origin = 'it''s -- no comment' OR \"order id\" = 1",
  ];
  expect(Object.fromEntries((await verdictsOn(good)).map((got, index) => [good[index], got]))).toEqual(
    Object.fromEntries(good.map((sql) => [sql, undefined])),
  );
});

describe('whatever is more than that is refused, with the reason', () => {
  const refused: [sql: string, because: RegExp][] = [
    // Out of the brackets that it will stand in
    ['1=1) OR (1=1', /not valid SQL/],
    ['delay > 0; DROP TABLE source', /not valid SQL/],
    ['delay > 0; SELECT 1', /one expression/],
    ['a; DROP TABLE', /not valid SQL/],
    ['delay > 0 -- nobody reads this', /comment/],
    ['cancelled --1 = 2', /comment/],
    ['delay > 0 /* nor this */', /comment/],
    ['delay > 0 /*', /comment/],
    ['delay > 0 \u0000 OR true', /control character/],
    // A statement
    ['delay > 0 FROM source', /one expression/],
    ["delay > 0 FROM read_csv('/etc/passwd')", /one expression/],
    ['delay > 0, 1 = 1', /one expression/],
    ['delay > 0 WHERE 1 = 1', /one expression/],
    ['delay > 0 LIMIT 1', /one expression/],
    ['delay > 0 ORDER BY 1', /one expression/],
    ['delay > 0 GROUP BY 1', /one expression/],
    ['delay > 0 HAVING true', /one expression/],
    ['delay > 0 QUALIFY true', /one expression/],
    ['delay > 0 UNION SELECT true', /one expression/],
    ['DISTINCT true', /one expression/],
    ['delay > 0 AS x', /AS/],
    ['delay > 0 USING SAMPLE 1', /USING/],
    ['SELECT true', /not valid SQL/],
    ["COPY source TO '/tmp/x'", /not valid SQL|no column "COPY"/],
    // Other rows
    ['(SELECT true)', /subquery is not allowed/],
    ['EXISTS (SELECT 1)', /subquery is not allowed/],
    ['delay IN (SELECT 1)', /subquery is not allowed/],
    ['delay > ALL (SELECT 1)', /subquery is not allowed/],
    ["(FROM read_csv('/etc/passwd')) IS NULL", /subquery is not allowed/],
    ['sum(delay) > 0', /function "sum" is not allowed/],
    ['count(*) > 0', /function "count_star" is not allowed/],
    ['max(delay) FILTER (WHERE true) > 0', /function "max" is not allowed/],
    ['row_number() OVER () > 0', /window is not allowed/],
    ['lag(delay) OVER () > 0', /window is not allowed/],
    ['*', /star is not allowed/],
    ['source.*', /star is not allowed/],
    ['COLUMNS(*) > 0', /star is not allowed/],
    ['unnest([true])', /function "unnest" is not allowed/],
    ['list_transform([1, 2], x -> x > 0)[1]', /lambda is not allowed/],
    // Out of the database
    ["read_csv('/etc/passwd') IS NULL", /function "read_csv" is not allowed/],
    ["read_text('/etc/passwd') IS NULL", /function "read_text" is not allowed/],
    ["glob('/etc/*') IS NULL", /function "glob" is not allowed/],
    ["getenv('HOME') = 'x'", /no function "getenv"/],
    ["query('SELECT 1') IS NULL", /function "query" is not allowed/],
    ["write_log('x') IS NULL", /function "write_log" is not allowed/],
    // Another answer another time
    ['random() > 0.5', /function "random" is not allowed/],
    ['system.main.random() > 0.5', /function "random" is not allowed/],
    ['uuid() IS NULL', /function "uuid" is not allowed/],
    ['now() > date', /function "now" is not allowed/],
    ['today() > date', /function "today" is not allowed/],
    ['current_localtimestamp() > date', /function "current_localtimestamp" is not allowed/],
    ['age(date) < INTERVAL 1 YEAR', /function "age" is not allowed/],
    ["current_setting('threads') = '1'", /function "current_setting" is not allowed/],
    ["getvariable('x') IS NULL", /function "getvariable" is not allowed/],
    ['version() IS NULL', /function "version" is not allowed/],
    ["nextval('s') > 0", /function "nextval" is not allowed/],
    ["__internal_decompress_string(12) = 'x'", /function "__internal_decompress_string" is not allowed/],
    ['current_timestamp > date', /no column "current_timestamp"/],
    ["current_user = 'x'", /no column "current_user"/],
    ['delay > ?', /parameter is not allowed/],
    ['delay > $1', /parameter is not allowed/],
    // Not a column
    ['delai > 0', /no column "delai" in this contract, did you mean "delay"\?/],
    ['ORIGIN <> destination', /no column "ORIGIN" in this contract, did you mean "origin"\?/],
    ['pos > 0', /no column "pos"/],
    ['rowid > 0', /no column "rowid"/],
    ['source.delay > 0', /no column "source.delay" in this contract, did you mean "delay"\?/],
    // Not true or false
    ['delay', /it yields BIGINT, expected true or false/],
    ['share + 1', /it yields DOUBLE, expected true or false/],
    ['origin', /it yields VARCHAR, expected true or false/],
    ['delay >', /not valid SQL/],
    ['   ', /not valid SQL/],
    ['delay > INTERVAL 1 DAY', /Cannot compare|compare/],
  ];
  let got: (string | undefined)[] = [];
  beforeAll(async () => {
    got = await verdictsOn(refused.map(([sql]) => sql));
  });
  test.each(refused.map(([sql, because], index) => ({ sql, because, index })))(
    '$sql',
    ({ because, index }) => {
      expect(got[index] ?? 'accepted').toMatch(because);
      expect(got[index]).not.toContain('\n');
    },
  );
});

describe('at work', () => {
  const lab = useLab();
  const contract = (rule: string, type = '{ type: string }') =>
    `contract: 1\ndataset: probe\nformat: csv\nrules:\n  - ${rule}\ncolumns:\n  code: ${type}\n`;

  test('a rule that is null for a row does not hold for it', async () => {
    const files = await lab.write('null.csv', 'code\n1\n\n3\n');
    const { rules } = await lab.measure({
      files,
      contract: contract('{ name: positive, sql: code > 0 }', '{ type: integer }'),
    });
    expect(rules).toEqual({ positive: { count: 1, samples: [{ row: 2 }] } });
  });

  test('a column may have the name of what the gate adds', async () => {
    const files = await lab.write('pos.csv', 'pos\n1\n2\n-3\n');
    const { rules } = await lab.measure({
      files,
      contract:
        'contract: 1\ndataset: probe\nformat: csv\nrules:\n  - { name: positive, sql: pos > 0 }\ncolumns:\n  pos: { type: integer }\n',
    });
    expect(rules).toEqual({ positive: { count: 1, samples: [{ row: 3 }] } });
  });

  test('a rule that fails on the data leaves the question open', async () => {
    const files = await lab.write('words.csv', 'code\n12\ntwelve\n');
    const { verdict } = await lab.judge({
      files,
      contract: contract('{ name: positive, sql: CAST(code AS INTEGER) > 0 }'),
    });
    expect(verdict.outcome).toBe('inconclusive');
    expect(verdict.reason).toMatchInlineSnapshot(
      `"Rule "positive" could not be checked: Could not convert string 'twelve' to INT32 when casting from source column code (contract.yaml:5)."`,
    );
  });

  test('and does not tell what the data is, where that is personal', async () => {
    const files = await lab.write('secret.csv', 'code\n12\ntwelve\n');
    const { verdict, measurements } = await lab.judge({
      files,
      contract: contract('{ name: positive, sql: CAST(code AS INTEGER) > 0 }', '{ type: string, pii: true }'),
    });
    expect(verdict.outcome).toBe('inconclusive');
    expect(JSON.stringify([verdict, measurements])).not.toContain('twelve');
  });
});
