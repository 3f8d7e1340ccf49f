import { jsonSchemas } from './json-schemas.ts';

/*
 * docs/configuration.md: every key of every configuration file, from the schemas that check them. `npm run schemas` writes
 * it, and a test holds it to what they say.
 */

/** What of a JSON Schema is read. */
interface Schema {
  title?: string;
  description?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  default?: unknown;
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  required?: string[];
  properties?: Record<string, Schema>;
  additionalProperties?: Schema | boolean;
  /** Of a pair: one for each place. */
  items?: Schema | Schema[];
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
}

interface Row {
  path: string;
  type: string;
  given: string;
  meaning: string;
}

/** Its path in the repository. */
export const REFERENCE = 'docs/configuration.md';

/** The files that people write, in the order of the reference. */
const FILES: readonly { schema: string; title: string; one: string; of: string }[] = [
  {
    schema: 'docs/schemas/tocsin.schema.json',
    title: 'tocsin.yaml',
    one: 'tocsin.yaml',
    of: 'What is guarded, and how. At least one dataset, drill or comparison; all other sections may be left out.',
  },
  {
    schema: 'docs/schemas/contract.schema.json',
    title: 'Contracts',
    one: 'a contract',
    of: 'What a dataset must look like, one file for each; [contract.md](contract.md) explains it.',
  },
  {
    schema: 'docs/schemas/parity.schema.json',
    title: 'parity.yaml',
    one: 'parity.yaml',
    of: 'What may differ between staging and production; [parity.md](parity.md) explains it.',
  },
];

/** A heading with its table. */
interface Section {
  title: string;
  rows: Row[];
}

/** The whole page, as Markdown. */
export function configurationReference(): string {
  const schemas = jsonSchemas();
  const files = FILES.map((file) => ({
    ...file,
    sections: sectionsOf(file.one, JSON.parse(schemas[file.schema] ?? '{}') as Schema),
  }));
  const contents = files.map(
    ({ title, sections }) => `- ${link(title)}: ${sections.map((section) => link(section.title)).join(', ')}`,
  );
  const parts = files.map(({ schema, title, of, sections }) =>
    [
      `## ${title}`,
      `${of} Editors complete it by its [JSON Schema](${schema.replace('docs/', '')}).`,
      ...sections.map((section) => `### ${section.title}\n\n${table(section.rows)}`),
    ].join('\n\n'),
  );
  return `# Configuration

Every key of the files that you write, as the program checks them. This page is generated (\`npm run schemas\`) and held to
the schemas by a test. \`<name>\` stands for a name that you give, \`[]\` for each entry of a list. A key that is not here is
refused, with the line that it stands in and the closest key that there is.

Durations are written \`30s\`, \`10m\`, \`2h\` or \`40d\`; shares as \`2%\` or as a fraction from 0 to 1. Under "left out" stands
what holds without the key: a value, *nothing*, or *optional* where there is nothing to check or to do.

${contents.join('\n')}

${parts.join('\n\n')}
`;
}

/** Keys without keys below them in one section, every other key in one of its own; in the order of the schema. */
function sectionsOf(file: string, { properties = {}, required = [] }: Schema): Section[] {
  const keys = Object.entries(properties).map(([key, schema]) => ({
    title: key,
    rows: rowsOf(key, schema, required.includes(key)),
  }));
  const plain = keys.flatMap(({ rows }) => (rows.length === 1 ? rows : []));
  return [{ title: `Top level of ${file}`, rows: plain }, ...keys.filter(({ rows }) => rows.length > 1)];
}

/** A link to a heading of this page, whose anchor GitHub makes of its letters. */
function link(title: string): string {
  return `[${title}](#${title
    .toLowerCase()
    .replaceAll(/[^a-z0-9 -]/g, '')
    .replaceAll(' ', '-')})`;
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ path, type, given, meaning }) => `| \`${path}\` | ${type} | ${given} | ${meaning} |`,
  );
  return ['| key | takes | left out | meaning |', '|---|---|---|---|', ...lines].join('\n');
}

