// Where the bars of a native histogram go.

import type { Bucket } from '../api/types';
import { parseValue } from './format';

export type HistogramScale = 'exponential' | 'linear';

export interface Bar {
  left: number; // Per cent of the width, as is the next one.
  width: number;
  height: number; // Per cent of the highest bar.
  bucket: Bucket;
}

export function formatBucketRange([boundaries, lower, upper]: Bucket): string {
  const open = boundaries === 1 || boundaries === 3 ? '[' : '(';
  const close = boundaries === 0 || boundaries === 3 ? ']' : ')';
  return `${open}${lower}, ${upper}${close}`;
}

// The symmetric logarithm of a value in units of `unit`: zero stays zero, each sign has its side.
export function logScale(unit: number): (value: number) => number {
  return (value) =>
    Number.isFinite(value) ? Math.sign(value) * Math.log1p(Math.abs(value) / unit) : value;
}

// On the exponential scale a position is the symmetric logarithm of its value, in units of the
// smallest bound other than zero; that gives exponential buckets equal widths and leaves room for
// the zero bucket. There the height is the count, on the linear scale the count per width.
export function layoutBars(buckets: readonly Bucket[], scale: HistogramScale): Bar[] {
  const bounds = buckets.map(([, lower, upper]) => [parseValue(lower), parseValue(upper)] as const);
  const finite = bounds.flat().filter(Number.isFinite);
  if (finite.length === 0) return [];
  const unit = Math.min(...finite.map(Math.abs).filter((x) => x > 0), Infinity);
  const place = scale === 'linear' || unit === Infinity ? (x: number) => x : logScale(unit);

  const low = place(Math.min(...finite));
  const high = place(Math.max(...finite));
  // Custom buckets may reach to infinity; they get a tenth of the picture beyond the last bound.
  const margin = (high - low || 1) / 10;
  const hasLow = bounds.some(([lower]) => lower === -Infinity);
  const hasHigh = bounds.some(([, upper]) => upper === Infinity);
  const from = low - (hasLow ? margin : 0);
  const to = high + (hasHigh ? margin : 0);
  const total = to - from || 1;

  const raw = buckets.map((bucket, i) => {
    const [lower, upper] = bounds[i]!;
    const left = lower === -Infinity ? from : place(lower);
    const right = upper === Infinity ? to : place(upper);
    const width = Math.max(right - left, total / 1000);
    const count = parseValue(bucket[3]);
    return { left, width, weight: scale === 'linear' ? count / width : count, bucket };
  });
  const top = Math.max(...raw.map((bar) => bar.weight)) || 1;
  return raw.map(({ left, width, weight, bucket }) => ({
    left: (100 * (left - from)) / total,
    width: (100 * width) / total,
    height: (100 * weight) / top,
    bucket,
  }));
}
