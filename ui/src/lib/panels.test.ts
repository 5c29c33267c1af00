import { describe, expect, test } from 'vitest';
import { decodePanels, encodePanels, newPanel, nextRange, queryPath, stepMsOf } from './panels';

describe('panels in the address', () => {
  test('everything survives the round trip', () => {
    const panels = [
      newPanel({
        expr: 'rate(a{b="c&d=e"}[5m]) + 1',
        tab: 'graph',
        rangeMs: 90 * 60_000,
        displayMode: 'stacked',
      }),
      newPanel({ expr: '', tab: 'explain', showTree: true, endMs: Date.UTC(2024, 0, 2, 3, 4, 5) }),
      newPanel({
        expr: 'up',
        resolution: { type: 'fixed', stepMs: 15_000 },
        yAxisMin: 0,
        showExemplars: true,
      }),
      newPanel({ expr: 'up', resolution: { type: 'custom', stepMs: 500 } }),
      newPanel({ expr: 'h', tab: 'graph', displayMode: 'heatmap' }),
      newPanel({ expr: 'up', resolution: { type: 'auto', density: 'high' } }),
    ];
    expect(decodePanels(encodePanels(panels))).toEqual(panels);
  });

  test('addresses of the 2.x UI', () => {
    const [panel] = decodePanels(
      '?g0.expr=up&g0.tab=0&g0.stacked=1&g0.range_input=2h&g0.end_input=2024-05-01%2013:04:05&g0.step_input=30',
    );
    expect(panel).toEqual(
      newPanel({
        expr: 'up',
        tab: 'graph',
        displayMode: 'stacked',
        rangeMs: 7_200_000,
        endMs: Date.UTC(2024, 4, 1, 13, 4, 5),
        resolution: { type: 'custom', stepMs: 30_000 },
      }),
    );
  });

  test('nonsense falls back to the defaults, panels end at the first missing number', () => {
    const search =
      'g0.expr=a&g0.tab=9&g0.range_input=x&g0.res_type=odd&g0.step_input=-1&g0.y_axis_min=q&g2.expr=c';
    expect(decodePanels(search)).toEqual([newPanel({ expr: 'a' })]);
    expect(decodePanels('')).toEqual([]);
  });

  test('links to the query page', () => {
    expect(decodePanels(queryPath('up', 'graph').split('?')[1]!)).toEqual([
      newPanel({ expr: 'up', tab: 'graph' }),
    ]);
  });
});

describe('range and resolution', () => {
  test.each([
    [{ type: 'auto', density: 'low' } as const, 3_600_000, 36_000],
    [{ type: 'auto', density: 'medium' } as const, 3_600_000, 14_000],
    [{ type: 'auto', density: 'high' } as const, 60_000, 1000], // Never below a second.
    [{ type: 'custom', stepMs: 250 } as const, 3_600_000, 250],
  ])('step of %j over %d', (resolution, rangeMs, want) =>
    expect(stepMsOf(resolution, rangeMs)).toBe(want),
  );

  test('the buttons stop at the ends', () => {
    expect(nextRange(3_600_000, 1)).toBe(7_200_000);
    expect(nextRange(3_600_000, -1)).toBe(1_800_000);
    expect(nextRange(1000, -1)).toBe(1000);
    expect(nextRange(800 * 86_400_000, 1)).toBe(800 * 86_400_000);
  });
});