/** A key with all that is below it. */
function rowsOf(path: string, schema: Schema, required: boolean): Row[] {
  const own: Row = {
    path,
    type: typeOf(schema),
    given: required ? '**required**' : defaultOf(schema),
    meaning: cell(schema.description ?? ''),
  };
  return [own, ...childrenOf(path, schema)];
}

function childrenOf(path: string, schema: Schema): Row[] {
  const rows: Row[] = [];
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    rows.push(...rowsOf(`${path}.${key}`, value, schema.required?.includes(key) === true));
  }
  const { additionalProperties: entries, items } = schema;
  if (typeof entries === 'object') rows.push(...childrenOf(`${path}.<name>`, entries));
  if (items !== undefined && !Array.isArray(items)) rows.push(...childrenOf(`${path}[]`, items));
  for (const one of alternativesOf(schema)) {
    for (const row of childrenOf(path, one)) {
      // Several forms of one thing have keys in common.
      if (!rows.some((known) => known.path === row.path)) rows.push(row);
    }
  }
  return rows;
}

function alternativesOf({ anyOf = [], oneOf = [], allOf = [] }: Schema): Schema[] {
  return [...anyOf, ...oneOf, ...allOf];
}

function eitherOf(schemas: readonly Schema[]): string {
  const flat = schemas.flatMap((schema) => {
    const alternatives = alternativesOf(schema);
    return alternatives.length > 0 ? alternatives : [schema];
  });
  return [...new Set(flat.map(typeOf))].join(' or ');
}

function typeOf(schema: Schema): string {
  const alternatives = alternativesOf(schema);
  if (alternatives.length > 0) return eitherOf(alternatives);
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  if (Array.isArray(schema.items)) return `pair of ${eitherOf(schema.items)}`;
  if (schema.items !== undefined)
    return `list of ${typeOf(schema.items)}${bounds(schema, 'minItems', 'maxItems')}`;
  if (typeof schema.additionalProperties === 'object') {
    return `map of names to ${typeOf(schema.additionalProperties)}`;
  }
  if (schema.properties !== undefined) return 'object';
  if (schema.pattern === '^\\d+(\\.\\d+)?[smhd]$') return 'duration';
  if (schema.pattern === '^\\d+(\\.\\d+)?\\s*%$') return 'percentage';
  if (Array.isArray(schema.type)) return eitherOf(schema.type.map((type) => ({ type })));
  const { type = 'anything' } = schema;
  if (type === 'number' || type === 'integer') return `${type}${boundsOfNumber(schema)}`;
  return type === 'string' ? `text${bounds(schema, undefined, 'maxLength', ' characters')}` : type;
}

function boundsOfNumber(schema: Schema): string {
  const { exclusiveMinimum: above, exclusiveMaximum: below, ...inclusive } = schema;
  return [
    above === undefined ? '' : `, above ${above}`,
    bounds(inclusive, 'minimum', 'maximum'),
    below === undefined ? '' : `, below ${below}`,
  ].join('');
}

function bounds(schema: Schema, low: keyof Schema | undefined, high: keyof Schema, unit = ''): string {
  const least = low === undefined ? undefined : (schema[low] as number | undefined);
  const most = schema[high] as number | undefined;
  // zod writes the largest integer that is safe where there is no bound.
  const known = (value: number | undefined) =>
    value !== undefined && Math.abs(value) < Number.MAX_SAFE_INTEGER;
  if (known(least) && known(most)) return `, ${least} to ${most}${unit}`;
  if (known(most)) return `, at most ${most}${unit}`;
  return known(least) ? `, at least ${least}${unit}` : '';
}

function defaultOf(schema: Schema): string {
  const { default: value, description } = schema;
  if (value !== undefined) {
    const text = JSON.stringify(value);
    if (text === '{}' || text === '[]') return 'nothing';
    return code(value);
  }
  // Defaults that are computed stand in the description.
  const [, said] = /\(default ([^)]*)\)/.exec(description ?? '') ?? [];
  return said === undefined ? 'optional' : `\`${said}\``;
}

function code(value: unknown): string {
  return `\`${(typeof value === 'string' ? value : JSON.stringify(value)).replaceAll('|', '\\|')}\``;
}

/** A text in a cell of a table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll(/([{<])/g, '\\$1');
}
