import { type CloudWatchClient, PutMetricDataCommand } from '@aws-sdk/client-cloudwatch';
import { call } from '../../shared/aws.ts';
import type { MetricValue } from '../monitor.ts';
import { DRIFT_NAMESPACE } from '../schema.ts';

/**
 * Publishes what a drift monitor saw. A monitor has at most 500 features: one call takes 1,000 metrics.
 *
 * @param at time of all values, milliseconds since 1970
 * @throws GateDependencyError where CloudWatch does not answer, or refuses
 */
export async function publishMetrics(
  cloudwatch: CloudWatchClient,
  values: readonly MetricValue[],
  at: number,
): Promise<void> {
  await call(
    `PutMetricData ${DRIFT_NAMESPACE}`,
    cloudwatch.send(
      new PutMetricDataCommand({
        Namespace: DRIFT_NAMESPACE,
        MetricData: values.map(({ metric, dimensions, value, unit }) => ({
          MetricName: metric,
          Dimensions: Object.entries(dimensions).map(([Name, Value]) => ({ Name, Value })),
          Timestamp: new Date(at),
          Value: value,
          Unit: unit,
        })),
      }),
    ),
  );
}
