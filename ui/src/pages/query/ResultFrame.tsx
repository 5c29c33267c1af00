import type { ReactNode } from 'react';
import { BusyBar, Empty, ErrorNotice, Notice } from '../../components/ui';
import { humanDuration } from '../../lib/duration';
import { formatCount } from '../../lib/format';
import { stripPrefix } from '../../lib/notices';
import { settings } from '../../lib/settings';
import classes from './query.module.css';
import type { Executed } from './useQueries';

interface Props {
  expr: string;
  controls: ReactNode;
  query: { data: Executed | undefined; error: Error | null; isFetching: boolean };
  children: (executed: Executed) => ReactNode;
}

// What a table and a graph have in common: controls, progress, statistics, errors, annotations.
export function ResultFrame({ expr, controls, query, children }: Props) {
  const { showWarnings, showInfos } = settings.use();
  const empty = expr.trim() === '';
  const data = empty ? undefined : query.data;
  const warnings = showWarnings ? (data?.answer.warnings ?? []) : [];
  const infos = showInfos ? (data?.answer.infos ?? []) : [];
  return (
    <>
      <BusyBar busy={query.isFetching} />
      <div className={classes.controls}>
        {controls}
        {data !== undefined && query.error === null && (
          <div className={classes.summary} role="status">
            {summary(data)}
          </div>
        )}
      </div>
      {(query.error !== null || warnings.length > 0 || infos.length > 0) && (
        <div className={classes.pad}>
          {query.error !== null && <ErrorNotice error={query.error} />}
          {query.error === null &&
            warnings.map((text) => (
              <Notice key={text} tone="warn">
                {stripPrefix(text)}
              </Notice>
            ))}
          {query.error === null &&
            infos.map((text) => (
              <Notice key={text} tone="info">
                {stripPrefix(text)}
              </Notice>
            ))}
        </div>
      )}
      {empty && <Empty>Write an expression and press Enter.</Empty>}
      {data !== undefined && query.error === null && children(data)}
    </>
  );
}

function summary({ answer, elapsedMs, step }: Executed): string {
  const { data } = answer;
  const series =
    data.resultType === 'vector' || data.resultType === 'matrix' ? data.result.length : 1;
  const parts = [humanDuration(Math.round(elapsedMs)), `${formatCount(series)} series`];
  if (step > 0) parts.push(`step ${humanDuration(step * 1000)}`);
  const samples = data.stats?.samples?.totalQueryableSamples;
  if (samples !== undefined) parts.push(`${formatCount(samples)} samples`);
  return parts.join(' · ');
}
