import { capital, countOf, formatDuration, formatNumber, formatShare, formatTime } from '../shared/format.ts';
import type { ColumnProfile, Profile } from '../shared/profile.ts';
import { didYouMean, lineAt } from '../shared/schema.ts';
import {
  checksText,
  type Finding,
  type Judgement,
  type NotChecked,
  type Outcome,
  outcomeOf,
  sortFindings,
  worstOf,
} from '../shared/verdict.ts';
import { type DriftEffect, type DriftMeasure, driftEffect, meanShift, quantileShift } from './drift.ts';
import type { Breach, ColumnMeasurements, Measurements } from './profile.ts';
import type { ColumnCheck, ColumnRule, Contract, DatasetCheck, LocatedContract } from './schema.ts';
import { physicalFits } from './types.ts';

/**
 * Judges a measured batch by its contract. Pure: the same measurements, contract and baseline give the same
 * judgement, bit for bit.
 *
 * Limits on shares, ranges, keys and counts are facts about this very batch, so they are judged as they stand.
 * Drift is inference about the law that the batch was drawn from: it fails when the effect is above its limit
 * with confidence (the contract's `confidence`, divided over all drift checks by Bonferroni), passes when it is
 * at or below the limit with the same confidence, and is inconclusive in between.
 */
export function decide(measurements: Measurements, contract: LocatedContract, baseline?: Profile): Judgement {
  const judging = new Judging(measurements, contract, baseline);
  judging.run();
  const findings = sortFindings(judging.findings);
  const outcome = outcomeOf(findings);
  return {
    outcome,
    reason: reasonOf(findings, measurements, contract),
    findings,
    notChecked: judging.notChecked,
  };
}

function reasonOf(findings: Finding[], measurements: Measurements, contract: LocatedContract): string {
  const { rows, columns } = measurements.profile;
  return (
    worstOf(findings) ??
    `${formatNumber(rows)} rows of ${Object.keys(columns).length} columns meet ${contract.file} (${checksText(findings)}).`
  );
}

/** A drift measure on one column, as a contract asks for it. */
interface DriftCheck {
  column: string;
  measure: DriftMeasure | 'mean' | `quantile ${string}`;
  limit: number;
  path: string[];
}

const MEASURES: readonly DriftMeasure[] = ['psi', 'js', 'ks', 'wasserstein', 'linf'];

const MEASURE_NAMES: Record<DriftMeasure | 'mean', string> = {
  psi: 'population stability index',
  js: 'Jensen-Shannon distance',
  ks: 'Kolmogorov-Smirnov statistic',
  wasserstein: 'Wasserstein distance (in standard deviations)',
  linf: 'largest change of a share',
  mean: 'shift of the mean (in standard deviations)',
};

/** What is still unknown of a finding when a check is described. */
type Check = Omit<Finding, 'rule'> & {
  /** Where the rule stands in the contract; left out for what every dataset must satisfy. */
  path?: (string | number)[];
  /** The name by which the contract turns the check into a warning. */
  soften?: ColumnCheck | DatasetCheck;
};

class Judging {
  readonly findings: Finding[] = [];
  readonly notChecked: NotChecked[] = [];
  readonly #measured: Measurements;
  readonly #located: LocatedContract;
  readonly #contract: Contract;
  readonly #baseline: Profile | undefined;

  constructor(measured: Measurements, located: LocatedContract, baseline: Profile | undefined) {
    this.#measured = measured;
    this.#located = located;
    this.#contract = located.value;
    this.#baseline = baseline;
  }

