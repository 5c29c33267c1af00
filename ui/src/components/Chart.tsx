import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { formatShort } from '../lib/format';
import { isolatedPoints, stackColumns, type Column } from '../lib/series';
import { formatTimeWithZone, type Zone } from '../lib/time';
import classes from './Chart.module.css';

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

// Axis texts by the distance of the ticks; the second line appears where the day or year changes.
const kTimeFormats: (string | number | null)[][] = [
  [3600 * 24 * 365, '{YYYY}', null, null, null, null, null, null, 1],
  [3600 * 24 * 28, '{MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [3600 * 24, '{DD} {MMM}', '\n{YYYY}', null, null, null, null, null, 1],
  [60, '{HH}:{mm}', '\n{DD} {MMM} {YYYY}', null, '\n{DD} {MMM}', null, null, null, 1],
  [1, '{HH}:{mm}:{ss}', '\n{DD} {MMM} {YYYY}', null, '\n{DD} {MMM}', null, null, null, 1],
  [
    0.001,
    ':{ss}.{fff}',
    '\n{DD} {MMM} {YYYY} {HH}:{mm}',
    null,
    '\n{DD} {MMM} {HH}:{mm}',
    null,
    '\n{HH}:{mm}',
    null,
    1,
  ],
];

function buildOptions(
  props: Props,
  width: number,
  tip: HTMLDivElement,
  raw: Column[],
): uPlot.Options {
  const { series, stacked, zone, from, to, yMin } = props;
  const format = props.format ?? formatShort;
  const style = getComputedStyle(document.documentElement);
  const grid = style.getPropertyValue('--nx-grid');
  const text = style.getPropertyValue('--nx-dim');
  const axis: uPlot.Axis = {
    stroke: text,
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1, size: 4 },
    font: '11px Inter, system-ui, sans-serif',
  };
  return {
    width,
    height: props.height,
    legend: { show: false },
    padding: [10, 8, 0, 0],
    tzDate: (seconds) =>
      zone === 'utc' ? uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC') : new Date(seconds * 1000),
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
      { ...axis, space: 80, values: kTimeFormats as unknown as uPlot.Axis.Values },
      {
        ...axis,
        ...(props.binary ? { incrs: kBinarySteps } : {}),
        values: (_, ticks) => ticks.map((tick) => format(tick)),
        size: (_, values) => 18 + 6.4 * Math.max(3, ...(values ?? []).map((value) => value.length)),
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
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          const left = u.posToVal(u.select.left, 'x');
          const right = u.posToVal(u.select.left + u.select.width, 'x');
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          props.onZoom?.(left * 1000, right * 1000);
        },
      ],
      draw: [(u) => drawMarks(u, props.marks ?? [], style.getPropertyValue('--nx-flame'))],
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

function tipRow(color: string, label: string, value: string): HTMLElement {
  const row = document.createElement('div');
  row.className = classes.tipRow!;
  const swatch = document.createElement('i');
  swatch.style.background = color;
  const name = document.createElement('span');
  name.textContent = label;
  const number = document.createElement('b');
  number.textContent = value;
  row.append(swatch, name, number);
  return row;
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
  const head = document.createElement('div');
  head.className = classes.tipTime!;
  head.textContent = formatTimeWithZone(u.data[0][index]! * 1000, props.zone);
  const near = (props.marks ?? []).find(
    (mark) => Math.hypot(u.valToPos(mark.time, 'x') - left, u.valToPos(mark.value, 'y') - top) < 8,
  );
  tip.replaceChildren(
    head,
    ...chosen.slice(0, kTooltipRowsMax).map((i) => {
      const { color, label } = props.series[i]!;
      return tipRow(color, label, (props.tooltip === 'all' ? format : exact)(raw[i]![index]!));
    }),
  );
  if (near !== undefined) tip.append(tipRow('var(--nx-flame)', near.text, String(near.value)));
  tip.style.display = 'block';
  // Beside the cursor, on the side that has room.
  const offset = u.over.offsetLeft + left;
  const flip = left > u.over.clientWidth / 2;
  tip.style.left = flip ? 'auto' : `${offset + 14}px`;
  tip.style.right = flip ? `${(tip.parentElement?.clientWidth ?? 0) - offset + 14}px` : 'auto';
  tip.style.top = `${Math.max(u.over.offsetTop + Math.min(top, u.over.clientHeight - tip.offsetHeight) - 4, 0)}px`;
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
    const resize = new ResizeObserver(() => {
      // The first report tells the size that the chart already has.
      if (box.clientWidth > 0 && box.clientWidth !== chart.width)
        chart.setSize({ width: box.clientWidth, height });
    });
    resize.observe(box);
    return () => {
      resize.disconnect();
      chart.destroy();
    };
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
