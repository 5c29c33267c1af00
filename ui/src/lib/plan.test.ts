import { describe, expect, test } from 'vitest';
import type { AstNode } from '../api/ast';
import type { PlanAnalysis, PlanNode } from '../api/plan';
import { formatSeconds, matchPlan, planDetails, planNote } from './plan';

const none = { offset: 0, timestamp: null, startOrEnd: null };
const up: AstNode = { type: 'vectorSelector', name: 'up', matchers: [], ...none };
const two: AstNode = { type: 'numberLiteral', val: '2' };
const topk: AstNode = {
  type: 'aggregation',
  op: 'topk',
  expr: { type: 'parenExpr', expr: up },
  param: two,
  grouping: [],
  without: false,
};

const operator = (type: string, ...children: PlanNode[]): PlanNode => ({
  type,
  expr: '',
  children,
});
const analysis: PlanAnalysis = {
  evaluations: 1,
  streamed: true,
  totalSeconds: 0.0123456,
  selfSeconds: 0.001,
  threadSeconds: 0.02,
  threads: 2,
  batches: 1,
  seriesSelected: 12,
  samplesRead: 982,
  series: 12,
  samples: 81,
  bytes: 2048,
  windowPlans: { made: 1, shared: 11 },
};

describe('the plan beside the tree', () => {
  test('operators find their nodes through wrappers, in the plan’s order', () => {
    const selector = operator('vectorSelector');
    const number = operator('numberLiteral');
    const plan = operator('stepInvariant', operator('aggregation', selector, number));
    const matched = matchPlan(topk, plan);
    expect(matched.get(topk)).toBe(plan.children[0]);
    expect(matched.get(up)).toBe(selector);
    expect(matched.get(topk.type === 'aggregation' ? topk.expr : up)).toBe(selector);
    expect(matched.get(two)).toBe(number);
  });

  test('what the planner replaced has no operator', () => {
    const call: AstNode = {
      type: 'call',
      func: { name: 'start', argTypes: [], variadic: 0, returnType: 'scalar' },
      args: [],
    };
    expect(matchPlan(call, operator('numberLiteral')).size).toBe(0);
  });

  test('numbers in words', () => {
    expect(formatSeconds(0.0123456)).toBe('12.3 ms');
    expect(formatSeconds(2)).toBe('2 s');
    expect(formatSeconds(0)).toBe('0 µs');
    expect(planNote(analysis)).toBe('12 series · 982 samples read · 12.3 ms');
    expect(planNote({ ...analysis, samplesRead: 0 })).toBe('12 series · 81 samples · 12.3 ms');
    const scalar = { ...analysis, samplesRead: 0, series: 0, samples: 1 };
    expect(planNote(scalar)).toBe('1 sample · 12.3 ms');
    expect(planDetails({ ...operator('call'), analysis })).toContain('1 batch on 2 threads');
    expect(planDetails({ ...operator('call'), analysis })).toContain('shared by 11 more series');
    expect(planDetails(operator('call'))).toBe('');
  });
});
