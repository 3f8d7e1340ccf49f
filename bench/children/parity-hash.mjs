// The least that anybody has to do: parses all that was answered in either environment, in the files argv[2] and argv[3], and
// hashes its canonical JSON, by the build in the directory argv[4].
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const [, , staging, production, build] = process.argv;
const { canonicalJson, sha256 } = await import(`${pathToFileURL(build)}/functions/shared/identity.js`);

const started = performance.now();
const hashes = [staging, production].map((file) =>
  sha256(canonicalJson(JSON.parse(readFileSync(file, 'utf8')))),
);
globalThis.benchQueryMs = performance.now() - started;
if (new Set(hashes).size !== 2) throw new Error('nothing differs');
