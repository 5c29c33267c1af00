import { ActionIcon, Button, Switch } from '@mantine/core';
import { useCallback, useEffect, useMemo, useState } from 'react';
import type { MatrixItem } from '../../api/types';
import { Chart } from '../../components/Chart';
import { Heatmap } from '../../components/Heatmap';
import { Icon, type IconName } from '../../components/Icon';
import { Empty, Notice } from '../../components/ui';
import { formatCount, formatSeries } from '../../lib/format';
import { seriesColor } from '../../lib/palette';
import { buildHeatmap, isHistogramMatrix } from '../../lib/heatmap';
import { displayModes, type DisplayMode, type PanelState } from '../../lib/panels';
import { alignMatrix } from '../../lib/series';
import { settings } from '../../lib/settings';
import { Legend } from './Legend';
import classes from './query.module.css';
import { ResolutionInput } from './ResolutionInput';
import { ResultFrame } from './ResultFrame';
import { RangeInput, TimeInput } from './TimeInput';
import { useExemplars } from './useExemplars';
import { useRangeQuery, type Executed } from './useQueries';

const kModes: Record<DisplayMode, { title: string; icon: IconName }> = {
  lines: { title: 'Lines', icon: 'graph' },
  stacked: { title: 'Stacked', icon: 'stacked' },
  heatmap: { title: 'Heatmap of histograms', icon: 'heatmap' },
};

interface Props {
  state: PanelState;
  run: number;
  change: (patch: Partial<PanelState>) => void;
}

export function GraphTab({ state, run, change }: Props) {
  const query = useRangeQuery(state, run);
  return (
    <ResultFrame
      expr={state.expr}
      query={query}
      controls={
        <>
          <RangeInput rangeMs={state.rangeMs} onChange={(rangeMs) => change({ rangeMs })} />
          <TimeInput
            label="End time"
            valueMs={state.endMs}
            stepMs={state.rangeMs / 2}
            onChange={(endMs) => change({ endMs })}
          />
          <ResolutionInput
            resolution={state.resolution}
            rangeMs={state.rangeMs}
            onChange={(resolution) => change({ resolution })}
          />
          <div className={classes.joined} role="group" aria-label="Display">
            {displayModes.map((mode) => (
              <ActionIcon
                key={mode}
                size={30}
                variant={state.displayMode === mode ? 'filled' : 'default'}
                aria-label={kModes[mode].title}
                aria-pressed={state.displayMode === mode}
                title={kModes[mode].title}
                onClick={() => change({ displayMode: mode })}
              >
                <Icon name={kModes[mode].icon} size={14} />
              </ActionIcon>
            ))}
          </div>
          <Switch
            size="xs"
            label="From zero"
            checked={state.yAxisMin === 0}
            onChange={(event) => change({ yAxisMin: event.currentTarget.checked ? 0 : null })}
          />
          <Switch
            size="xs"
            label="Exemplars"
            checked={state.showExemplars}
            onChange={(event) => change({ showExemplars: event.currentTarget.checked })}
          />
        </>
      }
    >
      {(executed) => <Graph executed={executed} state={state} change={change} />}
    </ResultFrame>
  );
}

interface GraphProps {
  executed: Executed;
  state: PanelState;
  change: (patch: Partial<PanelState>) => void;
}

const kNoSeries: MatrixItem[] = [];

// Drawing takes about a millisecond for each series; nobody tells a thousand lines apart.
const kSeriesDrawn = 1000;

function Graph({ executed, state, change }: GraphProps) {
  const { zone } = settings.use();
  const { start, end, step, answer } = executed;
  const [drawAll, setDrawAll] = useState(false);
  const full = answer.data.resultType === 'matrix' ? answer.data.result : kNoSeries;
  const matrix = useMemo(() => (drawAll ? full : full.slice(0, kSeriesDrawn)), [drawAll, full]);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  useEffect(() => setHidden(new Set()), [matrix]);

  const { times, columns } = useMemo(
    () => alignMatrix(matrix, start, end, step),
    [matrix, start, end, step],
  );
  const series = useMemo(
    () =>
      matrix.map((item, i) => ({
        label: formatSeries(item.metric),
        color: seriesColor(i),
        shown: !hidden.has(i),
      })),
    [hidden, matrix],
  );
  const asHeatmap = state.displayMode === 'heatmap';
  const heatmap = useMemo(
    () =>
      asHeatmap
        ? buildHeatmap(
            full.filter((_, i) => !hidden.has(i)),
            start,
            step,
            times.length,
          )
        : null,
    [asHeatmap, full, hidden, start, step, times.length],
  );
  const marks = useExemplars(state.expr, start, end, state.showExemplars);
  const zoom = useCallback(
    (fromMs: number, toMs: number) =>
      change({
        endMs: Math.ceil(toMs / 1000) * 1000,
        rangeMs: Math.max(Math.round((toMs - fromMs) / 1000) * 1000, 1000),
      }),
    [change],
  );
  if (matrix.length === 0) return <Empty>The result is empty.</Empty>;
  return (
    <>
      {matrix.length < full.length && (
        <div className={classes.pad}>
          <Notice tone="info">
            The graph shows the first {formatCount(matrix.length)} of {formatCount(full.length)}{' '}
            series.{' '}
            <Button size="compact-xs" variant="default" onClick={() => setDrawAll(true)}>
              Draw all
            </Button>
          </Notice>
        </div>
      )}
      {asHeatmap && heatmap === null && (
        <div className={classes.pad}>
          <Notice tone="info">
            {isHistogramMatrix(full)
              ? 'No observations in this range.'
              : 'A heatmap needs native histograms, or series with the label le.'}
          </Notice>
        </div>
      )}
      <div className={classes.chartBox}>
        {heatmap !== null ? (
          <Heatmap
            label={`Heatmap of ${matrix.length} series for ${state.expr}`}
            times={times}
            step={step}
            cells={heatmap}
            height={360}
            zone={zone}
            onZoom={zoom}
          />
        ) : (
          <Chart
            label={`Graph of ${matrix.length} series for ${state.expr}`}
            times={times}
            columns={columns}
            series={series}
            from={start}
            to={end}
            height={380}
            zone={zone}
            stacked={state.displayMode === 'stacked'}
            yMin={state.yAxisMin}
            marks={marks}
            onZoom={zoom}
          />
        )}
      </div>
      <Legend
        matrix={matrix}
        columns={columns}
        series={series}
        hidden={hidden}
        onChange={setHidden}
      />
    </>
  );
}
