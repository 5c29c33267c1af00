import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatShort } from '../lib/format';
import { isolatedPoints, stackColumns, type Column } from '../lib/series';
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
} from './chartParts';

export interface ChartSeries {
  label: string;
  color: string;
  shown: boolean;
}

export interface ChartMark {
  time: number; // Unix seconds.
  value: number;
  text: string;
}

interface Props {
  label: string; // What a screen reader says in place of the picture.
  times: number[];
  columns: Column[];
  series: ChartSeries[];
  from: number; // Unix seconds, as is the next one.
  to: number;
  height: number;
  zone: Zone;
  stacked?: boolean;
  yMin?: number | null;
  format?: (value: number) => string;
  binary?: boolean; // Ticks at powers of two, for sizes in bytes.
  tooltip?: 'nearest' | 'all';
  marks?: ChartMark[];
  syncKey?: string;
  onZoom?: (fromMs: number, toMs: number) => void;
}

// Beyond this many series, fading the others on every move of the mouse would redraw too much.
const kFadeSeriesMax = 60;
const kTooltipRowsMax = 14;

const kBinarySteps = Array.from({ length: 60 }, (_, i) => 2 ** i);

function buildOptions(
  props: Props,
  width: number,
  tip: HTMLDivElement,
  raw: Column[],
): uPlot.Options {
  const { series, stacked, zone, from, to, yMin } = props;
  const format = props.format ?? formatShort;
  const axis = axisStyle();
  return {
    width,
    height: props.height,
    legend: { show: false },
    padding: [10, 8, 0, 0],
    tzDate: dateIn(zone),
    focus: { alpha: series.length <= kFadeSeriesMax ? 0.35 : 1 },
    cursor: {
      drag: { x: props.onZoom !== undefined, y: false, setScale: false },
      focus: { prox: 1e4 },
      points: { size: 7, one: props.tooltip !== 'all' },
      y: false,
      ...(props.syncKey === undefined ? {} : { sync: { key: props.syncKey, setSeries: false } }),
    },
    scales: {
      x: { time: true, range: () => [from, to] },
      y: {
        range: (_, min, max) => {
          if (min === null || max === null) return [yMin ?? 0, (yMin ?? 0) + 1];
          const low = yMin ?? (stacked ? Math.min(min, 0) : min);
          const [a, b] = uPlot.rangeNum(low, Math.max(max, low), 0.08, true);
          return [yMin ?? (stacked && min >= 0 ? 0 : a!), b!];
        },
      },
    },
    axes: [
      timeAxis(axis),
      {
        ...axis,
        ...(props.binary ? { incrs: kBinarySteps } : {}),
        values: (_, ticks) => ticks.map((tick) => format(tick)),
        size: valueAxisSize,
      },
    ],
    series: [
      {},
      ...series.map((one): uPlot.Series => ({
        label: one.label,
        show: one.shown,
        stroke: one.color,
        width: stacked ? 1 : 1.4,
        ...(stacked ? { fill: `${one.color}59` } : {}),
        points: {
          size: 4,
          fill: one.color,
          filter: (u, i, show) => (show ? null : isolatedPoints(u.data[i]!)),
        },
      })),
    ],
    ...(stacked ? { bands: stackBands(series) } : {}),
    hooks: {
      setCursor: [(u) => showTip(u, props, tip, raw, format)],
      setSeries: [(u) => showTip(u, props, tip, raw, format)],
      setSelect: [(u) => takeZoom(u, props.onZoom)],
      draw: [(u) => drawMarks(u, props.marks ?? [], themeColor('--nx-flame'))],
    },
  };
}

// Each shown series is filled down to the shown one below it.
function stackBands(series: readonly ChartSeries[]): uPlot.Band[] {
  const bands: uPlot.Band[] = [];
  let below = -1;
  series.forEach((one, i) => {
    if (!one.shown) return;
    if (below >= 0) bands.push({ series: [i + 1, below + 1] });
    below = i;
  });
  return bands;
}

function drawMarks(u: uPlot, marks: readonly ChartMark[], color: string) {
  const { ctx } = u;
  ctx.save();
  ctx.fillStyle = color;
  for (const mark of marks) {
    const x = u.valToPos(mark.time, 'x', true);
    const y = u.valToPos(mark.value, 'y', true);
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
    if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) continue;
    const r = 4 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, y - r);
    ctx.lineTo(x + r, y);
    ctx.lineTo(x, y + r);
    ctx.lineTo(x - r, y);
    ctx.fill();
  }
  ctx.restore();
}

function showTip(
  u: uPlot,
  props: Props,
  tip: HTMLDivElement,
  raw: Column[],
  format: (v: number) => string,
) {
  const index = u.cursor.idx;
  const { left, top } = u.cursor;
  if (index == null || left == null || left < 0 || top == null) {
    tip.style.display = 'none';
    return;
  }
  const exact = props.format ?? ((value: number) => String(value));
  let chosen = props.series
    .map((_, i) => i)
    .filter((i) => props.series[i]!.shown && raw[i]?.[index] != null);
  if (props.tooltip !== 'all') {
    const distance = (i: number) => Math.abs(u.valToPos(u.data[i + 1]![index]!, 'y') - top);
    const nearest = chosen.reduce(
      (best, i) => (best < 0 || distance(i) < distance(best) ? i : best),
      -1,
    );
    chosen = nearest < 0 ? [] : [nearest];
  } else {
    chosen.sort((a, b) => raw[b]![index]! - raw[a]![index]!);
  }
  const near = (props.marks ?? []).find(
    (mark) => Math.hypot(u.valToPos(mark.time, 'x') - left, u.valToPos(mark.value, 'y') - top) < 8,
  );
  tip.replaceChildren(
    tipTime(u.data[0][index]!, props.zone),
    ...chosen.slice(0, kTooltipRowsMax).map((i) => {
      const { color, label } = props.series[i]!;
      return tipRow(color, label, (props.tooltip === 'all' ? format : exact)(raw[i]![index]!));
    }),
  );
  if (near !== undefined) tip.append(tipRow('var(--nx-flame)', near.text, String(near.value)));
  placeTip(u, tip);
}

// A time series chart. It is built anew when its data or its looks change, which costs less than
// a frame for hundreds of series and leaves no state to keep in step.
export function Chart(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const tip = useRef<HTMLDivElement>(null);
  const scheme = useComputedColorScheme('light');
  const latest = useRef(props);
  latest.current = props;
  const { times, columns, series, from, to, height, zone, stacked, yMin, marks } = props;

  useEffect(() => {
    const box = host.current!;
    const shown = series.map((one) => one.shown);
    const drawn = stacked ? stackColumns(columns, shown) : columns;
    const options = buildOptions(
      {
        ...latest.current,
        onZoom: (fromMs, toMs) => latest.current.onZoom?.(fromMs, toMs),
      },
      Math.max(box.clientWidth, 100),
      tip.current!,
      columns,
    );
    const chart = new uPlot(options, [times, ...drawn] as uPlot.AlignedData, box);
    return keepWidth(chart, box, height);
  }, [times, columns, series, from, to, height, zone, stacked, yMin, marks, scheme]);

  return (
    <div
      className={classes.frame}
      role="img"
      aria-label={props.label}
      style={{ minHeight: height }}
    >
      <div ref={host} />
      <div ref={tip} className={classes.tip} aria-hidden="true" />
    </div>
  );
}
