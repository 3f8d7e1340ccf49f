import type {
  DescribeEndpointConfigOutput,
  DescribeEndpointOutput,
  DescribeModelOutput,
} from '@aws-sdk/client-sagemaker';
import type { DifferenceKind } from '../../functions/config-parity/schema.ts';
import type { EstateData } from './estate-api.ts';
import type { WorldShape } from './estate-maker.ts';
import type { Places } from './estate-world.ts';

/*
 * Mistakes as people make them, in production, and how each has to be reported.
 */

/** What they are made in: in it, things have the names that the mistakes know. */
export const SEEDED_SHAPE: WorldShape = {
  seed: 6,
  naming: 'names',
  endpoints: 12,
  functions: 8,
  parameters: 10,
  featureGroups: 5,
  tables: 5,
  pipelines: 5,
  rules: 6,
  schedules: 4,
};

export const SEEDED_PLACES: Places = {
  staging: { word: 'staging', account: '111111111111', region: 'eu-west-1' },
  production: { word: 'production', account: '222222222222', region: 'eu-central-1' },
};

/** A mistake. */
export interface Seeded {
  what: string;
  /** Makes it in the data of production. */
  make: (data: EstateData) => void;
  /** Differences that it is; one, unless something else follows from it. */
  at: Record<string, DifferenceKind>;
}

const called = (thing: string) => `${thing}-production`;

/** What the fake has by that name; it must be there for a mistake to be made. */
function of<T>(things: Record<string, T>, name: string): T {
  const found = things[name];
  if (found === undefined) throw new Error(`the estate has no ${name}`);
  return found;
}

function nth<T>(list: readonly T[] | undefined, index = 0): T {
  const found = list?.[index];
  if (found === undefined) throw new Error(`the estate has no number ${index}`);
  return found;
}

/** What is there in any case: a mistake in what the estate does not have would be none. */
function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the estate has no such thing');
  return value;
}

const endpointOf = (data: EstateData, thing: string): DescribeEndpointOutput =>
  of(data.endpoints, called(thing));

const configOf = (data: EstateData, thing: string): DescribeEndpointConfigOutput =>
  of(data.endpointConfigs, endpointOf(data, thing).EndpointConfigName ?? '');

const modelOf = (data: EstateData, thing: string, variant = 0): DescribeModelOutput =>
  of(data.models, nth(configOf(data, thing).ProductionVariants, variant).ModelName ?? '');

const targetOf = (data: EstateData, thing: string) =>
  there(data.scalableTargets.find(({ ResourceId }) => ResourceId?.includes(`/${called(thing)}/`)));

const policyOf = (data: EstateData, thing: string) =>
  there(data.scalingPolicies.find(({ ResourceId }) => ResourceId?.includes(`/${called(thing)}/`)));

const functionOf = (data: EstateData, thing: string) => of(data.functions, called(thing));

const alarmOf = (data: EstateData, thing: string) => of(data.alarms, called(thing));

/** A function of Tocsin itself. */
const ownFunctionOf = (data: EstateData, gate: string) =>
  there(Object.values(data.functions).find(({ FunctionName }) => FunctionName?.includes(`${gate}Function`)));

/** What Tocsin was deployed with. */
function editBundles(data: EstateData, from: string, to: string): void {
  let edited = 0;
  for (const [key, text] of Object.entries(data.objects)) {
    if (!text.includes(from)) continue;
    data.objects[key] = text.replaceAll(from, to);
    edited += 1;
  }
  if (edited === 0) throw new Error(`nothing in the bundles says ${from}`);
}

function editJson(text: string | undefined, edit: (value: never) => void): string {
  const value = JSON.parse(there(text)) as never;
  edit(value);
  return JSON.stringify(value);
}

