import { describe, expect, test } from 'vitest';
import type { AstNode } from '../api/ast';
import { explainNode } from './explain';
import { childNodes, countQuery, formatNode, nodeHead, valueType } from './promql';

const name = (value: string) => ({ name: '__name__', type: '=' as const, value });
const none = { offset: 0, timestamp: null, startOrEnd: null };

const up: AstNode = { type: 'vectorSelector', name: 'up', matchers: [name('up')], ...none };
const range: AstNode = {
  type: 'matrixSelector',
  name: 'a',
  matchers: [name('a'), { name: 'job', type: '=~', value: 'x"y' }],
  range: 300_000,
  offset: 3_600_000,
  timestamp: 1_600_000_000_000,
  startOrEnd: null,
};
const rate: AstNode = {
  type: 'call',
  func: { name: 'rate', argTypes: ['matrix'], variadic: 0, returnType: 'vector' },
  args: [range],
};
const sum: AstNode = {
  type: 'aggregation',
  op: 'sum',
  expr: rate,
  param: null,
  grouping: ['job'],
  without: false,
};
const division: AstNode = {
  type: 'binaryExpr',
  op: '/',
  lhs: sum,
  rhs: up,
  bool: false,
  matching: {
    card: 'many-to-one',
    labels: ['job'],
    on: true,
    include: ['team'],
    fillValues: { lhs: null, rhs: 0 },
  },
};

describe('trees as text', () => {
  test.each<[AstNode, string]>([
    [up, 'up'],
    [
      {
        type: 'vectorSelector',
        name: '',
        matchers: [{ name: 'a', type: '!=', value: '' }],
        ...none,
      },
      '{a!=""}',
    ],
    [{ type: 'vectorSelector', name: 'a.b', matchers: [name('a.b')], ...none }, '{"a.b"}'],
    [
      {
        type: 'vectorSelector',
        name: '',
        matchers: [{ name: '__name__', type: '=~', value: 'a.*' }],
        ...none,
      },
      '{__name__=~"a.*"}',
    ],
    [{ ...up, startOrEnd: 'end', offset: -60_000 } as AstNode, 'up @ end() offset -1m'],
    [{ ...up, smoothed: true } as AstNode, 'up smoothed'],
    [range, 'a{job=~"x\\"y"}[5m] @ 1600000000.000 offset 1h'],
    [sum, 'sum by(job) (rate(a{job=~"x\\"y"}[5m] @ 1600000000.000 offset 1h))'],
    [division, `${formatNode(sum)} / on(job) group_left(team) fill_right(0) up`],
    [
      {
        type: 'aggregation',
        op: 'topk',
        expr: up,
        param: { type: 'numberLiteral', val: '3' },
        grouping: [],
        without: true,
      },
      'topk without() (3, up)',
    ],
    [{ type: 'subquery', expr: up, range: 600_000, step: 0, ...none }, 'up[10m:]'],
    [{ type: 'subquery', expr: up, range: 600_000, step: 30_000, ...none }, 'up[10m:30s]'],
    [
      {
        type: 'matrixSelector',
        name: 'a',
        matchers: [name('a')],
        range: 0,
        ...none,
        rangeExpr: {
          type: 'durationExpr',
          op: '*',
          lhs: { type: 'numberLiteral', val: '60', duration: true },
          rhs: { type: 'numberLiteral', val: '2' },
        },
      },
      'a[1m * 2]',
    ],
    [{ type: 'unaryExpr', op: '-', expr: { type: 'parenExpr', expr: up } }, '-(up)'],
    [{ type: 'stringLiteral', val: 'a"b' }, '"a\\"b"'],
  ])('%#', (node, want) => expect(formatNode(node)).toBe(want));

  test('heads leave the operands out', () => {
    expect(nodeHead(division)).toBe('… / on(job) group_left(team) fill_right(0) …');
    expect(nodeHead(sum)).toBe('sum by(job) (…)');
    expect(nodeHead(rate)).toBe('rate(…)');
    expect(childNodes(division)).toEqual([sum, up]);
  });

  test('types and counting queries', () => {
    expect(valueType(division)).toBe('vector');
    expect(valueType(range)).toBe('matrix');
    expect(countQuery(up)).toBe('count(up)');
    expect(countQuery(range)).toBe(`count(present_over_time(${formatNode(range)}))`);
    expect(countQuery({ type: 'numberLiteral', val: '1' })).toBeNull();
  });
});

test('explanations name what matters', () => {
  const text = (node: AstNode) => explainNode(node).paragraphs.join(' ');
  expect(text(division)).toContain('`job`');
  expect(text(division)).toContain('takes over `team`');
  expect(text(division)).toContain('missing series on the right counts as `0`');
  expect(text(sum)).toContain('adds up the values');
  expect(text(range)).toContain('last `5m`');
  expect(text(range)).toContain('`job` matches `x"y`');
  expect(text(range)).toContain('Shifted into the past by `1h`');
  expect(explainNode(rate).paragraphs[0]).toBe('`rate(matrix) → vector`');
});
