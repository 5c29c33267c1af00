import type { MouseEvent } from 'react';
import type { MatrixItem } from '../../api/types';
import type { ChartSeries } from '../../components/Chart';
import { BoxRows } from '../../components/VirtualRows';
import { formatShort } from '../../lib/format';
import { statistics, type Column } from '../../lib/series';
import { nextHidden } from './hidden';
import classes from './query.module.css';
import { SeriesName } from './SeriesName';

interface Props {
  matrix: readonly MatrixItem[];
  columns: readonly Column[];
  series: readonly ChartSeries[];
  hidden: ReadonlySet<number>;
  onChange: (hidden: ReadonlySet<number>) => void;
}

export function Legend({ matrix, columns, series, hidden, onChange }: Props) {
  const click = (index: number) => (event: MouseEvent) =>
    onChange(
      nextHidden(hidden, index, matrix.length, event.ctrlKey || event.metaKey || event.shiftKey),
    );
  return (
    <div>
      <div className={classes.legendHead} aria-hidden="true">
        <span />
        <span>Series</span>
        {['min', 'average', 'max', 'last'].map((name) => (
          <span key={name} style={{ textAlign: 'right' }}>
            {name}
          </span>
        ))}
      </div>
      <BoxRows
        label="Series of the graph"
        maxHeight="260px"
        count={matrix.length}
        estimate={() => 23}
        rowKey={(i) => i}
        render={(i) => {
          const stats = statistics(columns[i] ?? []);
          return (
            <button
              type="button"
              className={classes.legendRow}
              aria-pressed={!hidden.has(i)}
              onClick={click(i)}
            >
              <span className={classes.swatch} style={{ background: series[i]?.color }} />
              <SeriesName labels={matrix[i]!.metric} />
              {stats !== null &&
                [stats.min, stats.average, stats.max, stats.last ?? NaN].map((value, k) => (
                  <span key={k} className={classes.legendNumber}>
                    {formatShort(value)}
                  </span>
                ))}
            </button>
          );
        }}
      />
      {matrix.length > 1 && (
        <div className={classes.hint}>
          Click shows a series alone, Ctrl-click hides or shows one. Drag across the graph to zoom
          in.
        </div>
      )}
    </div>
  );
}
