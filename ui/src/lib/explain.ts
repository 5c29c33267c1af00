// One node of a query in plain words. Text between backticks is shown as code.

import type { AggregationNode, AstNode, BinaryNode, CallNode, Matcher, Matching } from '../api/ast';
import { formatDuration } from './duration';
import { formatDurationNode, valueType } from './promql';

export interface Explanation {
  title: string;
  paragraphs: string[];
}

export function explainNode(node: AstNode): Explanation {
  switch (node.type) {
    case 'numberLiteral':
      return {
        title: 'Number',
        paragraphs: [`The scalar \`${node.val}\`, the same at every time.`],
      };
    case 'stringLiteral':
      return { title: 'String', paragraphs: ['A piece of text, used as an argument.'] };
    case 'parenExpr':
      return { title: 'Parentheses', paragraphs: ['Groups what stands inside.'] };
    case 'unaryExpr':
      return {
        title: 'Sign',
        paragraphs: [
          node.op === '-' ? 'Negates every value and drops the metric name.' : 'Changes nothing.',
        ],
      };
    case 'vectorSelector':
      return {
        title: 'Instant vector selector',
        paragraphs: [
          `Takes the newest sample of each series ${selected(node.matchers)}.`,
          ...extent(node),
        ],
      };
    case 'matrixSelector': {
      const range = node.rangeExpr
        ? formatDurationNode(node.rangeExpr)
        : formatDuration(node.range);
      return {
        title: 'Range vector selector',
        paragraphs: [
          `Takes all samples of the last \`${range}\` of each series ${selected(node.matchers)}.`,
          ...extent(node),
        ],
      };
    }
    case 'subquery': {
      const range = node.rangeExpr
        ? formatDurationNode(node.rangeExpr)
        : formatDuration(node.range);
      const step = node.stepExpr
        ? `every \`${formatDurationNode(node.stepExpr)}\``
        : node.step > 0
          ? `every \`${formatDuration(node.step)}\``
          : 'at the global evaluation interval';
      return {
        title: 'Subquery',
        paragraphs: [
          `Evaluates the inner expression ${step} over the last \`${range}\`; the results form a range vector.`,
          ...extent(node),
        ],
      };
    }
    case 'aggregation':
      return explainAggregation(node);
    case 'call':
      return explainCall(node);
    case 'binaryExpr':
      return explainBinary(node);
  }
}

