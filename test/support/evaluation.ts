import { readFile, writeFile } from 'node:fs/promises';
import type { Environment } from '../../functions/holdout-evaluation/schema.ts';
import type { Dependencies } from '../../functions/holdout-evaluation/workflow.ts';

/* What tests of the evaluation and of the canary share: their environment, and a stand-in for preparing a holdout. */

export const EVALUATION_ENV: Environment = {
  CONFIG_BUCKET: 'assets',
  CONFIG_KEY: 'bundle.json',
  EVIDENCE_BUCKET: 'evidence',
  WORK_BUCKET: 'work',
  DATA_BUCKET: 'data',
  TOPIC_ARN: 'arn:aws:sns:us-east-1:111122223333:tocsin',
  EVENT_BUS: 'default',
  MODEL_ROLE_ARN: 'arn:aws:iam::111122223333:role/models',
  WORKFLOW: 'durable',
  MAX_DATASET_BYTES: 1_000_000,
  TMP_BYTES: 2_000_000,
  ENGINE_MEMORY_BYTES: 512_000_000,
};

/** Four examples; the label is the last column. */
export const EXAMPLES = 'distance,late\n100,1\n200,0\n300,1\n400,0\n';

/** Writes `row,features` of a CSV like {@link EXAMPLES}. */
export const prepareExamples: Dependencies['prepare'] = async ({ file, out }) => {
  const [, ...lines] = (await readFile(file.path, 'utf8')).trimEnd().split('\n');
  const text = lines.map((line, index) => `${index + 1},${line.split(',')[0]}\n`).join('');
  await writeFile(out, text);
  return { rows: lines.length, features: ['distance'], columns: ['distance', 'late'], bytes: text.length };
};

/** The mean of what a model has answered, in a file like those of transform jobs. */
export async function meanPrediction(path: string): Promise<number> {
  const values = (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => Number(line.split(',').at(-1)));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
