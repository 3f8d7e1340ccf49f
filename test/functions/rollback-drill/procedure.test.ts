import {
  InvokeCommand,
  type InvokeCommandInput,
  LambdaClient,
  LambdaServiceException,
} from '@aws-sdk/client-lambda';
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import {
  DescribeExecutionCommand,
  SFNClient,
  StartExecutionCommand,
  StopExecutionCommand,
} from '@aws-sdk/client-sfn';
import {
  type AutomationExecutionStatus,
  GetAutomationExecutionCommand,
  SSMClient,
  StartAutomationExecutionCommand,
  StopAutomationExecutionCommand,
} from '@aws-sdk/client-ssm';
import { mockClient } from 'aws-sdk-client-mock';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  beginningKey,
  type ProcedureDependencies,
  type ProcedurePlan,
  readProcedureEnd,
  type TimedEnd,
} from '../../../functions/rollback-drill/adapters/procedure.ts';
import { PROCEDURE_OPTIONS } from '../../../functions/rollback-drill/adapters/procedure-lambda.ts';
import { runProcedure } from '../../../functions/rollback-drill/procedure-workflow.ts';
import { durableHandler } from '../../../functions/shared/durable.ts';
import { InProcessWorkflow } from '../../../functions/shared/in-process.ts';
import { progressKey } from '../../../functions/shared/progress.ts';
import { WorkBucket } from '../../../functions/shared/work.ts';
import { OutOfTimeError } from '../../../functions/shared/workflow.ts';
import { type Death, DurableService } from '../../support/durable-service.ts';
import { FakeAws, s3Error } from '../../support/fake-aws.ts';

const START = Date.UTC(2026, 0, 5, 12);
const MINUTE = 60_000;
const FUNCTION = 'arn:aws:lambda:us-east-1:111122223333:function:rollback:live';
const MACHINE = 'arn:aws:states:us-east-1:111122223333:stateMachine:rollback';
const EXECUTION = 'arn:aws:states:us-east-1:111122223333:execution:rollback:tocsin-drill-0a1b2c3d4e5f';
const ROLLBACK_ARN = 'arn:aws:lambda:us-east-1:111122223333:function:tocsin-rollback:live';
const TOKEN = '0a1b2c3d4e5f';
/** The token as a UUID. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/;
const KEY = `rollback/delay-staging/${TOKEN}/procedure.json`;
const INCIDENT = { endpoint: 'delay-staging', drill: 'delay', run: 'run-1' };
const LAMBDA = { lambda: FUNCTION };
const AUTOMATION = {
  ssmAutomation: {
    document: 'Rollback',
    version: '3',
    parameters: { Endpoint: ['{endpoint}'], Notify: ['ops', 'ml of {endpoint}'] },
  },
};
const STATE_MACHINE = { stateMachine: MACHINE };
const BUILTIN = { builtin: 'weights' as const };
const PROCEDURES: [string, NonNullable<ProcedurePlan['procedure']>][] = [
  ['a function', LAMBDA],
  ['a runbook', AUTOMATION],
  ['a state machine', STATE_MACHINE],
  ['the builtin rollback', BUILTIN],
];

const mocks = () => ({
  lambda: mockClient(LambdaClient),
  ssm: mockClient(SSMClient),
  sfn: mockClient(SFNClient),
});

let aws: FakeAws;
let mock: ReturnType<typeof mocks>;
let work: WorkBucket;
let warned: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: START });
  aws = new FakeAws();
  aws.unversioned.add('work');
  mock = mocks();
  work = new WorkBucket(new S3Client({}), 'work');
  warned = [];
});

afterEach(() => {
  vi.restoreAllMocks();
  for (const one of Object.values(mock)) one.restore();
  aws.restore();
  vi.useRealTimers();
});

const sleep = (ms: number) => {
  vi.setSystemTime(Date.now() + ms);
};

const deps = (): ProcedureDependencies => ({
  env: { ROLLBACK_ARN },
  work,
  lambda: new LambdaClient(PROCEDURE_OPTIONS),
  ssm: new SSMClient({}),
  sfn: new SFNClient({}),
  now: Date.now,
  warn: (message) => warned.push(message),
});

const planOf = (procedure: ProcedurePlan['procedure'], change: Partial<ProcedurePlan> = {}) => ({
  procedure,
  incident: INCIDENT,
  to: { variant: 'current' },
  token: TOKEN,
  patienceMs: 10 * MINUTE,
  endKey: KEY,
  ...change,
});

/** In one process, on a virtual clock. */
const run = (
  procedure: ProcedurePlan['procedure'],
  change: Partial<ProcedurePlan> & { deadline?: number } = {},
): Promise<TimedEnd> => {
  const { deadline, ...plan } = change;
  const workflow = new InProcessWorkflow({
    id: 'run-1',
    now: Date.now,
    // What waits for a deadline waits for ever: every step takes no time.
    sleep: async (ms, signal) => (signal === undefined ? sleep(ms) : new Promise(() => {})),
    random: () => 0,
    ...(deadline !== undefined && { deadline }),
  });
  return runProcedure(workflow, planOf(procedure, plan), deps());
};

