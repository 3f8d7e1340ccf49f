import { type Engine, identifier, isOfTheEngine, withEngine } from '../../shared/engine/duckdb.ts';
import { firstLine, readsOf } from '../../shared/engine/expression.ts';
import { messageOf } from '../../shared/errors.ts';
import { ConfigError, type ConfigIssue } from '../../shared/schema.ts';
import type { LocatedContract } from '../schema.ts';

const SQL_TYPES = {
  integer: 'BIGINT',
  number: 'DOUBLE',
  string: 'VARCHAR',
  boolean: 'BOOLEAN',
  timestamp: 'TIMESTAMP',
  date: 'TIMESTAMP',
} as const;

/** Columns that each rule reads, by the rule's name. */
export type RuleColumns = Map<string, string[]>;

/**
 * Checks that the SQL of every rule is one boolean expression over the contract's columns: no statement, no
 * subquery, no aggregate, nothing that differs from run to run, nothing that reaches out of the row.
 *
 * @throws ConfigError with every mistake and its place
 */
export async function checkRules(engine: Engine, contract: LocatedContract): Promise<RuleColumns> {
  const { rules, columns } = contract.value;
  const mistakes: ConfigIssue[] = [];
  const used: RuleColumns = new Map();
  for (const [index, rule] of rules.entries()) {
    const names = await readsOf(engine, rule.sql, Object.keys(columns)).catch((error: unknown) => {
      if (isOfTheEngine(messageOf(error))) throw error;
      mistakes.push(mistake(contract, index, messageOf(error)));
    });
    if (names === undefined) continue;
    used.set(rule.name, names);
    const typed = names.map((name) => {
      const type = columns[name]?.type ?? 'string';
      return `NULL::${SQL_TYPES[type]} AS ${identifier(name)}`;
    });
    const from = typed.length === 0 ? '' : ` FROM (SELECT ${typed.join(', ')})`;
    try {
      const [, types] = await engine.columns(`DESCRIBE SELECT (${rule.sql}\n) AS holds${from}`);
      if (types?.[0] !== 'BOOLEAN') throw new Error(`it yields ${types?.[0]}, expected true or false`);
    } catch (error) {
      if (isOfTheEngine(messageOf(error))) throw error;
      mistakes.push(mistake(contract, index, firstLine(messageOf(error)).replace(/^[A-Za-z ]*Error: /, '')));
    }
  }
  if (mistakes.length > 0) throw new ConfigError(mistakes);
  return used;
}

function mistake(contract: LocatedContract, index: number, what: string): ConfigIssue {
  const path = ['rules', index, 'sql'];
  return {
    ...contract.locate(path),
    path: path.join('.'),
    message: `rule "${contract.value.rules[index]?.name}": ${what}`,
  };
}

/** {@link checkRules} with a database of its own, for `tocsin contract validate`. */
export async function validateRules(contract: LocatedContract, scratch: string): Promise<void> {
  if (contract.value.rules.length === 0) return;
  const limits = {
    memoryBytes: 256 * 2 ** 20,
    diskBytes: 2 ** 20,
    threads: 1,
    timeoutMs: 30_000,
    maxColumns: 2000,
    maxRows: 1,
  };
  await withEngine({ limits, scratch, readable: [] }, (engine) => checkRules(engine, contract));
}
