import { didYouMean } from '../schema.ts';
import { type Engine, text } from './duckdb.ts';

/** What one row rule may be made of: an expression over the row's own columns, the same on every run. */
const NODES = new Set([
  'BETWEEN',
  'CASE',
  'CAST',
  'COLLATE',
  'COLUMN_REF',
  'COMPARISON',
  'CONJUNCTION',
  'CONSTANT',
  'FUNCTION',
  'OPERATOR',
]);

/** Catalogued as scalar and stable, and yet of the session, the clock or DuckDB's inside. */
const NOT_OF_THE_ROW = /^(age|current_.*|getvariable|__internal_.*)$/;

/** Macros that expand to nothing but an expression over their arguments. */
const MACROS = new Set(['date_add', 'days_in_month', 'fdiv', 'fmod', 'nullif', 'round_even', 'split_part']);

/**
 * The columns that one SQL expression reads. It must be an expression over the row's own columns: no statement, no
 * subquery, no aggregate, nothing that differs from run to run, nothing that reaches out of the row.
 *
 * @param columns that there are
 * @param where they are, for messages: `this contract`
 * @throws Error that says what is wrong with it
 */
export async function readsOf(
  engine: Engine,
  sql: string,
  columns: string[],
  where = 'this contract',
): Promise<string[]> {
  checkCharacters(sql);
  // Parsed without brackets around it: `a) or (b` must not become an expression.
  const [json] = await engine.columns(`SELECT json_serialize_sql(${text(`SELECT ${sql}\n`)})`);
  const tree = JSON.parse(String(json?.[0])) as {
    error: boolean;
    error_message?: string;
    statements?: { node: Record<string, unknown> }[];
  };
  if (tree.error) throw new Error(`not valid SQL: ${firstLine(tree.error_message ?? '')}`);
  const node = tree.statements?.length === 1 ? tree.statements[0]?.node : undefined;
  const list = node?.select_list as { class: string }[] | undefined;
  const bare =
    node !== undefined &&
    node.type === 'SELECT_NODE' &&
    (node.from_table as { type: string } | null)?.type === 'EMPTY' &&
    node.where_clause === null &&
    node.having === null &&
    node.qualify === null &&
    (node.group_expressions as unknown[]).length === 0 &&
    (node.modifiers as unknown[]).length === 0 &&
    ((node.cte_map as { map: unknown[] })?.map ?? []).length === 0;
  if (!bare || list?.length !== 1) throw new Error('expected one expression, got a statement');

  const reads = new Set<string>();
  const functions = new Set<string>();
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) {
      value.forEach(walk);
      return;
    }
    if (value === null || typeof value !== 'object') return;
    const item = value as Record<string, unknown>;
    if (typeof item.class === 'string') {
      if (!NODES.has(item.class))
        throw new Error(`${item.class.toLowerCase().replaceAll('_', ' ')} is not allowed in a row rule`);
      if (item.class === 'COLUMN_REF') {
        const path = item.column_names as string[];
        const name = path.join('.');
        if (path.length !== 1 || !columns.includes(name)) {
          throw new Error(`no column "${name}" in ${where}${didYouMean(name, columns)}`);
        }
        reads.add(name);
      }
      if (item.class === 'FUNCTION') functions.add(String(item.function_name));
    }
    Object.values(item).forEach(walk);
  };
  walk(list);
  for (const name of functions) {
    const rows = await engine.rows(
      `SELECT function_type AS kind, stability FROM duckdb_functions() WHERE function_name = ${text(name)}`,
    );
    // Operators such as + are functions that the catalogue lists too.
    if (rows.length === 0) throw new Error(`no function "${name}"`);
    const stable = rows.every((row) => row.kind === 'scalar' && row.stability === 'CONSISTENT');
    if (!(stable && !NOT_OF_THE_ROW.test(name)) && !MACROS.has(name)) {
      throw new Error(`function "${name}" is not allowed in a row rule: it must depend on the row alone`);
    }
  }
  return [...reads];
}

/**
 * Refuses what the parser would drop without a word. A comment is rarely meant as one: `delay --1 > 0` is `delay`.
 */
function checkCharacters(sql: string): void {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u0008\u000b-\u001f]/.test(sql))
    throw new Error('a control character is not allowed in a rule');
  const bare = sql.replaceAll(/'(?:[^']|'')*'|"(?:[^"]|"")*"/g, '');
  if (/--|\/\*/.test(bare))
    throw new Error('a comment (-- or /*) is not allowed in a rule; put it behind # in the YAML');
}

/** The first line of DuckDB's message. */
export function firstLine(message: string): string {
  return (message.split('\n')[0] ?? '').trim();
}
