import { GateInputError } from '../shared/errors.ts';

/*
 * Metric math, the common kind, from "Metric math syntax and functions" in CloudWatch's user guide.
 *
 * A series has a value or none in each period of the range. As documented, of two series of which one has no value, the
 * missing one counts as 0; where neither has any, the result has none. The average of an array counts missing values as
 * 0 too, and so does that of a series: SUM / DATAPOINT_COUNT is there for sparse metrics. A division by zero, and
 * whatever else is no number, gives no value.
 */

export type Expression =
  | { kind: 'number'; value: number }
  | { kind: 'text'; value: string }
  | { kind: 'word'; word: (typeof WORDS)[number] }
  | { kind: 'id'; id: string }
  | { kind: 'list'; items: Expression[] }
  | { kind: 'minus'; of: Expression }
  | { kind: 'operation'; operator: Operator; left: Expression; right: Expression }
  | { kind: 'call'; name: FunctionName; args: Expression[] };

/** A function of metric math that is not simulated; what an alarm on it does is not known here. */
export class UnsupportedExpressionError extends GateInputError {
  constructor(name: string, expression: string) {
    super(`${name} in "${expression}" is not simulated`, {
      help: `Use ${Object.keys(FUNCTIONS).join(', ')}, or drill the alarm live.`,
    });
  }
}

const WORDS = ['REPEAT', 'LINEAR'] as const;

/** By how tightly they bind, loosest first. */
const PRECEDENCE = [
  ['OR', '||'],
  ['AND', '&&'],
  ['==', '!=', '<=', '>=', '<', '>'],
  ['+', '-'],
  ['*', '/'],
] as const;

type Operator = 'OR' | 'AND' | '==' | '!=' | '<=' | '>=' | '<' | '>' | '+' | '-' | '*' | '/' | '^';

type Points = readonly (number | null)[];

type Value =
  | { type: 'number'; value: number | null }
  | { type: 'series'; points: Points }
  | { type: 'array'; items: Points[] };

interface Scope {
  inputs: Readonly<Record<string, Points>>;
  /** How many periods the range has. */
  length: number;
  metrics: readonly string[];
  periodS: number | undefined;
}

type FunctionName = keyof typeof FUNCTIONS;

/** How many arguments each function takes: at least, at most. */
const FUNCTIONS = {
  ABS: [1, 1],
  AVG: [1, 1],
  CEIL: [1, 1],
  DATAPOINT_COUNT: [1, 1],
  DIFF: [1, 1],
  DIFF_TIME: [1, 1],
  FILL: [2, 2],
  FLOOR: [1, 1],
  IF: [2, 3],
  LOG: [1, 1],
  LOG10: [1, 1],
  MAX: [1, 1],
  METRICS: [0, 1],
  MIN: [1, 1],
  PERIOD: [1, 1],
  RATE: [1, 1],
  RUNNING_SUM: [1, 1],
  STDDEV: [1, 1],
  SUM: [1, 1],
  TIME_SERIES: [1, 1],
} as const satisfies Record<string, readonly [number, number]>;

/**
 * Reads an expression.
 *
 * @throws UnsupportedExpressionError for a function that is not simulated, and for a query such as `SELECT ...`
 * @throws GateInputError for anything else that is no metric math: with what is wrong, and where
 */
