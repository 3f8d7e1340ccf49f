import { sha256 } from './identity.ts';

/*
 * Chance that is the same for the same seed, on every machine.
 */

/** State of the generator sfc32 of the PractRand suite, which passes that suite. */
export type RandomState = Int32Array;

/** Where the generators of one name start from. */
export type Seed = readonly [number, number, number];

/** The seed that belongs to a name, such as that of a slice or of a phase. */
export function seedOf(seed: string, name: string): Seed {
  const digest = sha256(JSON.stringify([seed, name]));
  const word = (index: number) => Number.parseInt(digest.slice(8 * index, 8 * index + 8), 16) | 0;
  return [word(0), word(1), word(2)];
}

/** One of the generators of a seed, by its number. */
export function randomOf([a, b, c]: Seed, replicate: number): RandomState {
  const state = Int32Array.of(a, b, c ^ Math.imul(replicate, 0x9e3779b1), 1);
  for (let round = 0; round < 16; round++) nextWord(state);
  return state;
}

/** 32 bits, as a number from 0 to below 2^32. */
export function nextWord(state: RandomState): number {
  const out = (state[0]! + state[1]! + state[3]!) | 0;
  state[3] = state[3]! + 1;
  state[0] = state[1]! ^ (state[1]! >>> 9);
  state[1] = state[2]! + (state[2]! << 3);
  state[2] = ((state[2]! << 21) | (state[2]! >>> 11)) + out;
  return out >>> 0;
}

/** Uniform, from 0 to below 1. */
export function nextUniform(state: RandomState): number {
  return nextWord(state) / 2 ** 32;
}
