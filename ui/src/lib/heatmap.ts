// The cells of a heatmap: how many observations lie in each range of values at each step, summed
// over series. Native histograms bring their buckets; classic ones are series with the label `le`.

import type { Bucket, MatrixItem } from '../api/types';
import { parseValue, type Labels } from './format';
import { logScale } from './histogram';

export interface HeatmapRow {
  lower: number; // Range of values; may be infinite.
  upper: number;
  from: number; // Where the row lies on the axis, from 0 at the bottom to 1 at the top.
  to: number;
}

export interface Heatmap {
  rows: HeatmapRow[]; // From the bottom up, without gaps.
  cells: Float64Array[]; // For each row a number for each step; 0 where nothing was observed.
  top: number; // The largest cell.
}

interface Share {
  slot: number;
  lower: number;
  upper: number;
  count: number;
}

// More rows than this cannot be told apart; finer buckets share a row by their width.
const kRowsMax = 256;

function isClassic(item: MatrixItem): boolean {
  return item.values !== undefined && !Number.isNaN(parseValue(item.metric['le'] ?? 'NaN'));
}

export function isHistogramMatrix(matrix: readonly MatrixItem[]): boolean {
  return matrix.some((item) => item.histograms !== undefined || isClassic(item));
}

function nativeShares(matrix: readonly MatrixItem[], slotOf: (time: number) => number): Share[] {
  const found: Share[] = [];
  for (const { histograms } of matrix) {
    for (const [time, { buckets }] of histograms ?? []) {
      for (const [, lower, upper, count] of buckets ?? ([] as Bucket[])) {
        found.push({
          slot: slotOf(time),
          lower: parseValue(lower),
          upper: parseValue(upper),
          count: parseValue(count),
        });
      }
    }
  }
  return found;
}

function groupKey(metric: Labels): string {
  return JSON.stringify(Object.entries(metric).filter(([name]) => name !== 'le'));
}

// What a bucket holds beyond the next lower one. A counter read between two scrapes may seem to
// shrink from one bucket to the next; such a difference counts as nothing.
function classicShares(matrix: readonly MatrixItem[], slotOf: (time: number) => number): Share[] {
  const groups = new Map<string, { le: number; item: MatrixItem }[]>();
  for (const item of matrix) {
    if (!isClassic(item)) continue;
    const key = groupKey(item.metric);
    const group = groups.get(key) ?? [];
    group.push({ le: parseValue(item.metric['le']!), item });
    groups.set(key, group);
  }
  const found: Share[] = [];
  for (const group of groups.values()) {
    group.sort((a, b) => a.le - b.le);
    const first = group[0]!.le > 0 ? 0 : -Infinity;
    const below = new Map<number, { le: number; count: number }>();
    for (const { le, item } of group) {
      for (const [time, text] of item.values ?? []) {
        const slot = slotOf(time);
        const value = parseValue(text);
        if (!Number.isFinite(value)) continue;
        const last = below.get(slot) ?? { le: first, count: 0 };
        found.push({ slot, lower: last.le, upper: le, count: Math.max(value - last.count, 0) });
        below.set(slot, { le, count: Math.max(value, last.count) });
      }
    }
  }
  return found;
}

// Places of the bounds on the axis: classic buckets are as high as each other, because people
// choose their bounds freely; exponential ones follow the logarithm. An infinite bound gets a
// tenth of the picture.
function placeBounds(bounds: readonly number[], evenly: boolean, unit: number): number[] {
  const scale = logScale(unit);
  const raw = bounds.map((bound, i) => (evenly ? i : scale(bound)));
  if (!evenly) {
    const finite = raw.filter(Number.isFinite);
    const low = finite[0] ?? 0;
    const high = finite[finite.length - 1] ?? 1;
    const margin = (high - low || 1) / 10;
    raw.forEach((place, i) => {
      if (!Number.isFinite(place)) raw[i] = place < 0 ? low - margin : high + margin;
    });
  }
  const from = raw[0]!;
  const total = raw[raw.length - 1]! - from || 1;
  return raw.map((place) => (place - from) / total);
}