export function parseExpression(text: string): Expression {
  const tokens = tokensOf(text);
  let next = 0;

  const peek = () => tokens[next]?.text;
  const take = (wanted: string) => {
    if (peek() !== wanted) fail(`"${wanted}"`);
    next++;
  };
  const fail = (expected: string): never => {
    const token = tokens[next];
    const seen = token ? `"${token.text}" at character ${token.at + 1}` : 'its end';
    throw new GateInputError(`the expression "${text}" has ${seen} where ${expected} is expected`);
  };

  const operation = (level: number): Expression => {
    const operators: readonly string[] | undefined = PRECEDENCE[level];
    if (!operators) return minus();
    let left = operation(level + 1);
    while (operators.includes(peek() ?? '')) {
      const written = tokens[next++]!.text;
      const operator = (written === '&&' ? 'AND' : written === '||' ? 'OR' : written) as Operator;
      left = { kind: 'operation', operator, left, right: operation(level + 1) };
    }
    return left;
  };

  const minus = (): Expression => {
    if (peek() !== '-') return power();
    next++;
    return { kind: 'minus', of: minus() };
  };

  const power = (): Expression => {
    const left = operand();
    if (peek() !== '^') return left;
    next++;
    return { kind: 'operation', operator: '^', left, right: minus() };
  };

  const listUntil = (end: string): Expression[] => {
    const items: Expression[] = [];
    if (peek() !== end) {
      items.push(operation(0));
      while (peek() === ',') {
        next++;
        items.push(operation(0));
      }
    }
    take(end);
    return items;
  };

  const operand = (): Expression => {
    const token = tokens[next];
    switch (token?.kind) {
      case 'number':
        next++;
        return { kind: 'number', value: Number(token.text) };
      case 'text':
        next++;
        return { kind: 'text', value: token.text.slice(1, -1) };
      case 'id':
        next++;
        if (peek() === '(') {
          throw new GateInputError(
            `"${token.text}" in the expression "${text}" is no function: functions are written in capitals`,
          );
        }
        return { kind: 'id', id: token.text };
      case 'word':
        return word(token.text);
      case 'sign':
        if (token.text === '(') {
          next++;
          const inner = operation(0);
          take(')');
          return inner;
        }
        if (token.text === '[') {
          next++;
          return { kind: 'list', items: listUntil(']') };
        }
    }
    return fail('a metric, a number or a function');
  };

  const word = (name: string): Expression => {
    next++;
    const plain = WORDS.find((candidate) => candidate === name);
    if (plain) return { kind: 'word', word: plain };
    if (!Object.hasOwn(FUNCTIONS, name)) throw new UnsupportedExpressionError(name, text);
    take('(');
    const args = listUntil(')');
    const [least, most] = FUNCTIONS[name as FunctionName];
    if (args.length < least || args.length > most) {
      const allowed = least === most ? `${least}` : `${least} or ${most}`;
      throw new GateInputError(
        `${name} in the expression "${text}" has ${args.length} arguments, and takes ${allowed}`,
        most === 1 && args.length > 1
          ? { help: `Write several series as one array: ${name}([m1, m2]).` }
          : {},
      );
    }
    return { kind: 'call', name: name as FunctionName, args };
  };

  const expression = operation(0);
  if (next < tokens.length) fail('an operator or the end');
  return expression;
}

/**
 * Which queries an expression reads, in the order in which it names them first.
 *
 * @param metrics what METRICS() stands for: ids of all queries of the alarm that are metrics
 */
export function idsIn(expression: Expression, metrics: readonly string[] = []): string[] {
  switch (expression.kind) {
    case 'id':
      return [expression.id];
    case 'minus':
      return idsIn(expression.of, metrics);
    case 'operation':
      return unique([expression.left, expression.right], metrics);
    case 'list':
      return unique(expression.items, metrics);
    case 'call':
      if (expression.name === 'METRICS') return matching(expression, metrics);
      return unique(expression.args, metrics);
    default:
      return [];
  }
}

/**
 * The values of an expression in each period, of values in the same periods, oldest first.
 *
 * @param options.periodS length of a period, seconds: PERIOD, RATE and DIFF_TIME need it
 * @param options.metrics what METRICS() stands for (default: all inputs)
 * @throws GateInputError for a query that is no input, arguments of the wrong kind, and a result that is not one series
 */
export function evaluateExpression(
  expression: Expression,
  inputs: Readonly<Record<string, Points>>,
  { periodS, metrics = Object.keys(inputs) }: { periodS?: number; metrics?: readonly string[] } = {},
): (number | null)[] {
  const lengths = new Set(Object.values(inputs).map((points) => points.length));
  if (lengths.size > 1)
    throw new GateInputError('the inputs of an expression have different numbers of periods');
  const [length = 0] = lengths;
  const result = evaluate(expression, { inputs, length, metrics, periodS });
  if (result.type === 'series') return [...result.points];
  if (result.type === 'array' && result.items.length === 1) return [...result.items[0]!];
  throw new GateInputError(
    result.type === 'number'
      ? 'the expression gives one number, and an alarm watches a series'
      : `the expression gives ${result.items.length} series, and an alarm watches one`,
    result.type === 'number' ? { help: 'TIME_SERIES(...) makes it a series.' } : {},
  );
}