  run(): void {
    if (!this.#judgeFile()) {
      this.notChecked.push({ subject: 'every column', check: 'all', why: 'the data could not be read' });
      return;
    }
    this.#judgeColumnsPresent();
    this.#judgeRows();
    for (const [name, rule] of Object.entries(this.#contract.columns)) {
      const profile = own(this.#measured.profile.columns, name);
      const measured = own(this.#measured.columns, name);
      if (profile === undefined || measured === undefined) {
        const why =
          rule.required === false
            ? 'the column is absent, which the contract allows'
            : 'the column is missing';
        this.notChecked.push({ subject: `column ${name}`, check: 'all', why });
        continue;
      }
      this.#judgeColumn(name, rule, profile, measured);
    }
    this.#judgeDuplicates();
    this.#judgeFreshness();
    this.#judgeRules();
    this.#judgeBaseline();
  }

  /** Files that can be read as what they claim to be; false where nothing else can be judged. */
  #judgeFile(): boolean {
    const { unreadable, inconsistentFiles, malformed, actualColumns } = this.#measured;
    const { format } = this.#contract;
    if (unreadable !== undefined) {
      this.#add({
        check: 'readable',
        subject: 'file',
        outcome: 'fail',
        message: `${unreadable.file} cannot be read as ${format}: ${unreadable.reason}.`,
        allowed: `a complete ${format} file`,
        observed: unreadable.reason,
        path: ['format'],
        help: 'Write the file again from its source.',
      });
      return false;
    }
    const [odd] = inconsistentFiles;
    if (odd !== undefined) {
      this.#add({
        check: 'consistent-files',
        subject: 'files',
        outcome: 'fail',
        message: `${countOf(inconsistentFiles.length, 'file')} ${inconsistentFiles.length === 1 ? 'has' : 'have'} other columns or types than the first: ${odd.file} has ${list(odd.columns)}, the first ${list(actualColumns)}.`,
        allowed: 'the same columns in every file',
        observed: `${countOf(inconsistentFiles.length, 'file')} with others`,
        help: 'Write all files of one batch with one schema.',
      });
      return false;
    }
    if (actualColumns.length === 0 && malformed.count === 0) {
      this.#add({
        check: 'readable',
        subject: 'file',
        outcome: 'fail',
        message: `The dataset is empty: it has no record and no column.`,
        allowed: 'at least one row',
        observed: 'nothing',
        path: ['format'],
        help: 'Find out why the upstream job wrote nothing.',
      });
      return false;
    }
    const parsed = malformed.count === 0;
    const [first] = malformed.samples;
    const observed = `${malformed.more === true ? 'at least ' : ''}${countOf(malformed.count, 'record')}`;
    this.#add({
      check: 'well-formed',
      subject: 'file',
      outcome: parsed ? 'pass' : 'fail',
      message: parsed
        ? `Every record is well-formed ${format}.`
        : `${capital(observed)} ${malformed.count === 1 ? 'is' : 'are'} not well-formed ${format}: ${malformed.reasons.join(', ')}; the first is in ${first?.file === undefined ? '' : `${first.file}, `}line ${first?.row}.`,
      allowed: 'no malformed record',
      observed: parsed ? 'none' : observed,
      value: malformed.count,
      limit: 0,
      path: ['format'],
      ...(!parsed && {
        samples: malformed.samples,
        help: 'Write the file again; a malformed record is lost to every reader.',
      }),
    });
    return actualColumns.length > 0;
  }

  #judgeColumnsPresent(): void {
    const { actualColumns } = this.#measured;
    const { columns, extraColumns, columnOrder } = this.#contract;
    const wanted = Object.keys(columns);
    const extra = [...new Set(actualColumns.filter((name) => !Object.hasOwn(columns, name)))];
    for (const [name, rule] of Object.entries(columns)) {
      if (actualColumns.includes(name) || rule.required === false) continue;
      const path = ['columns', name];
      const hint = didYouMean(name, extra).replace(
        /^, did you mean (".*")\?$/,
        ' The file has $1: was it renamed?',
      );
      this.#add({
        check: 'missing-column',
        subject: `column ${name}`,
        column: name,
        outcome: 'fail',
        message: `Column ${name} is missing (${this.#line(path)}).${hint}`,
        allowed: 'present',
        observed: 'missing',
        path,
        help: 'Restore the column, or say required: false in the contract.',
      });
    }
    const twice = [...new Set(actualColumns.filter((name, index) => actualColumns.indexOf(name) !== index))];
    for (const name of twice) {
      this.#add({
        check: 'duplicate-column',
        subject: `column ${name}`,
        column: name,
        outcome: 'fail',
        message: `Column ${name} stands in the file more than once; readers disagree on which one counts.`,
        allowed: 'once',
        observed: `${actualColumns.filter((other) => other === name).length} times`,
        help: 'Rename or drop one of them.',
      });
    }
    for (const name of extra) {
      if (extraColumns === 'allow') {
        this.notChecked.push({ subject: `column ${name}`, check: 'all', why: 'extraColumns: allow' });
        continue;
      }
      this.#add({
        check: 'extra-column',
        subject: `column ${name}`,
        column: name,
        outcome: extraColumns === 'warn' ? 'warn' : 'fail',
        message: `Column ${name === '' ? 'without a name' : name} is not in the contract, so nobody checks it${didYouMean(
          name,
          wanted.filter((other) => !actualColumns.includes(other)),
        )} (${this.#line(['extraColumns'])}).`,
        allowed: 'only the columns of the contract',
        observed: 'an extra column',
        path: ['extraColumns'],
        soften: 'extraColumns',
        help: 'Add it to the contract, or say extraColumns: allow.',
      });
    }
    if (columnOrder === 'contract') {
      const present = [...new Set(actualColumns)].filter((name) => Object.hasOwn(columns, name));
      const expected = wanted.filter((name) => present.includes(name));
      const first = present.findIndex((name, index) => name !== expected[index]);
      this.#add({
        check: 'column-order',
        subject: 'columns',
        ...(first >= 0 && { column: present[first] as string }),
        outcome: first < 0 ? 'pass' : 'fail',
        message:
          first < 0
            ? 'Columns are in the order of the contract.'
            : `Column ${present[first]} stands where ${expected[first]} should (${this.#line(['columnOrder'])}).`,
        allowed: list(expected),
        observed: list(present),
        path: ['columnOrder'],
        soften: 'columnOrder',
        ...(first >= 0 && { help: 'Write the columns in the order of the contract.' }),
      });
    }
  }

  #judgeRows(): void {
    const { rows } = this.#measured.profile;
    const { min = 1, max = Number.POSITIVE_INFINITY } = this.#contract.rows ?? {};
    // An empty dataset has no bad row, and still must not pass.
    const least = Math.max(1, min);
    const fine = rows >= least && rows <= max;
    const allowed = Number.isFinite(max)
      ? `${formatNumber(least)} to ${formatNumber(max)}`
      : `at least ${formatNumber(least)}`;
    this.#add({
      check: 'rows',
      subject: 'rows',
      outcome: fine ? 'pass' : 'fail',
      message: `${countOf(rows, 'row')}, ${allowed} allowed (${this.#line(['rows'])})${this.#baseline === undefined ? '' : `; baseline has ${formatNumber(this.#baseline.rows)}`}.`,
      allowed,
      observed: formatNumber(rows),
      value: rows,
      limit: rows < least ? least : max,
      path: ['rows'],
      // No rows at all is never just a warning.
      ...(rows > 0 && { soften: 'rows' as const }),
      ...(!fine && {
        help: rows < least ? 'Find the upstream job that lost rows.' : 'Look for a repeated load.',
      }),
    });
  }

  #judgeColumn(name: string, rule: ColumnRule, profile: ColumnProfile, measured: ColumnMeasurements): void {
    const path = (key: string) => ['columns', name, key];
    const subject = `column ${name}`;
    const before = own(this.#baseline?.columns, name);
    const { rows } = this.#measured.profile;

    if (this.#contract.format === 'parquet') {
      const fits = physicalFits(rule.type, profile.physical);
      const exact = rule.physical === undefined || rule.physical.toUpperCase() === profile.physical;
      const lost = rows === 0 ? 0 : profile.invalid / rows;
      this.#add({
        check: 'type',
        subject,
        column: name,
        outcome: fits && exact ? 'pass' : 'fail',
        message: `Column ${name}: stored as ${profile.physical}, expected ${rule.physical ?? rule.type} (${this.#line(path('type'))})${fits ? '' : lost === 0 ? '; all of its values would convert' : `; ${formatShare(lost)} of its values do not convert`}.`,
        allowed: rule.physical ?? rule.type,
        observed: profile.physical,
        path: path('type'),
        soften: 'type',
        ...(!(fits && exact) && { help: 'Write the column with its own type again.' }),
      });
    }

    /** A share of rows; without a limit nobody asked, and what was asked and not measured stays open. */
    const share = (
      check: keyof ColumnMeasurements & ColumnCheck,
      what: string,
      limit: number | undefined,
      options: { base?: number | undefined; at?: string; help: string },
    ) => {
      if (limit === undefined) return;
      const at = path(options.at ?? check);
      const breach = measured[check];
      if (breach === undefined) {
        this.#openQuestion(name, check, check, at, 'it was not measured', {
          allowed: limit === 0 ? 'none' : `at most ${formatShare(limit)}`,
          help: 'Report it: the engine left out a check that the contract asks for.',
        });
        return;
      }
      this.#share({
        check,
        subject,
        column: name,
        what,
        breach,
        limit,
        rows,
        path: at,
        soften: check,
        before:
          options.base === undefined ? undefined : options.base / Math.max(1, this.#baseline?.rows ?? 1),
        help: options.help,
      });
    };
    // Where every value converts, as in a Parquet file with the right types, there is nothing to count.
    share('invalid', `are no ${rule.type}`, measured.invalid && (rule.invalid ?? 0), {
      base: before?.invalid,
      at: rule.invalid === undefined ? 'type' : 'invalid',
      help: 'Look for a change of format upstream.',
    });
    share('nulls', 'nulls', rule.required === true ? 0 : rule.nulls, {
      base: before?.nulls,
      at: rule.required === true ? 'required' : 'nulls',
      help: 'Find the join or the parser upstream that lost the values.',
    });
    share('empty', 'empty texts', rule.empty, {
      base: before?.empty,
      help: 'Look for a parser or a join upstream that writes nothing.',
    });
    share('nan', 'NaN or infinite', rule.type === 'number' ? (rule.nan ?? 0) : undefined, {
      base: before?.nan,
      at: rule.nan === undefined ? 'type' : 'nan',
      help: 'Look for a division by zero or a missing value upstream.',
    });
    share('zeros', 'zeros', rule.zeros, {
      base: before?.zeros,
      help: 'Look for a default value or a failed join upstream.',
    });
    const bounded = rule.range?.some((end) => end !== null) === true;
    share('range', `outside ${showRange(rule)}`, bounded ? (rule.outOfRange ?? 0) : undefined, {
      help: 'Look for a change of unit or sign upstream.',
    });
    share('values', 'not in the set of allowed values', rule.values && (rule.otherValues ?? 0), {
      help: 'Correct them upstream, or add them to the contract.',
    });
    share(
      'pattern',
      `do not match ${rule.pattern}`,
      rule.pattern === undefined ? undefined : (rule.mismatches ?? 0),
      {
        help: 'Look for a change of format upstream.',
      },
    );
    const [shortest, longest] = rule.length ?? [0, 0];
    const length = shortest === longest ? `${shortest}` : `${shortest} to ${longest}`;
    share('length', `not ${length} characters long`, rule.length && (rule.outOfLength ?? 0), {
      help: 'Look for texts that are cut off or run together upstream.',
    });

    if (rule.constant === false) {
      const constant = profile.distinct.value <= 1;
      this.#add({
        check: 'constant',
        subject,
        column: name,
        outcome: constant ? 'fail' : 'pass',
        message: constant
          ? `Column ${name} has ${profile.count === 0 ? 'no value at all' : `a single value${profile.dominant?.value === undefined ? '' : `, ${profile.dominant.value}`}`} (${this.#line(path('constant'))})${before === undefined ? '' : `; baseline has ${countOf(before.distinct.value, 'distinct value')}`}.`
          : `Column ${name} has ${countOf(profile.distinct.value, 'distinct value')}.`,
        allowed: 'at least 2 distinct values',
        observed: `${formatNumber(profile.distinct.value)} distinct`,
        path: path('constant'),
        soften: 'constant',
        ...(constant && { help: 'Look for a default value or a failed join upstream.' }),
      });
    }
    if (rule.dominant !== undefined) this.#judgeDominant(name, rule.dominant, profile, before);
    if (rule.distinct !== undefined) this.#judgeDistinct(name, rule.distinct, profile);
    this.#listUnchecked(name, rule);
  }

  /** A share of rows against its limit: a fact about this batch. */
  #share(check: {
    check: string;
    subject: string;
    column?: string;
    what: string;
    breach: Breach;
    limit: number;
    rows: number;
    path: (string | number)[];
    soften?: ColumnCheck | DatasetCheck | undefined;
    before?: number | undefined;
    help?: string | undefined;
  }): void {
    const { breach, limit, rows, what, subject } = check;
    const value = rows === 0 ? 0 : breach.count / rows;
    const fine = value <= limit;
    const allowed = limit === 0 ? 'none' : `at most ${formatShare(limit)}`;
    const observed = formatShare(value, limit);
    const was = check.before === undefined ? '' : `; baseline has ${formatShare(check.before)}`;
    const count = value > 0 && value < 0.01 ? ` (${countOf(breach.count, 'row')})` : '';
    this.#add({
      check: check.check,
      subject,
      ...(check.column !== undefined && { column: check.column }),
      outcome: fine ? 'pass' : 'fail',
      message: `${capital(subject)}: ${observed} ${what}${count}, ${allowed} allowed (${this.#line(check.path)})${was}.`,
      allowed,
      observed,
      limit,
      value,
      path: check.path,
      ...(check.soften !== undefined && { soften: check.soften }),
      ...(!fine && breach.samples.length > 0 && { samples: breach.samples }),
      ...(!fine && check.help !== undefined && { help: check.help }),
    });
  }

  #judgeDominant(
    name: string,
    limit: number,
    profile: ColumnProfile,
    before: ColumnProfile | undefined,
  ): void {
    const path = ['columns', name, 'dominant'];
    const { dominant } = profile;
    // Where no value was frequent enough to be counted by itself, none holds more than a few percent.
    const outcome =
      dominant === undefined
        ? limit >= 0.05
          ? 'pass'
          : 'inconclusive'
        : dominant.share <= limit
          ? 'pass'
          : 'fail';
    const observed = dominant === undefined ? 'under 5%' : formatShare(dominant.share, limit);
    const value = dominant?.value === undefined ? '' : ` "${dominant.value}"`;
    this.#add({
      check: 'dominant',
      subject: `column ${name}`,
      column: name,
      outcome,
      message: `Column ${name}: the most frequent value${value} holds ${observed} of the rows, at most ${formatShare(limit)} allowed (${this.#line(path)})${before?.dominant === undefined ? '' : `; baseline has ${formatShare(before.dominant.share)}`}.`,
      allowed: `at most ${formatShare(limit)}`,
      observed,
      limit,
      ...(dominant !== undefined && { value: dominant.share }),
      path,
      soften: 'dominant',
      ...(outcome === 'fail' && { help: 'Look for a default value or a failed join upstream.' }),
      ...(outcome === 'inconclusive' && {
        help: 'Raise the limit to 5%: among very many values, rarer ones are not counted one by one.',
      }),
    });
  }

  #judgeDistinct(name: string, [least, most]: [number, number | null], profile: ColumnProfile): void {
    const path = ['columns', name, 'distinct'];
    const { value, exact } = profile.distinct;
    // The estimate is within about 5 %; near a limit it cannot tell.
    const slack = exact ? 0 : value * 0.1;
    const surely = value - slack >= least && (most === null || value + slack <= most);
    const never = value + slack < least || (most !== null && value - slack > most);
    const allowed =
      most === null ? `at least ${formatNumber(least)}` : `${formatNumber(least)} to ${formatNumber(most)}`;
    const observed = `${exact ? '' : 'about '}${formatNumber(value)}`;
    this.#add({
      check: 'distinct',
      subject: `column ${name}`,
      column: name,
      outcome: surely ? 'pass' : never ? 'fail' : 'inconclusive',
      message: `Column ${name}: ${observed} distinct value${value === 1 ? '' : 's'}, ${allowed} allowed (${this.#line(path)}).`,
      allowed,
      observed,
      value,
      path,
      soften: 'distinct',
      ...(never && { help: 'Look for a filter upstream, or for values that are cut off or run together.' }),
      ...(!surely && !never && { help: 'The number is an estimate: set the limit further away from it.' }),
    });
  }

  /** Says which of the usual checks the contract does not ask for. */
  #listUnchecked(name: string, rule: ColumnRule): void {
    const numeric = rule.type === 'integer' || rule.type === 'number';
    const asked: [string, boolean][] = [
      ['nulls', rule.nulls !== undefined || rule.required === true],
      ['zeros', !numeric || rule.zeros !== undefined || rule.constant === false],
      [
        'range or values',
        rule.range !== undefined ||
          rule.values !== undefined ||
          rule.pattern !== undefined ||
          rule.type === 'boolean',
      ],
      ['drift', rule.pii === true || rule.drift !== undefined],
    ];
    const open = asked.filter(([, done]) => !done).map(([check]) => check);
    if (open.length > 0) {
      this.notChecked.push({
        subject: `column ${name}`,
        check: open.join(', '),
        why: 'the contract sets no limit',
      });
    }
  }

  #judgeDuplicates(): void {
    const { key, duplicateRows } = this.#contract;
    if (key !== undefined) {
      this.#duplicates('key', `key (${key.columns.join(', ')})`, this.#measured.key, key.duplicates, {
        ...(key.columns[0] !== undefined && { column: key.columns[0] }),
        what: 'of the rows repeat the key of another',
        help: 'Look for a repeated load or a join that multiplies rows.',
      });
    }
    if (duplicateRows !== undefined) {
      this.#duplicates('duplicateRows', 'rows', this.#measured.duplicateRows, duplicateRows, {
        what: 'repeat another row in every column',
        help: 'Look for a repeated load.',
      });
    }
  }

  #duplicates(
    name: 'key' | 'duplicateRows',
    subject: string,
    breach: Breach | undefined,
    limit: number,
    rest: { column?: string; what: string; help: string },
  ): void {
    const check = { key: 'key', duplicateRows: 'duplicate-rows' }[name];
    if (breach !== undefined) {
      const { rows } = this.#measured.profile;
      this.#share({ check, subject, breach, limit, rows, path: [name], soften: name, ...rest });
      return;
    }
    const absent = (this.#contract.key?.columns ?? []).find(
      (column) => own(this.#measured.columns, column) === undefined,
    );
    const why =
      name === 'key' && absent !== undefined ? `column ${absent} is missing` : 'they were not measured';
    this.#add({
      check,
      subject,
      ...(rest.column !== undefined && { column: rest.column }),
      outcome: 'inconclusive',
      message: `${capital(subject)}: repeats cannot be counted: ${why} (${this.#line([name])}).`,
      allowed: limit === 0 ? 'none' : `at most ${formatShare(limit)}`,
      observed: why,
      path: [name],
      soften: name,
      help: 'Restore the column, or take the check out of the contract.',
    });
  }

  #judgeFreshness(): void {
    const { freshness } = this.#contract;
    if (freshness === undefined) return;
    const { times, asOf } = this.#measured;
    const { column, maxAge, future, span } = freshness;
    const base = { subject: `column ${column}`, column, soften: 'freshness' as const };
    if (times === undefined || asOf === null) {
      this.#add({
        ...base,
        check: 'freshness',
        outcome: 'inconclusive',
        message: `Freshness cannot be told: ${times === undefined ? `column ${column} has no time` : 'the object key has no date in it'} (${this.#line(['freshness'])}).`,
        allowed: 'a time to measure from',
        observed: 'none',
        path: ['freshness'],
        help:
          times === undefined
            ? 'Find the join or the parser upstream that lost the times.'
            : 'Put the period into the key, such as 2001-02.parquet, or say asOf: upload.',
      });
      return;
    }
    const newest = formatTime(times.newest);
    const reference = new Date(asOf).toISOString().slice(0, 10);
    const age = asOf - times.newest;
    const distance = `${formatDuration(Math.abs(age))} ${age < 0 ? 'after' : 'before'} ${reference}`;
    if (maxAge !== undefined) {
      const fine = age <= maxAge;
      this.#add({
        ...base,
        check: 'freshness',
        outcome: fine ? 'pass' : 'fail',
        message: `Column ${column}: the newest value is ${newest}, ${distance}; at most ${formatDuration(maxAge)} before it allowed (${this.#line(['freshness', 'maxAge'])}).`,
        allowed: `at most ${formatDuration(maxAge)} old`,
        observed: formatDuration(Math.max(0, age)),
        value: age,
        limit: maxAge,
        path: ['freshness', 'maxAge'],
        ...(!fine && { help: 'Find the upstream job that stopped, or the wrong partition.' }),
      });
    }
    const ahead = -age <= future;
    this.#add({
      ...base,
      check: 'future',
      outcome: ahead ? 'pass' : 'fail',
      message: ahead
        ? `Column ${column}: no value lies after ${reference} by more than ${formatDuration(future)}.`
        : `Column ${column}: the newest value is ${newest}, ${distance}; at most ${formatDuration(future)} after it allowed (${this.#line(['freshness'])}).`,
      allowed: `at most ${formatDuration(future)} ahead`,
      observed: newest,
      value: -age,
      limit: future,
      path: ['freshness'],
      ...(!ahead && { help: 'Look for a wrong clock, time zone or shifted dates upstream.' }),
    });
    if (span !== undefined) {
      const length = times.newest - times.oldest;
      const [least, most] = span;
      this.#add({
        ...base,
        check: 'time-span',
        outcome: length >= least && length <= most ? 'pass' : 'fail',
        message: `Column ${column}: the values span ${formatDuration(length)}, ${formatDuration(least)} to ${formatDuration(most)} allowed (${this.#line(['freshness', 'span'])}).`,
        allowed: `${formatDuration(least)} to ${formatDuration(most)}`,
        observed: formatDuration(length),
        value: length,
        path: ['freshness', 'span'],
        ...((length < least || length > most) && {
          help: 'Look for days that are missing, or that belong to another batch.',
        }),
      });
    }
  }

  #judgeRules(): void {
    for (const [index, rule] of this.#contract.rules.entries()) {
      const measured = own(this.#measured.rules, rule.name);
      const path = ['rules', index];
      const subject = `rule "${rule.name}"`;
      if (measured === undefined || 'error' in measured) {
        const why = measured?.error ?? 'it was not measured';
        this.#add({
          check: 'rule',
          subject,
          outcome: 'inconclusive',
          message: `${capital(subject)} could not be checked: ${why} (${this.#line(path)}).`,
          allowed: `at most ${formatShare(rule.violations)} of the rows`,
          observed: why,
          path,
          help: 'Write the rule so that it holds or not for every row, for instance with TRY_CAST.',
        });
        continue;
      }
      const before = this.findings.length;
      this.#share({
        check: 'rule',
        subject,
        what: `of the rows violate ${rule.sql}`,
        breach: measured,
        limit: rule.violations,
        rows: this.#measured.profile.rows,
        path,
        help: 'Look at the rows that break it, and at the job that wrote them.',
      });
      const finding = this.findings[before];
      if (rule.warn === true && finding?.outcome === 'fail') finding.outcome = 'warn';
    }
  }

  /** Everything that is measured against the baseline. */
  #judgeBaseline(): void {
    const drift = this.#driftChecks();
    const { columns, rows } = this.#contract;
    const categorical = Object.entries(columns).filter(
      ([, rule]) => rule.newCategories !== undefined || rule.vanishedCategories !== undefined,
    );
    const categories = categorical.flatMap(([, rule]) => [rule.newCategories, rule.vanishedCategories]);
    const needed = [...drift, ...categories, rows?.changeFromBaseline].filter(
      (asked) => asked !== undefined,
    ).length;
    if (needed === 0) return;
    const baseline = this.#baseline;
    if (baseline === undefined) {
      this.#add({
        check: 'baseline',
        subject: 'baseline',
        outcome: 'inconclusive',
        message: `There is no baseline yet, and ${countOf(needed, 'check')} of ${this.#located.file} ${needed === 1 ? 'needs' : 'need'} one.`,
        allowed: 'a baseline',
        observed: 'none',
        help: 'Look at the profile of this dataset; if it is as it should be, make it the baseline: tocsin baseline promote.',
      });
      return;
    }
    if (rows?.changeFromBaseline !== undefined) {
      const now = this.#measured.profile.rows;
      const change = Math.abs(now - baseline.rows) / Math.max(1, baseline.rows);
      const fine = change <= rows.changeFromBaseline;
      const observed = formatShare(change, rows.changeFromBaseline);
      const path = ['rows', 'changeFromBaseline'];
      this.#add({
        check: 'rows-change',
        subject: 'rows',
        outcome: fine ? 'pass' : 'fail',
        message: `${countOf(now, 'row')}, ${now === baseline.rows ? 'as many as' : `${observed} ${now < baseline.rows ? 'fewer' : 'more'} than`} the baseline's ${formatNumber(baseline.rows)}; at most ${formatShare(rows.changeFromBaseline)} allowed (${this.#line(path)}).`,
        allowed: `at most ${formatShare(rows.changeFromBaseline)}`,
        observed,
        limit: rows.changeFromBaseline,
        value: change,
        path,
        soften: 'rowsChange',
        ...(!fine && {
          help: 'Find what was lost or loaded twice upstream; if the change is right, promote a new baseline.',
        }),
      });
    }
    for (const [name, rule] of categorical) this.#judgeCategories(name, rule, baseline);
    const confidence = 1 - (1 - this.#contract.confidence) / Math.max(1, drift.length);
    for (const check of drift) this.#judgeDrift(check, baseline, confidence);
  }

  /** Every drift check of the contract on a column that the file has. Missing columns fail by themselves. */
  #driftChecks(): DriftCheck[] {
    return Object.entries(this.#contract.columns).flatMap(([column, { drift }]) => {
      if (drift === undefined || own(this.#measured.profile.columns, column) === undefined) return [];
      const checks: DriftCheck[] = [];
      for (const measure of [...MEASURES, 'mean' as const]) {
        const limit = drift[measure];
        if (limit !== undefined)
          checks.push({ column, measure, limit, path: ['columns', column, 'drift', measure] });
      }
      for (const [quantile, limit] of Object.entries(drift.quantiles ?? {})) {
        checks.push({
          column,
          measure: `quantile ${quantile}`,
          limit,
          path: ['columns', column, 'drift', 'quantiles', quantile],
        });
      }
      return checks;
    });
  }

  #judgeCategories(name: string, rule: ColumnRule, baseline: Profile): void {
    const reference = own(baseline.columns, name)?.distribution;
    const now = own(this.#measured.columns, name);
    const rows = this.#measured.profile.rows;
    const subject = `column ${name}`;
    if (now === undefined) return;
    const counted = now.onBaseline;
    const listed = reference?.kind === 'categorical' && counted?.kind === 'categorical';
    if (rule.newCategories !== undefined) {
      const path = ['columns', name, 'newCategories'];
      const [shown] = now.newCategories?.samples ?? [];
      if (!listed || reference.otherDistinct > 0) {
        this.#openQuestion(
          name,
          'new-categories',
          'newCategories',
          path,
          whyNoCategories(reference, counted),
        );
      } else {
        this.#share({
          check: 'new-categories',
          subject,
          column: name,
          what: `have a value that the baseline does not have${shown?.value === undefined ? '' : ` (such as "${shown.value}")`}`,
          breach: { count: counted.other, samples: now.newCategories?.samples ?? [] },
          limit: rule.newCategories,
          rows,
          path,
          soften: 'newCategories',
          help: 'If the new values are right, promote a new baseline.',
        });
      }
    }
    if (rule.vanishedCategories !== undefined) {
      const path = ['columns', name, 'vanishedCategories'];
      if (!listed) {
        this.#openQuestion(
          name,
          'vanished-categories',
          'vanishedCategories',
          path,
          whyNoCategories(reference, counted),
        );
        return;
      }
      const gone = reference.values.flatMap((value, index) =>
        (counted.counts[index] ?? 0) === 0 && (reference.counts[index] ?? 0) > 0
          ? [{ value, count: reference.counts[index] ?? 0 }]
          : [],
      );
      this.#share({
        check: 'vanished-categories',
        subject,
        column: name,
        what: `of the baseline's rows have a value that no longer occurs${gone[0] === undefined ? '' : ` (such as "${gone[0].value}")`}`,
        breach: { count: gone.reduce((sum, { count }) => sum + count, 0), samples: [] },
        limit: rule.vanishedCategories,
        rows: baseline.rows,
        path,
        soften: 'vanishedCategories',
        help: 'Look for a filter or a source that went missing upstream.',
      });
    }
  }

  #judgeDrift({ column, measure, limit, path }: DriftCheck, baseline: Profile, confidence: number): void {
    const before = own(baseline.columns, column);
    const now = own(this.#measured.profile.columns, column);
    const counted = own(this.#measured.columns, column)?.onBaseline;
    const check = `drift-${measure.replace(' ', '-')}`;
    const soften = (measure.startsWith('quantile') ? 'quantiles' : measure) as ColumnCheck;
    const effect = effectOf(measure, limit, confidence, now, before, counted);
    if (effect === undefined) {
      const why =
        before === undefined
          ? 'the baseline does not have the column'
          : now?.count === 0
            ? 'the column has no value'
            : before.count === 0
              ? 'the column has no value in the baseline'
              : 'the column does not vary in the baseline, or has another type there';
      this.#openQuestion(column, check, soften, path, why);
      return;
    }
    const outcome: Outcome = effect.low > limit ? 'fail' : effect.high <= limit ? 'pass' : 'inconclusive';
    const name = measure.startsWith('quantile')
      ? `shift of ${measure} (in standard deviations)`
      : MEASURE_NAMES[measure as DriftMeasure | 'mean'];
    const { low, estimate, high, smallestDetectable } = effect;
    const observed = formatNumber(estimate, limit);
    const bound = {
      fail: `at least ${formatNumber(low, limit)}`,
      pass: `at most ${formatNumber(high, limit)}`,
      inconclusive: `${formatNumber(low)} to ${formatNumber(high, limit)}`,
    }[outcome];
    const rows = countOf(this.#measured.profile.rows, 'row');
    // These measures end at 1.
    const blind = ['js', 'ks', 'linf'].includes(measure) && smallestDetectable > 1;
    const detail =
      outcome !== 'inconclusive'
        ? ''
        : blind
          ? `; ${rows} cannot tell, whatever the change`
          : `; ${rows} cannot tell: only a change above ${formatNumber(smallestDetectable)} would be seen`;
    const [mean, was] = [now, before].map((side) => side?.mean !== undefined && formatPoint(side, side.mean));
    const moved =
      outcome === 'pass' || !mean || !was || mean === was ? '' : `; mean ${mean}, baseline ${was}`;
    this.#add({
      check,
      subject: `column ${column}`,
      column,
      outcome,
      message: `Column ${column}: ${name} ${observed} against the baseline (${bound} with ${formatShare(confidence)} confidence), at most ${formatNumber(limit)} allowed (${this.#line(path)})${detail}${moved}.`,
      allowed: `at most ${formatNumber(limit)}`,
      observed,
      limit,
      value: estimate,
      interval: { low, estimate, high, confidence },
      ...(outcome === 'inconclusive' && { smallestDetectable }),
      path,
      soften,
      ...(outcome === 'fail' && {
        help: 'Find what changed upstream; if the change is right, promote a new baseline.',
      }),
      ...(outcome === 'inconclusive' && {
        help: 'Judge a larger batch, or raise the limit above what this many rows can show.',
      }),
    });
  }

  #openQuestion(
    column: string,
    check: string,
    soften: ColumnCheck,
    path: string[],
    why: string,
    rest = {
      allowed: 'a comparison with the baseline',
      help: 'Promote a baseline that fits, or take the check out of the contract.',
    },
  ): void {
    this.#add({
      check,
      subject: `column ${column}`,
      column,
      outcome: 'inconclusive',
      message: `Column ${column}: ${check.replaceAll('-', ' ')} cannot be judged: ${why} (${this.#line(path)}).`,
      observed: why,
      path,
      soften,
      ...rest,
    });
  }

  #add({ path, soften, ...finding }: Check): void {
    const softened =
      finding.outcome !== 'pass' && soften !== undefined && this.#softens(finding.column, soften);
    this.findings.push({
      ...finding,
      ...(softened && { outcome: 'warn' as const }),
      ...(path !== undefined && { rule: this.#located.locate(path) }),
    });
  }

  #softens(column: string | undefined, name: ColumnCheck | DatasetCheck): boolean {
    const rule = column === undefined ? undefined : this.#contract.columns[column];
    return (
      (rule?.warn as string[] | undefined)?.includes(name) === true ||
      (this.#contract.warn as string[] | undefined)?.includes(name) === true
    );
  }

  #line(path: (string | number)[]): string {
    return lineAt(this.#located, path);
  }
}

