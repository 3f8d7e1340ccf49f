import { clip, countOf } from '../shared/format.ts';
import { isSame, type Prediction } from '../shared/prediction.ts';
import type { ProbeOutcome } from './comparison.ts';
import { type ParityConfig, SIDES, type Side } from './schema.ts';
import type { ProbeAnswers, Snapshot } from './snapshot.ts';
import { otherOf } from './words.ts';

/*
 * Whether both environments answer golden requests alike, and as it is recorded. Pure.
 */

const MOST_EXAMPLES = 5;

/** Characters of a prediction in an example. */
const LONGEST = 100;

/** How each probe of tocsin.yaml went, in its order. */
export function judgeProbes(staging: Snapshot, production: Snapshot, parity: ParityConfig): ProbeOutcome[] {
  return Object.entries(parity.probes).map(([probe, { tolerance }]) => {
    const answers = { staging: answersOf(staging, probe), production: answersOf(production, probe) };
    const why = incomparable(answers.staging, answers.production);
    if (why !== undefined || answers.staging === undefined || answers.production === undefined) {
      const asked = answers.staging ?? answers.production;
      return {
        probe,
        outcome: 'inconclusive',
        asked: asked?.answers.length ?? 0,
        agreed: 0,
        answered: 0,
        why: why ?? '',
        examples: [],
      };
    }
    return judge(probe, linesOf(answers.staging, answers.production), tolerance);
  });
}

/** A golden request, and what became of it. */
export interface GoldenLine {
  /** Its number, from 1. */
  golden: number;
  /**
   * `alike`: both answered the same, and as it is recorded, where it is; `wrong`: the same, and not as it is recorded;
   * `different`; `silent`: not both answered.
   */
  state: 'alike' | 'different' | 'wrong' | 'silent';
  /** Answers in a few characters, which tell them apart. */
  staging: string;
  production: string;
  recorded?: string;
  /** Those of the answers that are one number. */
  numbers: Partial<Record<Side | 'recorded', number>>;
}

/** What became of each golden request of a probe of tocsin.yaml; none where the answers cannot be compared. */
export function goldenLines(
  staging: Snapshot,
  production: Snapshot,
  probe: string,
  { probes }: Pick<ParityConfig, 'probes'>,
): GoldenLine[] {
  const [one, other] = [answersOf(staging, probe), answersOf(production, probe)];
  const tolerance = probes[probe]?.tolerance;
  if (one === undefined || other === undefined || tolerance === undefined) return [];
  if (incomparable(one, other) !== undefined) return [];
  return linesOf(one, other).map((line) => ({
    ...exampleOf(line),
    state: stateOf(line, tolerance),
    numbers: Object.fromEntries(
      ([...SIDES, 'recorded'] as const).flatMap((which) => {
        const answer = line[which];
        return answer !== null && 'prediction' in answer && Number.isFinite(answer.prediction)
          ? [[which, answer.prediction]]
          : [];
      }),
    ),
  }));
}

function answersOf({ probes }: Snapshot, probe: string): ProbeAnswers | undefined {
  return probes.find((one) => one.probe === probe);
}

function incomparable(
  staging: ProbeAnswers | undefined,
  production: ProbeAnswers | undefined,
): string | undefined {
  if (staging === undefined || production === undefined) {
    const silent = [staging === undefined && 'staging', production === undefined && 'production'];
    return `nobody asked ${silent.filter(Boolean).join(' and ')}`;
  }
  if (staging.sha256 !== production.sha256) {
    return `the two were asked other golden requests: ${staging.uri} was changed in between`;
  }
  const counts = [staging, production].flatMap(({ answers, recorded }) => [answers.length, recorded.length]);
  if (new Set(counts).size !== 1) return 'not every golden request has an answer in both snapshots';
  return counts[0] === 0 ? 'there are no golden requests' : undefined;
}

type Answer = ProbeAnswers['answers'][number];

/** One golden request, and what came of it. */
interface Line {
  /** From 1. */
  golden: number;
  staging: Answer;
  production: Answer;
  recorded: ProbeAnswers['recorded'][number];
}

function linesOf(staging: ProbeAnswers, production: ProbeAnswers): Line[] {
  return staging.answers.flatMap((answer, index) => {
    const other = production.answers[index];
    if (other === undefined) return [];
    const recorded = staging.recorded[index] ?? null;
    // Two models that fail in the same way do not answer alike.
    const isNothing = recorded === null && [answer, other].every(saysNothing);
    const [one, another] = isNothing ? [NOTHING, NOTHING] : [answer, other];
    return [{ golden: index + 1, staging: one, production: another, recorded }];
  });
}

const NOTHING: Answer = { error: 'an answer without a prediction' };

const NO_NUMBER = /^[-+]?(?:nan|inf(?:inity)?)$/i;

/** Whether an answer has nothing in it, or a number that is none. */
function saysNothing(answer: Answer): boolean {
  return 'prediction' in answer && (isEmpty(answer.prediction) || hasNoNumber(answer.prediction));
}

