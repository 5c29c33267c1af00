// The answer of /api/v1/query_explain; docs/explain.md describes it.

export interface PlanAnalysis {
  evaluations: number;
  streamed: boolean;
  totalSeconds: number;
  selfSeconds: number;
  threadSeconds: number;
  threads: number;
  batches: number;
  seriesSelected?: number;
  samplesRead: number;
  series: number;
  samples: number;
  bytes: number;
  windowPlans: { made: number; shared: number };
}

export interface PlanNode {
  type: string;
  name?: string;
  expr: string;
  once?: boolean;
  analysis?: PlanAnalysis;
  children: PlanNode[];
}

export interface Explained {
  query: string;
  analyzed: boolean;
  plan: PlanNode;
}
