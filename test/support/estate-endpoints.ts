import { APP, type Maker, sha256, thingOf } from './estate-maker.ts';

/*
 * Endpoints with all that belongs to them: configurations, models, scaling, monitors and alarms.
 */

const REALTIME = ['ml.m5.large', 'ml.m5.xlarge', 'ml.c5.xlarge', 'ml.g4dn.xlarge'] as const;

/** Bodies that endpoints have an answer to. */
export const GOLDEN = ['0.5,700,ORD', '0.1,1200,JFK', '0.9,300,SFO'];

/** The nth endpoint. */
export function makeEndpoint(maker: Maker, index: number): void {
  const thing = thingOf(index);
  const { word } = maker.place;
  const { data } = maker;
  const arnOf = (name: string) => maker.arn('sagemaker', `endpoint/${name.toLowerCase()}`);
  const EndpointName = maker.name('AWS::SageMaker::Endpoint', thing, arnOf, { physical: arnOf });
  const EndpointConfigName = `${thing}-${word}-${maker.date().toISOString().slice(0, 19).replaceAll(/[:T]/g, '-')}`;
  const serverless = index % 5 === 3;
  const async = index % 5 === 4;
  const variants = !serverless && index % 4 === 1 ? ['Main', 'Challenger'] : ['AllTraffic'];
  const shadows = !serverless && !async && index % 4 === 2 ? ['Shadow'] : [];
  const scaled = !serverless && index % 3 === 0;
  const version = String(Math.floor(maker.decided.uniform() * 40) + 1);
  const made = [...variants, ...shadows].map((VariantName) => {
    const ModelName = makeModel(maker, thing, VariantName, version, index);
    const instances = 1 + Math.floor(maker.decided.uniform() * 4);
    const InstanceType = maker.pick(REALTIME);
    const images = imagesOf(thing, VariantName, index);
    const weight = VariantName === 'Main' ? 9 : 1;
    const ServerlessConfig = { MemorySizeInMB: 2048, MaxConcurrency: 20, ProvisionedConcurrency: 2 };
    // Weights and counts move: the same share, however it is written.
    const scale = word.length;
    return {
      VariantName,
      config: {
        VariantName,
        ModelName,
        InitialVariantWeight: weight,
        ...(serverless
          ? { ServerlessConfig }
          : {
              InitialInstanceCount: instances,
              InstanceType,
              VolumeSizeInGB: 30,
              ModelDataDownloadTimeoutInSeconds: 600,
              ContainerStartupHealthCheckTimeoutInSeconds: 300,
              EnableSSMAccess: false,
              RoutingConfig: { RoutingStrategy: 'LEAST_OUTSTANDING_REQUESTS' as const },
              ...(index % 6 === 0 && {
                ManagedInstanceScaling: {
                  Status: 'ENABLED' as const,
                  MinInstanceCount: 1,
                  MaxInstanceCount: instances + 2,
                },
              }),
              ...(index % 6 === 2 && {
                CoreDumpConfig: {
                  DestinationS3Uri: `s3://${maker.bucket('dumps')}/${thing}/`,
                  KmsKeyId: maker.kmsKey,
                },
              }),
              ...(index % 6 === 5 && { InferenceAmiVersion: 'al2-ami-sagemaker-inference-gpu-2' as const }),
            }),
      },
      live: {
        VariantName,
        DeployedImages: images.map(({ repository, tag }) => ({
          SpecifiedImage: maker.image(repository, tag),
          ResolvedImage: maker.resolved(repository, tag),
          ResolutionTime: maker.date(),
        })),
        CurrentWeight: weight * scale,
        DesiredWeight: weight * scale,
        ...(serverless
          ? { CurrentServerlessConfig: ServerlessConfig, DesiredServerlessConfig: ServerlessConfig }
          : {
              CurrentInstanceCount: scaled ? scale % 4 : instances,
              DesiredInstanceCount: scaled ? scale % 4 : instances,
            }),
      },
    };
  });
  const isShadow = (name: string) => shadows.includes(name);
  const part = <K extends 'config' | 'live'>(key: K, shadow: boolean): (typeof made)[number][K][] =>
    made.filter(({ VariantName }) => isShadow(VariantName) === shadow).map((one) => one[key]);
  const captured = index % 2 === 0;
  const captureUri = `s3://${maker.bucket('capture')}/${thing}/`;
  const AsyncInferenceConfig = {
    ClientConfig: { MaxConcurrentInvocationsPerInstance: 4 },
    OutputConfig: {
      S3OutputPath: `s3://${maker.bucket('async')}/${thing}/`,
      S3FailurePath: `s3://${maker.bucket('async')}/${thing}-failed/`,
      KmsKeyId: maker.kmsKey,
      NotificationConfig: { SuccessTopic: maker.topic(), ErrorTopic: maker.topic() },
    },
  };
  const alarmNames = makeAlarms(maker, thing, EndpointName, variants[0] ?? '', index);
  data.endpointConfigs[EndpointConfigName] = {
    EndpointConfigName,
    EndpointConfigArn: maker.arn('sagemaker', `endpoint-config/${EndpointConfigName}`),
    ProductionVariants: part('config', false),
    ...(shadows.length > 0 && { ShadowProductionVariants: part('config', true) }),
    ...(captured && {
      DataCaptureConfig: {
        EnableCapture: true,
        InitialSamplingPercentage: 20,
        DestinationS3Uri: captureUri,
        KmsKeyId: maker.kmsKey,
        CaptureOptions: [{ CaptureMode: 'Input' }, { CaptureMode: 'Output' }],
        CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'], JsonContentTypes: ['application/json'] },
      },
    }),
    ...(async && { AsyncInferenceConfig }),
    ...(index % 7 === 1 && {
      ExplainerConfig: {
        ClarifyExplainerConfig: {
          EnableExplanations: '`true`',
          ShapConfig: {
            ShapBaselineConfig: { MimeType: 'text/csv', ShapBaseline: '0,1,2' },
            NumberOfSamples: 64,
            Seed: 11,
          },
        },
      },
    }),
    KmsKeyId: maker.kmsKey,
    CreationTime: maker.date(),
    EnableNetworkIsolation: index % 3 === 1,
    ...(index % 3 === 1 && { VpcConfig: maker.vpc, ExecutionRoleArn: maker.role(thing) }),
  };
  data.endpoints[EndpointName] = {
    EndpointName,
    EndpointArn: arnOf(EndpointName),
    EndpointConfigName,
    ProductionVariants: part('live', false),
    ...(shadows.length > 0 && { ShadowProductionVariants: part('live', true) }),
    ...(captured && {
      DataCaptureConfig: {
        EnableCapture: true,
        CaptureStatus: 'Started',
        CurrentSamplingPercentage: 20,
        DestinationS3Uri: captureUri,
        KmsKeyId: maker.kmsKey,
      },
    }),
    ...(async && { AsyncInferenceConfig }),
    EndpointStatus: 'InService',
    CreationTime: maker.date(),
    LastModifiedTime: maker.date(),
    ...(index % 2 === 1 && {
      LastDeploymentConfig: {
        BlueGreenUpdatePolicy: {
          TrafficRoutingConfiguration: {
            Type: 'CANARY',
            WaitIntervalInSeconds: 300,
            CanarySize: { Type: 'CAPACITY_PERCENT', Value: 10 },
          },
          TerminationWaitInSeconds: 120,
          MaximumExecutionTimeoutInSeconds: 3600,
        },
        AutoRollbackConfiguration: { Alarms: alarmNames.map((AlarmName) => ({ AlarmName })) },
      },
    }),
  };
  data.tags[arnOf(EndpointName)] ??= {};
  Object.assign(data.tags[arnOf(EndpointName)] ?? {}, {
    'team:owner': 'rebooking',
    'aws:cloudformation:stack-id': maker.arn('cloudformation', `stack/${APP}-${word}/${maker.uuid()}`),
  });
  data.answers[EndpointName] = Object.fromEntries(
    GOLDEN.map((body, line) => [body, JSON.stringify({ predictions: [{ score: 0.125 * (line + 1) }] })]),
  );
  if (scaled) for (const variant of variants) makeScaling(maker, EndpointName, variant, index);
  if (captured) makeMonitor(maker, thing, EndpointName, index);
}

