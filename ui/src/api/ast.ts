// The syntax tree that /api/v1/parse_query answers with.

export interface Matcher {
  name: string;
  value: string;
  type: '=' | '!=' | '=~' | '!~';
}

export type DurationNode =
  | { type: 'numberLiteral'; val: string; duration?: boolean }
  | {
      type: 'durationExpr';
      op: string;
      lhs: DurationNode | null;
      rhs: DurationNode | null;
      wrapped?: boolean;
    };

interface Modifiers {
  offset: number; // Milliseconds.
  offsetExpr?: DurationNode | null;
  timestamp: number | null; // Milliseconds.
  startOrEnd: 'start' | 'end' | null;
}

interface Selector extends Modifiers {
  name: string;
  matchers: Matcher[];
  anchored?: boolean;
  smoothed?: boolean;
}

export interface Matching {
  card: 'one-to-one' | 'many-to-one' | 'one-to-many' | 'many-to-many';
  labels: string[];
  on: boolean;
  include: string[];
  fillValues?: { lhs: number | string | null; rhs: number | string | null };
}

export interface CallNode {
  type: 'call';
  func: { name: string; argTypes: string[]; variadic: number; returnType: string };
  args: AstNode[];
}

export interface AggregationNode {
  type: 'aggregation';
  op: string;
  expr: AstNode;
  param: AstNode | null;
  grouping: string[];
  without: boolean;
}

export interface BinaryNode {
  type: 'binaryExpr';
  op: string;
  lhs: AstNode;
  rhs: AstNode;
  matching: Matching | null;
  bool: boolean;
}

export type VectorSelectorNode = Selector & { type: 'vectorSelector' };

export type MatrixSelectorNode = Selector & {
  type: 'matrixSelector';
  range: number;
  rangeExpr?: DurationNode | null;
};

export type SubqueryNode = Modifiers & {
  type: 'subquery';
  expr: AstNode;
  range: number;
  rangeExpr?: DurationNode | null;
  step: number;
  stepExpr?: DurationNode | null;
};

export type AstNode =
  | AggregationNode
  | BinaryNode
  | CallNode
  | MatrixSelectorNode
  | SubqueryNode
  | VectorSelectorNode
  | { type: 'numberLiteral'; val: string }
  | { type: 'stringLiteral'; val: string }
  | { type: 'parenExpr'; expr: AstNode }
  | { type: 'unaryExpr'; op: string; expr: AstNode };
