// What every chart over time shares: its axes, its tooltip, zooming and resizing.

import uPlot from 'uplot';
import { formatTimeWithZone, type Zone } from '../lib/time';
import classes from './Chart.module.css';

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

export function themeColor(property: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(property);
}

export function axisStyle(): uPlot.Axis {
  const grid = themeColor('--nx-grid');
  return {
    stroke: themeColor('--nx-dim'),
    grid: { stroke: grid, width: 1 },
    ticks: { stroke: grid, width: 1, size: 4 },
    font: '11px Inter, system-ui, sans-serif',
  };
}

export function timeAxis(style: uPlot.Axis): uPlot.Axis {
  return { ...style, space: 80, values: kTimeFormats as unknown as uPlot.Axis.Values };
}

// As wide as the longest of the texts on it.
export function valueAxisSize(_: uPlot, values: string[] | null): number {
  return 18 + 6.4 * Math.max(3, ...(values ?? []).map((value) => value.length));
}

export function dateIn(zone: Zone): (seconds: number) => Date {
  return (seconds) => {
    const date = new Date(seconds * 1000);
    return zone === 'utc' ? uPlot.tzDate(date, 'Etc/UTC') : date;
  };
}

export type Zoom = (fromMs: number, toMs: number) => void;

// Hands the dragged range on and clears it; a click is no range.
export function takeZoom(u: uPlot, onZoom: Zoom | undefined) {
  if (u.select.width < 4) return;
  const left = u.posToVal(u.select.left, 'x');
  const right = u.posToVal(u.select.left + u.select.width, 'x');
  u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  onZoom?.(left * 1000, right * 1000);
}

// Follows the width of `box` until the returned function is called, which also ends the chart.
export function keepWidth(chart: uPlot, box: HTMLElement, height: number): () => void {
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
}

export function tipTime(seconds: number, zone: Zone): HTMLElement {
  const head = document.createElement('div');
  head.className = classes.tipTime!;
  head.textContent = formatTimeWithZone(seconds * 1000, zone);
  return head;
}

export function tipRow(color: string, label: string, value: string): HTMLElement {
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

// Shows the tooltip beside the cursor, on the side that has room.
export function placeTip(u: uPlot, tip: HTMLElement) {
  tip.style.display = 'block';
  const left = u.cursor.left ?? 0;
  const top = u.cursor.top ?? 0;
  const offset = u.over.offsetLeft + left;
  const flip = left > u.over.clientWidth / 2;
  tip.style.left = flip ? 'auto' : `${offset + 14}px`;
  tip.style.right = flip ? `${(tip.parentElement?.clientWidth ?? 0) - offset + 14}px` : 'auto';
  tip.style.top = `${Math.max(u.over.offsetTop + Math.min(top, u.over.clientHeight - tip.offsetHeight) - 4, 0)}px`;
}
