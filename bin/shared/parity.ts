import { dirname, join } from 'node:path';
import { type Evaluation, evaluate } from '../../functions/config-parity/evaluate.ts';
import { dayOf } from '../../functions/config-parity/judging.ts';
import {
  type DifferenceKind,
  DOCUMENTED_FILE,
  type Parity,
  SIDES,
  type Side,
} from '../../functions/config-parity/schema.ts';
import { parseSnapshot, type Snapshot } from '../../functions/config-parity/snapshot.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import { didYouMean } from '../../functions/shared/schema.ts';
import { loadConfig } from '../../lib/config.ts';
import type { Io } from './cli.ts';
import { readText } from './files.ts';

/*
 * Comparisons that are made here, of two saved snapshots or of what is read now. Without AWS where nothing is read from it.
 */

/** Both environments. */
export type Snapshots = Record<Side, Snapshot>;

/**
 * Reads a comparison of tocsin.yaml with what is documented of it.
 *
 * @throws ConfigError with every mistake in tocsin.yaml and in parity.yaml
 * @throws GateInputError where there is no comparison of that name
 */
export function openParity(file: string, name: string): Parity {
  const { parities } = loadConfig(file);
  const parity = parities.get(name);
  if (parity === undefined) {
    const names = [...parities.keys()];
    throw new GateInputError(`${file} has no comparison "${name}"${didYouMean(name, names)}`, {
      help: names.length === 0 ? 'Add the section parity.' : `There are: ${names.join(', ')}.`,
    });
  }
  return parity;
}

/**
 * Reads two snapshots that were saved.
 *
 * @param files the one of staging, then the one of production
 * @throws GateInputError where they are none, or in the wrong order
 */
async function readSaved(files: readonly string[]): Promise<Snapshots> {
  const [first = '', second = ''] = files;
  if (files.length !== 2) {
    throw new GateInputError(`--offline takes two snapshots, got ${files.length}`, {
      help: 'Such as: tocsin parity NAME --offline staging.json production.json',
    });
  }
  const [staging, production] = [await readOne(first), await readOne(second)];
  if (staging.side === 'production' && production.side === 'staging') {
    throw new GateInputError(`${first} is of production, and ${second} of staging: staging comes first`, {
      help: `--offline ${second} ${first}`,
    });
  }
  return { staging, production };
}

async function readOne(file: string): Promise<Snapshot> {
  return parseSnapshot(await readText(file, 'snapshot'), `snapshot ${file}`);
}

/** Options that say what is compared here. */
export interface LocalOptions {
  /** tocsin.yaml */
  config: string;
  /** What `cdk deploy --outputs-file` wrote: where golden requests are that name no bucket. */
  outputs: string;
  local?: boolean;
  offline?: string[];
  /** Instead of those of tocsin.yaml. */
  failOn?: DifferenceKind[];
}

/** Two environments, and how they compare. */
export interface Compared extends Snapshots {
  parity: Parity;
  evaluation: Evaluation;
}

/**
 * Compares two environments here, as the options say.
 *
 * @param name of the comparison; left out with saved snapshots: theirs
 * @param now milliseconds since 1970, for the day on which documented differences have to hold
 * @throws GateInputError where there is no such comparison, or a snapshot cannot be used; and as reading does
 */
export async function compareHere(
  name: string | undefined,
  options: LocalOptions,
  now: number,
  io: Io,
): Promise<Compared> {
  const { offline, config, failOn } = options;
  const saved = offline && (await readSaved(offline));
  const called = name ?? saved?.staging.parity;
  if (called === undefined) throw new GateInputError('expected the name of a comparison of tocsin.yaml');
  const parity = failingOn(openParity(config, called), failOn);
  const { staging, production } = saved ?? (await readBoth(parity, options, io));
  return { parity, staging, production, evaluation: evaluate(staging, production, parity, dayOf(now)) };
}

/** The comparison, with what the caller wants to fail: the verdict is bound to that as to any configuration. */
function failingOn(parity: Parity, failOn: DifferenceKind[] | undefined): Parity {
  return failOn === undefined ? parity : { ...parity, value: { ...parity.value, failOn } };
}

async function readBoth(parity: Parity, options: LocalOptions, io: Io): Promise<Snapshots> {
  // Brings the clients of AWS, which saved snapshots do not need.
  const { readLive } = await import('./parity-live.ts');
  return readLive(parity, SIDES, options, io);
}

/** Path of parity.yaml, which stands beside tocsin.yaml. */
export function documentedFile(config: string): string {
  return join(dirname(config), DOCUMENTED_FILE);
}
