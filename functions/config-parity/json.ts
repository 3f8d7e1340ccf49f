/**
 * A value as it is compared.
 *
 * Items of a list that have a `name` (or `Name`, `Id`, `Key`; in pipelines `InputName`, `OutputName`, `ChannelName`) are
 * matched by it, all others whatever their order, but where that says something: see classify.ts. What AWS keeps as JSON in
 * a text (a pipeline's definition, a rule's pattern) is that JSON. What is not set is left out. Times, versions and ids that
 * AWS makes up are left out, too.
 */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };
