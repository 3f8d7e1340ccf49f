import { tryJson } from '../shared/schema.ts';
import type { Permission } from './measurements.ts';

/*
 * One question to a resource policy: may this service do that, on behalf of this account? A service has no policy of its
 * own, so what the policy of the resource does not allow is denied. What cannot be decided from here is unclear, never
 * allowed.
 */

/** One call that a service makes to a resource. */
export interface PolicyQuestion {
  /** `cloudwatch.amazonaws.com` */
  service: string;
  /** `sns:Publish` */
  action: string;
  /** ARN of the resource. */
  resource: string;
  /** On behalf of whom the service calls. */
  account: string;
  /** Condition keys of the call, in any case: `aws:SourceArn`. */
  context: Record<string, string>;
}

/**
 * Whether a resource policy lets a service do something. An explicit deny wins.
 *
 * @param policy as AWS answers it, JSON; null: there is none
 */
export function mayUse(policy: string | null, question: PolicyQuestion): Permission {
  const { service, action } = question;
  if (policy === null)
    return { verdict: 'denied', why: `there is no policy that lets ${service} do ${action}` };
  const statements = statementsOf(policy);
  if (!statements) return { verdict: 'unclear', why: 'the policy is not the JSON of a policy' };

  const judged = statements.map((statement) => ({ statement, ...judge(statement, question) }));
  const [denials, grants] = ['Deny', 'Allow'].map((effect) =>
    judged.filter(({ statement }) => statement.Effect === effect),
  ) as [Judged[], Judged[]];

  const denial = denials.find(({ applies }) => applies === true);
  if (denial) {
    return { verdict: 'denied', why: `${named(denial.statement)} denies ${action} to ${service}` };
  }
  const possible = grants.filter(({ applies }) => applies !== false);
  if (possible.length === 0) return { verdict: 'denied', why: refusal(grants, question) };
  const granted = possible.find(({ applies }) => applies === true);
  const open = granted ? denials.find(({ applies }) => applies === null) : possible[0];
  if (open) {
    const effect = granted ? `denies ${action} to` : `lets`;
    const rest = granted ? service : `${service} do ${action}`;
    return { verdict: 'unclear', why: `${named(open.statement)} ${effect} ${rest} ${open.why}` };
  }
  return { verdict: 'allowed', why: `the policy lets ${service} do ${action}` };
}

interface Statement {
  Sid?: string;
  Effect?: string;
  Principal?: Principals;
  NotPrincipal?: Principals;
  Action?: Texts;
  NotAction?: Texts;
  Resource?: Texts;
  NotResource?: Texts;
  Condition?: Record<string, Record<string, Texts | boolean>>;
}

type Texts = string | string[];

type Principals = string | Record<string, Texts>;

/** Null: that depends on what is not known here. */
type Truth = boolean | null;

interface Judged {
  statement: Statement;
  applies: Truth;
  /** Which condition does not hold, or cannot be decided, in words that follow what the statement does. */
  why: string;
  /** Whether all but the conditions applies. */
  addressed: boolean;
}

function statementsOf(policy: string): Statement[] | undefined {
  const document = tryJson(policy) as { Statement?: unknown } | null | undefined;
  const statements = document?.Statement;
  const list = Array.isArray(statements) ? statements : [statements];
  return list.every((statement) => typeof statement === 'object' && statement !== null) ? list : undefined;
}

function named({ Sid }: Statement): string {
  return Sid === undefined || Sid === '' ? 'a statement of the policy' : `statement ${Sid} of the policy`;
}

function judge(statement: Statement, question: PolicyQuestion): Omit<Judged, 'statement'> {
  const addressed =
    addresses(statement, question) && acts(statement, question) && concerns(statement, question);
  if (!addressed) return { applies: false, why: '', addressed };

  const context = contextOf(question);
  const conditions = Object.entries(statement.Condition ?? {}).flatMap(([operator, keys]) =>
    Object.entries(keys).map(([key, values]) => ({
      text: `${key} ${operator} ${textsOf(values).join(' or ')}`,
      key,
      holds: condition(operator, key, textsOf(values), context),
    })),
  );
  const broken = conditions.find(({ holds }) => holds === false);
  if (broken) {
    const actual = context.get(broken.key.toLowerCase()) ?? 'absent';
    return { applies: false, why: `only where ${broken.text}, and here it is ${actual}`, addressed };
  }
  const open = conditions.find(({ holds }) => holds === null);
  if (open)
    return { applies: null, why: `only where ${open.text}, which cannot be decided from here`, addressed };
  return { applies: true, why: '', addressed };
}

function addresses({ Principal, NotPrincipal }: Statement, { service }: PolicyQuestion): boolean {
  const names = (principals: Principals) =>
    typeof principals === 'string'
      ? principals === '*'
      : textsOf(principals.AWS).includes('*') || textsOf(principals.Service).includes(service);
  if (Principal !== undefined) return names(Principal);
  return NotPrincipal !== undefined && !names(NotPrincipal);
}

function acts({ Action, NotAction }: Statement, { action }: PolicyQuestion): boolean {
  const names = (actions: Texts) =>
    textsOf(actions).some((pattern) => like(pattern.toLowerCase(), action.toLowerCase()));
  if (Action !== undefined) return names(Action);
  return NotAction !== undefined && !names(NotAction);
}