/**
 * The effect of one drift measure on one column.
 *
 * @param counted the batch over the cells of the baseline
 * @returns undefined where it cannot be computed: a side is missing, has no value, or does not vary
 */
export function effectOf(
  measure: DriftCheck['measure'],
  limit: number,
  confidence: number,
  now: ColumnProfile | undefined,
  before: ColumnProfile | undefined,
  counted: ColumnMeasurements['onBaseline'],
): DriftEffect | undefined {
  const reference = before?.distribution;
  if (now === undefined || before === undefined || reference === undefined || counted === undefined) {
    return undefined;
  }
  const options = { limit, confidence };
  const moments = bothSides(now, before, momentsOf);
  if (measure === 'mean') return moments && meanShift(moments.batch, moments.baseline, options);
  if (measure.startsWith('quantile')) {
    const ranges = bothSides(now, before, rangeOf);
    if (counted.kind !== 'numeric' || reference.kind !== 'numeric') return undefined;
    if (ranges === undefined || before.std === undefined) return undefined;
    const quantile = Number(measure.slice('quantile '.length));
    return quantileShift(quantile, counted, reference, { ...options, std: before.std, ranges });
  }
  return driftEffect(measure as DriftMeasure, counted, reference, { ...options, moments });
}

function bothSides<T>(
  now: ColumnProfile,
  before: ColumnProfile,
  of: (profile: ColumnProfile) => T | undefined,
) {
  const [batch, baseline] = [of(now), of(before)];
  return batch === undefined || baseline === undefined ? undefined : { batch, baseline };
}