function isEmpty(prediction: Prediction): boolean {
  if (typeof prediction === 'object' && prediction !== null) return Object.values(prediction).every(isEmpty);
  return prediction === null || prediction === undefined || prediction === '';
}

function hasNoNumber(prediction: Prediction): boolean {
  if (typeof prediction === 'object' && prediction !== null)
    return Object.values(prediction).some(hasNoNumber);
  return typeof prediction === 'string' && NO_NUMBER.test(prediction);
}

function isRight({ recorded, ...line }: Line, side: Side, tolerance: number): boolean {
  const answer = line[side];
  return (
    recorded === null || ('prediction' in answer && isSame(answer.prediction, recorded.prediction, tolerance))
  );
}

function stateOf(line: Line, tolerance: number): GoldenLine['state'] {
  const { staging, production } = line;
  if (!('prediction' in staging && 'prediction' in production)) return 'silent';
  if (!isSame(staging.prediction, production.prediction, tolerance)) return 'different';
  // Two answers may be within the tolerance of each other, and only one of them within that of what is recorded.
  return SIDES.every((side) => isRight(line, side, tolerance)) ? 'alike' : 'wrong';
}

function judge(probe: string, lines: readonly Line[], tolerance: number): ProbeOutcome {
  const byState = Map.groupBy(lines, (line) => stateOf(line, tolerance));
  const {
    different = [],
    wrong = [],
    alike = [],
  }: Partial<Record<GoldenLine['state'], Line[]>> = Object.fromEntries(byState);
  const disagreeing = [
    ...(different.length === 0 ? [] : [`${shareText(different, lines)} answered differently`]),
    ...(wrong.length === 0 ? [] : [`${shareText(wrong, lines)} answered alike, but not as it is recorded`]),
  ];
  const known = different.filter(({ recorded }) => recorded !== null);
  const right = SIDES.filter((side) => known.every((line) => isRight(line, side, tolerance)));
  const [only] = right;
  const whose =
    right.length === 1 && only !== undefined
      ? [`${only} answers as it is recorded, ${otherOf(only)} does not`]
      : [];
  const silent = SIDES.flatMap((side) => silentText(side, lines));
  const outcome = disagreeing.length > 0 ? 'fail' : silent.length > 0 ? 'inconclusive' : 'pass';
  return {
    probe,
    outcome,
    asked: lines.length,
    agreed: alike.length,
    answered: alike.length + different.length + wrong.length,
    why: outcome === 'pass' ? alikeText(lines) : [...disagreeing, ...whose, ...silent].join('; '),
    examples: [...different, ...wrong].slice(0, MOST_EXAMPLES).map(exampleOf),
  };
}

/** `3 of 10 golden requests are` */
function shareText(some: readonly Line[], all: readonly Line[]): string {
  return `${some.length} of ${countOf(all.length, 'golden request')} ${some.length === 1 ? 'is' : 'are'}`;
}

/** `2 of 10 got no answer from production (ModelError 500)` */
function silentText(side: Side, lines: readonly Line[]): string[] {
  const errors = lines.flatMap((line) => {
    const answer = line[side];
    return 'error' in answer ? [answer.error] : [];
  });
  if (errors.length === 0) return [];
  const kinds = [...new Set(errors)]
    .sort()
    .slice(0, MOST_EXAMPLES)
    .map((error) => clip(error, LONGEST));
  return [`${errors.length} of ${lines.length} got no answer from ${side} (${kinds.join(', ')})`];
}

function alikeText(lines: readonly Line[]): string {
  const recorded = lines.filter((line) => line.recorded !== null).length;
  const how =
    recorded === lines.length
      ? ', and as it is recorded'
      : recorded === 0
        ? '; of none it is recorded how'
        : `; of ${recorded} it is recorded how, and so they are`;
  return `${countOf(lines.length, 'golden request')} ${lines.length === 1 ? 'is' : 'are'} answered alike${how}`;
}

function exampleOf({ golden, staging, production, recorded }: Line): ProbeOutcome['examples'][number] {
  const [one = '', other = '', right] = textsOf([
    staging,
    production,
    ...(recorded === null ? [] : [recorded]),
  ]);
  return { golden, staging: one, production: other, ...(right !== undefined && { recorded: right }) };
}

/** Answers in as few digits as tell them apart. */
function textsOf(answers: readonly Answer[]): string[] {
  const exact = answers.map((answer) => answerText(answer, Number.POSITIVE_INFINITY));
  for (const digits of [4, 8]) {
    const short = answers.map((answer) => answerText(answer, digits));
    if (new Set(short).size === new Set(exact).size) return short;
  }
  return exact;
}

function answerText(answer: Answer, digits: number): string {
  if ('error' in answer) return answer.error;
  const { prediction } = answer;
  const text = typeof prediction === 'string' ? prediction : JSON.stringify(prediction, roundedTo(digits));
  return clip(text, LONGEST);
}

/** For JSON.stringify: numbers with so many digits that count. */
function roundedTo(digits: number) {
  return (_key: string, value: unknown) =>
    typeof value === 'number' && digits < 17 ? Number(value.toPrecision(digits)) : value;
}
