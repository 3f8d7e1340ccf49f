import { Duration, Stack } from 'aws-cdk-lib';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';
import {
  ALLOWED,
  DRILL_PREFIX,
  DRILL_TAG,
  type LocatedRollbackDrill,
  PLACING_MS,
  RESTORING_MS,
  type RollbackDrillConfig,
  TURN_MS,
} from '../../functions/rollback-drill/schema.ts';
import { EVENT_SOURCE } from '../../functions/shared/schema.ts';
import { type Config, textBundleOf } from '../config.ts';
import { localArn } from '../shared/arn.ts';
import { allowDeploying } from '../shared/deploying.ts';
import { waitingFunction } from '../shared/engine.ts';
import type { EvidenceStore } from '../shared/evidence-store.ts';
import type { GateFunction } from '../shared/gate-function.ts';
import type { Notifications } from '../shared/notifications.ts';
import { allowReading, Places } from '../shared/places.ts';
import { bothSpellings } from '../shared/spellings.ts';
import type { WorkBucket } from '../shared/work-bucket.ts';
import type { Rollback } from './rollback.ts';

const GATE = 'rollback-drill';

/** How long restoring may take: to where it belongs, and once more where something else answers then. */
const RESTORING = Duration.millis(2 * RESTORING_MS);
/** What comes on top: looking, asking the golden requests, retries, and the verdict. */
const MARGIN = Duration.hours(1);

/** How often it is looked for endpoints that a run which died has left changed. */
const WATCH = 'rate(15 minutes)';

export interface RollbackDrillProps {
  /** As {@link loadConfig} returns it; with at least one rollback drill. */
  config: Pick<Config, 'file' | 'text' | 'rollbackDrills' | 'datasets' | 'engine' | 'workflow'>;
  /** The bucket of golden requests that name none. */
  dataBucket: IBucket | undefined;
  /** What `procedure.builtin` runs. */
  rollback: Rollback;
  /** For claims, progress, and what endpoints are to be restored to. */
  work: WorkBucket;
  evidence: EvidenceStore;
  /** Where verdicts and alarms go. */
  notifications: Notifications;
}

/**
 * Makes staging endpoints serve a bad model, runs the procedure that is run in an incident, and proves that the previous
 * model serves again. It touches endpoints alone that tocsin.yaml names and that are tagged for it.
 */
export class RollbackDrill extends Construct {
  readonly gate: GateFunction;

