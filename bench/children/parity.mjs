// Reads both environments that are in the file argv[2], compares them as the section argv[3] of tocsin.yaml says, and judges,
// by the build in the directory argv[4]; with argv[5] `sdk`, calls go through all of the SDK but the wire.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { deserialize } from 'node:v8';
import { Estate } from '../../test/support/estate.ts';

const [, , file, section, build, way] = process.argv;
// By an address: of a checkout that nobody has built yet, the imports could not be resolved.
const functions = `${pathToFileURL(build)}/functions`;
const { evaluate } = await import(`${functions}/config-parity/evaluate.js`);
const { sourcesOf, verdictOf } = await import(`${functions}/config-parity/identity.js`);
const { parseParities } = await import(`${functions}/config-parity/schema.js`);
const { takeSnapshot } = await import(`${functions}/config-parity/snapshot-workflow.js`);
const { InProcessWorkflow } = await import(`${functions}/shared/in-process.js`);

const { places, data, pageSize, pages, expected } = deserialize(readFileSync(file));
const text = JSON.stringify({ tocsin: 1, parity: { bench: JSON.parse(readFileSync(section, 'utf8')) } });
const parity = parseParities({ file: 'tocsin.yaml', text }).get('bench');
const now = () => Date.UTC(2026, 10, 22);

const started = performance.now();
const snapshots = [];
for (const side of ['staging', 'production']) {
  const { account, region } = places[side];
  const estate = Object.assign(new Estate(account, region, data[side]), { pageSize });
  const clients = estate.clients({ sdk: way === 'sdk' });
  const parts = new Map();
  const assemble = await takeSnapshot(
    new InProcessWorkflow({ id: 'bench' }),
    { parity, side },
    {
      clients: () => clients,
      parts: { put: async (key, part) => parts.set(key, part), get: async (key) => parts.get(key) },
      golden: async () => undefined,
      now,
      report: async () => {},
    },
  );
  snapshots.push(await assemble());
  if (estate.calls.get('tag:GetResources') !== pages) throw new Error(`expected ${pages} pages`);
}
const [staging, production] = snapshots;
const evaluation = evaluate(staging, production, parity, '2026-11-22');
const verdict = verdictOf(staging, production, evaluation, parity, sourcesOf(parity));
globalThis.benchQueryMs = performance.now() - started;

const found = evaluation.comparison.differences.map((difference) => difference.text);
if (verdict.outcome !== 'fail' || found.join() !== expected.join()) {
  throw new Error(`${verdict.outcome}: ${found.length} differences, ${found.slice(0, 5).join()}`);
}