/** An error as a service answers it. */
const errorOf = (name: string, message: string, status = 400): Error =>
  new LambdaServiceException({
    name,
    message,
    $fault: status < 500 ? 'client' : 'server',
    $metadata: { httpStatusCode: status },
  });

/** Inputs of all calls of a client, in order. */
const inputs = (of: keyof ReturnType<typeof mocks>) =>
  mock[of].calls().map((one) => [one.args[0].constructor.name, one.args[0].input]);

const payload = (value: unknown) => ({
  StatusCode: 200,
  Payload: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)) as never,
});

const progress = (change: object) =>
  aws.put(
    'work',
    progressKey(`drill-${TOKEN}`),
    JSON.stringify({ run: `drill-${TOKEN}`, startedAt: START, updatedAt: START, phase: 'x', ...change }),
  );

const ROLLED_BACK = {
  endpoint: 'delay-staging',
  done: 'all traffic goes to variant current',
  changed: true,
  config: 'delay-staging-1',
  shares: { current: 1, candidate: 0 },
};

describe('a Lambda function', () => {
  const answers = (value: object) => mock.lambda.on(InvokeCommand).resolves(value);
  const fails = (error: Error) => mock.lambda.on(InvokeCommand).rejects(error);

  test('gets the incident, once, and its end is written down', async () => {
    answers(payload({ statusCode: 200 }));
    const end = await run(LAMBDA);
    expect(end).toEqual({ outcome: 'succeeded', said: null, begunAt: START, endedAt: START });
    expect(inputs('lambda')).toEqual([
      [
        'InvokeCommand',
        {
          FunctionName: FUNCTION,
          InvocationType: 'RequestResponse',
          LogType: 'None',
          Payload: JSON.stringify(INCIDENT),
        },
      ],
    ]);
    expect(await readProcedureEnd(work, KEY)).toEqual(end);
  });

  test.each([
    ['as long as the drill is patient', 2, 2],
    ['12 minutes at most', 60, 12],
  ])('has %s, and is then timed out', async (_, patience, minutes) => {
    vi.useFakeTimers({ toFake: ['Date', 'setTimeout', 'clearTimeout'], now: START });
    const signals: AbortSignal[] = [];
    vi.spyOn(LambdaClient.prototype, 'send').mockImplementation((...[, options]: unknown[]) => {
      signals.push((options as { abortSignal: AbortSignal }).abortSignal);
      return new Promise(() => {});
    });
    const running = run(LAMBDA, { patienceMs: patience * MINUTE });
    await vi.advanceTimersByTimeAsync(minutes * MINUTE - 1);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await running).toEqual({
      outcome: 'timed-out',
      said: `the function had not answered after ${minutes} min; it may still run, and cannot be stopped`,
      begunAt: START,
      endedAt: START + minutes * MINUTE,
    });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test('is invoked without retries of the SDK, which is the more patient', () => {
    expect(PROCEDURE_OPTIONS).toMatchObject({
      maxAttempts: 1,
      requestHandler: { requestTimeout: 725_000, socketTimeout: 725_000, throwOnRequestTimeout: true },
    });
  });

  test.each([
    [
      'its class and message, and nothing else',
      { errorType: 'KeyError', errorMessage: "'variant'\n  not found.", trace: ['password=hunter2'] },
      "KeyError: 'variant' not found",
    ],
    [
      'its message alone',
      { errorMessage: 'Task timed out after 3.00 seconds' },
      'Task timed out after 3.00 seconds',
    ],
    ['no more than a sentence', { errorMessage: 'x'.repeat(1000) }, `${'x'.repeat(299)}…`],
    ['that it says nothing, of another value', ['secret'], 'the function failed, and does not say why'],
    ['that it says nothing, of null', null, 'the function failed, and does not say why'],
    ['that it says nothing, of no JSON', 'secret', 'the function failed, and does not say why'],
  ])('that failed: the drill tells %s', async (_, value, said) => {
    answers({ ...payload(value), FunctionError: 'Unhandled' });
    expect(await run(LAMBDA)).toMatchObject({ outcome: 'failed', said });
  });

  test.each([
    [
      'is not there',
      errorOf('ResourceNotFoundException', 'Function not found', 404),
      `there is no function ${FUNCTION}: correct procedure.lambda in tocsin.yaml, or find out who removed it`,
    ],
    [
      'may not be invoked',
      errorOf('AccessDeniedException', 'User x is not authorized', 403),
      `the drill may not start the function ${FUNCTION}: grant its role lambda:InvokeFunction on it, and whatever the policy of the other side asks for`,
    ],
    [
      'is refused otherwise',
      errorOf('ResourceConflictException', 'The function is\ncurrently Pending.', 409),
      `the function ${FUNCTION} could not be started: ResourceConflictException: The function is currently Pending`,
    ],
    [
      'Lambda cannot make run',
      errorOf('KMSAccessDeniedException', 'Lambda was unable to decrypt', 502),
      'KMSAccessDeniedException: Lambda was unable to decrypt',
    ],
  ])('that %s fails', async (_, error, said) => {
    fails(error);
    expect(await run(LAMBDA)).toMatchObject({ outcome: 'failed', said });
    expect(mock.lambda.calls()).toHaveLength(1);
  });

  test.each([
    [
      'a connection that breaks',
      Object.assign(new Error('socket hang up'), { name: 'Error' }),
      /no answer.*socket hang up/,
    ],
    ['an error of Lambda itself', errorOf('ServiceException', 'oops', 500), /HTTP 500.*oops/],
  ])('is not invoked again after %s', async (_, error, said) => {
    fails(error);
    const end = await run(LAMBDA);
    expect(end).toMatchObject({ outcome: 'unknown', said: expect.stringMatching(said) });
    expect(end.said).toMatch(/^the drill lost sight of the procedure: /);
    expect(mock.lambda.calls()).toHaveLength(1);
  });

  test.each([
    ['Lambda throttles', errorOf('TooManyRequestsException', 'Rate Exceeded.', 429)],
    [
      'there is no connection',
      Object.assign(
        new Error('the request socket did not establish a connection with the server within 3000 ms.'),
        { name: 'TimeoutError' },
      ),
    ],
  ])('is invoked again where it has not run: %s', async (_, error) => {
    mock.lambda.on(InvokeCommand).rejectsOnce(error).rejectsOnce(error).resolves(payload(null));
    expect(await run(LAMBDA)).toMatchObject({ outcome: 'succeeded', begunAt: START, endedAt: START + 8_000 });
    expect(mock.lambda.calls()).toHaveLength(3);
  });

  test('that is throttled for long is unknown, and leaves no mark', async () => {
    fails(errorOf('TooManyRequestsException', 'Rate Exceeded.', 429));
    expect(await run(LAMBDA)).toMatchObject({
      outcome: 'unknown',
      said: `the drill lost sight of the procedure: Invoke ${FUNCTION} failed (HTTP 429): TooManyRequestsException: Rate Exceeded.`,
    });
    expect(aws.keys('work', '')).toEqual([KEY]);
  });

  test('is not invoked where an attempt that died may have invoked it', async () => {
    await work.claim(beginningKey(KEY), 'the attempt that died', MINUTE);
    answers(payload(null));
    expect(await run(LAMBDA)).toMatchObject({
      outcome: 'unknown',
      said: 'the drill lost sight of the procedure: the attempt that was to begin it died, and it is not run twice',
    });
    expect(mock.lambda.calls()).toEqual([]);
  });

  test('leaves a mark that outlives the drill', async () => {
    answers(payload(null));
    await run(LAMBDA);
    const [mark] = aws.inputs('s3', PutObjectCommand) as { Key: string; Body: string; IfNoneMatch: string }[];
    expect(mark).toMatchObject({
      Key: `rollback/delay-staging/${TOKEN}/procedure-begun.json`,
      IfNoneMatch: '*',
    });
    expect(JSON.parse(mark!.Body).until).toBeGreaterThan(START + 7 * 86_400_000);
  });
});

describe('a runbook of Systems Manager', () => {
  const starts = () =>
    mock.ssm.on(StartAutomationExecutionCommand).resolves({ AutomationExecutionId: 'automation-1' });
  const is = (AutomationExecutionStatus: AutomationExecutionStatus, FailureMessage?: string) => ({
    AutomationExecution: {
      AutomationExecutionStatus,
      ...(FailureMessage !== undefined && { FailureMessage }),
    },
  });

  test('is started with its parameters and a token, and followed until it is over', async () => {
    starts();
    mock.ssm
      .on(GetAutomationExecutionCommand)
      .resolvesOnce(is('Pending'))
      .resolvesOnce(is('InProgress'))
      .resolves(is('Success'));
    expect(await run(AUTOMATION)).toEqual({
      outcome: 'succeeded',
      said: null,
      begunAt: START,
      endedAt: START + 5_000,
    });
    const look = ['GetAutomationExecutionCommand', { AutomationExecutionId: 'automation-1' }];
    expect(inputs('ssm')).toEqual([
      [
        'StartAutomationExecutionCommand',
        {
          DocumentName: 'Rollback',
          DocumentVersion: '3',
          Parameters: { Endpoint: ['delay-staging'], Notify: ['ops', 'ml of delay-staging'] },
          ClientToken: expect.stringMatching(UUID),
        },
      ],
      look,
      look,
      look,
    ]);
  });

  test('takes the default version, and the same token only for the same run', async () => {
    starts();
    mock.ssm.on(GetAutomationExecutionCommand).resolves(is('CompletedWithSuccess'));
    const plain = { ssmAutomation: { document: 'Rollback', parameters: {} } };
    const endKey = (which: number) => `rollback/${which}.json`;
    await run(plain, { endKey: endKey(1) });
    await run(plain, { endKey: endKey(2) });
    await run(plain, { endKey: endKey(3), token: 'another' });
    const all = mock.ssm.commandCalls(StartAutomationExecutionCommand).map(({ args }) => args[0].input);
    expect(all[0]).toEqual({
      DocumentName: 'Rollback',
      Parameters: {},
      ClientToken: expect.stringMatching(UUID),
    });
    expect(all[1]).toEqual(all[0]);
    expect(all[2]!.ClientToken).toMatch(UUID);
    expect(all[2]!.ClientToken).not.toBe(all[0]!.ClientToken);
  });

  test.each<[AutomationExecutionStatus, string | undefined, string]>([
    [
      'Failed',
      'Step fails when it is Execute:\n KeyError.',
      'Failed: Step fails when it is Execute: KeyError',
    ],
    ['TimedOut', undefined, 'TimedOut'],
    ['Cancelled', undefined, 'Cancelled'],
    ['Rejected', 'nobody approved', 'Rejected: nobody approved'],
    ['Exited', undefined, 'Exited'],
    ['CompletedWithFailure', undefined, 'CompletedWithFailure'],
    ['ChangeCalendarOverrideRejected', undefined, 'ChangeCalendarOverrideRejected'],
  ])('that ends %s has failed', async (status, message, said) => {
    starts();
    mock.ssm.on(GetAutomationExecutionCommand).resolves(is(status, message));
    expect(await run(AUTOMATION)).toMatchObject({ outcome: 'failed', said });
    expect(mock.ssm.commandCalls(StopAutomationExecutionCommand)).toEqual([]);
  });

  test.each([
    [
      'not there',
      errorOf('AutomationDefinitionNotFoundException', 'no'),
      'there is no runbook Rollback of version 3: correct procedure.ssmAutomation in tocsin.yaml, or find out who removed it',
    ],
    [
      'not there in that version',
      errorOf('AutomationDefinitionVersionNotFoundException', 'no'),
      'there is no runbook Rollback of version 3: correct procedure.ssmAutomation in tocsin.yaml, or find out who removed it',
    ],
    [
      'not allowed',
      errorOf('AccessDeniedException', 'no'),
      'the drill may not start the runbook Rollback of version 3: grant its role ssm:StartAutomationExecution on it, and whatever the policy of the other side asks for',
    ],
    [
      'called with wrong parameters',
      errorOf('InvalidAutomationExecutionParametersException', 'Unknown parameter Notify'),
      'the runbook Rollback of version 3 could not be started: InvalidAutomationExecutionParametersException: Unknown parameter Notify',
    ],
  ])('that is %s fails', async (_, error, said) => {
    mock.ssm.on(StartAutomationExecutionCommand).rejects(error);
    expect(await run(AUTOMATION)).toMatchObject({ outcome: 'failed', said });
    expect(mock.ssm.calls()).toHaveLength(1);
  });

  test('whose token was used for something else is lost from sight', async () => {
    mock.ssm.on(StartAutomationExecutionCommand).rejects(errorOf('IdempotentParameterMismatch', 'no'));
    expect(await run(AUTOMATION)).toMatchObject({
      outcome: 'unknown',
      said: expect.stringMatching(/not run twice$/),
    });
  });

  test('is started later where Systems Manager has no time, or its answer names no execution', async () => {
    mock.ssm
      .on(StartAutomationExecutionCommand)
      .rejectsOnce(errorOf('ThrottlingException', 'Rate exceeded'))
      .resolvesOnce({})
      .resolves({ AutomationExecutionId: 'automation-1' });
    mock.ssm.on(GetAutomationExecutionCommand).resolves(is('Success'));
    expect(await run(AUTOMATION)).toMatchObject({ outcome: 'succeeded' });
  });

  test('that takes too long is cancelled', async () => {
    starts();
    mock.ssm.on(GetAutomationExecutionCommand).resolves(is('PendingApproval'));
    mock.ssm.on(StopAutomationExecutionCommand).resolves({});
    const end = await run(AUTOMATION);
    expect(end).toEqual({
      outcome: 'timed-out',
      said: 'it had not ended after 10 min; it was stopped',
      begunAt: START,
      endedAt: START + 10 * MINUTE,
    });
    expect(inputs('ssm').at(-1)).toEqual([
      'StopAutomationExecutionCommand',
      { AutomationExecutionId: 'automation-1', Type: 'Cancel' },
    ]);
  });

  test('that ends while it is about to be stopped has ended by itself', async () => {
    starts();
    mock.ssm
      .on(GetAutomationExecutionCommand)
      .callsFake(() => (Date.now() >= START + MINUTE && asked++ > 0 ? is('Success') : is('InProgress')));
    let asked = 0;
    expect(await run(AUTOMATION, { patienceMs: MINUTE })).toMatchObject({ outcome: 'succeeded', said: null });
    expect(mock.ssm.commandCalls(StopAutomationExecutionCommand)).toEqual([]);
  });

  test.each([
    ['that is over', 'InvalidAutomationStatusUpdateException', 'it was stopped'],
    ['that is gone', 'AutomationExecutionNotFoundException', 'it was stopped'],
    ['that it may not stop', 'AccessDeniedException', 'it could not be stopped: AccessDeniedException: no'],
  ])('one %s is no harm to the drill', async (_, name, said) => {
    starts();
    mock.ssm.on(GetAutomationExecutionCommand).resolves(is('InProgress'));
    mock.ssm.on(StopAutomationExecutionCommand).rejects(errorOf(name, 'no.'));
    expect(await run(AUTOMATION)).toMatchObject({
      outcome: 'timed-out',
      said: `it had not ended after 10 min; ${said}`,
    });
    expect(mock.ssm.commandCalls(StopAutomationExecutionCommand)).toHaveLength(1);
  });

  test('that nobody can look after is lost from sight, and stopped', async () => {
    starts();
    mock.ssm.on(GetAutomationExecutionCommand).rejects(errorOf('InternalServerError', 'oops', 500));
    mock.ssm.on(StopAutomationExecutionCommand).resolves({});
    expect(await run(AUTOMATION)).toMatchObject({
      outcome: 'unknown',
      said: 'the drill lost sight of the procedure: GetAutomationExecution automation-1 failed (HTTP 500): InternalServerError: oops; it was stopped',
    });
    expect(mock.ssm.commandCalls(StopAutomationExecutionCommand)).toHaveLength(1);
  });

  test('is stopped where the execution has no time left, which is thrown', async () => {
    starts();
    mock.ssm.on(GetAutomationExecutionCommand).resolves(is('InProgress'));
    mock.ssm.on(StopAutomationExecutionCommand).resolves({});
    await expect(run(AUTOMATION, { deadline: START + MINUTE })).rejects.toThrow(OutOfTimeError);
    expect(mock.ssm.commandCalls(StopAutomationExecutionCommand)).toHaveLength(1);
  });
});

describe('a state machine', () => {
  const is = (status: 'RUNNING' | 'SUCCEEDED' | 'FAILED' | 'TIMED_OUT' | 'ABORTED', why: object = {}) => ({
    executionArn: EXECUTION,
    stateMachineArn: MACHINE,
    startDate: new Date(START),
    status,
    ...why,
  });
  const starts = () =>
    mock.sfn.on(StartExecutionCommand).resolves({ executionArn: EXECUTION, startDate: new Date(START) });
  const stop = [
    'StopExecutionCommand',
    {
      executionArn: EXECUTION,
      error: 'Tocsin.DrillIsOver',
      cause: 'It took longer than the rollback drill waits, and the endpoint is restored now.',
    },
  ];

  test('is started with the incident under a name of the run, and followed', async () => {
    starts();
    mock.sfn.on(DescribeExecutionCommand).resolvesOnce(is('RUNNING')).resolves(is('SUCCEEDED'));
    expect(await run(STATE_MACHINE)).toEqual({
      outcome: 'succeeded',
      said: null,
      begunAt: START,
      endedAt: START + 2_000,
    });
    expect(inputs('sfn')).toEqual([
      [
        'StartExecutionCommand',
        { stateMachineArn: MACHINE, name: `tocsin-drill-${TOKEN}`, input: JSON.stringify(INCIDENT) },
      ],
      ['DescribeExecutionCommand', { executionArn: EXECUTION }],
      ['DescribeExecutionCommand', { executionArn: EXECUTION }],
    ]);
  });

  test('that was begun before is followed', async () => {
    mock.sfn.on(StartExecutionCommand).rejects(errorOf('ExecutionAlreadyExists', 'no'));
    mock.sfn.on(DescribeExecutionCommand).resolves(is('SUCCEEDED'));
    expect(await run(STATE_MACHINE)).toMatchObject({ outcome: 'succeeded' });
    expect(inputs('sfn').at(-1)).toEqual(['DescribeExecutionCommand', { executionArn: EXECUTION }]);
  });

  test.each([
    [
      'FAILED',
      { error: 'NoVariant', cause: 'there is no\nvariant v1.' },
      'FAILED: NoVariant: there is no variant v1',
    ],
    [
      'FAILED',
      {
        error: 'KeyError',
        cause: JSON.stringify({ errorType: 'KeyError', errorMessage: 'v1', trace: ['password'] }),
      },
      'FAILED: KeyError: v1',
    ],
    ['TIMED_OUT', {}, 'TIMED_OUT'],
    ['ABORTED', { cause: 'by hand' }, 'ABORTED: by hand'],
  ] as const)('that is %s has failed', async (status, why, said) => {
    starts();
    mock.sfn.on(DescribeExecutionCommand).resolves(is(status, why));
    expect(await run(STATE_MACHINE)).toMatchObject({ outcome: 'failed', said });
  });

  test('that is an express one cannot be followed', async () => {
    const executionArn = 'arn:aws:states:us-east-1:111122223333:express:rollback:x:y';
    mock.sfn.on(StartExecutionCommand).resolves({ executionArn, startDate: new Date(START) });
    expect(await run(STATE_MACHINE)).toMatchObject({
      outcome: 'unknown',
      said: `the drill lost sight of the procedure: ${MACHINE} is an express state machine, which nobody can follow; use a standard one`,
    });
    expect(mock.sfn.calls()).toHaveLength(1);
  });

  test.each([
    [
      'not there',
      errorOf('StateMachineDoesNotExist', 'no'),
      `there is no state machine ${MACHINE}: correct procedure.stateMachine in tocsin.yaml, or find out who removed it`,
    ],
    [
      'not allowed',
      errorOf('AccessDeniedException', 'no'),
      `the drill may not start the state machine ${MACHINE}: grant its role states:StartExecution on it, and whatever the policy of the other side asks for`,
    ],
  ])('that is %s fails', async (_, error, said) => {
    mock.sfn.on(StartExecutionCommand).rejects(error);
    expect(await run(STATE_MACHINE)).toMatchObject({ outcome: 'failed', said });
  });

  test('that cannot be started for now, nor later, is unknown', async () => {
    mock.sfn.on(StartExecutionCommand).rejects(errorOf('ExecutionLimitExceeded', 'too many'));
    const end = await run(STATE_MACHINE);
    expect(end).toMatchObject({
      outcome: 'unknown',
      said: expect.stringMatching(/ExecutionLimitExceeded: too many$/),
    });
    expect(end.endedAt).toBe(Date.now());
    expect(mock.sfn.calls()).toHaveLength(5);
  });

  test('that takes too long is stopped', async () => {
    starts();
    mock.sfn.on(DescribeExecutionCommand).resolves(is('RUNNING'));
    mock.sfn.on(StopExecutionCommand).resolves({ stopDate: new Date(START) });
    expect(await run(STATE_MACHINE, { patienceMs: MINUTE })).toEqual({
      outcome: 'timed-out',
      said: 'it had not ended after 1 min; it was stopped',
      begunAt: START,
      endedAt: START + MINUTE,
    });
    expect(inputs('sfn').at(-1)).toEqual(stop);
  });
});

describe('the builtin rollback', () => {
  const invokes = (then: () => void = () => {}) =>
    mock.lambda.on(InvokeCommand).callsFake(() => {
      then();
      return { StatusCode: 202 };
    });

  test('is asked for by an event, and followed where it reports', async () => {
    invokes(() => progress({ phase: 'moving the weights' }));
    const done = vi.fn(() => progress({ phase: 'done', result: ROLLED_BACK }));
    const read = vi.spyOn(work, 'read').mockImplementation(async (key) => {
      if (key === KEY) return undefined;
      if (read.mock.calls.length === 3) done();
      return aws.get('work', key).body.toString('utf8');
    });
    expect(await run(BUILTIN)).toEqual({
      outcome: 'succeeded',
      said: null,
      begunAt: START,
      endedAt: START + 2_000,
    });
    expect(inputs('lambda')).toEqual([
      [
        'InvokeCommand',
        {
          FunctionName: ROLLBACK_ARN,
          InvocationType: 'Event',
          Payload: JSON.stringify({
            endpoint: 'delay-staging',
            to: { variant: 'current' },
            run: `drill-${TOKEN}`,
          }),
        },
      ],
    ]);
    expect(done).toHaveBeenCalledOnce();
  });

  test.each([
    [
      'refuses',
      { phase: 'refused', error: { name: 'GateInputError', message: 'there is no variant current.' } },
      'there is no variant current',
    ],
    ['says nothing', { phase: 'done', result: {} }, 'the rollback does not say what it did'],
  ])('that %s has failed', async (_, change, said) => {
    invokes(() => progress(change));
    expect(await run(BUILTIN)).toMatchObject({ outcome: 'failed', said });
  });

  test('that nobody deployed fails', async () => {
    mock.lambda.on(InvokeCommand).rejects(errorOf('ResourceNotFoundException', 'no', 404));
    expect(await run(BUILTIN)).toMatchObject({
      outcome: 'failed',
      said: `there is no function ${ROLLBACK_ARN}: deploy Tocsin again`,
    });
  });

  test('that takes too long is timed out, and goes on', async () => {
    invokes(() => progress({}));
    expect(await run(BUILTIN)).toMatchObject({
      outcome: 'timed-out',
      said: 'it had not ended after 10 min; it cannot be stopped',
    });
  });

  test('is asked again where it was throttled', async () => {
    mock.lambda
      .on(InvokeCommand)
      .rejectsOnce(errorOf('TooManyRequestsException', 'no', 429))
      .resolves({ StatusCode: 202 });
    progress({ result: ROLLED_BACK });
    expect(await run(BUILTIN)).toMatchObject({ outcome: 'succeeded' });
    expect(mock.lambda.calls()).toHaveLength(2);
  });

  test.each([
    ['succeeded', () => progress({ result: ROLLED_BACK }), 'succeeded', null],
    [
      'unknown where it never reports',
      () => {},
      'unknown',
      'the drill lost sight of the procedure: the attempt to begin it broke off, and it had not ended after 10 min; it cannot be stopped',
    ],
  ])(
    'that may have been asked for is followed, and not asked for again: %s',
    async (_, then, outcome, said) => {
      mock.lambda.on(InvokeCommand).callsFake(() => {
        then();
        throw new Error('socket hang up');
      });
      expect(await run(BUILTIN)).toMatchObject({ outcome, said });
      expect(mock.lambda.calls()).toHaveLength(1);
    },
  );

  test('whose report is no report is lost from sight', async () => {
    invokes(() => aws.put('work', progressKey(`drill-${TOKEN}`), '{'));
    expect(await run(BUILTIN)).toMatchObject({
      outcome: 'unknown',
      said: expect.stringMatching(/is not JSON/),
    });
  });
});

describe('a procedure of any kind', () => {
  test('that is not named is a bug', async () => {
    await expect(run({})).rejects.toThrow('the plan names no procedure');
  });

  test.each(PROCEDURES)('whose end is known is not begun: %s', async (_, procedure) => {
    const before = { outcome: 'failed', said: 'no', begunAt: 1, endedAt: 2 } as const;
    await work.put(KEY, { text: JSON.stringify(before) });
    expect(await run(procedure)).toEqual(before);
    for (const one of Object.values(mock)) expect(one.calls()).toEqual([]);
  });

  test('has no end before it is written down', async () => {
    expect(await readProcedureEnd(work, KEY)).toBeUndefined();
  });

  test.each(PROCEDURES)('is unknown where S3 cannot be read: %s', async (_, procedure) => {
    vi.spyOn(work, 'read').mockRejectedValue(s3Error('SlowDown', 503));
    expect(await run(procedure)).toMatchObject({ outcome: 'unknown' });
    for (const one of Object.values(mock)) expect(one.calls()).toEqual([]);
  });

  test('has an end also where that cannot be written down', async () => {
    mock.lambda.on(InvokeCommand).resolves(payload(null));
    vi.spyOn(work, 'put').mockRejectedValue(s3Error('SlowDown', 503));
    expect(await run(LAMBDA)).toMatchObject({ outcome: 'succeeded', begunAt: START, endedAt: START });
    expect(warned).toEqual(['how the procedure ended was not written down']);
  });
});

describe('a process that dies', () => {
  /** Procedures that ran, each after 3 s over: tokens and names make one of several starts. */
  let begun: Map<string, number>;

  function arrange(): void {
    aws.objects.clear();
    aws.changes.length = 0;
    aws.diesAfter = Number.POSITIVE_INFINITY;
    begun = new Map();
    for (const one of Object.values(mock)) one.reset();
    const begin = (name: string) => {
      aws.alive();
      if (!begun.has(name)) begun.set(name, Date.now());
      aws.changed(`begin ${name}`);
      return name;
    };
    const isOver = (name = '') => {
      aws.alive();
      return Date.now() >= begun.get(name)! + 3_000;
    };
    mock.lambda.on(InvokeCommand).callsFake(({ InvocationType }: InvokeCommandInput) => {
      // Nothing but its caller can keep a function from running again.
      begin(`invocation ${begun.size + 1}`);
      if (InvocationType === 'RequestResponse') return payload(null);
      progress({ result: ROLLED_BACK });
      return { StatusCode: 202 };
    });
    mock.ssm
      .on(StartAutomationExecutionCommand)
      .callsFake(({ ClientToken }) => ({ AutomationExecutionId: begin(ClientToken) }));
    mock.ssm.on(GetAutomationExecutionCommand).callsFake(({ AutomationExecutionId }) => ({
      AutomationExecution: {
        AutomationExecutionStatus: isOver(AutomationExecutionId) ? 'Success' : 'InProgress',
      },
    }));
    mock.sfn.on(StartExecutionCommand).callsFake(({ name }) => ({ executionArn: begin(name) }));
    mock.sfn
      .on(DescribeExecutionCommand)
      .callsFake(({ executionArn }) => ({ status: isOver(executionArn) ? 'SUCCEEDED' : 'RUNNING' }));
  }

  async function execute(
    procedure: ProcedurePlan['procedure'],
    { dies, change }: { dies?: DurableService['dies']; change?: number } = {},
  ): Promise<{ service: DurableService; end: TimedEnd }> {
    arrange();
    aws.diesAfter = change ?? Number.POSITIVE_INFINITY;
    const service = new DurableService(
      durableHandler((_payload, workflow) => {
        if (aws.changes.length >= aws.diesAfter) aws.diesAfter = Number.POSITIVE_INFINITY;
        return runProcedure(workflow, planOf(procedure, { patienceMs: MINUTE }), deps());
      }),
      sleep,
    );
    service.dies = dies ?? (() => (aws.changes.length >= aws.diesAfter ? 'before it is kept' : undefined));
    const ended = await service.run({});
    expect(ended).toHaveProperty('result');
    const { result } = ended as { result: TimedEnd };
    expect(await readProcedureEnd(work, KEY)).toEqual(result);
    return { service, end: result };
  }

  test.each(PROCEDURES)('at any checkpoint begins %s once at most', async (_, procedure) => {
    const plain = await execute(procedure);
    expect(plain.end).toMatchObject({ outcome: 'succeeded', said: null });
    expect(plain.service.checkpoints).toBeGreaterThan(3);
    for (let at = 0; at < plain.service.checkpoints; at++) {
      for (const death of ['before it is kept', 'after it is kept'] satisfies Death[]) {
        const what = `${death}, checkpoint ${at}`;
        const { service, end } = await execute(procedure, {
          dies: (checkpoint) => (checkpoint === at ? death : undefined),
        });
        expect(service.deaths, what).toBe(1);
        // An answer that was lost cannot be asked for again; all else can be.
        const blind = procedure === LAMBDA && end.outcome === 'unknown';
        expect(blind ? 'succeeded' : end.outcome, what).toBe('succeeded');
        expect(begun.size, what).toBe(1);
      }
    }
  });

  test.each(PROCEDURES)('with any change to the account begins %s once at most', async (_, procedure) => {
    await execute(procedure);
    const changes = [...aws.changes];
    for (let change = 1; change <= changes.length; change++) {
      const what = `change ${change}: ${changes[change - 1]}`;
      const { service, end } = await execute(procedure, { change });
      expect(service.deaths, what).toBe(1);
      expect(begun.size, what).toBeLessThanOrEqual(1);
      // Only where it was begun can it have succeeded.
      expect(['succeeded', 'unknown'], what).toContain(end.outcome);
      if (begun.size === 0) expect(end.outcome, what).toBe('unknown');
    }
  });
});