export function buildHeatmap(
  matrix: readonly MatrixItem[],
  start: number, // Unix seconds, as is the end; step in seconds.
  step: number,
  steps: number,
): Heatmap | null {
  const slotOf = (time: number) => Math.round((time - start) / step);
  const native = matrix.some((item) => item.histograms !== undefined);
  const shares = (native ? nativeShares(matrix, slotOf) : classicShares(matrix, slotOf)).filter(
    ({ slot, count, lower, upper }) => slot >= 0 && slot < steps && count >= 0 && lower < upper,
  );
  // Empty buckets keep their rows, so that the axis stays the same from query to query.
  if (!shares.some((share) => share.count > 0)) return null;

  // A bucket around zero may be as narrow as 1e-38; on a logarithmic axis it reaches to the
  // smallest bound of the others, between which and zero nothing was observed.
  let unit = 1;
  if (native) {
    const around = (s: Share) => s.lower <= 0 && s.upper >= 0;
    const sizes = shares
      .filter((s) => !around(s))
      .flatMap((s) => [Math.abs(s.lower), Math.abs(s.upper)])
      .filter((x) => x > 0 && Number.isFinite(x));
    unit = sizes.reduce((a, b) => Math.min(a, b), Infinity);
    if (unit === Infinity) unit = 1;
    const negative = shares.some((s) => s.upper < 0);
    for (const share of shares) {
      if (!around(share) || Math.max(-share.lower, share.upper) > unit) continue;
      share.lower = negative ? -unit : 0;
      share.upper = unit;
    }
  }

  let bounds = [...new Set(shares.flatMap((s) => [s.lower, s.upper]))].sort((a, b) => a - b);
  if (bounds.length > kRowsMax + 1) {
    const every = Math.ceil((bounds.length - 1) / kRowsMax);
    bounds = bounds.filter((_, i) => i % every === 0 || i === bounds.length - 1);
  }
  const places = placeBounds(bounds, !native, unit);
  const rows = bounds.slice(1).map((upper, i) => ({
    lower: bounds[i]!,
    upper,
    from: places[i]!,
    to: places[i + 1]!,
  }));

  // Between two bounds that were kept, a bound that was not lies where the scale puts it.
  const scale = logScale(unit);
  const placeOf = (bound: number) => {
    const i = rowBelow(bounds, bound);
    if (bounds[i] === bound || i + 1 >= bounds.length) return places[i]!;
    const [a, b] = [scale(bounds[i]!), scale(bounds[i + 1]!)];
    const part = Number.isFinite(a) && Number.isFinite(b) ? (scale(bound) - a) / (b - a) : 0.5;
    return places[i]! + part * (places[i + 1]! - places[i]!);
  };
  const cells = rows.map(() => new Float64Array(steps));
  for (const { slot, lower, upper, count } of shares) {
    const from = placeOf(lower);
    const to = placeOf(upper);
    const width = to - from || 1;
    for (let r = rowBelow(bounds, lower); r < rows.length && rows[r]!.from < to; ++r) {
      const overlap = Math.min(rows[r]!.to, to) - Math.max(rows[r]!.from, from);
      if (overlap > 0) cells[r]![slot]! += (count * overlap) / width;
    }
  }
  let top = 0;
  for (const row of cells) for (const cell of row) top = Math.max(top, cell);
  return { rows, cells, top };
}

// Index of the largest bound that is not above `value`.
function rowBelow(bounds: readonly number[], value: number): number {
  let low = 0;
  let high = bounds.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (bounds[middle]! <= value) low = middle;
    else high = middle;
  }
  return low;
}

export interface AxisTick {
  at: number; // Place on the axis, 0 to 1.
  value: number;
}

// Bounds worth a label: as many as fit, evenly chosen, never two on one spot.
export function axisTicks({ rows }: Heatmap, count: number): AxisTick[] {
  const all = [
    { at: rows[0]!.from, value: rows[0]!.lower },
    ...rows.map((row) => ({ at: row.to, value: row.upper })),
  ];
  const gap = 1 / Math.max(count, 1);
  const chosen: AxisTick[] = [];
  for (const tick of all) {
    if (chosen.length === 0 || tick.at - chosen[chosen.length - 1]!.at >= gap) chosen.push(tick);
  }
  return chosen;
}

export function rowAt({ rows }: Heatmap, place: number): number {
  return rows.findIndex((row) => place >= row.from && place < row.to);
}