interface Token {
  kind: 'number' | 'text' | 'id' | 'word' | 'sign';
  text: string;
  /** From 0. */
  at: number;
}

const TOKEN =
  /\s*(?:(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?<text>"[^"]*"|'[^']*')|(?<id>[a-z]\w*)|(?<word>[A-Z]\w*)|(?<sign>&&|\|\||==|!=|<=|>=|[-+*/^<>()[\],]))/y;

const OPERATOR_WORDS = ['AND', 'OR'];

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  const source = text.trimEnd();
  for (let at = 0; at < source.length; ) {
    TOKEN.lastIndex = at;
    const match = TOKEN.exec(source);
    if (!match?.groups) {
      const start = at + source.slice(at).search(/\S/);
      throw new GateInputError(
        `the expression "${text}" has "${source[start]}" at character ${start + 1}, which metric math does not know`,
      );
    }
    const [kind, found] = Object.entries(match.groups).find(([, part]) => part !== undefined) as [
      Token['kind'],
      string,
    ];
    at = TOKEN.lastIndex;
    tokens.push({
      kind: OPERATOR_WORDS.includes(found) ? 'sign' : kind,
      text: found,
      at: at - found.length,
    });
  }
  return tokens;
}

function unique(expressions: readonly Expression[], metrics: readonly string[]): string[] {
  return [...new Set(expressions.flatMap((expression) => idsIn(expression, metrics)))];
}

/** Ids that METRICS() or METRICS("part of an id") stands for. */
function matching(call: Extract<Expression, { kind: 'call' }>, metrics: readonly string[]): string[] {
  const [part] = call.args;
  if (!part) return [...metrics];
  if (part.kind !== 'text') throw new GateInputError('METRICS takes nothing, or text in quotes');
  return metrics.filter((id) => id.includes(part.value));
}

function evaluate(expression: Expression, scope: Scope): Value {
  switch (expression.kind) {
    case 'number':
      return number(expression.value);
    case 'id':
      return series(inputOf(expression.id, scope));
    case 'list':
      return {
        type: 'array',
        items: expression.items.flatMap((item) => itemsOf(evaluate(item, scope), 'an array')),
      };
    case 'minus':
      return each(evaluate(expression.of, scope), (value) => -value);
    case 'operation':
      return combine(
        evaluate(expression.left, scope),
        evaluate(expression.right, scope),
        OPERATIONS[expression.operator],
        expression.operator,
      );
    case 'call':
      return call(expression, scope);
    case 'text':
    case 'word':
      throw new GateInputError(
        `${expression.kind === 'word' ? expression.word : `"${expression.value}"`} is no value of an expression`,
      );
  }
}

const truth = (holds: boolean): number => (holds ? 1 : 0);

const OPERATIONS: Record<Operator, (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '^': (a, b) => a ** b,
  '==': (a, b) => truth(a === b),
  '!=': (a, b) => truth(a !== b),
  '<': (a, b) => truth(a < b),
  '<=': (a, b) => truth(a <= b),
  '>': (a, b) => truth(a > b),
  '>=': (a, b) => truth(a >= b),
  AND: (a, b) => truth(a !== 0 && b !== 0),
  OR: (a, b) => truth(a !== 0 || b !== 0),
};