function list(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

const kMatcherWords: Record<Matcher['type'], string> = {
  '=': 'is',
  '!=': 'is not',
  '=~': 'matches',
  '!~': 'does not match',
};

function selected(matchers: readonly Matcher[]): string {
  if (matchers.length === 0) return 'there is';
  const parts = matchers.map((m) =>
    m.name === '__name__' && m.type === '='
      ? `of the metric \`${m.value}\``
      : `whose \`${m.name}\` ${kMatcherWords[m.type]} \`${m.value === '' ? '""' : m.value}\``,
  );
  return parts.join(' and ');
}

type Timed = Extract<AstNode, { type: 'vectorSelector' | 'matrixSelector' | 'subquery' }>;

function extent(node: Timed): string[] {
  const found: string[] = [];
  if (node.timestamp !== null && node.timestamp !== undefined) {
    found.push(`Evaluated at the fixed time ${new Date(node.timestamp).toISOString()}.`);
  } else if (node.startOrEnd) {
    found.push(`Evaluated at the ${node.startOrEnd} of the query's time range.`);
  }
  if (node.offsetExpr)
    found.push(`Shifted into the past by \`${formatDurationNode(node.offsetExpr)}\`.`);
  else if (node.offset > 0)
    found.push(`Shifted into the past by \`${formatDuration(node.offset)}\`.`);
  else if (node.offset < 0)
    found.push(`Shifted into the future by \`${formatDuration(-node.offset)}\`.`);
  if (node.type !== 'subquery' && node.anchored) {
    found.push('Anchored: the range begins with the last sample before it.');
  }
  if (node.type !== 'subquery' && node.smoothed) {
    found.push('Smoothed: values at the edges of the range are interpolated.');
  }
  return found;
}

const kAggregations: Record<string, string> = {
  sum: 'adds up the values',
  avg: 'averages the values',
  min: 'takes the smallest value',
  max: 'takes the largest value',
  count: 'counts the series',
  group: 'gives 1 for each group',
  stddev: 'gives the standard deviation of the values',
  stdvar: 'gives the variance of the values',
  topk: 'keeps the series with the largest values',
  bottomk: 'keeps the series with the smallest values',
  quantile: 'gives a quantile of the values',
  count_values: 'counts how often each value occurs',
  limitk: 'keeps some series, as many as the parameter says',
  limit_ratio: 'keeps a pseudo-random share of the series',
};

function explainAggregation(node: AggregationNode): Explanation {
  const what = kAggregations[node.op] ?? 'combines the values';
  const groups = node.without
    ? `Series that differ only in ${list(node.grouping)} form a group.`
    : node.grouping.length > 0
      ? `There is one group for each combination of ${list(node.grouping)}.`
      : 'All series form one group.';
  const keeps = ['topk', 'bottomk', 'limitk', 'limit_ratio'].includes(node.op);
  return {
    title: `Aggregation: ${node.op}`,
    paragraphs: [
      `Within each group it ${what}. ${groups}`,
      keeps ? 'The series keep all their labels.' : 'Other labels are dropped.',
    ],
  };
}

function explainCall(node: CallNode): Explanation {
  const { name, argTypes, variadic, returnType } = node.func;
  const required = variadic === 0 ? argTypes : argTypes.slice(0, -1);
  const optional = variadic === 0 ? [] : argTypes.slice(-1).map((type) => `[${type}]`);
  const dots = variadic < 0 || variadic > 1 ? ['…'] : [];
  const signature = `${name}(${[...required, ...optional, ...dots].join(', ')}) → ${returnType}`;
  return {
    title: `Function: ${name}`,
    paragraphs: [
      `\`${signature}\``,
      `Called here with ${node.args.length} of its arguments; gives a ${returnType}.`,
    ],
  };
}

const kComparisons = ['==', '!=', '>', '<', '>=', '<='];
const kSetOperators: Record<string, string> = {
  and: 'Keeps the series on the left that have a partner on the right.',
  or: 'All series on the left, and those on the right that have no partner there.',
  unless: 'Keeps the series on the left that have no partner on the right.',
};

function explainBinary(node: BinaryNode): Explanation {
  const left = valueType(node.lhs);
  const right = valueType(node.rhs);
  const paragraphs: string[] = [];
  const set = kSetOperators[node.op];
  if (set !== undefined) paragraphs.push(set);
  else if (kComparisons.includes(node.op)) {
    paragraphs.push(
      node.bool
        ? 'Compares, and gives 1 for true and 0 for false.'
        : 'A filter: keeps the series for which the comparison holds, with their values.',
    );
  } else paragraphs.push(`Computes \`left ${node.op} right\`; the metric name is dropped.`);

  if (left === 'vector' && right === 'vector' && node.matching !== null) {
    paragraphs.push(...explainMatching(node.matching, set !== undefined));
  } else if (left !== right) {
    paragraphs.push('The scalar is combined with each series.');
  }
  return { title: `Operator: ${node.op}`, paragraphs };
}

function explainMatching(matching: Matching, set: boolean): string[] {
  const { on, labels, card, include } = matching;
  const key = on
    ? labels.length > 0
      ? `that agree in ${list(labels)}`
      : 'whatever their labels are'
    : labels.length > 0
      ? `that agree in all labels except ${list(labels)}`
      : 'that agree in all labels';
  const found = [`Partners are series ${key}.`];
  if (!set) {
    if (card === 'one-to-one') found.push('Each series may have one partner at most.');
    if (card === 'many-to-one')
      found.push('Many series on the left may share a partner on the right.');
    if (card === 'one-to-many')
      found.push('Many series on the right may share a partner on the left.');
    if (include.length > 0)
      found.push(`The result takes over ${list(include)} from the side of the one.`);
  }
  const fill = matching.fillValues;
  if (fill && fill.lhs !== null)
    found.push(`A missing series on the left counts as \`${fill.lhs}\`.`);
  if (fill && fill.rhs !== null)
    found.push(`A missing series on the right counts as \`${fill.rhs}\`.`);
  return found;
}
