import { describe, expect, test } from 'vitest';
import { formatDuration, humanDuration, parseDuration } from './duration';
import {
  formatBytes,
  formatSeries,
  formatShort,
  formatValueText,
  parseValue,
  quote,
} from './format';
import { derivePrefix, metaOr } from './globals';
import { withEntry } from './history';
import { formatBucketRange, layoutBars } from './histogram';
import { labelChanges } from './relabel';
import { fuzzyFilter, matchesTerms, parseTerms } from './search';
import { alignMatrix, isolatedPoints, stackColumns, statistics } from './series';
import {
  formatTime,
  formatUrlTime,
  fromInputValue,
  parseApiTime,
  parseUrlTime,
  toInputValue,
} from './time';
import { readSet } from './urlState';

describe('durations', () => {
  test.each([
    ['0', 0],
    ['15s', 15_000],
    ['1h30m', 5_400_000],
    [' 5m ', 300_000],
    ['1y2w3d4h5m6s7ms', 31_536_000_000 + 1_209_600_000 + 259_200_000 + 14_400_000 + 306_007],
    ['250ms', 250],
    ['', null],
    ['5', null],
    ['1m1h', null], // Units must fall.
    ['1.5h', null],
    ['-5m', null],
    ['5 m', null],
  ])('parse %j', (text, want) => expect(parseDuration(text)).toBe(want));

  test.each([
    [0, '0s'],
    [5_400_000, '1h30m'],
    [7 * 86_400_000, '1w'],
    [8 * 86_400_000, '8d'], // Weeks only when they divide it.
    [365 * 86_400_000, '1y'],
    [90_061_001, '1d1h1m1s1ms'],
    [-60_000, '-1m'],
  ])('format %d', (ms, want) => expect(formatDuration(ms)).toBe(want));

  test.each([
    [0, '0s'],
    [0.0412, '41.2µs'],
    [12.34567, '12.35ms'],
    [2351, '2.351s'],
    [59_940, '59.9s'],
    [252_000, '4m 12s'],
    [3_600_000, '1h'],
    [273_600_000, '3d 4h'],
  ])('for people %d', (ms, want) => expect(humanDuration(ms)).toBe(want));
});

describe('times', () => {
  const at = Date.UTC(2024, 4, 1, 13, 4, 5);

  test('text in UTC, with milliseconds only if there are some', () => {
    expect(formatTime(at, 'utc')).toBe('2024-05-01 13:04:05');
    expect(formatTime(at + 7, 'utc')).toBe('2024-05-01 13:04:05.007');
    expect(formatTime(NaN, 'utc')).toBe('never');
  });

  test('addresses hold whole seconds in UTC', () => {
    expect(formatUrlTime(at + 999)).toBe('2024-05-01 13:04:05');
    for (const text of [
      '2024-05-01 13:04:05',
      '2024-05-01T13:04:05Z',
      '2024-05-01T15:04:05+02:00',
      '1714568645',
    ]) {
      expect(parseUrlTime(text)).toBe(at);
    }
    expect(parseUrlTime('yesterday')).toBeNull();
  });

  test('input fields round-trip in both zones', () => {
    for (const zone of ['utc', 'local'] as const) {
      expect(fromInputValue(toInputValue(at, zone), zone)).toBe(at);
    }
    expect(fromInputValue('2024-05-01T13:04', 'utc')).toBe(at - 5000);
    expect(fromInputValue('', 'utc')).toBeNull();
  });

  test('API times with nanoseconds and the zero time', () => {
    expect(parseApiTime('2024-05-01T13:04:05.123456789Z')).toBe(at + 123);
    expect(parseApiTime('2024-05-01T15:04:05.5+02:00')).toBe(at + 500);
    expect(parseApiTime('0001-01-01T00:00:00Z')).toBeNull();
    expect(parseApiTime(undefined)).toBeNull();
  });
});

describe('values', () => {
  test.each([
    [{ __name__: 'up', job: 'a' }, 'up{job="a"}'],
    [{ __name__: 'up' }, 'up'],
    [{ job: 'a', x: 'b"c\\d\ne' }, '{job="a", x="b\\"c\\\\d\\ne"}'],
    [{}, '{}'],
    [{ __name__: 'http.requests', 'service.name': 'a' }, '{"http.requests", "service.name"="a"}'],
  ])('series %j', (labels, want) =>
    expect(formatSeries(labels as Record<string, string>)).toBe(want),
  );

  test.each([
    [0, '0'],
    [0.2, '0.2'],
    [12_345, '12.35k'],
    [999, '999'],
    [1e9, '1G'],
    [0.0000123, '12.3µ'],
    [-2500, '-2.5k'],
    [NaN, 'NaN'],
    [Infinity, '+Inf'],
    [1e30, '1.00e+30'],
  ])('short %d', (value, want) => expect(formatShort(value)).toBe(want));

  test.each([
    [0, '0 B'],
    [1023, '1020 B'], // Three digits.
    [1536, '1.5 KiB'],
    [25_200_000_000, '23.5 GiB'],
    [-2048, '-2 KiB'],
  ])('bytes %d', (value, want) => expect(formatBytes(value)).toBe(want));

  test('values of the API', () => {
    expect(parseValue('+Inf')).toBe(Infinity);
    expect(parseValue('-Inf')).toBe(-Infinity);
    expect(parseValue('NaN')).toBeNaN();
    expect(formatValueText('1.5e+01')).toBe('15');
    expect(formatValueText('NaN')).toBe('NaN');
    expect(quote('a\\"')).toBe('"a\\\\\\""');
  });
});

