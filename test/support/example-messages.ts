import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drillMessage, drillResultOf } from '../../functions/alarm-drill/messages.ts';
import { resultOf, verdictMessage } from '../../functions/holdout-evaluation/messages.ts';
import { refusalMessage } from '../../functions/quality-gate/messages.ts';
import { GateInputError } from '../../functions/shared/errors.ts';
import type { HistoryPoint } from '../../functions/shared/history.ts';
import { reportKey, verdictFolder } from '../../functions/shared/identity.ts';
import type { Message } from '../../functions/shared/message.ts';
import { withRunbook } from '../../functions/shared/outlets.ts';
import type { Outcome, Verdict } from '../../functions/shared/verdict.ts';
import { messageOfVerdict } from '../../functions/shared/verdict-message.ts';
import { loadConfig } from '../../lib/config.ts';

/*
 * The messages that docs/notifications.md shows, made of verdicts that real runs of the sandbox came to.
 */

const FIXTURES = join(import.meta.dirname, '..', 'fixtures', 'stories');
const BUCKET = 'tocsin-evidence';
const PACKAGE = 'arn:aws:sagemaker:eu-central-1:111122223333:model-package/flight-delay/7';

const verdictOf = (story: string) =>
  JSON.parse(readFileSync(join(FIXTURES, story, 'verdict.json'), 'utf8')) as Verdict;

/** The latest first, a day between one and the next. */
const history = (...outcomes: Outcome[]): Pick<HistoryPoint, 'outcome' | 'at'>[] =>
  outcomes.map((outcome, index) => ({ outcome, at: Date.UTC(2026, 10, 22 - index, 3, 15) }));

function where(verdict: Verdict): { evidence: string; report: { uri: string; link: string } } {
  const key = reportKey(verdict);
  const folder = verdictFolder(verdict.gate, verdict.subject, verdict.id);
  const prefix = encodeURIComponent(key);
  return {
    evidence: `s3://${BUCKET}/${folder}verdict.json`,
    report: {
      uri: `s3://${BUCKET}/${key}`,
      link: `https://eu-central-1.console.aws.amazon.com/s3/object/${BUCKET}?region=eu-central-1&prefix=${prefix}`,
    },
  };
}

/** A model that is rejected for the third time. */
function rejected(): Message {
  const verdict = verdictOf('pipeline-sick');
  const { evidence, report } = where(verdict);
  const config = loadConfig('tocsin.yaml').models.get('flight-delay')!.value;
  const result = resultOf(verdict, { package: PACKAGE, approval: 'Rejected', evidence });
  return messageOfVerdict(verdictMessage(result, verdict, { config, was: 'PendingManualApproval' }), {
    verdict,
    result,
    report,
    history: history('fail', 'fail', 'pass'),
  });
}

/** An alarm that fires again as it is meant to. */
function recovered(): Message {
  const verdict = verdictOf('alarms-healthy');
  const { evidence, report } = where(verdict);
  const result = drillResultOf(verdict, { drill: verdict.subject, alarm: 'flight-delay-drift', evidence });
  return messageOfVerdict(drillMessage(result, verdict), {
    verdict,
    result,
    report,
    history: history('fail', 'fail', 'pass'),
  });
}

/** An upload that nobody could judge. */
function refused(): Message {
  const error = new GateInputError(
    's3://flights/flights/2001-02.parquet is no Parquet file: it has no footer',
    {
      help: 'Write the file again: it was cut off, or is of another format than the contract says.',
    },
  );
  const object = { uri: 's3://flights/flights/2001-02.parquet', versionId: '3HL4kqtJlcpXroDTDmJ' };
  return withRunbook(refusalMessage('flights', object, error), { TOPIC_ARN: '', EVENT_BUS: '' });
}

/** By the name that the document gives them. */
export const exampleMessages = { rejected, recovered, refused };
