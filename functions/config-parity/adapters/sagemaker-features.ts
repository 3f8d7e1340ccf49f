import type { Found, Reading } from './reading.ts';

export async function readFeatureGroups(_reading: Reading, _found: readonly Found[]): Promise<void> {}
