import { Modal } from '@mantine/core';
import { useApi } from '../api/hooks';
import type { RelabelStep } from '../api/types';
import { Empty, LabelList, Loaded, Notice } from '../components/ui';
import type { Labels } from '../lib/format';
import { labelChanges } from '../lib/relabel';
import classes from './lists.module.css';

interface Props {
  pool: string;
  labels: Labels;
  onClose: () => void;
}

// What each relabelling rule of the pool makes of one discovered target.
export default function RelabelSteps({ pool, labels, onClose }: Props) {
  const answer = useApi<{ steps: RelabelStep[] }>('/targets/relabel_steps', {
    scrapePool: pool,
    labels: JSON.stringify(labels),
  });
  return (
    <Modal
      opened
      onClose={onClose}
      size="xl"
      title={`Relabelling in ${pool}`}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <LabelList labels={labels} />
      <Loaded query={answer}>
        {({ data: { steps } }) => (
          <div style={{ marginTop: 12 }}>
            {steps.length === 0 && <Empty>This pool has no relabelling rules.</Empty>}
            {steps.map((step, i) => {
              const before = i === 0 ? labels : steps[i - 1]!.output;
              const dropped = !step.keep && (i === 0 || steps[i - 1]!.keep);
              if (!step.keep && !dropped) return null;
              return (
                <div key={i} className={classes.step}>
                  <Rule rule={step.rule} />
                  {dropped ? (
                    <Notice tone="warn">This rule drops the target.</Notice>
                  ) : (
                    <Changes before={before} after={step.output} />
                  )}
                </div>
              );
            })}
          </div>
        )}
      </Loaded>
    </Modal>
  );
}

function Rule({ rule }: { rule: Record<string, unknown> }) {
  return (
    <div className="mono">
      {Object.entries(rule).map(([name, value]) => (
        <div key={name}>
          <span className="dim">{name}:</span>{' '}
          {typeof value === 'string' ? value : JSON.stringify(value)}
        </div>
      ))}
    </div>
  );
}

function Changes({ before, after }: { before: Labels; after: Labels }) {
  const { set, removed } = labelChanges(before, after);
  if (Object.keys(set).length === 0 && Object.keys(removed).length === 0) {
    return <span className="dim">changes nothing</span>;
  }
  return (
    <div>
      <LabelList labels={set} />
      <div className={classes.removed}>
        <LabelList labels={removed} />
      </div>
    </div>
  );
}