/** Images of a variant's containers. */
function imagesOf(thing: string, variant: string, index: number): { repository: string; tag: string }[] {
  const predictor = { repository: `${thing}-predictor`, tag: `v${1 + (index % 9)}${variant.length % 3}` };
  return index % 4 === 2
    ? [predictor]
    : [{ repository: 'feature-scaler', tag: `v${1 + (index % 3)}` }, predictor];
}

function makeModel(maker: Maker, thing: string, variant: string, version: string, index: number): string {
  const ModelName = `${thing}-${variant.toLowerCase()}-${maker.place.word}-${maker.date().getTime()}`;
  const environment = {
    SAGEMAKER_PROGRAM: 'inference.py',
    SAGEMAKER_REGION: maker.place.region,
    SCALER_VERSION: `2026-0${1 + (index % 8)}`,
    FEATURE_TABLE: `${APP}_${maker.place.word}.features`,
    OMP_NUM_THREADS: '1',
  };
  const images = imagesOf(thing, variant, index);
  const Containers = images.map(({ repository, tag }, at) => ({
    ...(images.length > 1 && at === 0 && index % 2 === 0 && { ContainerHostname: 'scaler' }),
    Image: maker.image(repository, tag),
    Mode: 'SingleModel' as const,
    ModelDataUrl: `s3://${maker.bucket('models')}/${thing}/${version}/${repository}.tar.gz`,
    Environment: at === 0 ? environment : { MODEL_SERVER_WORKERS: '2', LOG_LEVEL: 'INFO' },
    ...(index % 4 === 2 && {
      ImageConfig: { RepositoryAccessMode: 'Vpc' as const },
    }),
  }));
  const packaged = index % 4 === 3;
  const ModelPackageName = maker.arn('sagemaker', `model-package/${thing}/${version}`);
  if (packaged) {
    maker.data.packages[ModelPackageName] = {
      ModelPackageName: thing,
      ModelPackageGroupName: thing,
      ModelPackageVersion: Number(version),
      ModelPackageArn: ModelPackageName,
      CreationTime: maker.date(),
      ModelPackageStatus: 'Completed',
      ModelPackageStatusDetails: { ValidationStatuses: [] },
      ModelApprovalStatus: 'Approved',
      InferenceSpecification: {
        Containers: Containers.map(({ Image, ModelDataUrl, Environment }, at) => ({
          Image,
          ImageDigest: `sha256:${sha256(`${maker.shape.seed} ${images[at]?.repository}:${images[at]?.tag}`)}`,
          ModelDataUrl,
          Environment,
          ModelDataETag: sha256(`${thing} ${version}`).slice(0, 32),
        })),
        SupportedContentTypes: ['text/csv'],
        SupportedResponseMIMETypes: ['application/json'],
      },
    };
  }
  const [first] = Containers;
  maker.data.models[ModelName] = {
    ModelName,
    ModelArn: maker.arn('sagemaker', `model/${ModelName}`),
    ...(packaged
      ? { Containers: [{ ModelPackageName, Environment: environment }] }
      : Containers.length === 1 && first !== undefined
        ? { PrimaryContainer: first }
        : { Containers, InferenceExecutionConfig: { Mode: 'Serial' as const } }),
    ExecutionRoleArn: maker.role(thing),
    ...(index % 3 === 1 && { VpcConfig: { ...maker.vpc, Subnets: maker.vpc.Subnets.toReversed() } }),
    EnableNetworkIsolation: index % 3 === 1,
    CreationTime: maker.date(),
  };
  return ModelName;
}