export const SEEDED: readonly Seeded[] = [
  // Endpoints.
  {
    what: 'a variant on a larger instance',
    make: (data) => {
      nth(configOf(data, 'flight-delay-0').ProductionVariants).InstanceType = 'ml.p3.2xlarge';
    },
    at: { 'endpoints.flight-delay-0.variants[AllTraffic].instanceType': 'capacity' },
  },
  {
    what: 'one instance more',
    make: (data) => {
      nth(configOf(data, 'seat-price-7').ProductionVariants).InitialInstanceCount = 9;
      Object.assign(nth(endpointOf(data, 'seat-price-7').ProductionVariants), {
        CurrentInstanceCount: 9,
        DesiredInstanceCount: 9,
      });
    },
    at: { 'endpoints.seat-price-7.variants[AllTraffic].instances': 'capacity' },
  },
  {
    what: 'traffic that somebody has shifted',
    make: (data) => {
      const [main, challenger] = there(endpointOf(data, 'seat-price-1').ProductionVariants);
      Object.assign(there(main), { CurrentWeight: 1, DesiredWeight: 1 });
      Object.assign(there(challenger), { CurrentWeight: 1, DesiredWeight: 1 });
    },
    at: {
      'endpoints.seat-price-1.variants[Main].weight': 'inference',
      'endpoints.seat-price-1.variants[Challenger].weight': 'inference',
    },
  },
  {
    what: 'a serverless variant with half the memory',
    make: (data) => {
      there(
        nth(endpointOf(data, 'baggage-route-3').ProductionVariants).CurrentServerlessConfig,
      ).MemorySizeInMB = 1024;
    },
    at: { 'endpoints.baggage-route-3.variants[AllTraffic].serverless.memoryMb': 'capacity' },
  },
  {
    what: 'no provisioned concurrency',
    make: (data) => {
      delete nth(endpointOf(data, 'no-show-8').ProductionVariants).CurrentServerlessConfig
        ?.ProvisionedConcurrency;
    },
    at: { 'endpoints.no-show-8.variants[AllTraffic].serverless.provisionedConcurrency': 'capacity' },
  },
  {
    what: 'more requests at a time of an asynchronous endpoint',
    make: (data) => {
      there(configOf(data, 'crew-rest-4').AsyncInferenceConfig).ClientConfig = {
        MaxConcurrentInvocationsPerInstance: 1,
      };
    },
    at: { 'endpoints.crew-rest-4.async.maxConcurrent': 'capacity' },
  },
  {
    what: 'failures that go nowhere',
    make: (data) => {
      delete there(configOf(data, 'baggage-route-9').AsyncInferenceConfig).OutputConfig?.S3FailurePath;
    },
    at: { 'endpoints.baggage-route-9.async.failureUri': 'environment' },
  },
  {
    what: 'less that is captured',
    make: (data) => {
      there(endpointOf(data, 'no-show-2').DataCaptureConfig).CurrentSamplingPercentage = 1;
    },
    at: { 'endpoints.no-show-2.capture.percentage': 'safety' },
  },
  {
    what: 'capture that is stopped',
    make: (data) => {
      there(endpointOf(data, 'flight-delay-6').DataCaptureConfig).CaptureStatus = 'Stopped';
    },
    at: { 'endpoints.flight-delay-6.capture.enabled': 'safety' },
  },
  {
    what: 'a shadow variant on a smaller instance',
    make: (data) => {
      nth(configOf(data, 'crew-rest-10').ShadowProductionVariants).InstanceType = 'ml.t2.medium';
    },
    at: { 'endpoints.crew-rest-10.shadow[Shadow].instanceType': 'capacity' },
  },
  {
    what: 'a shadow variant that gets more copies',
    make: (data) => {
      Object.assign(nth(endpointOf(data, 'no-show-2').ShadowProductionVariants), {
        CurrentWeight: 1,
        DesiredWeight: 1,
      });
    },
    at: { 'endpoints.no-show-2.shadow[Shadow].weight': 'inference' },
  },
  {
    what: 'an endpoint that is not isolated',
    make: (data) => {
      configOf(data, 'seat-price-1').EnableNetworkIsolation = false;
    },
    at: { 'endpoints.seat-price-1.networkIsolation': 'safety' },
  },
  {
    what: 'an endpoint outside of the VPC',
    make: (data) => {
      delete configOf(data, 'seat-price-7').VpcConfig;
    },
    at: { 'endpoints.seat-price-7.vpc': 'safety' },
  },
  {
    what: 'volumes without a key',
    make: (data) => {
      delete configOf(data, 'fuel-burn-5').KmsKeyId;
    },
    at: { 'endpoints.fuel-burn-5.kmsKey': 'safety' },
  },
  {
    what: 'a deployment that waits less',
    make: (data) => {
      const policy = there(endpointOf(data, 'fuel-burn-11').LastDeploymentConfig?.BlueGreenUpdatePolicy);
      there(policy.TrafficRoutingConfiguration).WaitIntervalInSeconds = 30;
    },
    at: { 'endpoints.fuel-burn-11.deployment.waitSeconds': 'safety' },
  },
  {
    what: 'a deployment that no alarm rolls back',
    make: (data) => {
      delete there(endpointOf(data, 'seat-price-1').LastDeploymentConfig).AutoRollbackConfiguration;
    },
    at: { 'endpoints.seat-price-1.deployment.alarms': 'safety' },
  },
  {
    what: 'an explanation of fewer samples',
    make: (data) => {
      const { ClarifyExplainerConfig: clarify } = there(configOf(data, 'no-show-8').ExplainerConfig);
      there(clarify?.ShapConfig).NumberOfSamples = 8;
    },
    at: { 'endpoints.no-show-8.explainer.shapConfig.numberOfSamples': 'inference' },
  },
  // Scaling.
  {
    what: 'scaling that ends earlier',
    make: (data) => {
      targetOf(data, 'flight-delay-6').MaxCapacity = 3;
    },
    at: { 'endpoints.flight-delay-6.variants[AllTraffic].scaling.max': 'capacity' },
  },
  {
    what: 'scaling that begins later',
    make: (data) => {
      there(policyOf(data, 'flight-delay-0').TargetTrackingScalingPolicyConfiguration).TargetValue = 70_000;
    },
    at: { 'endpoints.flight-delay-0.variants[AllTraffic].scaling.policies[invocations].target': 'capacity' },
  },
  {
    what: 'a scheduled action in another timezone',
    make: (data) => {
      nth(data.scheduledActions).Timezone = 'UTC';
    },
    at: {
      'endpoints.flight-delay-0.variants[AllTraffic].scaling.scheduled[morning].timezone': 'environment',
    },
  },
  // Models.
  {
    what: 'an older scaler',
    make: (data) => {
      there(nth(modelOf(data, 'flight-delay-0').Containers).Environment).SCALER_VERSION = '2025-12';
    },
    at: { 'models.flight-delay-0.containers[scaler].environment.SCALER_VERSION': 'environment' },
  },
  {
    what: 'a variable that is not set',
    make: (data) => {
      delete nth(modelOf(data, 'fuel-burn-5').Containers).Environment?.OMP_NUM_THREADS;
    },
    at: { 'models.fuel-burn-5/Main.containers[0].environment.OMP_NUM_THREADS': 'environment' },
  },
  {
    what: 'another image by the same tag',
    make: (data) => {
      const image = nth(nth(endpointOf(data, 'crew-rest-4').ProductionVariants).DeployedImages);
      image.ResolvedImage = `${image.ResolvedImage?.split('@')[0]}@sha256:${'ab12'.repeat(16)}`;
    },
    at: { 'models.crew-rest-4.containers[scaler].imageDigest': 'inference' },
  },
  {
    what: 'the artifacts of another training',
    make: (data) => {
      const container = there(modelOf(data, 'no-show-2').PrimaryContainer);
      container.ModelDataUrl = container.ModelDataUrl?.replace('/no-show-2/', '/no-show-2-retrained/');
    },
    at: { 'models.no-show-2/AllTraffic.containers[0].modelData.uri': 'inference' },
  },
  {
    what: 'containers that are called one by one',
    make: (data) => {
      modelOf(data, 'flight-delay-6').InferenceExecutionConfig = { Mode: 'Direct' };
    },
    at: { 'models.flight-delay-6/AllTraffic.invocation': 'inference' },
  },
  {
    what: 'another version of a model package',
    make: (data) => {
      const container = nth(modelOf(data, 'seat-price-7').Containers);
      const arn = there(container.ModelPackageName);
      container.ModelPackageName = arn.replace(/\d+$/, '99');
      data.packages[container.ModelPackageName] = of(data.packages, arn);
    },
    // Both of its containers are of that package.
    at: {
      'models.seat-price-7.containers[0].package': 'inference',
      'models.seat-price-7.containers[1].package': 'inference',
    },
  },
  {
    what: 'an image that is called otherwise',
    make: (data) => {
      const container = nth(modelOf(data, 'seat-price-1', 1).Containers);
      container.Image = container.Image?.replace(/:[^:]*$/, ':release');
      for (const image of nth(endpointOf(data, 'seat-price-1').ProductionVariants, 1).DeployedImages ?? []) {
        if (image.SpecifiedImage?.includes('feature-scaler')) image.SpecifiedImage = container.Image;
      }
    },
    at: { 'models.seat-price-1/Challenger.containers[0].image': 'cosmetic' },
  },
  // Monitors.
  {
    what: 'a monitor that runs once a day',
    make: (data) => {
      const { MonitoringScheduleConfig: config } = of(data.monitors, 'no-show-2-monitor-production');
      there(config).ScheduleConfig = { ScheduleExpression: 'cron(0 0 ? * * *)' };
    },
    at: { 'monitors.no-show-2/DataQuality.schedule': 'safety' },
  },
  {
    what: 'a monitor that is stopped',
    make: (data) => {
      of(data.monitors, 'flight-delay-0-monitor-production').MonitoringScheduleStatus = 'Stopped';
    },
    at: { 'monitors.flight-delay-0/ModelQuality.status': 'safety' },
  },
  {
    what: 'an old baseline',
    make: (data) => {
      const { MonitoringScheduleConfig: config } = of(data.monitors, 'crew-rest-10-monitor-production');
      const job = of(data.dataQuality, config?.MonitoringJobDefinitionName ?? '');
      there(job.DataQualityBaselineConfig?.ConstraintsResource).S3Uri = 's3://flights-old/constraints.json';
    },
    at: { 'monitors.crew-rest-10/DataQuality.baseline.constraints': 'safety' },
  },
  // Alarms.
  {
    what: 'an alarm with another threshold',
    make: (data) => {
      alarmOf(data, 'flight-delay-0-latency').Threshold = 900_000;
    },
    at: { 'alarms.flight-delay-0-latency.threshold': 'safety' },
  },
  {
    what: 'an alarm over longer periods',
    make: (data) => {
      alarmOf(data, 'seat-price-1-latency').Period = 300;
    },
    at: { 'alarms.seat-price-1-latency.period': 'safety' },
  },
  {
    what: 'an alarm that waits for more of the periods',
    make: (data) => {
      alarmOf(data, 'no-show-2-latency').DatapointsToAlarm = 5;
    },
    at: { 'alarms.no-show-2-latency.datapointsToAlarm': 'safety' },
  },
  {
    what: 'an alarm that takes missing data for bad',
    make: (data) => {
      alarmOf(data, 'baggage-route-3-latency').TreatMissingData = 'breaching';
    },
    at: { 'alarms.baggage-route-3-latency.missingData': 'safety' },
  },
  {
    what: 'an alarm that tells nobody',
    make: (data) => {
      alarmOf(data, 'crew-rest-4-latency').AlarmActions = [];
    },
    at: { 'alarms.crew-rest-4-latency.actions.alarm': 'safety' },
  },
  {
    what: 'another formula',
    make: (data) => {
      nth(alarmOf(data, 'fuel-burn-5-errors').Metrics).Expression = 'errors / calls';
    },
    at: { 'alarms.fuel-burn-5-errors.metrics[rate].expression': 'safety' },
  },
  {
    what: 'a composite alarm that waits for both',
    make: (data) => {
      const alarm = of(data.compositeAlarms, called('flight-delay-6-unhealthy'));
      alarm.AlarmRule = alarm.AlarmRule?.replace(' OR ', ' AND ');
    },
    at: { 'alarms.flight-delay-6-unhealthy.rule': 'safety' },
  },
  {
    what: 'an alarm that is missing',
    make: (data) => {
      delete data.alarms[called('seat-price-7-latency')];
    },
    at: { 'alarms.seat-price-7-latency': 'safety' },
  },
  {
    what: 'another description',
    make: (data) => {
      alarmOf(data, 'crew-rest-10-latency').AlarmDescription = 'Ask Kim';
    },
    at: { 'alarms.crew-rest-10-latency.description': 'cosmetic' },
  },
  // Functions.
  {
    what: 'another runtime',
    make: (data) => {
      functionOf(data, 'flight-delay-0-features').Runtime = 'nodejs22.x';
    },
    at: { 'functions.flight-delay-0-features.runtime': 'inference' },
  },
  {
    what: 'less memory',
    make: (data) => {
      functionOf(data, 'seat-price-1-features').MemorySize = 256;
    },
    at: { 'functions.seat-price-1-features.memoryMb': 'capacity' },
  },
  {
    what: 'a time-out',
    make: (data) => {
      functionOf(data, 'no-show-2-features').Timeout = 900;
    },
    at: { 'functions.no-show-2-features.timeoutSeconds': 'capacity' },
  },
  {
    what: 'production that reads the bucket of staging',
    make: (data) => {
      there(functionOf(data, 'baggage-route-3-features').Environment?.Variables).BUCKET =
        'flights-features-staging-222222222222';
    },
    at: { 'functions.baggage-route-3-features.environment.BUCKET': 'environment' },
  },
  {
    what: 'an older layer',
    make: (data) => {
      const layer = nth(functionOf(data, 'crew-rest-4-features').Layers, 1);
      layer.Arn = layer.Arn?.replace(/:12$/, ':3');
    },
    at: {
      'functions.crew-rest-4-features.layers[arn:aws:lambda:{region}:{account}:layer:flights-{environment}-scaler].version':
        'inference',
    },
  },
  {
    what: 'another architecture',
    make: (data) => {
      functionOf(data, 'fuel-burn-5-features').Architectures = ['x86_64'];
    },
    at: { 'functions.fuel-burn-5-features.architecture': 'environment' },
  },
  {
    what: 'other code',
    make: (data) => {
      functionOf(data, 'flight-delay-6-features').CodeSha256 = Buffer.alloc(32, 7).toString('base64');
    },
    at: { 'functions.flight-delay-6-features.code': 'inference' },
  },
  {
    what: 'no reserved concurrency',
    make: (data) => {
      delete data.concurrency[called('flight-delay-0-features')];
    },
    at: { 'functions.flight-delay-0-features.reservedConcurrency': 'capacity' },
  },
  {
    what: 'a function that is missing',
    make: (data) => {
      delete data.functions[called('seat-price-7-features')];
      delete data.concurrency[called('seat-price-7-features')];
    },
    at: { 'functions.seat-price-7-features': 'inference' },
  },
  // Parameters.
  {
    what: 'another setting',
    make: (data) => {
      of(data.parameters, '/flights/production/baggage-route/setting-3').Value = '7';
    },
    at: { 'parameters./flights/baggage-route/setting-3.value': 'environment' },
  },
  {
    what: 'another setting within JSON',
    make: (data) => {
      const parameter = of(data.parameters, '/flights/production/no-show/setting-2');
      parameter.Value = editJson(parameter.Value, (value: { threshold: number }) => {
        value.threshold = 0.9;
      });
    },
    at: { 'parameters./flights/no-show/setting-2.value.threshold': 'environment' },
  },
  {
    what: 'a parameter that is missing',
    make: (data) => {
      delete data.parameters['/flights/production/flight-delay/setting-0'];
    },
    at: { 'parameters./flights/flight-delay/setting-0': 'environment' },
  },
  // Features and tables.
  {
    what: 'a feature of another type',
    make: (data) => {
      nth(of(data.featureGroups, called('flight-delay-0-group')).FeatureDefinitions, 2).FeatureType =
        'String';
    },
    at: { 'featureGroups.flight-delay-0-group.features[feature_0].type': 'schema' },
  },
  {
    what: 'a feature that is missing',
    make: (data) => {
      of(data.featureGroups, called('seat-price-1-group')).FeatureDefinitions?.splice(3, 1);
    },
    at: { 'featureGroups.seat-price-1-group.features[feature_1]': 'schema' },
  },
  {
    what: 'a column of another type',
    make: (data) => {
      nth(of(data.tables, 'flights_production.bookings_1').StorageDescriptor?.Columns, 2).Type = 'float';
    },
    at: { 'tables."flights.bookings_1".columns[column_2].type': 'schema' },
  },
  {
    what: 'a partition more',
    make: (data) => {
      of(data.tables, 'flights_production.bookings_2').PartitionKeys?.push({ Name: 'day', Type: 'int' });
    },
    at: { 'tables."flights.bookings_2".partitionKeys[day]': 'schema' },
  },
  {
    what: 'a table somewhere else',
    make: (data) => {
      there(of(data.tables, 'flights_production.bookings_3').StorageDescriptor).Location = 's3://attic/old/';
    },
    at: { 'tables."flights.bookings_3".location': 'environment' },
  },
  // Pipelines.
  {
    what: 'a pipeline with another step',
    make: (data) => {
      const pipeline = of(data.pipelines, called('flight-delay-0-training'));
      pipeline.PipelineDefinition = editJson(
        pipeline.PipelineDefinition,
        (value: { Steps: { Arguments: { Environment: Record<string, string> } }[] }) => {
          nth(value.Steps, 1).Arguments.Environment.SCALER_VERSION = '2025-12';
        },
      );
    },
    at: {
      'pipelines.flight-delay-0-training.definition.Steps[Evaluate].Arguments.Environment.SCALER_VERSION':
        'inference',
    },
  },
  {
    what: 'fewer steps at a time',
    make: (data) => {
      of(data.pipelines, called('seat-price-1-training')).ParallelismConfiguration = {
        MaxParallelExecutionSteps: 1,
      };
    },
    at: { 'pipelines.seat-price-1-training.parallelism': 'capacity' },
  },
  // Rules and schedules.
  {
    what: 'a rule that is off',
    make: (data) => {
      of(data.rules, `flights-bus/${called('flight-delay-0-landed')}`).State = 'DISABLED';
    },
    at: { 'rules.flights-bus/flight-delay-0-landed.state': 'safety' },
  },
  {
    what: 'a rule for other events',
    make: (data) => {
      const rule = of(data.rules, `default/${called('no-show-2-landed')}`);
      rule.EventPattern = editJson(rule.EventPattern, (value: { 'detail-type': string[] }) => {
        value['detail-type'] = ['Object Deleted'];
      });
    },
    at: { 'rules.no-show-2-landed.pattern.detail-type': 'safety' },
  },
  {
    what: 'events that are tried once',
    make: (data) => {
      const [target] = of(data.targets, `default/${called('seat-price-1-landed')}`);
      there(target?.RetryPolicy).MaximumRetryAttempts = 0;
    },
    at: { 'rules.seat-price-1-landed.targets[Target0].retry.attempts': 'safety' },
  },
  {
    what: 'a schedule at another time',
    make: (data) => {
      of(data.schedules, `default/${called('seat-price-1-nightly')}`).ScheduleExpression =
        'cron(0 12 * * ? *)';
    },
    at: { 'schedules.seat-price-1-nightly.schedule': 'safety' },
  },
  {
    what: 'a schedule in another timezone',
    make: (data) => {
      of(data.schedules, `flights-jobs/${called('baggage-route-3-nightly')}`).ScheduleExpressionTimezone =
        'UTC';
    },
    at: { 'schedules.flights-jobs/baggage-route-3-nightly.timezone': 'environment' },
  },
  // Tocsin itself.
  {
    what: 'a contract that allows more',
    make: (data) => editBundles(data, 'nulls: 2%', 'nulls: 60%'),
    at: { 'tocsin.Tocsin.contracts.bookings.columns.delay.nulls': 'schema' },
  },
  {
    what: 'a drill that may take longer',
    make: (data) => editBundles(data, 'within: 15m', 'within: 3h'),
    at: { 'tocsin.Tocsin.configuration.rollbackDrills.flight-delay.within': 'safety' },
  },
  {
    what: 'a function of Tocsin with less memory',
    make: (data) => {
      ownFunctionOf(data, 'RollbackDrill').MemorySize = 128;
    },
    at: { 'tocsin.Tocsin.functions[RollbackDrillFunction4FFBFA03].memoryMb': 'capacity' },
  },
];
