import {
  GetAutomationExecutionCommand,
  StartAutomationExecutionCommand,
  StopAutomationExecutionCommand,
} from '@aws-sdk/client-ssm';
import { call } from '../../shared/aws.ts';
import { sha256 } from '../../shared/identity.ts';
import type { ProcedureEnd } from '../measurements.ts';
import type { RollbackDrillConfig } from '../schema.ts';
import {
  ATTEMPT_DIED,
  type Begun,
  failed,
  inOneLine,
  lost,
  type ProcedureDependencies,
  type ProcedurePlan,
  type RunnableProcedure,
  refused,
  stopped,
  succeeded,
} from './procedure.ts';

/*
 * Procedures that are runbooks of Systems Manager.
 */

type Automation = NonNullable<NonNullable<RollbackDrillConfig['procedure']>['ssmAutomation']>;

const AUTOMATION_ENDS: Readonly<Record<string, 'succeeded' | 'failed'>> = {
  Success: 'succeeded',
  CompletedWithSuccess: 'succeeded',
  Failed: 'failed',
  TimedOut: 'failed',
  Cancelled: 'failed',
  Rejected: 'failed',
  Exited: 'failed',
  CompletedWithFailure: 'failed',
  ChangeCalendarOverrideRejected: 'failed',
};

/** A runbook. The token makes that of Systems Manager, so that it is started once. */
export function automationOf(
  { document, version, parameters }: Automation,
  { incident, token }: ProcedurePlan,
  { ssm }: ProcedureDependencies,
): RunnableProcedure {
  const begin = async (): Promise<Begun> => {
    try {
      const { AutomationExecutionId } = await ssm.send(
        new StartAutomationExecutionCommand({
          DocumentName: document,
          ...(version !== undefined && { DocumentVersion: version }),
          Parameters: Object.fromEntries(
            Object.entries(parameters).map(([name, values]) => [
              name,
              values.map((value) => value.replaceAll('{endpoint}', incident.endpoint)),
            ]),
          ),
          ClientToken: uuidOf(token),
        }),
      );
      if (AutomationExecutionId === undefined) throw new Error('the answer names no execution');
      return { execution: AutomationExecutionId, certain: true };
    } catch (error) {
      // The token was used before, and Systems Manager does not say for which execution.
      if ((error as Error).name === 'IdempotentParameterMismatch') return { end: lost(ATTEMPT_DIED) };
      return refused(`StartAutomationExecution ${document}`, error, {
        what: `runbook ${document}${version === undefined ? '' : ` of version ${version}`}`,
        mend: 'correct procedure.ssmAutomation in tocsin.yaml, or find out who removed it',
        action: 'ssm:StartAutomationExecution',
        missing: ['AutomationDefinitionNotFoundException', 'AutomationDefinitionVersionNotFoundException'],
      });
    }
  };
  const look = async (AutomationExecutionId: string): Promise<ProcedureEnd | undefined> => {
    const { AutomationExecution: found } = await call(
      `GetAutomationExecution ${AutomationExecutionId}`,
      ssm.send(new GetAutomationExecutionCommand({ AutomationExecutionId })),
    );
    const status = found?.AutomationExecutionStatus ?? '';
    const outcome = AUTOMATION_ENDS[status];
    if (outcome === undefined) return undefined;
    if (outcome === 'succeeded') return succeeded;
    return failed(inOneLine([status, found?.FailureMessage].filter(Boolean).join(': ')));
  };
  const stop = (AutomationExecutionId: string) =>
    stopped(ssm.send(new StopAutomationExecutionCommand({ AutomationExecutionId, Type: 'Cancel' })), [
      'InvalidAutomationStatusUpdateException',
      'AutomationExecutionNotFoundException',
    ]);
  return { begin, look, stop };
}

/** A UUID that a token makes: the same every time. */
function uuidOf(token: string): string {
  const hex = sha256(`tocsin-drill-${token}`);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-');
}