function call(expression: Extract<Expression, { kind: 'call' }>, scope: Scope): Value {
  const { name, args } = expression;
  const argument = () => evaluate(args[0]!, scope);
  switch (name) {
    case 'ABS':
      return each(argument(), Math.abs);
    case 'CEIL':
      return each(argument(), Math.ceil);
    case 'FLOOR':
      return each(argument(), Math.floor);
    case 'LOG':
      return each(argument(), Math.log);
    case 'LOG10':
      return each(argument(), Math.log10);
    case 'AVG':
    case 'DATAPOINT_COUNT':
    case 'MAX':
    case 'MIN':
    case 'STDDEV':
    case 'SUM':
      return summarize(name, argument());
    case 'DIFF':
      return steps(name, argument(), (difference) => difference);
    case 'DIFF_TIME':
      return steps(name, argument(), (_, periods) => periods * periodOf(name, scope));
    case 'RATE':
      return steps(name, argument(), (difference, periods) => difference / (periods * periodOf(name, scope)));
    case 'RUNNING_SUM':
      return everySeries(name, argument(), (points) => {
        let sum = 0;
        return points.map((value) => {
          sum += value ?? 0;
          return value === null ? null : sum;
        });
      });
    case 'FILL':
      return fill(argument(), args[1]!, scope);
    case 'IF':
      return choose(args, scope);
    case 'METRICS':
      return { type: 'array', items: matching(expression, scope.metrics).map((id) => inputOf(id, scope)) };
    case 'PERIOD':
      if (args[0]!.kind !== 'id') throw new GateInputError('PERIOD takes a metric, not an expression');
      inputOf(args[0]!.id, scope);
      return number(periodOf(name, scope));
    case 'TIME_SERIES': {
      const value = argument();
      if (value.type !== 'number') throw new GateInputError('TIME_SERIES takes one number');
      return series(Array.from({ length: scope.length }, () => value.value));
    }
  }
}

function number(value: number | null): Value {
  return { type: 'number', value };
}

function series(points: Points): Value {
  return { type: 'series', points };
}

function inputOf(id: string, { inputs }: Scope): Points {
  if (Object.hasOwn(inputs, id)) return inputs[id]!;
  throw new GateInputError(`"${id}" of the expression is no query of the alarm`);
}

function periodOf(name: string, { periodS }: Scope): number {
  if (periodS !== undefined) return periodS;
  throw new GateInputError(`${name} needs the length of a period`);
}