function makeScaling(maker: Maker, endpoint: string, variant: string, index: number): void {
  const of = {
    ServiceNamespace: 'sagemaker' as const,
    ResourceId: `endpoint/${endpoint}/variant/${variant}`,
    ScalableDimension: 'sagemaker:variant:DesiredInstanceCount' as const,
  };
  const { account, region } = maker.place;
  maker.data.scalableTargets.push({
    ...of,
    MinCapacity: 2,
    MaxCapacity: 6 + (index % 5),
    RoleARN: `arn:aws:iam::${account}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint`,
    CreationTime: maker.date(),
    SuspendedState: {
      DynamicScalingInSuspended: false,
      DynamicScalingOutSuspended: false,
      ScheduledScalingSuspended: false,
    },
    ScalableTargetARN: maker.arn('application-autoscaling', `scalable-target/${maker.hex(32)}`),
  });
  const policy = maker.uuid();
  maker.data.scalingPolicies.push({
    ...of,
    PolicyARN: `arn:aws:autoscaling:${region}:${account}:scalingPolicy:${policy}:resource/sagemaker/${of.ResourceId}:policyName/invocations`,
    PolicyName: 'invocations',
    PolicyType: 'TargetTrackingScaling',
    TargetTrackingScalingPolicyConfiguration: {
      TargetValue: 700,
      PredefinedMetricSpecification: { PredefinedMetricType: 'SageMakerVariantInvocationsPerInstance' },
      ScaleInCooldown: 300,
      ScaleOutCooldown: 60,
    },
    Alarms: ['AlarmHigh', 'AlarmLow'].map((high) => ({
      AlarmName: `TargetTracking-${of.ResourceId}-${high}-${maker.uuid()}`,
      AlarmARN: maker.arn('cloudwatch', `alarm:TargetTracking-${of.ResourceId}-${high}-${policy}`),
    })),
    CreationTime: maker.date(),
  });
  if (index % 2 === 0) {
    maker.data.scheduledActions.push({
      ...of,
      ScheduledActionName: 'morning',
      ScheduledActionARN: `arn:aws:autoscaling:${region}:${account}:scheduledAction:${maker.uuid()}:resource/sagemaker/${of.ResourceId}:scheduledActionName/morning`,
      Schedule: 'cron(0 5 * * ? *)',
      Timezone: 'Europe/Berlin',
      ScalableTargetAction: { MinCapacity: 4, MaxCapacity: 10 },
      CreationTime: maker.date(),
    });
  }
}

