import { useQuery } from '@tanstack/react-query';
import { useEffect, useMemo } from 'react';
import type { AstNode } from '../../api/ast';
import { callApi, callQuery } from '../../api/client';
import type { Explained, PlanNode } from '../../api/plan';
import { BusyBar, Empty, ErrorNotice } from '../../components/ui';
import { humanDuration } from '../../lib/duration';
import { plural } from '../../lib/format';
import { matchPlan, planDetails, planNote } from '../../lib/plan';
import { childNodes, countQuery, nodeHead } from '../../lib/promql';
import classes from './query.module.css';

interface Props {
  expr: string;
  selected?: AstNode | null;
  onSelect?: (node: AstNode) => void;
}

export function useParsed(expr: string) {
  return useQuery<AstNode, Error>({
    queryKey: ['parse', expr],
    enabled: expr.trim() !== '',
    staleTime: Infinity,
    queryFn: async ({ signal }) =>
      (await callApi<AstNode>('/parse_query', { query: expr }, { signal, method: 'POST' })).data,
  });
}

// What each operator does when the query runs now.
function useAnalyzed(expr: string) {
  return useQuery<Explained, Error>({
    queryKey: ['analyze', expr],
    enabled: expr.trim() !== '',
    staleTime: 30_000,
    retry: false,
    queryFn: async ({ signal }) =>
      (
        await callApi<Explained>(
          '/query_explain',
          { query: expr, analyze: 'true' },
          { signal, method: 'POST' },
        )
      ).data,
  });
}

// The query as a tree, each node with the series, samples and time that it takes now. That shows
// where a query loses its data, and its time. Of a query that fails the parts are counted one by
// one, to show which of them does.
export function TreeView({ expr, selected, onSelect }: Props) {
  const parsed = useParsed(expr);
  const root = parsed.data;
  const analyzed = useAnalyzed(expr);
  const plan = analyzed.data?.plan;
  const operators = useMemo(
    () => (root === undefined || plan === undefined ? null : matchPlan(root, plan)),
    [root, plan],
  );
  useEffect(() => {
    if (root !== undefined) onSelect?.(root);
  }, [onSelect, root]);

  if (expr.trim() === '') return <Empty>Execute an expression to see its tree.</Empty>;
  if (parsed.error !== null) return <ErrorNotice error={parsed.error} />;
  if (root === undefined) return <BusyBar busy />;
  return (
    <ul className={classes.treeRoot} aria-label="Tree of the query">
      <Node
        node={root}
        operators={operators}
        failed={analyzed.isError}
        selected={selected}
        onSelect={onSelect}
      />
    </ul>
  );
}

type NodeProps = Omit<Props, 'expr'> & {
  node: AstNode;
  operators: Map<AstNode, PlanNode> | null;
  failed: boolean;
};

function Node({ node, operators, failed, selected, onSelect }: NodeProps) {
  const children = childNodes(node);
  const content = (
    <>
      <span>{nodeHead(node)}</span>
      {failed ? <NodeCount node={node} /> : <NodeNumbers operator={operators?.get(node)} />}
    </>
  );
  return (
    <li>
      {onSelect === undefined ? (
        <div className={classes.treeRow}>{content}</div>
      ) : (
        <button
          type="button"
          className={classes.treeRow}
          aria-current={selected === node}
          onClick={() => onSelect(node)}
        >
          {content}
        </button>
      )}
      {children.length > 0 && (
        <ul className={classes.treeChildren}>
          {children.map((child, i) => (
            <Node
              key={i}
              node={child}
              operators={operators}
              failed={failed}
              selected={selected}
              onSelect={onSelect}
            />
          ))}
        </ul>
      )}
    </li>
  );
}

function NodeNumbers({ operator }: { operator: PlanNode | undefined }) {
  const analysis = operator?.analysis;
  if (operator === undefined || analysis === undefined || operator.type.endsWith('Literal')) {
    return null;
  }
  // Scalars have no series, and lose none.
  const empty = analysis.series === 0 && analysis.samples === 0;
  return (
    <span
      className={classes.treeNote}
      data-tone={empty ? 'bad' : undefined}
      title={planDetails(operator)}
    >
      {planNote(analysis)}
    </span>
  );
}

function NodeCount({ node }: { node: AstNode }) {
  const query = countQuery(node);
  const { data, error, isFetching } = useQuery({
    queryKey: ['count', query],
    enabled: query !== null,
    staleTime: 30_000,
    queryFn: async ({ signal }) => {
      const began = performance.now();
      const answer = await callQuery<{ result: { value: [number, string] }[] }>(
        '/query',
        { query: query! },
        signal,
      );
      const count = Number(answer.data.result[0]?.value[1] ?? 0);
      return { count, elapsedMs: performance.now() - began };
    },
  });
  if (query === null) return null;
  if (error !== null) {
    return (
      <span className={classes.treeNote} data-tone="bad">
        {error.message}
      </span>
    );
  }
  if (data === undefined) return <span className={classes.treeNote}>{isFetching ? '…' : ''}</span>;
  return (
    <span className={classes.treeNote} data-tone={data.count === 0 ? 'bad' : undefined}>
      {plural(data.count, 'series', 'series')} ·{' '}
      {humanDuration(Math.max(Math.round(data.elapsedMs), 1))}
    </span>
  );
}
