import type { ResourceKind } from '../schema.ts';
import { readAlarms } from './alarms.ts';
import { readFunctions } from './functions.ts';
import { readParameters } from './parameters.ts';
import type { Found, Reading } from './reading.ts';
import { readRules } from './rules.ts';
import { readEndpoints } from './sagemaker-endpoints.ts';
import { readFeatureGroups } from './sagemaker-features.ts';
import { readPipelines } from './sagemaker-pipelines.ts';
import { readSchedules } from './schedules.ts';
import { readTables } from './tables.ts';
import { readTocsin } from './tocsin.ts';

/** How things of a kind are read. */
interface Reader {
  /** How many are read in one step: that takes seconds, also where a few calls a second are allowed. */
  batch: number;
  /** Reads them into the sink. What cannot be read is taken down there, too. */
  read: (reading: Reading, found: readonly Found[]) => Promise<void>;
}

/** How everything is read. Models and monitors come with their endpoints. */
export const READERS: Readonly<Record<Exclude<ResourceKind, 'models' | 'monitors'>, Reader>> = {
  endpoints: { batch: 10, read: readEndpoints },
  alarms: { batch: 1_000, read: readAlarms },
  functions: { batch: 200, read: readFunctions },
  parameters: { batch: 200, read: readParameters },
  featureGroups: { batch: 100, read: readFeatureGroups },
  tables: { batch: 200, read: readTables },
  // A definition has up to 1 MB, and a part of a snapshot at most 32 MB.
  pipelines: { batch: 25, read: readPipelines },
  rules: { batch: 100, read: readRules },
  schedules: { batch: 200, read: readSchedules },
  tocsin: { batch: 1, read: readTocsin },
};