function makeMonitor(maker: Maker, thing: string, endpoint: string, index: number): void {
  const { word } = maker.place;
  const isQuality = index % 4 === 0;
  const name = `${thing}-monitor-${word}`;
  const definition = `data-quality-job-definition-${maker.date().toISOString().slice(0, 19).replaceAll(/[:T]/g, '-')}-${maker.hex(4)}`;
  const reports = `s3://${maker.bucket('monitoring')}/${thing}`;
  const common = {
    JobDefinitionName: definition,
    JobDefinitionArn: maker.arn('sagemaker', `data-quality-job-definition/${definition}`),
    CreationTime: maker.date(),
    JobResources: {
      ClusterConfig: {
        InstanceCount: 1,
        InstanceType: 'ml.m5.xlarge' as const,
        VolumeSizeInGB: 20,
        VolumeKmsKeyId: maker.kmsKey,
      },
    },
    NetworkConfig: {
      EnableNetworkIsolation: false,
      EnableInterContainerTrafficEncryption: true,
      VpcConfig: maker.vpc,
    },
    RoleArn: maker.role(`${thing}-monitor`),
    StoppingCondition: { MaxRuntimeInSeconds: 3300 },
  };
  const output = {
    KmsKeyId: maker.kmsKey,
    MonitoringOutputs: [
      {
        S3Output: {
          S3Uri: `${reports}/reports`,
          LocalPath: '/opt/ml/processing/output',
          S3UploadMode: 'EndOfJob' as const,
        },
      },
    ],
  };
  const EndpointInput = {
    EndpointName: endpoint,
    LocalPath: '/opt/ml/processing/input',
    S3InputMode: 'File' as const,
    S3DataDistributionType: 'FullyReplicated' as const,
  };
  const ImageUri = maker.image('sagemaker-model-monitor-analyzer', '1.0');
  const Constraints = { S3Uri: `${reports}/baseline/constraints.json` };
  if (isQuality) {
    maker.data.modelQuality[definition] = {
      ...common,
      ModelQualityBaselineConfig: { ConstraintsResource: Constraints },
      ModelQualityAppSpecification: { ImageUri, ProblemType: 'BinaryClassification' },
      ModelQualityJobInput: {
        EndpointInput: {
          ...EndpointInput,
          ProbabilityAttribute: '0',
          ProbabilityThresholdAttribute: 0.5,
          StartTimeOffset: '-P1D',
          EndTimeOffset: '-PT0H',
        },
        GroundTruthS3Input: { S3Uri: `${reports}/truth` },
      },
      ModelQualityJobOutputConfig: output,
    };
  } else {
    maker.data.dataQuality[definition] = {
      ...common,
      DataQualityBaselineConfig: {
        ConstraintsResource: Constraints,
        StatisticsResource: { S3Uri: `${reports}/baseline/statistics.json` },
      },
      DataQualityAppSpecification: {
        ImageUri,
        Environment: { publish_cloudwatch_metrics: 'Enabled', dataset_source: 'capture' },
      },
      DataQualityJobInput: { EndpointInput },
      DataQualityJobOutputConfig: output,
    };
  }
  const MonitoringType = isQuality ? ('ModelQuality' as const) : ('DataQuality' as const);
  maker.data.monitors[name] = {
    MonitoringScheduleName: name,
    MonitoringScheduleArn: maker.arn('sagemaker', `monitoring-schedule/${name}`),
    MonitoringScheduleStatus: 'Scheduled',
    MonitoringType,
    CreationTime: maker.date(),
    LastModifiedTime: maker.date(),
    EndpointName: endpoint,
    MonitoringScheduleConfig: {
      ScheduleConfig: { ScheduleExpression: 'cron(0 * ? * * *)' },
      MonitoringJobDefinitionName: definition,
      MonitoringType,
    },
    LastMonitoringExecutionSummary: {
      MonitoringScheduleName: name,
      ScheduledTime: maker.date(),
      CreationTime: maker.date(),
      LastModifiedTime: maker.date(),
      MonitoringExecutionStatus: 'Completed',
    },
  };
}

