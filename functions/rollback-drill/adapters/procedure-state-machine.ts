import { DescribeExecutionCommand, StartExecutionCommand, StopExecutionCommand } from '@aws-sdk/client-sfn';
import { call } from '../../shared/aws.ts';
import type { ProcedureEnd } from '../measurements.ts';
import {
  type Begun,
  failed,
  inOneLine,
  lost,
  ofFunctionError,
  type ProcedureDependencies,
  type ProcedurePlan,
  type RunnableProcedure,
  refused,
  stopped,
  succeeded,
} from './procedure.ts';

/*
 * Procedures that are state machines of Step Functions.
 */

/** A standard state machine. Its execution has a name that the token makes, so that it is started once. */
export function stateMachineOf(
  arn: string,
  { incident, token }: ProcedurePlan,
  { sfn }: ProcedureDependencies,
): RunnableProcedure {
  const name = `tocsin-drill-${token}`;
  const begin = async (): Promise<Begun> => {
    try {
      const { executionArn } = await sfn.send(
        new StartExecutionCommand({ stateMachineArn: arn, name, input: JSON.stringify(incident) }),
      );
      if (executionArn === undefined) throw new Error('the answer names no execution');
      if (executionArn.includes(':express:')) {
        return {
          end: lost(`${arn} is an express state machine, which nobody can follow; use a standard one`),
        };
      }
      return { execution: executionArn, certain: true };
    } catch (error) {
      // Begun by an attempt that died, and over by now.
      if ((error as Error).name === 'ExecutionAlreadyExists') {
        return { execution: `${arn.replace(':stateMachine:', ':execution:')}:${name}`, certain: true };
      }
      return refused(`StartExecution ${arn}`, error, {
        what: `state machine ${arn}`,
        mend: 'correct procedure.stateMachine in tocsin.yaml, or find out who removed it',
        action: 'states:StartExecution',
        missing: ['StateMachineDoesNotExist', 'StateMachineDeleting'],
      });
    }
  };
  const look = async (executionArn: string): Promise<ProcedureEnd | undefined> => {
    const { status, error, cause } = await call(
      `DescribeExecution ${executionArn}`,
      sfn.send(new DescribeExecutionCommand({ executionArn })),
    );
    if (status === 'SUCCEEDED') return succeeded;
    if (status !== 'FAILED' && status !== 'TIMED_OUT' && status !== 'ABORTED') return undefined;
    // The cause of a failed function is its whole error, as JSON.
    const why = ofFunctionError(cause ?? '') ?? [error, cause].filter(Boolean).join(': ');
    return failed(inOneLine([status, why].filter(Boolean).join(': ')));
  };
  const stop = (executionArn: string) =>
    stopped(
      sfn.send(
        new StopExecutionCommand({
          executionArn,
          error: 'Tocsin.DrillIsOver',
          cause: 'It took longer than the rollback drill waits, and the endpoint is restored now.',
        }),
      ),
      ['ExecutionDoesNotExist'],
    );
  return { begin, look, stop };
}