function momentsOf({ count, mean, std, min, max }: ColumnProfile) {
  if (mean === undefined || std === undefined || min === undefined || max === undefined) return undefined;
  return { count, mean, std, min, max };
}

function rangeOf({ min, max }: ColumnProfile) {
  return min === undefined || max === undefined ? undefined : { min, max };
}

function whyNoCategories(reference: unknown, counted: unknown): string {
  if (reference === undefined || counted === undefined) return 'the baseline has no values of the column';
  return 'the column has more values than the baseline keeps';
}

function showRange(rule: ColumnRule): string {
  const [low, high] = rule.range ?? [null, null];
  return `${low ?? '-infinity'} to ${high ?? 'infinity'}`;
}

function formatPoint(profile: ColumnProfile, point: number): string {
  return profile.type === 'timestamp' || profile.type === 'date' ? formatTime(point) : formatNumber(point);
}

function list(names: string[]): string {
  return names.length > 8 ? `${names.slice(0, 8).join(', ')} and ${names.length - 8} more` : names.join(', ');
}

/** The entry of that name; what an object inherits, such as `constructor`, is none. */
function own<T>(entries: Record<string, T> | undefined, name: string): T | undefined {
  return entries !== undefined && Object.hasOwn(entries, name) ? entries[name] : undefined;
}
