import type { Series } from './metrics.ts';

/** What an expression, or a part of it, comes to. */
type Value =
  | { kind: 'number'; value: number }
  | { kind: 'series'; value: Series }
  | { kind: 'array'; value: readonly Series[] };

/** Where an expression finds what it names. */
export interface Scope {
  /** The series of an id; undefined where there is no such id. */
  series(id: string): Series | undefined;
  /** Those of all metrics, for METRICS(). */
  metrics(): readonly Series[];
}

type Node = (scope: Scope) => Value;

/** An expression that cannot be parsed, or means nothing. Its message is for who wrote it. */
export class ExpressionError extends Error {}

/**
 * Parses an expression of metric math: numbers, ids, `+ - * /`, comparisons, `AND`, `OR`, parentheses, `[a, b]`, METRICS(),
 * FILL (with a number, a series or REPEAT), IF, MAX, MIN, AVG and SUM. CloudWatch has more functions; they are refused.
 *
 * The documented treatment of gaps: between two series a missing point is 0 where the other has one; AVG takes missing
 * points for 0; a point that divides by zero is dropped.
 *
 * @returns gives the series that the expression comes to
 * @throws ExpressionError; so does what is returned, where the expression names what is not there, or is no series
 */
export function parseExpression(text: string): (scope: Scope) => Series {
  const parser = new Parser(text);
  const root = parser.expression();
  parser.end();
  return (scope) => {
    const result = root(scope);
    if (result.kind === 'series') return result.value;
    const what = result.kind === 'number' ? 'a single number' : 'several time series';
    throw new ExpressionError(`The expression "${text}" comes to ${what}; an alarm watches one time series.`);
  };
}

const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\d+)|([A-Za-z_]\w*)|(&&|\|\||[<>=!]=|[-+*/()[\],<>]))/y;

/** Weakest first; all of one line bind alike, from the left. */
const BINARY: readonly Readonly<Record<string, (a: number, b: number) => number>>[] = [
  { OR: either, '||': either },
  { AND: both, '&&': both },
  {
    '==': (a, b) => Number(a === b),
    '!=': (a, b) => Number(a !== b),
    '<=': (a, b) => Number(a <= b),
    '>=': (a, b) => Number(a >= b),
    '<': (a, b) => Number(a < b),
    '>': (a, b) => Number(a > b),
  },
  { '+': (a, b) => a + b, '-': (a, b) => a - b },
  { '*': (a, b) => a * b, '/': (a, b) => a / b },
];

function either(a: number, b: number): number {
  return Number(a !== 0 || b !== 0);
}

function both(a: number, b: number): number {
  return Number(a !== 0 && b !== 0);
}

class Parser {
  readonly #text: string;
  readonly #tokens: string[] = [];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    TOKEN.lastIndex = 0;
    while (TOKEN.lastIndex < text.trimEnd().length) {
      const at = TOKEN.lastIndex;
      const found = TOKEN.exec(text);
      if (found === null) throw this.#error(`what stands at "${text.slice(at).trim()}" is not understood`);
      this.#tokens.push(found[0].trim());
    }
  }

  end(): void {
    if (this.#next < this.#tokens.length) throw this.#error(`"${this.#tokens[this.#next]}" is not expected`);
  }

  expression(level = 0): Node {
    const operators = BINARY[level];
    if (operators === undefined) return this.#unary();
    let left = this.expression(level + 1);
    for (;;) {
      const token = this.#tokens[this.#next] ?? '';
      const apply = Object.hasOwn(operators, token) ? operators[token] : undefined;
      if (apply === undefined) return left;
      this.#next++;
      const [a, b] = [left, this.expression(level + 1)];
      left = (scope) => combine(token, apply, a(scope), b(scope));
    }
  }

  #unary(): Node {
    if (!this.#take('-')) return this.#primary();
    const operand = this.#unary();
    return (scope) => combine('-', (a, b) => a - b, { kind: 'number', value: 0 }, operand(scope));
  }

  #primary(): Node {
    if (this.#take('(')) {
      const inner = this.expression();
      this.#expect(')');
      return inner;
    }
    if (this.#take('[')) {
      const members = this.#list(']');
      return (scope) => ({ kind: 'array', value: members.flatMap((member) => allSeries(member(scope))) });
    }
    const token = this.#tokens[this.#next++];
    if (token === undefined) throw this.#error('it ends too early');
    if (/^[\d.]/.test(token)) return () => ({ kind: 'number', value: Number(token) });
    if (this.#take('(')) return this.#call(token);
    if (/^[a-z]/.test(token)) return (scope) => ({ kind: 'series', value: this.#series(scope, token) });
    throw this.#error(`"${token}" is not expected`);
  }

  #call(name: string): Node {
    if (name === 'FILL') return this.#fill();
    const args = this.#list(')');
    const arity = (least: number, most: number) => {
      if (args.length < least || args.length > most) {
        throw this.#error(`${name} does not take ${args.length} arguments`);
      }
    };
    const [first, second, third] = args;
    switch (name) {
      case 'METRICS':
        arity(0, 0);
        return (scope) => ({ kind: 'array', value: scope.metrics() });
      case 'IF':
        arity(2, 3);
        return (scope) => choose(first?.(scope) as Value, second?.(scope) as Value, third?.(scope));
      case 'MAX':
      case 'MIN':
      case 'AVG':
      case 'SUM':
        arity(1, 1);
        return (scope) => summarise(name, first?.(scope) as Value);
      default:
        throw this.#error(`the function ${name} is not supported here`);
    }
  }

  /** FILL, whose second argument may be a word. */
  #fill(): Node {
    const subject = this.expression();
    this.#expect(',');
    if (this.#take('REPEAT')) {
      this.#expect(')');
      return (scope) =>
        overSeries(subject(scope), (series) => {
          let last: number | undefined;
          return series.map((value) => {
            last = value ?? last;
            return last;
          });
        });
    }
    const filler = this.expression();
    this.#expect(')');
    return (scope) => {
      const by = pointsOf(filler(scope));
      return overSeries(subject(scope), (series) => series.map((value, index) => value ?? by(index)));
    };
  }

  #list(close: string): Node[] {
    const members: Node[] = [];
    if (this.#take(close)) return members;
    do members.push(this.expression());
    while (this.#take(','));
    this.#expect(close);
    return members;
  }

  #series(scope: Scope, id: string): Series {
    const found = scope.series(id);
    if (found === undefined) throw this.#error(`there is no metric or expression with the id ${id}`);
    return found;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#next] !== token) return false;
    this.#next++;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) {
      throw this.#error(`"${token}" is expected, not ${this.#tokens[this.#next] ?? 'its end'}`);
    }
  }

  #error(what: string): ExpressionError {
    return new ExpressionError(`The expression "${this.#text}" is not valid: ${what}.`);
  }
}

