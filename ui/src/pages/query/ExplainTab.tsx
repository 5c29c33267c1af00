import { useCallback, useState } from 'react';
import type { AstNode } from '../../api/ast';
import { Empty } from '../../components/ui';
import { explainNode } from '../../lib/explain';
import { formatNode } from '../../lib/promql';
import classes from './query.module.css';
import { TreeView } from './TreeView';

export function ExplainTab({ expr }: { expr: string }) {
  const [selected, setSelected] = useState<AstNode | null>(null);
  const select = useCallback((node: AstNode) => setSelected(node), []);
  if (expr.trim() === '') return <Empty>Execute an expression to have it explained.</Empty>;
  return (
    <div className={classes.explain}>
      <TreeView expr={expr} selected={selected} onSelect={select} />
      {selected !== null && <Explanation node={selected} />}
    </div>
  );
}

function Explanation({ node }: { node: AstNode }) {
  const { title, paragraphs } = explainNode(node);
  return (
    <div className={classes.explainText} aria-live="polite">
      <h3>{title}</h3>
      {paragraphs.map((text, i) => (
        <p key={i}>
          {text.split('`').map((part, k) => (k % 2 === 1 ? <code key={k}>{part}</code> : part))}
        </p>
      ))}
      <p className="dim">
        <code>{formatNode(node)}</code>
      </p>
    </div>
  );
}
