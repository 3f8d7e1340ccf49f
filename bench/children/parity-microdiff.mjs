// A yardstick: parses all that was answered in either environment, in the files argv[2] and argv[3], and has microdiff compare
// it as it is.
import { readFileSync } from 'node:fs';
import diff from 'microdiff';

const started = performance.now();
const [staging, production] = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')));
const differences = diff(staging, production);
globalThis.benchQueryMs = performance.now() - started;
if (differences.length === 0) throw new Error('nothing differs');