/** A point that is a number; a division by zero leaves none. */
function finite(value: number): number | undefined {
  return Number.isFinite(value) ? value : undefined;
}

function combine(operator: string, apply: (a: number, b: number) => number, a: Value, b: Value): Value {
  if (a.kind === 'array' && b.kind === 'array') {
    throw new ExpressionError(`The operator ${operator} does not take two arrays of time series.`);
  }
  if (a.kind === 'array' || b.kind === 'array') {
    const each = (value: Value, index: number): Value =>
      value.kind === 'array' ? { kind: 'series', value: value.value[index] as Series } : value;
    const { value } = (a.kind === 'array' ? a : b) as { value: readonly Series[] };
    return {
      kind: 'array',
      value: value.map((_, i) => combine(operator, apply, each(a, i), each(b, i)).value as Series),
    };
  }
  if (a.kind === 'number' && b.kind === 'number') return { kind: 'number', value: apply(a.value, b.value) };
  const { value: series } = (a.kind === 'series' ? a : b) as { value: Series };
  const [left, right] = [pointsOf(a), pointsOf(b)];
  // Of two series one may have a gap, which counts as 0; a gap beside a number stays one.
  const gap = a.kind === 'series' && b.kind === 'series' ? 0 : undefined;
  return {
    kind: 'series',
    value: series.map((_, index) => {
      const [x, y] = [left(index), right(index)];
      if (x === undefined && y === undefined) return undefined;
      const [p, q] = [x ?? gap, y ?? gap];
      return p === undefined || q === undefined ? undefined : finite(apply(p, q));
    }),
  };
}

/** IF: a gap in the condition drops the point, one in what is taken for true counts as 0. */
function choose(condition: Value, yes: Value, no: Value | undefined): Value {
  if (condition.kind === 'number') {
    const chosen = condition.value === 0 ? no : yes;
    return chosen ?? overSeries(yes, (series) => series.map(() => undefined));
  }
  if (condition.kind === 'array') throw new ExpressionError('IF does not take an array of time series.');
  const [whenTrue, whenFalse] = [pointsOf(yes), no === undefined ? () => undefined : pointsOf(no)];
  return {
    kind: 'series',
    value: condition.value.map((is, index) => {
      if (is === undefined) return undefined;
      return is === 0 ? whenFalse(index) : (whenTrue(index) ?? 0);
    }),
  };
}

function summarise(name: 'MAX' | 'MIN' | 'AVG' | 'SUM', subject: Value): Value {
  const by = (values: readonly number[], count: number) => {
    if (name === 'MAX') return Math.max(...values);
    if (name === 'MIN') return Math.min(...values);
    const sum = values.reduce((total, value) => total + value, 0);
    return name === 'SUM' ? sum : sum / count;
  };
  if (subject.kind === 'number') throw new ExpressionError(`${name} does not take a number.`);
  if (subject.kind === 'series') {
    const values = subject.value.filter((value) => value !== undefined);
    return { kind: 'number', value: values.length === 0 ? Number.NaN : by(values, subject.value.length) };
  }
  const series = subject.value;
  return {
    kind: 'series',
    value: (series[0] ?? []).map((_, index) => {
      const values = series.map((one) => one[index]).filter((value) => value !== undefined);
      return values.length === 0 ? undefined : by(values, series.length);
    }),
  };
}

/** The point of a value at an index: that of a number is always itself. */
function pointsOf(value: Value): (index: number) => number | undefined {
  if (value.kind === 'array') throw new ExpressionError('An array of time series cannot stand here.');
  return value.kind === 'number' ? () => finite(value.value) : (index) => value.value[index];
}

function allSeries(value: Value): readonly Series[] {
  if (value.kind === 'number') throw new ExpressionError('A number cannot stand in an array of time series.');
  return value.kind === 'series' ? [value.value] : value.value;
}

function overSeries(value: Value, change: (series: Series) => Series): Value {
  if (value.kind === 'number') throw new ExpressionError('A number cannot stand for a time series.');
  return value.kind === 'series'
    ? { kind: 'series', value: change(value.value) }
    : { kind: 'array', value: value.value.map(change) };
}
