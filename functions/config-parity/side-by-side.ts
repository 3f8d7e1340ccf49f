import { clip } from '../shared/format.ts';
import type { Difference, SideValue } from './comparison.ts';
import type { Json } from './json.ts';
import { SIDES, type Side } from './schema.ts';
import { isSecret, otherOf } from './words.ts';

/*
 * Both values of a difference, to stand side by side: what they have in common, and what not. Pure, and bounded.
 */

/** Characters that are shown of a value, and of what is alike before and behind the part that differs. */
const MOST_OF_VALUE = 240;
const MOST_ALIKE = 40;

/** Of what the other side has nothing of: what it is, not all that it says. */
const MOST_OF_ONE_SIDED = 80;

const ABSENT = '(absent)';

/** A part of a value. */
export interface Piece {
  text: string;
  /** Whether the other side says something else here. */
  differs: boolean;
}

/** Both values. */
export interface SideBySide {
  /** `(absent)` of what is not there. */
  sides: Record<Side, Piece[]>;
  /** What two values differ in that look the same. */
  note: string | undefined;
}

/**
 * Both values of a difference, on one line each, with what stands for their environment folded.
 *
 * @param visible makes characters visible that a reader would not see
 */
export function sideBySide(difference: Difference, visible: (text: string) => string): SideBySide {
  const flat = (text: string) => visible(text).replaceAll('\n', '\\n');
  const texts = flatten(textsOf(foldedOf(difference.staging), foldedOf(difference.production)), flat);
  return {
    sides: { staging: piecesOf(texts, 'staging'), production: piecesOf(texts, 'production') },
    note: noteOn(difference, texts, flat),
  };
}

function flatten({ staging, production }: Record<Side, string>, flat: (text: string) => string) {
  return { staging: flat(staging), production: flat(production) };
}

function noteOn(
  difference: Difference,
  texts: Record<Side, string>,
  flat: (text: string) => string,
): string | undefined {
  const raw = textsOf(difference.staging.value, difference.production.value);
  const owner = SIDES.find((side) => difference[side].folded !== undefined);
  if (raw.staging === raw.production && owner !== undefined) {
    return `${clip(flat(raw.staging), MOST_OF_VALUE)} in both, and it names ${owner}`;
  }
  return texts.staging === texts.production ? 'they differ behind what is kept of them' : undefined;
}

function foldedOf({ value, folded }: SideValue): Json | undefined {
  return folded === undefined ? value : folded;
}

/** Both values as texts: as short as they can be told apart. */
function textsOf(staging: Json | undefined, production: Json | undefined): Record<Side, string> {
  const isTold = plain(staging) !== plain(production);
  const text = isTold ? plain : literal;
  const [one, other] = [text(staging), text(production)];
  const short = (side: string) => (isSecret(side) ? `${side.slice(0, 'sha256:'.length + 4)}…` : side);
  return short(one) === short(other)
    ? { staging: one, production: other }
    : { staging: short(one), production: short(other) };
}

function plain(value: Json | undefined): string {
  return typeof value === 'string' && value !== '' && value !== ABSENT ? value : literal(value);
}

function literal(value: Json | undefined): string {
  return value === undefined ? ABSENT : JSON.stringify(value);
}

/** What one side says: what it has in common with the other, and the rest. */
function piecesOf(texts: Record<Side, string>, side: Side): Piece[] {
  const [own, other] = [texts[side], texts[otherOf(side)]];
  if (own === ABSENT) return [{ text: own, differs: false }];
  if (other === ABSENT) return [{ text: clip(own, MOST_OF_ONE_SIDED), differs: true }];
  const { before, middle, behind } = partsOf(own, other);
  const isLong = own.length > MOST_OF_VALUE;
  const pieces: Piece[] = [
    { text: isLong && before.length > MOST_ALIKE ? `…${lastOf(before)}` : before, differs: false },
    { text: clip(middle, MOST_OF_VALUE - 2 * MOST_ALIKE), differs: true },
    { text: isLong ? clip(behind, MOST_ALIKE) : behind, differs: false },
  ];
  return pieces.filter(({ text }) => text !== '');
}

/** The end of a text, without half a character. */
function lastOf(text: string): string {
  return text.slice(1 - MOST_ALIKE).replace(/^[\udc00-\udfff]/, '');
}

/** Words and numbers, and every other character by itself: what differs is shown in whole words. */
const TOKENS = /[\p{L}\p{N}_]+|[^\p{L}\p{N}_]/gu;

/** A text as what it has in common with another before and behind the part that differs. */
function partsOf(own: string, other: string): { before: string; middle: string; behind: string } {
  const [mine, theirs] = [own.match(TOKENS) ?? [], other.match(TOKENS) ?? []];
  const shorter = Math.min(mine.length, theirs.length);
  let first = 0;
  while (first < shorter && mine[first] === theirs[first]) first++;
  let last = 0;
  while (last < shorter - first && mine.at(-1 - last) === theirs.at(-1 - last)) last++;
  const end = mine.length - last;
  return {
    before: mine.slice(0, first).join(''),
    middle: mine.slice(first, end).join(''),
    behind: mine.slice(end).join(''),
  };
}
