import {
  type FunctionConfiguration,
  GetFunctionConcurrencyCommand,
  GetFunctionConfigurationCommand,
  type Layer,
} from '@aws-sdk/client-lambda';
import type { Path } from '../path.ts';
import { attempt, DELETED, type Found, type Reading } from './reading.ts';
import { isCalled, readEach, splitLast, without } from './things.ts';
import { type JsonObject, membersOf, setOf } from './values.ts';

/**
 * Left out: names; times, sizes, hashes and versions that AWS makes up; why it has which state; and the patch of the runtime,
 * which AWS rolls out by itself, first here and then there.
 */
const OF_NO_MATTER = [
  'FunctionName',
  'FunctionArn',
  'MasterArn',
  'CodeSize',
  'ConfigSha256',
  'LastModified',
  'Version',
  'RevisionId',
  'StateReason',
  'StateReasonCode',
  'LastUpdateStatusReason',
  'LastUpdateStatusReasonCode',
  'SigningJobArn',
  'RuntimeVersionConfig',
];

/** States in which a function is not yet, or no longer, what it says. */
const CHANGING = ['Pending', 'Deactivating', 'Deleting'];
const SETTLED = ['Active', 'Inactive', 'Successful'];

const isGone = isCalled('ResourceNotFoundException');

/** Reads Lambda functions: what they are when nobody names a version. */
export async function readFunctions(reading: Reading, found: readonly Found[]): Promise<void> {
  await readEach(reading, found, ({ kind, name, physical }) => functionOf(reading, physical, [kind, name]));
}

/**
 * Reads a Lambda function.
 *
 * @param path where it stands in the snapshot
 * @returns null where there is none; undefined where it could not be read, which is taken down
 */
export async function functionOf(
  reading: Reading,
  physical: string,
  path: Path,
): Promise<JsonObject | null | undefined> {
  const { sink, clients } = reading;
  const configured = await attempt(
    reading,
    { path, physical, action: 'lambda:GetFunctionConfiguration' },
    () => clients.lambda.send(new GetFunctionConfigurationCommand({ FunctionName: physical })),
    isGone,
  );
  if (configured === undefined) return undefined;
  if ('gone' in configured) return null;
  const action = 'lambda:GetFunctionConcurrency';
  const reserved = await attempt(
    reading,
    { path: [...path, 'reservedConcurrency'], physical, action },
    () => clients.lambda.send(new GetFunctionConcurrencyCommand({ FunctionName: physical })),
    isGone,
  );
  if (reserved !== undefined && 'gone' in reserved) {
    sink.unreadable({ path, physical, action, why: DELETED });
    return undefined;
  }
  const { $metadata: _, ...configuration } = configured.answer;
  takeDownState(reading, configuration, physical, path);
  return {
    ...functionValue(configuration, physical),
    ...setOf({ reservedConcurrency: reserved?.answer.ReservedConcurrentExecutions }),
  };
}

/** What is changing, and what Lambda itself could not read. */
function takeDownState(
  { sink }: Reading,
  { State, LastUpdateStatus, Environment, ImageConfigResponse }: FunctionConfiguration,
  physical: string,
  path: Path,
): void {
  if (State !== undefined && CHANGING.includes(State)) sink.unsettled({ path, physical, status: State });
  else if (LastUpdateStatus === 'InProgress') sink.unsettled({ path, physical, status: 'Updating' });
  const failures = { environment: Environment?.Error, imageConfig: ImageConfigResponse?.Error };
  for (const [key, error] of Object.entries(failures)) {
    if (error === undefined) continue;
    const why = error.ErrorCode ?? 'Error';
    sink.unreadable({ path: [...path, key], physical, action: 'lambda:GetFunctionConfiguration', why });
  }
}

function functionValue(
  {
    Runtime,
    Handler,
    PackageType,
    Architectures,
    MemorySize,
    Timeout,
    EphemeralStorage,
    Environment,
    Layers = [],
    CodeSha256,
    Role,
    VpcConfig,
    TracingConfig,
    KMSKeyArn,
    DeadLetterConfig,
    SnapStart,
    LoggingConfig,
    Description,
    FileSystemConfigs = [],
    ImageConfigResponse,
    SigningProfileVersionArn,
    DurableConfig,
    TenancyConfig,
    CapacityProviderConfig,
    State,
    LastUpdateStatus,
    ...rest
  }: FunctionConfiguration,
  physical: string,
): JsonObject {
  const { EntryPoint, Command, WorkingDirectory } = ImageConfigResponse?.ImageConfig ?? {};
  const { LogFormat, ApplicationLogLevel, SystemLogLevel, LogGroup } = LoggingConfig ?? {};
  return setOf({
    runtime: Runtime,
    handler: Handler,
    packageType: PackageType,
    architecture: Architectures?.join(', '),
    memoryMb: MemorySize,
    timeoutSeconds: Timeout,
    ephemeralMb: EphemeralStorage?.Size,
    environment: Environment?.Variables,
    layers: Layers.map(layerOf),
    code: CodeSha256,
    role: Role,
    // The VPC is that of its subnets.
    vpc: {
      subnets: VpcConfig?.SubnetIds,
      securityGroups: VpcConfig?.SecurityGroupIds,
      ipv6: VpcConfig?.Ipv6AllowedForDualStack || undefined,
    },
    tracing: TracingConfig?.Mode,
    kmsKey: KMSKeyArn || undefined,
    deadLetter: DeadLetterConfig?.TargetArn || undefined,
    snapStart: SnapStart?.ApplyOn === 'None' ? undefined : SnapStart?.ApplyOn,
    logging: {
      format: LogFormat,
      applicationLevel: ApplicationLogLevel,
      systemLevel: SystemLogLevel,
      // The default one has the name of the function.
      group: LogGroup === `/aws/lambda/${physical}` ? undefined : LogGroup,
    },
    description: Description || undefined,
    fileSystems: FileSystemConfigs.map(({ LocalMountPath, Arn, ...options }) => ({
      name: LocalMountPath,
      arn: Arn,
      ...membersOf(options),
    })),
    imageConfig: {
      // Their order says something, and that of a list does not.
      entryPoint: EntryPoint && JSON.stringify(EntryPoint),
      command: Command && JSON.stringify(Command),
      workingDirectory: WorkingDirectory || undefined,
    },
    signingProfile: SigningProfileVersionArn,
    durable: {
      executionTimeoutSeconds: DurableConfig?.ExecutionTimeout,
      retentionDays: DurableConfig?.RetentionPeriodInDays,
      kmsKey: DurableConfig?.KMSKeyArn,
    },
    tenancy: TenancyConfig?.TenantIsolationMode,
    capacityProvider: membersOf(CapacityProviderConfig?.LambdaManagedInstancesCapacityProviderConfig),
    state: notable(State),
    lastUpdate: notable(LastUpdateStatus),
    ...membersOf(without(rest, OF_NO_MATTER)),
  });
}

/** A state that says that the function does not run as it was meant to. */
function notable(state: string | undefined): string | undefined {
  return state === undefined || [...SETTLED, ...CHANGING, 'InProgress'].includes(state) ? undefined : state;
}

/** What it is signed with is part of its version. */
function layerOf({ Arn = '' }: Layer) {
  const [name, version] = splitLast(Arn, ':');
  return { name, version: /^\d+$/.test(version) ? Number(version) : version };
}
