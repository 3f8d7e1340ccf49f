/** CloudFormation's event of a stack that came into a status. */
export function stackEvent(stack: string, status = 'UPDATE_COMPLETE') {
  return {
    source: 'aws.cloudformation',
    'detail-type': 'CloudFormation Stack Status Change',
    detail: {
      'stack-id': `arn:aws:cloudformation:us-east-1:111122223333:stack/${stack}/0`,
      'status-details': { status },
    },
  };
}
