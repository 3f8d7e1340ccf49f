/*
 * Whether somebody has chosen a text, or a generator has made it up. Pure.
 */

/** What commonly follows each letter: the 200 pairs of which nine tenths of English and of the names in AWS's APIs consist. */
const COMMON: Readonly<Record<string, string>> = {
  a: 'bcdgilmnprstuvy',
  b: 'aeilorsu',
  c: 'acehiklortu',
  d: 'aeiosu',
  e: 'acdefglmnprstvx',
  f: 'aefilo',
  g: 'aehiru',
  h: 'aeio',
  i: 'abcdefglmnoprstvz',
  k: 'es',
  l: 'adeilostuy',
  m: 'aeimop',
  n: 'acdefginost',
  o: 'bcdglmnoprstuvw',
  p: 'aehiloprstu',
  q: 'u',
  r: 'acdegimnorstuy',
  s: 'acehiopstu',
  t: 'acehiorstuy',
  u: 'abceilmnprst',
  v: 'aei',
  w: 'aei',
  x: 'p',
  y: 'p',
  z: 'e',
};

/*
 * Natural logarithms of how much likelier a pair of neighbours is in a name than in random letters and digits. A pair of
 * letters is common in 90 % of a name's, and in 30 % of random ones; every third random pair has a digit beside a letter.
 */
const COMMON_PAIR = Math.log(0.9 / 0.3);
const RARE_PAIR = Math.log(0.1 / 0.7);
const DIGIT_BESIDE_LETTER = Math.log(0.08 / 0.3);
const NEW_WORD = Math.log(0.1 / 0.18);

/**
 * How much likelier a text is as a name than as random letters and digits: the natural logarithm of the ratio. Of random
 * letters and digits it is about -0.7 for each.
 */
function wordiness(text: string): number {
  let sum = 0;
  for (let at = 1; at < text.length; at++) {
    const [one, two] = [classOf(text.charCodeAt(at - 1)), classOf(text.charCodeAt(at))];
    if (one === OTHER || two === OTHER) continue;
    if (one === DIGIT || two === DIGIT) sum += one === two ? 0 : DIGIT_BESIDE_LETTER;
    else if (one === LOWER && two === UPPER) sum += NEW_WORD;
    else {
      const next = text.charAt(at).toLowerCase();
      sum += COMMON[text.charAt(at - 1).toLowerCase()]?.includes(next) === true ? COMMON_PAIR : RARE_PAIR;
    }
  }
  return sum;
}

/** Whether a text of letters and digits was made up by a generator: clearly likelier than that it is a name. */
export function isRandom(text: string): boolean {
  return wordiness(text) < -3;
}

const [OTHER, DIGIT, LOWER, UPPER] = [0, 1, 2, 3];

function classOf(code: number): number {
  if (code >= 97 && code <= 122) return LOWER as number;
  if (code >= 65 && code <= 90) return UPPER as number;
  return (code >= 48 && code <= 57 ? DIGIT : OTHER) as number;
}
