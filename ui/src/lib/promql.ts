// Writes syntax trees back as PromQL, whole or without their operands.

import type {
  AggregationNode,
  AstNode,
  BinaryNode,
  DurationNode,
  MatrixSelectorNode,
  SubqueryNode,
  VectorSelectorNode,
} from '../api/ast';
import { formatDuration } from './duration';
import { quote, quoteLabelName } from './format';

const kPlainMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

export function formatNode(node: AstNode): string {
  switch (node.type) {
    case 'numberLiteral':
      return node.val;
    case 'stringLiteral':
      return quote(node.val);
    case 'parenExpr':
      return `(${formatNode(node.expr)})`;
    case 'unaryExpr':
      return `${node.op}${formatNode(node.expr)}`;
    case 'call':
      return `${node.func.name}(${node.args.map(formatNode).join(', ')})`;
    case 'aggregation': {
      const args = node.param === null ? [node.expr] : [node.param, node.expr];
      return `${aggregationHead(node)}(${args.map(formatNode).join(', ')})`;
    }
    case 'binaryExpr':
      return `${formatNode(node.lhs)} ${binaryHead(node)} ${formatNode(node.rhs)}`;
    case 'subquery':
      return `${formatNode(node.expr)}${subqueryTail(node)}`;
    case 'vectorSelector':
    case 'matrixSelector':
      return formatSelector(node);
  }
}

// What a node adds to its operands, as the tree view shows it.
export function nodeHead(node: AstNode): string {
  switch (node.type) {
    case 'parenExpr':
      return '( … )';
    case 'unaryExpr':
      return `${node.op} …`;
    case 'call':
      return node.args.length === 0 ? `${node.func.name}()` : `${node.func.name}(…)`;
    case 'aggregation':
      return `${aggregationHead(node)}(…)`;
    case 'binaryExpr':
      return `… ${binaryHead(node)} …`;
    case 'subquery':
      return `…${subqueryTail(node)}`;
    default:
      return formatNode(node);
  }
}

export function childNodes(node: AstNode): AstNode[] {
  switch (node.type) {
    case 'parenExpr':
    case 'unaryExpr':
    case 'subquery':
      return [node.expr];
    case 'call':
      return node.args;
    case 'aggregation':
      return node.param === null ? [node.expr] : [node.param, node.expr];
    case 'binaryExpr':
      return [node.lhs, node.rhs];
    default:
      return [];
  }
}

export type ValueType = 'scalar' | 'string' | 'vector' | 'matrix';

export function valueType(node: AstNode): ValueType {
  switch (node.type) {
    case 'numberLiteral':
      return 'scalar';
    case 'stringLiteral':
      return 'string';
    case 'parenExpr':
    case 'unaryExpr':
      return valueType(node.expr);
    case 'call':
      return node.func.returnType as ValueType;
    case 'binaryExpr':
      return valueType(node.lhs) === 'scalar' && valueType(node.rhs) === 'scalar'
        ? 'scalar'
        : 'vector';
    case 'matrixSelector':
    case 'subquery':
      return 'matrix';
    default:
      return 'vector';
  }
}

// A query that only counts what the node gives, so that the tree view transfers one number for
// each node. Null for nodes that are no set of series.
export function countQuery(node: AstNode): string | null {
  const type = valueType(node);
  if (type === 'vector') return `count(${formatNode(node)})`;
  if (type === 'matrix') return `count(present_over_time(${formatNode(unwrap(node))}))`;
  return null;
}

function unwrap(node: AstNode): AstNode {
  return node.type === 'parenExpr' ? unwrap(node.expr) : node;
}

function labelList(labels: readonly string[]): string {
  return labels.map(quoteLabelName).join(', ');
}

function aggregationHead(node: AggregationNode): string {
  if (node.without) return `${node.op} without(${labelList(node.grouping)}) `;
  return node.grouping.length > 0 ? `${node.op} by(${labelList(node.grouping)}) ` : node.op;
}

