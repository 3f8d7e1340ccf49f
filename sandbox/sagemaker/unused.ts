import * as z from 'zod';
import { entityName, type Operation, operation, paging, structure } from './service.ts';

/*
 * What an endpoint could have and has not here: scaling policies, which are Application Auto Scaling's, and monitoring
 * schedules. Whoever asks gets to know that there are none. They cannot be made.
 */

/** Of Application Auto Scaling. It has no permissions on single endpoints. */
const asked = {
  ...paging,
  MaxResults: z.int().min(1).max(50).optional(),
  ServiceNamespace: z.literal('sagemaker'),
  ScalableDimension: z.literal('sagemaker:variant:DesiredInstanceCount').optional(),
};
const resourceId = z
  .string()
  .max(1600)
  .regex(/^endpoint\/[^/]+\/variant\/[^/]+$/);

const scaling = <Shape extends z.core.$ZodLooseShape>(members: Shape, none: object) =>
  operation(
    structure({ ...asked, ...members }),
    () => '*',
    () => none,
    undefined,
    'application-autoscaling',
  );

export const unusedOperations: Record<string, Operation> = {
  DescribeScalableTargets: scaling(
    { ResourceIds: z.array(resourceId).max(50).optional() },
    { ScalableTargets: [] },
  ),
  DescribeScalingPolicies: scaling(
    { ResourceId: resourceId.optional(), PolicyNames: z.array(z.string()).max(50).optional() },
    { ScalingPolicies: [] },
  ),
  DescribeScheduledActions: scaling(
    { ResourceId: resourceId.optional(), ScheduledActionNames: z.array(z.string()).max(50).optional() },
    { ScheduledActions: [] },
  ),

  ListMonitoringSchedules: operation(
    structure({ ...paging, EndpointName: entityName.optional() }),
    () => '*',
    () => ({ MonitoringScheduleSummaries: [] }),
  ),
};
