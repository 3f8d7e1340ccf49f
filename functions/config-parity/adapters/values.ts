import type { Json } from '../json.ts';

/*
 * What the SDK answers, as the JSON that is compared.
 */

/** A value with members. */
export type JsonObject = { [key: string]: Json };

/**
 * A value without whatever is not set, at any depth: undefined, null, empty lists and empty objects say the same as
 * nothing. Times are left out, too: AWS makes them up.
 */
export function setOf(value: Readonly<Record<string, unknown>>): JsonObject {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]) => {
      const kept = keptOf(inner);
      return kept === undefined ? [] : [[key, kept]];
    }),
  );
}

function keptOf(value: unknown): Json | undefined {
  if (value === undefined || value === null || value instanceof Date) return undefined;
  if (Array.isArray(value)) {
    const items = value.flatMap((item) => keptOf(item) ?? []);
    return items.length === 0 ? undefined : items;
  }
  if (typeof value !== 'object') return value as Json;
  const members = setOf(value as Record<string, unknown>);
  return Object.keys(members).length === 0 ? undefined : members;
}

/**
 * {@link setOf} with the SDK's `MemberNames` as `memberNames`, at any depth: for members that need no other name, and for
 * those that the SDK does not have yet. Keys that a user chose do not belong here.
 */
export function membersOf(value: object | undefined): JsonObject {
  return setOf(renamed(value ?? {}) as Record<string, unknown>);
}

function renamed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(renamed);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key.charAt(0).toLowerCase() + key.slice(1), renamed(inner)]),
  );
}

/** A list whose order says something: its items are named by their places. */
export function ordered(items: readonly Json[] = []): JsonObject[] {
  return items.map((value, index) => ({ name: String(index), value }));
}

/** A VPC as SageMaker has it. */
export function vpcOf(
  vpc: { Subnets: string[] | undefined; SecurityGroupIds: string[] | undefined } | undefined,
): JsonObject | undefined {
  return vpc && setOf({ subnets: vpc.Subnets, securityGroups: vpc.SecurityGroupIds });
}