function makeAlarms(maker: Maker, thing: string, endpoint: string, variant: string, index: number): string[] {
  const named = (what: string, type = 'AWS::CloudWatch::Alarm') =>
    maker.name(type, `${thing}-${what}`, (name) => maker.arn('cloudwatch', `alarm:${name}`));
  const [latency, errors, either] = [
    named('latency'),
    named('errors'),
    named('unhealthy', 'AWS::CloudWatch::CompositeAlarm'),
  ];
  const dimensions = [
    { Name: 'EndpointName', Value: endpoint },
    { Name: 'VariantName', Value: variant },
  ];
  const common = (AlarmName: string) => ({
    AlarmName,
    AlarmArn: maker.arn('cloudwatch', `alarm:${AlarmName}`),
    AlarmDescription: `${thing} in ${maker.place.word}`,
    AlarmConfigurationUpdatedTimestamp: maker.date(),
    ActionsEnabled: true,
    AlarmActions: [maker.topic()],
    OKActions: [maker.topic()],
    InsufficientDataActions: [],
    StateValue: maker.made.uniform() < 0.5 ? ('OK' as const) : ('INSUFFICIENT_DATA' as const),
    StateReason: `Threshold Crossed: no datapoints were received for ${Math.ceil(maker.made.uniform() * 5)} periods`,
    StateUpdatedTimestamp: maker.date(),
    StateTransitionedTimestamp: maker.date(),
  });
  maker.data.alarms[latency] = {
    ...common(latency),
    Namespace: 'AWS/SageMaker',
    MetricName: 'ModelLatency',
    Dimensions: maker.made.uniform() < 0.5 ? dimensions : dimensions.toReversed(),
    ...(index % 2 === 0 ? { ExtendedStatistic: 'p99' } : { Statistic: 'Average' as const }),
    Period: 60,
    EvaluationPeriods: 5,
    DatapointsToAlarm: 3,
    Threshold: 200_000 + 1000 * (index % 9),
    ComparisonOperator: 'GreaterThanThreshold',
    TreatMissingData: 'notBreaching',
    ...(index % 2 === 0 && { EvaluateLowSampleCountPercentile: 'ignore' }),
  };
  const metric = (MetricName: string, Id: string) => ({
    Id,
    MetricStat: {
      Metric: { Namespace: 'AWS/SageMaker', MetricName, Dimensions: dimensions },
      Period: 300,
      Stat: 'Sum',
    },
    ReturnData: false,
  });
  maker.data.alarms[errors] = {
    ...common(errors),
    Metrics: [
      { Id: 'rate', Expression: 'IF(calls > 100, errors / calls)', Label: 'Error rate', ReturnData: true },
      metric('Invocation5XXErrors', 'errors'),
      metric('Invocations', 'calls'),
    ],
    EvaluationPeriods: 2,
    Threshold: 0.02,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    TreatMissingData: 'missing',
  };
  maker.data.compositeAlarms[either] = {
    ...common(either),
    AlarmRule: `ALARM("${latency}") OR ALARM("${errors}")`,
  };
  return [latency, errors];
}
