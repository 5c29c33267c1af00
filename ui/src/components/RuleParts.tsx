import type { ReactNode } from 'react';
import type { Rule } from '../api/types';
import { formatDuration } from '../lib/duration';
import { Annotations } from './Annotations';
import { ExprLink, LabelList, Pill } from './ui';
import classes from './RuleParts.module.css';

// The line of a rule in a list: what it is called, what it does, how it is.
export function RuleHead({ rule, children }: { rule: Rule; children: ReactNode }) {
  return (
    <span className={classes.head}>
      <span className={classes.name}>{rule.name}</span>
      {rule.type === 'recording' && <Pill tone="mute">record</Pill>}
      <span className={classes.query}>{rule.query}</span>
      <span className={classes.pills}>{children}</span>
    </span>
  );
}

export function RuleFacts({ rule }: { rule: Rule }) {
  const labels = rule.labels ?? {};
  return (
    <>
      <ExprLink expr={rule.query} />
      <dl className={classes.facts}>
        {rule.type === 'alerting' && rule.duration > 0 && (
          <>
            <dt>for</dt>
            <dd>{formatDuration(rule.duration * 1000)}</dd>
          </>
        )}
        {rule.type === 'alerting' && rule.keepFiringFor > 0 && (
          <>
            <dt>keep firing for</dt>
            <dd>{formatDuration(rule.keepFiringFor * 1000)}</dd>
          </>
        )}
        {Object.keys(labels).length > 0 && (
          <>
            <dt>labels</dt>
            <dd>
              <LabelList labels={labels} />
            </dd>
          </>
        )}
      </dl>
      {rule.type === 'alerting' && Object.keys(rule.annotations ?? {}).length > 0 && (
        <Annotations annotations={rule.annotations ?? {}} />
      )}
    </>
  );
}
