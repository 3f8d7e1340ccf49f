import { ServiceError } from '../aws/service.ts';

/* Errors of CloudWatch. The SDK finds the class by the type; who still speaks the older protocol, by the code. */

/** Codes of the older protocol, by type, where they differ. */
const CODES: Readonly<Record<string, string>> = {
  InternalFailure: 'InternalServiceError',
  InvalidFormatFault: 'InvalidFormat',
  InvalidParameterCombinationException: 'InvalidParameterCombination',
  InvalidParameterValueException: 'InvalidParameterValue',
  LimitExceededFault: 'LimitExceeded',
  MissingRequiredParameterException: 'MissingParameter',
  ValidationException: 'ValidationError',
};

/** The header that names an error's code of the older protocol. */
export function codeHeader({ type, status }: ServiceError): Record<string, string> {
  return { 'x-amzn-query-error': `${CODES[type] ?? type};${status < 500 ? 'Sender' : 'Receiver'}` };
}

/** There is no alarm of a name. */
export function notFound(name: string): ServiceError {
  return new ServiceError('ResourceNotFound', `There is no alarm ${name}.`, 404);
}

/** There is nothing of an ARN. */
export function unknownResource(arn: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `Resource not found: ${arn}`, 404);
}

export function tooMany(limit: number): ServiceError {
  return new ServiceError('LimitExceededFault', `The limit of ${limit} alarms has been reached.`);
}

export function badValue(message: string): ServiceError {
  return new ServiceError('InvalidParameterValueException', message);
}

export function badCombination(message: string): ServiceError {
  return new ServiceError('InvalidParameterCombinationException', message);
}

export function missingParameter(message: string): ServiceError {
  return new ServiceError('MissingRequiredParameterException', message);
}

export function badToken(): ServiceError {
  return new ServiceError('InvalidNextToken', 'The NextToken is not valid.');
}

export function badFormat(message: string): ServiceError {
  return new ServiceError('InvalidFormatFault', message);
}