function itemsOf(value: Value, of: string): Points[] {
  if (value.type === 'number') throw new GateInputError(`${of} takes series, not a number`);
  return value.type === 'series' ? [value.points] : value.items;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Value by value; what is no number becomes no value. */
function each(value: Value, change: (value: number) => number): Value {
  const one = (point: number | null) => (point === null ? null : finite(change(point)));
  if (value.type === 'number') return number(one(value.value));
  if (value.type === 'series') return series(value.points.map(one));
  return { type: 'array', items: value.items.map((points) => points.map(one)) };
}

function everySeries(name: string, value: Value, change: (points: Points) => Points): Value {
  const items = itemsOf(value, name).map(change);
  return value.type === 'array' ? { type: 'array', items } : series(items[0]!);
}

/** Two values, period by period. */
function combine(
  left: Value,
  right: Value,
  operation: (a: number, b: number) => number,
  operator: string,
): Value {
  if (left.type === 'array' && right.type === 'array') {
    if (left.items.length === right.items.length) {
      return {
        type: 'array',
        items: left.items.map((points, index) => paired(points, right.items[index]!, operation)),
      };
    }
    throw new GateInputError(
      `"${operator}" has arrays of ${left.items.length} and of ${right.items.length} series`,
    );
  }
  if (left.type === 'array') {
    const by = plainOf(right);
    return { type: 'array', items: left.items.map((points) => paired(points, by, operation)) };
  }
  if (right.type === 'array') {
    const by = plainOf(left);
    return { type: 'array', items: right.items.map((points) => paired(by, points, operation)) };
  }
  if (left.type === 'number' && right.type === 'number') {
    return number(both(left.value, right.value, operation));
  }
  return series(paired(plainOf(left), plainOf(right), operation));
}

type Plain = Points | number | null;

function plainOf(value: Value): Plain {
  if (value.type === 'array')
    throw new GateInputError('an array of series stands where one series is expected');
  return value.type === 'number' ? value.value : value.points;
}

function wrapped(plain: Plain): Value {
  return isNumber(plain) ? number(plain) : series(plain);
}

function both(
  a: number | null,
  b: number | null,
  operation: (a: number, b: number) => number,
): number | null {
  return a === null || b === null ? null : finite(operation(a, b));
}

/** At least one of the two is a series. Of two series a value that only one has meets a 0. */
function paired(left: Plain, right: Plain, operation: (a: number, b: number) => number): Points {
  if (isNumber(left)) return (right as Points).map((b) => both(left, b, operation));
  if (isNumber(right)) return left.map((a) => both(a, right, operation));
  return left.map((a, index) => {
    const b = right[index]!;
    return a === null && b === null ? null : finite(operation(a ?? 0, b ?? 0));
  });
}

function isNumber(value: Plain): value is number | null {
  return value === null || typeof value === 'number';
}

/** One number of a series; of an array one series, period by period. */
function summarize(name: 'AVG' | 'DATAPOINT_COUNT' | 'MAX' | 'MIN' | 'STDDEV' | 'SUM', value: Value): Value {
  if (value.type === 'number') throw new GateInputError(`${name} takes series, not a number`);
  if (value.type === 'series') return number(summary(name, value.points));
  const [first = []] = value.items;
  return series(
    first.map((_, index) =>
      summary(
        name,
        value.items.map((points) => points[index]!),
      ),
    ),
  );
}

function summary(name: Parameters<typeof summarize>[0], points: Points): number | null {
  const values = points.filter((value) => value !== null);
  if (name === 'DATAPOINT_COUNT') return values.length;
  if (values.length === 0) return null;
  const sum = values.reduce((total, value) => total + value, 0);
  switch (name) {
    case 'SUM':
      return finite(sum);
    case 'AVG':
      return finite(sum / points.length);
    case 'MAX':
      return values.reduce((a, b) => Math.max(a, b));
    case 'MIN':
      return values.reduce((a, b) => Math.min(a, b));
    case 'STDDEV': {
      // Of all values rather than of a sample of them: the documentation does not say.
      const mean = sum / values.length;
      return finite(
        Math.sqrt(values.reduce((total, value) => total + (value - mean) ** 2, 0) / values.length),
      );
    }
  }
}

/** From each value to the one before it, however many periods ago. */
function steps(name: string, value: Value, change: (difference: number, periods: number) => number): Value {
  return everySeries(name, value, (points) => {
    let last: number | undefined;
    return points.map((point, index) => {
      if (point === null) return null;
      const before = last;
      last = index;
      return before === undefined ? null : finite(change(point - points[before]!, index - before));
    });
  });
}

function fill(value: Value, filler: Expression, scope: Scope): Value {
  if (filler.kind === 'word') {
    return everySeries('FILL', value, filler.word === 'REPEAT' ? repeated : interpolated);
  }
  const by = evaluate(filler, scope);
  if (by.type === 'array') throw new GateInputError('FILL fills with a number, a series, REPEAT or LINEAR');
  return everySeries('FILL', value, (points) =>
    points.map((point, index) => point ?? (by.type === 'number' ? by.value : by.points[index]!)),
  );
}

function repeated(points: Points): Points {
  let last: number | null = null;
  return points.map((point) => {
    last = point ?? last;
    return last;
  });
}

/** A straight line over each gap; gaps at the ends have but one end, and stay. */
function interpolated(points: Points): Points {
  const filled = [...points];
  let last: number | undefined;
  points.forEach((point, index) => {
    if (point === null) return;
    if (last !== undefined) {
      const from = points[last]!;
      for (let gap = last + 1; gap < index; gap++) {
        filled[gap] = from + ((point - from) * (gap - last)) / (index - last);
      }
    }
    last = index;
  });
  return filled;
}

/** As the tables of "Using IF expressions" have it. */
function choose([condition, then, otherwise]: Expression[], scope: Scope): Value {
  const nothing = series(Array.from({ length: scope.length }, () => null));
  const test = plainOf(evaluate(condition!, scope));
  const yes = plainOf(evaluate(then!, scope));
  const no = plainOf(otherwise ? evaluate(otherwise, scope) : nothing);
  if (test === null) return nothing;
  if (isNumber(test)) return wrapped(test === 0 ? no : yes);
  const at = (value: Plain, index: number) => (isNumber(value) ? value : value[index]!);
  return series(
    test.map((point, index) => {
      if (point === null) return null;
      // Documented: where it is true and there is no value, the result is 0; where it is false, there is none.
      return point === 0 ? at(no, index) : (at(yes, index) ?? 0);
    }),
  );
}
