/**
 * A training container. The model is what it was given: its files, its hyperparameters, its environment.
 *
 * Hyperparameter `mode`: `fail` ends with a reason, `crash` without one, `hang` never ends, `empty` leaves no model.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const { SM_CHANNEL_TRAINING = '', SM_MODEL_DIR = '', SM_OUTPUT_DIR = '', SM_HP_MODE, SM_HPS } = process.env;

console.log(`mode ${SM_HP_MODE}`);
if (SM_HP_MODE === 'hang') setInterval(() => undefined, 1000);
else if (SM_HP_MODE === 'crash') {
  console.error('out of memory');
  process.exitCode = 7;
} else if (SM_HP_MODE === 'fail') {
  writeFileSync(join(SM_OUTPUT_DIR, 'failure'), 'all labels are the same\n');
  process.exitCode = 1;
} else if (SM_HP_MODE !== 'empty') {
  const names = readdirSync(SM_CHANNEL_TRAINING, { recursive: true, withFileTypes: true });
  const files = names
    .filter((it) => it.isFile())
    .map((it) => join(it.parentPath, it.name))
    .sort()
    .map((file) => [file.slice(SM_CHANNEL_TRAINING.length + 1), readFileSync(file, 'utf8')]);
  const { PATH, HOME, TMPDIR, PWD, ...environment } = process.env;
  mkdirSync(join(SM_MODEL_DIR, 'deep'));
  writeFileSync(join(SM_MODEL_DIR, 'deep', 'model.json'), JSON.stringify({ files, environment }));
  writeFileSync(join(SM_MODEL_DIR, 'hyperparameters.json'), SM_HPS ?? '');
}