function binaryHead(node: BinaryNode): string {
  const parts = [node.bool ? `${node.op} bool` : node.op];
  const matching = node.matching;
  if (matching !== null) {
    if (matching.on || matching.labels.length > 0) {
      parts.push(`${matching.on ? 'on' : 'ignoring'}(${labelList(matching.labels)})`);
    }
    if (matching.card === 'many-to-one') parts.push(`group_left(${labelList(matching.include)})`);
    if (matching.card === 'one-to-many') parts.push(`group_right(${labelList(matching.include)})`);
    const lhs = matching.fillValues?.lhs ?? null;
    const rhs = matching.fillValues?.rhs ?? null;
    if (lhs !== null && lhs === rhs) parts.push(`fill(${lhs})`);
    else {
      if (lhs !== null) parts.push(`fill_left(${lhs})`);
      if (rhs !== null) parts.push(`fill_right(${rhs})`);
    }
  }
  return parts.join(' ');
}

function durationOr(expr: DurationNode | null | undefined, durationMs: number): string {
  return expr ? formatDurationNode(expr) : formatDuration(durationMs);
}

export function formatDurationNode(node: DurationNode): string {
  if (node.type === 'numberLiteral') {
    return node.duration ? formatDuration(Number(node.val) * 1000) : node.val;
  }
  const { lhs, rhs, op } = node;
  const text = (side: DurationNode | null) => (side === null ? '' : formatDurationNode(side));
  let body: string;
  if (op === 'step' || op === 'range') body = `${op}()`;
  else if (/^[a-z]/.test(op)) body = `${op}(${text(lhs)}, ${text(rhs)})`;
  else body = lhs === null ? `${op}${text(rhs)}` : `${text(lhs)} ${op} ${text(rhs)}`;
  return node.wrapped ? `(${body})` : body;
}

function modifiers(node: VectorSelectorNode | MatrixSelectorNode | SubqueryNode): string {
  let text = '';
  if (node.type !== 'subquery') {
    if (node.anchored) text += ' anchored';
    if (node.smoothed) text += ' smoothed';
  }
  if (node.timestamp !== null && node.timestamp !== undefined) {
    text += ` @ ${(node.timestamp / 1000).toFixed(3)}`;
  } else if (node.startOrEnd) {
    text += ` @ ${node.startOrEnd}()`;
  }
  if (node.offsetExpr) {
    // Only a parenthesised expression may follow `offset`; a plain literal needs no brackets.
    const body = formatDurationNode(node.offsetExpr);
    const bare = node.offsetExpr.type === 'numberLiteral' || node.offsetExpr.wrapped;
    text += ` offset ${bare ? body : `(${body})`}`;
  } else if (node.offset !== 0) {
    text += ` offset ${formatDuration(node.offset)}`;
  }
  return text;
}

function formatSelector(node: VectorSelectorNode | MatrixSelectorNode): string {
  const plainName = kPlainMetric.test(node.name);
  const isName = (name: string, type: string, value: string) =>
    name === '__name__' && type === '=' && value === node.name && node.name !== '';
  const matchers = node.matchers
    .filter((m) => !isName(m.name, m.type, m.value))
    .map((m) => `${quoteLabelName(m.name)}${m.type}${quote(m.value)}`);
  if (node.name !== '' && !plainName) matchers.unshift(quote(node.name));
  const braces = matchers.length > 0 || node.name === '' ? `{${matchers.join(', ')}}` : '';
  const range = node.type === 'matrixSelector' ? `[${durationOr(node.rangeExpr, node.range)}]` : '';
  return `${plainName ? node.name : ''}${braces}${range}${modifiers(node)}`;
}

function subqueryTail(node: SubqueryNode): string {
  const step = node.stepExpr || node.step !== 0 ? durationOr(node.stepExpr, node.step) : '';
  return `[${durationOr(node.rangeExpr, node.range)}:${step}]${modifiers(node)}`;
}
