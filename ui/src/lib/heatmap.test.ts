import { describe, expect, test } from 'vitest';
import type { Bucket, MatrixItem } from '../api/types';
import { axisTicks, buildHeatmap, isHistogramMatrix, rowAt } from './heatmap';

function classic(le: string, values: [number, string][], pod = 'a'): MatrixItem {
  return { metric: { le, pod }, values };
}

function native(time: number, buckets: Bucket[]): MatrixItem {
  return { metric: {}, histograms: [[time, { count: '1', sum: '1', buckets }]] };
}

function ranges(rows: { lower: number; upper: number }[]): number[][] {
  return rows.map(({ lower, upper }) => [lower, upper]);
}

describe('classic buckets', () => {
  const matrix = [
    classic('+Inf', [
      [100, '10'],
      [110, '4'],
    ]),
    classic('0.1', [
      [100, '3'],
      [110, '5'], // More than the bucket above: read between two scrapes.
    ]),
    classic('1', [[100, '7']]),
    classic('1', [[100, '2']], 'b'),
  ];

  test('differences of cumulative counts, summed over the other labels', () => {
    const map = buildHeatmap(matrix, 100, 10, 2)!;
    expect(ranges(map.rows)).toEqual([
      [0, 0.1],
      [0.1, 1],
      [1, Infinity],
    ]);
    // Pod b has no bucket up to 0.1: its two observations spread over both rows below 1.
    expect(map.cells.map((row) => Math.round(row[0]! * 100) / 100)).toEqual([4, 5, 3]);
    expect(map.cells.map((row) => row[1])).toEqual([5, 0, 0]);
    expect(map.top).toBe(5);
  });

  test('rows are equally high', () => {
    const map = buildHeatmap(matrix, 100, 10, 2)!;
    for (const row of map.rows) expect(row.to - row.from).toBeCloseTo(1 / 3);
    expect(rowAt(map, 0.5)).toBe(1);
    expect(rowAt(map, 1.5)).toBe(-1);
  });

  test('a first bound below zero is open below', () => {
    const map = buildHeatmap([classic('-5', [[0, '1']])], 0, 1, 1)!;
    expect(ranges(map.rows)).toEqual([[-Infinity, -5]]);
  });
});

describe('native histograms', () => {
  test('exponential buckets are equally high, what lies between them is an empty row', () => {
    const map = buildHeatmap(
      [
        native(0, [
          [0, '1024', '2048', '5'],
          [0, '4096', '8192', '7'],
        ]),
      ],
      0,
      1,
      1,
    )!;
    expect(ranges(map.rows)).toEqual([
      [1024, 2048],
      [2048, 4096],
      [4096, 8192],
    ]);
    expect(map.cells.map((row) => row[0])).toEqual([5, 0, 7]);
    const heights = map.rows.map((row) => row.to - row.from);
    expect(heights[1]! / heights[2]!).toBeGreaterThan(0.8);
  });

  test('a bucket around zero reaches to the smallest other bound', () => {
    const map = buildHeatmap(
      [
        native(0, [
          [3, '-1e-128', '1e-128', '2'],
          [0, '0.5', '1', '3'],
        ]),
      ],
      0,
      1,
      1,
    )!;
    expect(ranges(map.rows)).toEqual([
      [0, 0.5],
      [0.5, 1],
    ]);
    expect(map.cells.map((row) => row[0])).toEqual([2, 3]);
  });

  test('a coarse bucket spreads over fine rows and keeps its count', () => {
    const map = buildHeatmap(
      [native(0, [[0, '1', '4', '6']]), native(1, [[0, '1', '2', '1']])],
      0,
      1,
      2,
    )!;
    expect(ranges(map.rows)).toEqual([
      [1, 2],
      [2, 4],
    ]);
    expect(map.cells[0]![0]! + map.cells[1]![0]!).toBeCloseTo(6);
    expect(map.cells[0]![1]).toBe(1);
  });

  test('thousands of bounds share rows, nothing is lost', () => {
    const buckets = Array.from(
      { length: 2000 },
      (_, i): Bucket => [0, String(1.01 ** i), String(1.01 ** (i + 1)), '1'],
    );
    const map = buildHeatmap([native(0, buckets)], 0, 1, 1)!;
    expect(map.rows.length).toBeLessThanOrEqual(256);
    expect(map.cells.reduce((sum, row) => sum + row[0]!, 0)).toBeCloseTo(2000);
  });
});

test('what is no histogram has no heatmap', () => {
  expect(isHistogramMatrix([{ metric: { le: 'x' }, values: [[0, '1']] }])).toBe(false);
  expect(isHistogramMatrix([classic('1', [[0, '1']])])).toBe(true);
  expect(buildHeatmap([{ metric: {}, values: [[0, '1']] }], 0, 1, 1)).toBeNull();
  expect(buildHeatmap([], 0, 1, 1)).toBeNull();
});

test('labels of the axis keep their distance', () => {
  const map = buildHeatmap(
    [native(0, [[0, '1', '2', '1']]), native(0, [[0, '2', '64', '1']])],
    0,
    1,
    1,
  )!;
  expect(axisTicks(map, 10).map((tick) => tick.value)).toEqual([1, 2, 64]);
  expect(axisTicks(map, 2).map((tick) => tick.value)).toEqual([1, 64]);
});