  constructor(scope: Construct, id: string, props: RollbackDrillProps) {
    super(scope, id);
    const { config, dataBucket, rollback, work, evidence, notifications } = props;
    const drills = [...config.rollbackDrills.values()];
    this.gate = waitingFunction(this, 'Gate', config, {
      name: GATE,
      entry: `${GATE}/handler`,
      memory: 1024,
      executionTimeout: longestRollbackDrill(config),
      unjudged: 'nobody knows whether a rollback would still work, and the endpoint may not be as it was',
      notifications,
    });
    this.gate.readConfiguration(textBundleOf(config));
    this.gate.notifyPeople();
    this.gate.emitEvents(EVENT_SOURCE);
    work.connect(this.gate, ['claims/rollback-*', 'rollback/*']);
    evidence.connect(this.gate, GATE);
    this.gate.environment('ROLLBACK_ARN', rollback.gate.alias.functionArn);
    if (dataBucket !== undefined) this.gate.environment('DATA_BUCKET', dataBucket.bucketName);

    const places = new Places(this, config.datasets, dataBucket);
    const golden = drills.map(({ value }) => places.at(value.golden));
    allowReading(this.gate, golden, { gated: false });
    this.#allowEndpoints(drills);
    this.#allowConfigurations();
    this.#allowModels(drills.flatMap(({ value }) => value.failure.deployModel ?? []));
    this.#allowAlarms(drills.flatMap(({ value }) => value.failure.breakGuardrail?.alarm ?? []));
    this.#allowProcedures(
      drills.flatMap(({ value }) => value.procedure ?? []),
      rollback,
    );
    this.#addTriggers(drills);
  }

  #allowEndpoints(drills: readonly LocatedRollbackDrill[]): void {
    const resources = bothSpellings(drills.map(({ value }) => value.endpoint)).map((name) =>
      localArn(this, 'sagemaker', `endpoint/${name}`),
    );
    // Without the tag it must still find out that there is none, and say so.
    this.gate.allow({ actions: ['sagemaker:DescribeEndpoint', 'sagemaker:ListTags'], resources });
    this.gate.allow({
      actions: [
        'sagemaker:InvokeEndpoint',
        'sagemaker:UpdateEndpoint',
        'sagemaker:UpdateEndpointWeightsAndCapacities',
      ],
      resources,
      conditions: { StringEquals: { [`aws:ResourceTag/${DRILL_TAG}`]: ALLOWED } },
    });
  }

  #allowConfigurations(): void {
    allowDeploying(this.gate);
    this.gate.allow({
      actions: [
        'sagemaker:CreateEndpointConfig',
        'sagemaker:DeleteEndpointConfig',
        // Creating something with tags takes it.
        'sagemaker:AddTags',
      ],
      resources: [localArn(this, 'sagemaker', `endpoint-config/${DRILL_PREFIX}*`)],
      wildcards: 'Configurations that a drill makes have a name for each run; no other begins so.',
    });
  }

  /** The bad models that are deployed; each runs where the model that it stands in for runs. */
  #allowModels(deployed: readonly NonNullable<RollbackDrillConfig['failure']['deployModel']>[]): void {
    if (deployed.length === 0) return;
    this.gate.allow({
      actions: ['sagemaker:CreateModel', 'sagemaker:DeleteModel', 'sagemaker:AddTags'],
      resources: [localArn(this, 'sagemaker', `model/${DRILL_PREFIX}*`)],
      wildcards: 'Bad models have a name for each run; no other begins so.',
    });
    this.gate.allow({
      actions: ['sagemaker:DescribeModel'],
      resources: [localArn(this, 'sagemaker', 'model/*')],
      wildcards: 'Which model an endpoint has is known when it is drilled.',
    });
    this.gate.allow({
      // What SageMaker asks for of the package itself is undocumented; policies that share packages name both.
      actions: ['sagemaker:CreateModel', 'sagemaker:DescribeModelPackage'],
      resources: bothSpellings(deployed.map((model) => model.package)),
    });
    this.#allowPassing(
      deployed.map(({ role }) => role),
      'sagemaker.amazonaws.com',
    );
  }

  /** Setting off guardrails; how alarms are, deploying takes already. */
  #allowAlarms(guardrails: readonly string[]): void {
    if (guardrails.length === 0) return;
    this.gate.allow({
      actions: ['cloudwatch:SetAlarmState'],
      resources: [...new Set(guardrails)].map((alarm) => localArn(this, 'cloudwatch', `alarm:${alarm}`)),
    });
  }

  #allowProcedures(
    procedures: readonly NonNullable<RollbackDrillConfig['procedure']>[],
    { gate }: Rollback,
  ): void {
    const functions = procedures.flatMap(({ lambda, builtin }) => [
      ...(lambda === undefined ? [] : [lambda]),
      ...(builtin === undefined ? [] : [gate.alias.functionArn]),
    ]);
    if (functions.length > 0) {
      this.gate.allow({ actions: ['lambda:InvokeFunction'], resources: [...new Set(functions)] });
    }
    this.#allowAutomations(procedures.flatMap(({ ssmAutomation }) => ssmAutomation ?? []));
    this.#allowMachines(procedures.flatMap(({ stateMachine }) => stateMachine ?? []));
  }

  #allowAutomations(
    automations: readonly NonNullable<NonNullable<RollbackDrillConfig['procedure']>['ssmAutomation']>[],
  ): void {
    if (automations.length === 0) return;
    const runbooks = automations.flatMap(({ document, version = '$DEFAULT' }) => {
      const arn = runbookArn(this, document);
      // Systems Manager asks for the first. It asked for the second before, and may still where it has.
      return [arn, `${arn.replace(':document/', ':automation-definition/')}:${version}`];
    });
    this.gate.allow({ actions: ['ssm:StartAutomationExecution'], resources: [...new Set(runbooks)] });
    this.gate.allow({
      actions: ['ssm:StartAutomationExecution', 'ssm:GetAutomationExecution', 'ssm:StopAutomationExecution'],
      resources: [localArn(this, 'ssm', 'automation-execution/*')],
      wildcards: 'Executions have names of their own; starting one takes its runbook, too.',
    });
    const roles = automations.flatMap(({ role }) => role ?? []);
    if (roles.length > 0) this.#allowPassing(roles, 'ssm.amazonaws.com');
  }

  #allowMachines(machines: readonly string[]): void {
    if (machines.length === 0) return;
    const once = [...new Set(machines)];
    this.gate.allow({ actions: ['states:StartExecution'], resources: once });
    this.gate.allow({
      actions: ['states:DescribeExecution', 'states:StopExecution'],
      resources: once.map((arn) => `${arn.replace(':stateMachine:', ':execution:')}:*`),
      wildcards: 'Every execution of the state machine; they are not known before.',
    });
  }

  #allowPassing(roles: readonly string[], service: string): void {
    this.gate.allow({
      actions: ['iam:PassRole'],
      resources: [...new Set(roles)],
      conditions: { StringEquals: { 'iam:PassedToService': service } },
    });
  }

  #addTriggers(drills: readonly LocatedRollbackDrill[]): void {
    for (const { name, value } of drills) {
      if (value.schedule === undefined) continue;
      this.gate.onSchedule(`Schedule-${name}`, `Runs the rollback drill ${name}`, value.schedule, {
        drill: name,
      });
    }
    this.gate.onDeployments(drills.flatMap(({ value }) => value.afterDeployOf));
    this.gate.onSchedule('Watch', 'Restores what a rollback drill that died has left', WATCH, {
      watch: true,
    });
  }
}

/** ARN of a runbook by its name, which is an ARN itself where another account shares it. */
function runbookArn(scope: Construct, document: string): string {
  if (document.startsWith('arn:')) return document;
  // Nobody else may give a runbook such a name, and those of AWS belong to no account.
  const isOfAws = /^(aws|amazon|amzn)/i.test(document);
  return Stack.of(scope).formatArn({
    service: 'ssm',
    ...(isOfAws && { account: '' }),
    resource: 'document',
    resourceName: document,
  });
}

/** How long a run of any of these drills may take. One that is cut off leaves its endpoint to the watch. */
export function longestRollbackDrill({ rollbackDrills }: Pick<Config, 'rollbackDrills'>): Duration {
  const watching = Math.max(...[...rollbackDrills.values()].map(({ value }) => value.within + value.steady));
  // A procedure may end as late again as it is watched. What a run that died has left is restored first.
  return RESTORING.plus(Duration.millis(TURN_MS + PLACING_MS + 2 * watching))
    .plus(RESTORING)
    .plus(MARGIN);
}
