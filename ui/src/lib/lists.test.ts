import { describe, expect, test } from 'vitest';
import { toSearchParams } from '../api/client';
import { applyNotification } from '../api/notifications';
import type { ActiveTarget, DroppedTarget, RuleGroup } from '../api/types';
import { nextHidden } from '../pages/query/hidden';
import { rateWindowMs } from '../pages/machine/panels';
import { stripPrefix } from './notices';
import { countStates, filterAlerts, filterRules } from './rules';
import { countHealth, groupDiscovered, groupTargets } from './targets';

function target(scrapePool: string, health: 'up' | 'down', url: string, labels = {}): ActiveTarget {
  return {
    scrapePool,
    health,
    scrapeUrl: url,
    labels,
    discoveredLabels: { __address__: url },
    lastError: '',
  } as Partial<ActiveTarget> as ActiveTarget;
}

describe('targets', () => {
  const targets = [
    target('b', 'up', 'http://y', { job: 'b' }),
    target('a', 'down', 'http://z', { job: 'a' }),
    target('b', 'down', 'http://x', { job: 'b' }),
  ];

  test('pools are sorted and count all their targets, whatever the filter shows', () => {
    const pools = groupTargets(targets, { pool: '', health: ['down'], search: '' });
    expect(pools.map(({ name, up, total }) => [name, up, total])).toEqual([
      ['a', 0, 1],
      ['b', 1, 2],
    ]);
    expect(pools[1]!.targets.map((one) => one.scrapeUrl)).toEqual(['http://x']);
  });

  test('inside a pool the order is that of the addresses', () => {
    const [pool] = groupTargets(targets, { pool: 'b', health: [], search: '' });
    expect(pool!.targets.map((one) => one.scrapeUrl)).toEqual(['http://x', 'http://y']);
    expect(countHealth(targets)).toEqual({ up: 1, down: 2, unknown: 0 });
  });

  test('dropped targets join their pools; the server may count more than it lists', () => {
    const dropped: DroppedTarget[] = [
      { discoveredLabels: { __address__: 'd', job: 'c' } },
      { discoveredLabels: {}, scrapePool: 'a' },
    ];
    const pools = groupDiscovered(
      targets,
      dropped,
      { a: 70 },
      { pool: '', states: [], search: '' },
    );
    expect(
      pools.map(({ name, active, dropped: gone, items }) => [name, active, gone, items.length]),
    ).toEqual([
      ['a', 1, 70, 2],
      ['b', 2, 0, 2],
      ['c', 0, 1, 1],
    ]);
    const only = groupDiscovered(targets, dropped, null, {
      pool: 'a',
      states: ['dropped'],
      search: '',
    });
    expect(only[0]!.items).toEqual([{ discovered: {}, labels: null }]);
  });
});

describe('rules', () => {
  const groups = [
    {
      name: 'g',
      file: 'f.yml',
      rules: [
        {
          type: 'alerting',
          name: 'Down',
          state: 'firing',
          health: 'ok',
          alerts: [{ labels: { instance: 'host7' } }],
        },
        {
          type: 'alerting',
          name: 'Slow',
          state: 'inactive',
          health: 'err',
          alerts: null,
          labels: { severity: 'page' },
        },
        { type: 'recording', name: 'a:b', health: 'ok' },
      ],
    },
  ] as unknown as RuleGroup[];
  const names = (list: { rules: { name: string }[] }[]) =>
    list.flatMap((one) => one.rules.map((rule) => rule.name));

  test('alerts by state, by name, by the labels of rules and of their alerts', () => {
    expect(countStates(groups)).toEqual({ firing: 1, pending: 0, inactive: 1, unknown: 0 });
    expect(names(filterAlerts(groups, [], ''))).toEqual(['Down', 'Slow']);
    expect(names(filterAlerts(groups, ['firing'], ''))).toEqual(['Down']);
    expect(names(filterAlerts(groups, [], 'instance=host7'))).toEqual(['Down']);
    expect(names(filterAlerts(groups, [], 'severity=page'))).toEqual(['Slow']);
    expect(filterAlerts(groups, ['pending'], '')).toEqual([]);
  });

  test('rules by health', () => {
    expect(names(filterRules(groups, ['err'], ''))).toEqual(['Slow']);
    expect(names(filterRules(groups, [], 'a:b'))).toEqual(['a:b']);
  });
});

test('notifications are replaced and removed by their text', () => {
  const one = { text: 'a', date: '1', active: true };
  const list = applyNotification([], one);
  expect(applyNotification(list, { ...one, date: '2' })).toEqual([{ ...one, date: '2' }]);
  expect(applyNotification(list, { ...one, active: false })).toEqual([]);
});

test('the legend isolates, restores and toggles', () => {
  const alone = nextHidden(new Set(), 1, 3, false);
  expect([...alone]).toEqual([0, 2]);
  expect(nextHidden(alone, 1, 3, false).size).toBe(0);
  expect([...nextHidden(alone, 0, 3, true)]).toEqual([2]);
  expect([...nextHidden(alone, 0, 3, false)]).toEqual([1, 2]);
});

test('small things', () => {
  expect(toSearchParams({ a: 1, b: undefined, 'm[]': ['x', 'y'] }).toString()).toBe(
    'a=1&m%5B%5D=x&m%5B%5D=y',
  );
  expect(stripPrefix('PromQL info: metric might not be a counter')).toBe(
    'metric might not be a counter',
  );
  expect(rateWindowMs(60_000, 15_000)).toBe(240_000);
  expect(rateWindowMs(15_000, 600_000)).toBe(600_000);
});