describe('page address', () => {
  test.each([
    ['/query', ''],
    ['/', ''],
    ['/prom/query', '/prom'],
    ['/prom/', '/prom'],
    ['/a/b/tsdb-status/', '/a/b'],
    ['/query/query', '/query'], // A prefix may have a page's name.
  ])('prefix of %s', (path, want) => expect(derivePrefix(path)).toBe(want));

  test('placeholders that nobody replaced count as absent', () => {
    expect(metaOr('AGENT_MODE_PLACEHOLDER', 'x')).toBe('x');
    expect(metaOr(null, 'x')).toBe('x');
    expect(metaOr('', 'x')).toBe('');
  });

  test('sets are repeated parameters or comma separated', () => {
    expect(readSet(new URLSearchParams('s=a&s=b,c&t=d&s='), 's')).toEqual(['a', 'b', 'c']);
  });
});

describe('series', () => {
  const matrix = [
    {
      metric: {},
      values: [
        [10, '1'],
        [20, '2'],
        [40, 'NaN'],
      ] as [number, string][],
    },
    {
      metric: {},
      values: [[30, '5']] as [number, string][],
      histograms: [[40, { count: '4', sum: '6' }]] as never,
    },
  ];

  test('a matrix falls on the grid of its query, with gaps', () => {
    const { times, columns } = alignMatrix(matrix, 10, 45, 10);
    expect(times).toEqual([10, 20, 30, 40]);
    expect(columns).toEqual([
      [1, 2, null, null],
      [null, null, 5, 1.5],
    ]);
  });

  test('fractional steps do not drift off the grid', () => {
    const values = Array.from(
      { length: 1001 },
      (_, i) => [Number((1000.1 + i * 0.3).toFixed(3)), '1'] as [number, string],
    );
    const { columns } = alignMatrix([{ metric: {}, values }], 1000.1, 1300.1, 0.3);
    expect(columns[0]).toHaveLength(1001);
    expect(columns[0]!.every((value) => value === 1)).toBe(true);
  });

  test('stacking sums upwards and leaves out hidden series', () => {
    const columns = [
      [1, 1],
      [2, null],
      [4, 4],
    ];
    expect(stackColumns(columns, [true, true, true])).toEqual([
      [1, 1],
      [3, null],
      [7, 5],
    ]);
    expect(stackColumns(columns, [true, false, true])).toEqual([
      [1, 1],
      [2, null],
      [5, 5],
    ]);
  });

  test('isolated points and statistics', () => {
    expect(isolatedPoints([null, 1, null, 2, 3, null, 4])).toEqual([1, 6]);
    expect(statistics([null, 1, 3, null])).toEqual({ min: 1, max: 3, average: 2, last: 3 });
    expect(statistics([null])).toBeNull();
  });
});

describe('search', () => {
  test.each([
    ['', true],
    ['PROM', true],
    ['prom 9090', true],
    ['job=prom', true],
    ['job=9090', false],
    ['node', false],
    ['refused', true], // In the extra text.
  ])('%j', (text, want) => {
    const labels = { job: 'prometheus', instance: 'localhost:9090' };
    expect(matchesTerms(parseTerms(text), labels, ['connection refused'])).toBe(want);
  });

  test('fuzzy lists put direct hits first', () => {
    const names = ['go_memstats_alloc_bytes', 'node_memory_MemFree_bytes', 'up', 'node_load1'];
    expect(fuzzyFilter('mem', names)).toEqual([
      'go_memstats_alloc_bytes',
      'node_memory_MemFree_bytes',
    ]);
    expect(fuzzyFilter('ndl', names)).toEqual(['node_load1']);
    expect(fuzzyFilter(' ', names)).toEqual(names);
  });

  test('the history keeps each query once, newest first', () => {
    expect(withEntry(['a', 'b'], ' b ')).toEqual(['b', 'a']);
    expect(withEntry(['a'], '  ')).toEqual(['a']);
    expect(
      withEntry(
        Array.from({ length: 100 }, (_, i) => `q${i}`),
        'new',
      ),
    ).toHaveLength(100);
  });
});

describe('histograms', () => {
  test('exponential buckets have equal widths on the exponential scale', () => {
    const bars = layoutBars(
      [
        [0, '1', '2', '1'],
        [0, '2', '4', '3'],
        [0, '1024', '2048', '2'],
      ],
      'exponential',
    );
    expect(bars.map((bar) => Math.round(bar.height))).toEqual([33, 100, 67]);
    expect(bars[0]!.left).toBe(0);
    expect(bars[2]!.left + bars[2]!.width).toBeCloseTo(100);
    // log1p is not a pure logarithm near its unit, so "equal" is within a third there.
    expect(bars[2]!.width / bars[1]!.width).toBeLessThan(1.4);
  });

  test('the linear scale shows density, infinite buckets get a margin', () => {
    const bars = layoutBars(
      [
        [0, '-Inf', '0', '5'],
        [0, '0', '10', '10'],
        [0, '10', '+Inf', '1'],
      ],
      'linear',
    );
    expect(bars[0]!.left).toBe(0);
    expect(bars[0]!.width).toBeCloseTo(100 / 12);
    expect(bars.map((bar) => bar.height)).toEqual([100, 20, 20]);
  });

  test('nothing to draw, and a zero bucket alone', () => {
    expect(layoutBars([], 'linear')).toEqual([]);
    expect(layoutBars([[3, '-0.001', '0.001', '7']], 'exponential')[0]).toMatchObject({
      left: 0,
      height: 100,
    });
    expect(formatBucketRange([3, '-1', '1', '7'])).toBe('[-1, 1]');
    expect(formatBucketRange([0, '1', '2', '7'])).toBe('(1, 2]');
  });
});

test('relabelling steps show what changed', () => {
  expect(labelChanges({ a: '1', b: '2', c: '3' }, { a: '1', b: '9', d: '4' })).toEqual({
    set: { b: '9', d: '4' },
    removed: { c: '3' },
  });
});
