// The server's plan beside the syntax tree: which operator belongs to which node, and its numbers
// in words.

import type { AstNode } from '../api/ast';
import type { PlanAnalysis, PlanNode } from '../api/plan';
import { formatBytes, formatCount, plural } from './format';
import { childNodes } from './promql';

// The plan has no parentheses, and wraps parts that are evaluated once.
function unwrapPlan(node: PlanNode): PlanNode {
  const wrapper = node.type === 'parenExpr' || node.type === 'stepInvariant';
  const inner = node.children[0];
  return wrapper && inner !== undefined ? unwrapPlan(inner) : node;
}

// In the plan's order: an aggregation's expression before its parameter.
function operands(node: AstNode): AstNode[] {
  const children = childNodes(node);
  return node.type === 'aggregation' ? [...children].reverse() : children;
}

// The operators by node. Nodes that the planner replaced, such as start(), have none.
export function matchPlan(root: AstNode, plan: PlanNode): Map<AstNode, PlanNode> {
  const matched = new Map<AstNode, PlanNode>();
  const walk = (node: AstNode, wrapped: PlanNode): void => {
    const operator = unwrapPlan(wrapped);
    if (node.type === 'parenExpr') {
      matched.set(node, operator);
      walk(node.expr, operator);
      return;
    }
    if (node.type !== operator.type) return;
    matched.set(node, operator);
    operands(node).forEach((child, i) => {
      const below = operator.children[i];
      if (below !== undefined) walk(child, below);
    });
  };
  walk(root, plan);
  return matched;
}

// 0.0123 is "12.3 ms".
export function formatSeconds(seconds: number): string {
  const units: [number, string][] = [
    [1, 's'],
    [1e-3, 'ms'],
    [1e-6, 'µs'],
  ];
  const [size, unit] = units.find(([least]) => seconds >= least) ?? [1e-6, 'µs'];
  return `${Number((seconds / size).toPrecision(3))} ${unit}`;
}

// "12 series · 982 samples read · 75.2 µs"
export function planNote(analysis: PlanAnalysis): string {
  // Scalars have samples, but no series.
  const scalar = analysis.series === 0 && analysis.samples > 0;
  const parts = scalar ? [] : [plural(analysis.series, 'series', 'series')];
  if (analysis.samplesRead > 0) {
    parts.push(`${formatCount(analysis.samplesRead)} samples read`);
  } else {
    parts.push(plural(analysis.samples, 'sample'));
  }
  parts.push(formatSeconds(analysis.totalSeconds));
  return parts.join(' · ');
}

// All of it, for a tooltip.
export function planDetails(operator: PlanNode): string {
  const a = operator.analysis;
  if (a === undefined) return '';
  const lines = [
    `${formatSeconds(a.totalSeconds)} with operands, ${formatSeconds(a.selfSeconds)} without`,
    `${plural(a.samples, 'sample')} in the result, ${formatBytes(a.bytes)}`,
  ];
  if (a.seriesSelected !== undefined) lines.push(`${formatCount(a.seriesSelected)} series selected`);
  if (a.samplesRead > 0) lines.push(`${formatCount(a.samplesRead)} samples read`);
  if (a.batches > 0) {
    lines.push(
      `${plural(a.batches, 'batch', 'batches')} on ${plural(a.threads, 'thread')}, busy for ` +
        formatSeconds(a.threadSeconds),
    );
  }
  if (a.windowPlans.made > 0) {
    lines.push(
      `${plural(a.windowPlans.made, 'window plan')}, shared by ` +
        `${formatCount(a.windowPlans.shared)} more series`,
    );
  }
  if (a.streamed) lines.push('streamed: never in memory as a whole');
  return lines.join('\n');
}
