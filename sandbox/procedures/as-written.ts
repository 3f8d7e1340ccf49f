import { type Incident, shift } from './weights.ts';

/** The team's rollback as it was written. */
export async function handler(incident: Incident): Promise<{ status: string }> {
  await shift(incident, 'primary', 'candidate');
  return { status: 'rolled back' };
}