/** Policies of some resources need not name the resource. */
function concerns({ Resource, NotResource }: Statement, { resource }: PolicyQuestion): boolean {
  const names = (resources: Texts) =>
    textsOf(resources).some((pattern) => pattern === '*' || likeArn(pattern, resource));
  if (Resource !== undefined) return names(Resource);
  return NotResource === undefined || !names(NotResource);
}

// ---------------------------------------------------------------------------------------------------------
// Conditions
// ---------------------------------------------------------------------------------------------------------

/** Keys that calls of a service in its own name never have: they tell of people, roles and their networks. */
const ABSENT =
  /^aws:(principal(arn|account|orgid|orgpaths|tag\/.*)|userid|username|multifactorauth(age|present)|sourcevpc|sourcevpce|vpcsourceip|federatedprovider|sourceidentity)$/;

/** By lower-case key; undefined: there is no such key; not in the map: not known here. */
type Context = Map<string, string | undefined>;

function contextOf({ service, account, context }: PolicyQuestion): Context {
  const known = {
    'aws:sourceaccount': account,
    'aws:sourceowner': account,
    'aws:principalisawsservice': 'true',
    'aws:principalservicename': service,
    'aws:viaawsservice': 'false',
    'aws:securetransport': 'true',
  };
  const given = Object.entries(context).map(([key, value]) => [key.toLowerCase(), value] as const);
  return new Map([...Object.entries(known), ...given]);
}

type Matches = (pattern: string, value: string) => boolean;

const same: Matches = (pattern, value) => pattern === value;
const sameInAnyCase: Matches = (pattern, value) => pattern.toLowerCase() === value.toLowerCase();

/** By lower-case name; `not`: holds where none of the values matches, and where the key is absent. */
const OPERATORS: Record<string, { matches: Matches; not: boolean }> = {
  stringequals: { matches: same, not: false },
  stringnotequals: { matches: same, not: true },
  stringequalsignorecase: { matches: sameInAnyCase, not: false },
  stringnotequalsignorecase: { matches: sameInAnyCase, not: true },
  stringlike: { matches: like, not: false },
  stringnotlike: { matches: like, not: true },
  arnequals: { matches: likeArn, not: false },
  arnnotequals: { matches: likeArn, not: true },
  arnlike: { matches: likeArn, not: false },
  arnnotlike: { matches: likeArn, not: true },
  bool: { matches: sameInAnyCase, not: false },
};

function condition(text: string, key: string, values: readonly string[], context: Context): Truth {
  const [, set, operator = '', ifExists] =
    /^(?:(forallvalues|foranyvalue):)?(.*?)(ifexists)?$/.exec(text.toLowerCase()) ?? [];
  const name = key.toLowerCase();
  if (!context.has(name) && !ABSENT.test(name)) return null;
  const value = context.get(name);
  if (operator === 'null') return values.some((wanted) => sameInAnyCase(wanted, String(value === undefined)));

  const known = OPERATORS[operator];
  if (!known || values.some((pattern) => pattern.includes('${'))) return null;
  if (value === undefined) {
    // Two rules meet that the documentation does not rank: an absent key has no value, and does not matter.
    if (set === 'foranyvalue' && ifExists) return null;
    // Of no value at all every value matches, and no value any.
    return ifExists !== undefined || set === 'forallvalues' || (known.not && !set);
  }
  return values.some((pattern) => known.matches(pattern, value)) !== known.not;
}

/** Whether a text is like a pattern in which `*` stands for any characters, and `?` for one. */
function like(pattern: string, text: string): boolean {
  const expression = pattern
    .replace(/[\\^$.|+()[\]{}]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${expression}$`, 's').test(text);
}

/** Part by part: no wildcard reaches over a colon, but in the last of the six. One that ends early ends with `*`. */
function likeArn(pattern: string, arn: string): boolean {
  const parts = partsOf(pattern);
  if (parts.length < 6 && !pattern.endsWith('*')) return false;
  return partsOf(arn).every((part, index) => like(parts[index] ?? '*', part));
}

function partsOf(arn: string): string[] {
  const parts = arn.split(':');
  return [...parts.slice(0, 5), ...(parts.length > 5 ? [parts.slice(5).join(':')] : [])];
}

function textsOf(value: Texts | boolean | undefined): string[] {
  if (value === undefined) return [];
  return (Array.isArray(value) ? value : [value]).map(String);
}

// ---------------------------------------------------------------------------------------------------------
// Words
// ---------------------------------------------------------------------------------------------------------

/** Why no statement allows it: what comes nearest to one that would. */
function refusal(grants: readonly Judged[], question: PolicyQuestion): string {
  const { service, action } = question;
  const conditional = grants.find(({ addressed }) => addressed);
  if (conditional) return `${named(conditional.statement)} lets ${service} do ${action} ${conditional.why}`;

  const others = grants.filter(
    ({ statement }) => acts(statement, question) && concerns(statement, question) && statement.Principal,
  );
  if (others.length > 0) {
    const names = [...new Set(others.flatMap(({ statement }) => principalNames(statement.Principal!)))];
    const shown =
      names.length > 3 ? [...names.slice(0, 3), `${names.length - 3} more`].join(', ') : names.join(' and ');
    return `the policy lets only ${shown} do ${action}, not ${service}`;
  }
  return `no statement of the policy lets ${service} do ${action}`;
}

function principalNames(principals: Principals): string[] {
  return typeof principals === 'string'
    ? [principals]
    : Object.values(principals).flatMap((names) => textsOf(names));
}
