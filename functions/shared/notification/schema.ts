import * as z from 'zod';

/*
 * What programs are told that subscribe to the topic. Published as docs/schemas/notification.schema.json.
 */

const common = {
  tocsin: z.literal(1).describe('Version of this format'),
  subject: z.string().describe('Subject of the e-mail: at most 100 printable ASCII characters'),
  text: z.string().describe('Text of the e-mail; the middle of a very long one is left out'),
  gate: z.enum(['quality-gate', 'holdout-evaluation', 'alarm-drill', 'rollback-drill', 'config-parity']),
  about: z
    .string()
    .describe('Name of the dataset, the model, the drill or the comparison; canary-NAME of a canary'),
  reason: z.string().describe('Why, in one sentence; of an error its message'),
  findings: z.array(z.string()).describe('The worst findings, at most 10, one sentence each'),
  next: z.string().describe('What to do now'),
};

const outcome = z.enum(['pass', 'fail', 'inconclusive']);

const verdictDocumentSchema = z
  .object({
    ...common,
    kind: z.literal('verdict'),
    outcome,
    recovered: z.boolean().describe('Whether it passes after verdicts that did not'),
    before: z
      .object({
        outcome: z
          .enum(['pass', 'fail', 'inconclusive', 'no pass'])
          .describe('no pass: some failed, and some were inconclusive'),
        since: z.string().describe('When it first was so, ISO 8601'),
        runs: z.int().describe('How many verdicts in a row'),
      })
      .optional()
      .describe('How it was until this verdict; absent where this is the first one'),
    verdict: z.string().describe('Id of the verdict: 32 hexadecimal digits'),
    report: z.object({ uri: z.string(), link: z.string() }).describe('s3://..., and a page of the console'),
    result: z
      .unknown()
      .describe('What the gate answers, as the details of its event; null where it does not fit'),
  })
  .describe('A gate or a drill has come to a verdict');

const noVerdictDocumentSchema = z
  .object({
    ...common,
    kind: z.literal('no-verdict'),
    outcome: z.literal('error'),
    mistake: z
      .boolean()
      .describe('true: somebody has to correct something; false: something is broken, maybe for a moment'),
    runbook: z.string().describe('What to do when there is no verdict'),
  })
  .describe('There is no verdict, and why');

const noticeDocumentSchema = z
  .object({ ...common, kind: z.literal('notice'), outcome: z.enum([...outcome.options, 'error']) })
  .describe('Something else that owners have to know');

/** What programs are told: one JSON object, of which `kind` says what it is. */
export const documentSchema = z.discriminatedUnion('kind', [
  verdictDocumentSchema,
  noVerdictDocumentSchema,
  noticeDocumentSchema,
]);

export type MessageDocument = z.output<typeof documentSchema>;

/** Where the runbook is that messages and alarms name, unless tocsin.yaml says otherwise. */
export const DEFAULT_RUNBOOK = 'docs/runbook.md';
