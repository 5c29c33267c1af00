import { ActionIcon, Button, Menu } from '@mantine/core';
import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react';
import { callApi } from '../../api/client';
import { Icon, type IconName } from '../../components/Icon';
import { ErrorNotice, uiClasses } from '../../components/ui';
import { queryHistory, rememberQuery } from '../../lib/history';
import type { PanelState, Tab } from '../../lib/panels';
import { settings } from '../../lib/settings';
import type { EditorHandle } from './ExpressionEditor';
import { ExplainTab } from './ExplainTab';
import { GraphTab } from './GraphTab';
import classes from './query.module.css';
import { TableTab } from './TableTab';
import { TreeView } from './TreeView';
import type { PanelActions } from './usePanels';

const ExpressionEditor = lazy(() => import('./ExpressionEditor'));
const MetricsExplorer = lazy(() => import('./MetricsExplorer'));

const kTabs: { tab: Tab; label: string; icon: IconName }[] = [
  { tab: 'table', label: 'Table', icon: 'table' },
  { tab: 'graph', label: 'Graph', icon: 'graph' },
  { tab: 'explain', label: 'Explain', icon: 'tree' },
];

interface Props {
  index: number;
  state: PanelState;
  actions: PanelActions;
  removable: boolean;
}

export function QueryPanel({ index, state, actions, removable }: Props) {
  const [draft, setDraft] = useState(state.expr);
  const [run, setRun] = useState(0); // Counts executions, so that the same query can run again.
  const [exploring, setExploring] = useState(false);
  const [formatError, setFormatError] = useState<Error | null>(null);
  const editor = useRef<EditorHandle>(null);
  const draftRef = useRef(draft);
  draftRef.current = draft;
  const { queryHistory: keepHistory } = settings.use();

  // Back, forward and links change the address: the editor follows.
  useEffect(() => setDraft(state.expr), [state.expr]);

  const change = useCallback(
    (patch: Partial<PanelState>) => actions.change(index, patch),
    [actions, index],
  );
  const execute = useCallback(
    (expr = draftRef.current) => {
      const trimmed = expr.trim();
      setFormatError(null);
      setRun((n) => n + 1);
      if (trimmed === '') return;
      if (keepHistory) rememberQuery(trimmed);
      setDraft(expr);
      actions.change(index, { expr });
    },
    [actions, index, keepHistory],
  );

  const format = async () => {
    try {
      const answer = await callApi<string>(
        '/format_query',
        { query: draftRef.current },
        { method: 'POST' },
      );
      setFormatError(null);
      setDraft(answer.data);
    } catch (error) {
      setFormatError(error as Error);
    }
  };

  const common = { state, run, change, execute };
  return (
    <section className={uiClasses.card} aria-label={`Query panel ${index + 1}`}>
      <div className={classes.bar}>
        <Suspense fallback={<div className={classes.editorSpace} />}>
          <ExpressionEditor
            ref={editor}
            value={draft}
            onChange={setDraft}
            onExecute={execute}
            autoFocus={index === 0 && state.expr === ''}
          />
        </Suspense>
        <div className={classes.buttons}>
          <HistoryMenu onPick={execute} />
          <ActionIcon
            variant="default"
            size={32}
            aria-label="Explore metrics"
            title="Explore metrics"
            onClick={() => setExploring(true)}
          >
            <Icon name="list" />
          </ActionIcon>
          <ActionIcon
            variant="default"
            size={32}
            aria-label="Format the query"
            title="Format the query"
            disabled={draft.trim() === ''}
            onClick={() => void format()}
          >
            <Icon name="format" />
          </ActionIcon>
          <Button size="xs" h={32} onClick={() => execute()}>
            Execute
          </Button>
        </div>
      </div>
      {formatError !== null && (
        <div className={classes.pad}>
          <ErrorNotice error={formatError} />
        </div>
      )}
      {state.showTree && (
        <div className={classes.treeBox}>
          <TreeView expr={state.expr} />
        </div>
      )}
      <div className={classes.tabBar}>
        <div role="tablist" aria-label="Result" className={classes.tabs}>
          {kTabs.map(({ tab, label, icon }, i) => (
            <button
              key={tab}
              type="button"
              role="tab"
              id={`tab-${index}-${tab}`}
              aria-selected={state.tab === tab}
              aria-controls={`result-${index}`}
              tabIndex={state.tab === tab ? 0 : -1}
              className={classes.tab}
              onClick={() => change({ tab })}
              onKeyDown={(event) => {
                const turn = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
                if (turn === 0) return;
                const next = kTabs[(i + turn + kTabs.length) % kTabs.length]!.tab;
                change({ tab: next });
                document.getElementById(`tab-${index}-${next}`)?.focus();
              }}
            >
              <Icon name={icon} size={14} />
              {label}
            </button>
          ))}
        </div>
        <div className={classes.panelTools}>
          <ActionIcon
            variant={state.showTree ? 'light' : 'subtle'}
            color={state.showTree ? 'fennel' : 'gray'}
            aria-label="Tree of the query"
            aria-pressed={state.showTree}
            title="Tree of the query"
            onClick={() => change({ showTree: !state.showTree })}
          >
            <Icon name="tree" size={15} />
          </ActionIcon>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label="Duplicate the panel"
            title="Duplicate the panel"
            onClick={() => actions.duplicate(index, state.expr)}
          >
            <Icon name="duplicate" size={15} />
          </ActionIcon>
          {removable && (
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label="Remove the panel"
              title="Remove the panel"
              onClick={() => actions.remove(index)}
            >
              <Icon name="close" size={15} />
            </ActionIcon>
          )}
        </div>
      </div>
      <div role="tabpanel" id={`result-${index}`} aria-labelledby={`tab-${index}-${state.tab}`}>
        {state.tab === 'table' && <TableTab {...common} />}
        {state.tab === 'graph' && <GraphTab {...common} />}
        {state.tab === 'explain' && <ExplainTab expr={state.expr} />}
      </div>
      {exploring && (
        <Suspense fallback={null}>
          <MetricsExplorer
            onClose={() => setExploring(false)}
            onInsert={(text) => {
              setExploring(false);
              editor.current?.insert(text);
            }}
          />
        </Suspense>
      )}
    </section>
  );
}

function HistoryMenu({ onPick }: { onPick: (expr: string) => void }) {
  const entries = queryHistory.use();
  return (
    <Menu position="bottom-end" shadow="md" width={480} withinPortal>
      <Menu.Target>
        <ActionIcon variant="default" size={32} aria-label="Query history" title="Query history">
          <Icon name="history" />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown mah={420} style={{ overflowY: 'auto' }}>
        {entries.length === 0 && <Menu.Label>No queries yet</Menu.Label>}
        {entries.map((entry) => (
          <Menu.Item key={entry} onClick={() => onPick(entry)}>
            <code className={classes.historyEntry}>{entry}</code>
          </Menu.Item>
        ))}
        {entries.length > 0 && (
          <>
            <Menu.Divider />
            <Menu.Item
              leftSection={<Icon name="trash" size={14} />}
              onClick={() => queryHistory.set([])}
            >
              Forget these queries
            </Menu.Item>
          </>
        )}
      </Menu.Dropdown>
    </Menu>
  );
}
