import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatShort } from '../lib/format';
import { axisTicks, rowAt, type AxisTick, type Heatmap as Cells } from '../lib/heatmap';
import type { Zone } from '../lib/time';
import classes from './Chart.module.css';
import {
  axisStyle,
  dateIn,
  keepWidth,
  placeTip,
  takeZoom,
  themeColor,
  timeAxis,
  tipRow,
  tipTime,
  valueAxisSize,
  type Zoom,
} from './chartParts';

interface Props {
  label: string; // What a screen reader says in place of the picture.
  times: number[]; // Unix seconds, one for each step.
  step: number; // Seconds.
  cells: Cells;
  height: number;
  zone: Zone;
  onZoom?: Zoom;
}

const kPixelsPerTick = 26;

// The square root keeps a few observations visible beside thousands.
function strength(count: number, top: number): number {
  return 0.08 + 0.92 * Math.sqrt(count / top);
}

function drawCells(u: uPlot, { times, step, cells }: Props) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.fillStyle = themeColor('--nx-accent');
  const edges = times.map((time) => Math.round(u.valToPos(time - step / 2, 'x', true)));
  edges.push(Math.round(u.valToPos(times[times.length - 1]! + step / 2, 'x', true)));
  cells.rows.forEach((row, r) => {
    const low = Math.round(u.valToPos(row.from, 'y', true));
    const high = Math.round(u.valToPos(row.to, 'y', true));
    for (let i = 0; i < times.length; ++i) {
      const count = cells.cells[r]![i]!;
      if (count === 0) continue;
      ctx.globalAlpha = strength(count, cells.top);
      ctx.fillRect(edges[i]!, high, Math.max(edges[i + 1]! - edges[i]!, 1), Math.max(low - high, 1));
    }
  });
  ctx.restore();
}

function showTip(u: uPlot, { cells, zone }: Props, tip: HTMLDivElement) {
  const index = u.cursor.idx;
  const { left, top } = u.cursor;
  const row = top == null || top < 0 ? -1 : rowAt(cells, u.posToVal(top, 'y'));
  if (index == null || left == null || left < 0 || row < 0) {
    tip.style.display = 'none';
    return;
  }
  const { lower, upper } = cells.rows[row]!;
  const count = cells.cells[row]![index]!;
  const accent = 'var(--nx-accent)';
  const shade =
    count === 0
      ? 'transparent'
      : `color-mix(in srgb, ${accent} ${100 * strength(count, cells.top)}%, transparent)`;
  const range = `${formatShort(lower)} to ${formatShort(upper)}`;
  tip.replaceChildren(
    tipTime(u.data[0][index]!, zone),
    tipRow(shade, range, formatShort(count)),
  );
  placeTip(u, tip);
}

function buildOptions(
  props: Props,
  width: number,
  tip: HTMLDivElement,
  ticks: AxisTick[],
): uPlot.Options {
  const { times, step } = props;
  const axis = axisStyle();
  return {
    width,
    height: props.height,
    legend: { show: false },
    padding: [10, 8, 0, 0],
    tzDate: dateIn(props.zone),
    cursor: {
      drag: { x: props.onZoom !== undefined, y: false, setScale: false },
      points: { show: false },
    },
    scales: {
      x: { time: true, range: () => [times[0]! - step / 2, times[times.length - 1]! + step / 2] },
      y: { range: () => [0, 1] },
    },
    axes: [
      timeAxis(axis),
      {
        ...axis,
        splits: () => ticks.map((tick) => tick.at),
        values: () => ticks.map((tick) => formatShort(tick.value)),
        size: valueAxisSize,
      },
    ],
    series: [{}, { show: true, stroke: 'transparent', points: { show: false } }],
    hooks: {
      drawAxes: [(u) => drawCells(u, props)],
      setCursor: [(u) => showTip(u, props, tip)],
      setSelect: [(u) => takeZoom(u, props.onZoom)],
    },
  };
}

// Time across, buckets upwards, the more observations the stronger the colour. Built anew when its
// data change, as the line chart is.
export function Heatmap(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme('light');
  const latest = useRef(props);
  latest.current = props;
  const { times, step, cells, height, zone } = props;

  useEffect(() => {
    const box = host.current!;
    const options = buildOptions(
      {
        ...latest.current,
        onZoom: (fromMs, toMs) => latest.current.onZoom?.(fromMs, toMs),
      },
      Math.max(box.clientWidth, 100),
      tip.current!,
      axisTicks(cells, height / kPixelsPerTick),
    );
    const middle = times.map(() => 0.5); // The cursor finds steps by the points of a series.
    return keepWidth(new uPlot(options, [times, middle], box), box, height);
  }, [times, step, cells, height, zone, scheme]);

  return (
    <div
      className={classes.frame}
      role="img"
      aria-label={props.label}
      style={{ minHeight: height }}
    >
      <div ref={host} />
      <div className={classes.scale} aria-hidden="true">
        <span>0</span>
        <i />
        <span>{formatShort(cells.top)} in a cell</span>
      </div>
      <div ref={tip} className={classes.tip} aria-hidden="true" />
    </div>
  );
}
