// Turns the matrix of a range query into the aligned columns that the chart draws.

import type { MatrixItem } from '../api/types';
import { parseValue } from './format';

export type Column = (number | null)[];

export interface Aligned {
  times: number[]; // Unix seconds, one for each step of the query.
  columns: Column[]; // One for each series; null where it has no sample.
}

// A range query answers on a grid start, start+step, ...; absent steps become gaps. A native
// histogram is drawn as its average observation, the only number of it with a scale of its own.
export function alignMatrix(
  matrix: readonly MatrixItem[],
  start: number,
  end: number,
  step: number,
): Aligned {
  const count = Math.max(Math.floor((end - start) / step + 1e-6) + 1, 1);
  const times = Array.from({ length: count }, (_, i) => Number((start + i * step).toFixed(3)));
  const columns = matrix.map((series) => {
    const column: Column = new Array<number | null>(count).fill(null);
    const put = (time: number, value: number) => {
      const slot = Math.round((time - start) / step);
      if (slot >= 0 && slot < count && Number.isFinite(value)) column[slot] = value;
    };
    for (const [time, value] of series.values ?? []) put(time, parseValue(value));
    for (const [time, h] of series.histograms ?? []) {
      const observations = parseValue(h.count);
      if (observations > 0) put(time, parseValue(h.sum) / observations);
    }
    return column;
  });
  return { times, columns };
}

// Running sums from the bottom up. A hidden series adds nothing; a gap counts as zero, but stays a
// gap in its own line, so that a series that ends does not pull the others down.
export function stackColumns(columns: readonly Column[], shown: readonly boolean[]): Column[] {
  const length = columns[0]?.length ?? 0;
  const base = new Float64Array(length);
  return columns.map((column, series) =>
    column.map((value, i) => {
      if (!shown[series] || value === null) return shown[series] ? null : value;
      base[i] = base[i]! + value;
      return base[i]!;
    }),
  );
}

// Indices of samples with no neighbour on either side: a line would not show them.
export function isolatedPoints(column: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let i = 0; i < column.length; ++i) {
    if (column[i] == null) continue;
    if (column[i - 1] == null && column[i + 1] == null) found.push(i);
  }
  return found;
}

export interface Statistics {
  min: number;
  max: number;
  average: number;
  last: number | null;
}

export function statistics(column: Column): Statistics | null {
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  let count = 0;
  let last: number | null = null;
  for (const value of column) {
    if (value === null) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    ++count;
    last = value;
  }
  return count === 0 ? null : { min, max, average: sum / count, last };
}
