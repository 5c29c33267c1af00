// Grouping and filtering for the targets and service discovery pages.

import type { ActiveTarget, DroppedTarget, Health } from '../api/types';
import { matchesTerms, parseTerms } from './search';

export interface Pool {
  name: string;
  targets: ActiveTarget[]; // Those that match the filter.
  up: number; // Of all targets of the pool, as is the next one.
  total: number;
}

export interface TargetFilter {
  pool: string; // Empty means all.
  health: readonly string[];
  search: string;
}

export function groupTargets(targets: readonly ActiveTarget[], filter: TargetFilter): Pool[] {
  const terms = parseTerms(filter.search);
  const pools = new Map<string, Pool>();
  for (const target of targets) {
    if (filter.pool !== '' && target.scrapePool !== filter.pool) continue;
    const pool = pools.get(target.scrapePool) ?? {
      name: target.scrapePool,
      targets: [],
      up: 0,
      total: 0,
    };
    pools.set(target.scrapePool, pool);
    ++pool.total;
    if (target.health === 'up') ++pool.up;
    const wanted =
      (filter.health.length === 0 || filter.health.includes(target.health)) &&
      matchesTerms(terms, target.labels, [target.scrapeUrl, target.lastError]);
    if (wanted) pool.targets.push(target);
  }
  // The server gives the targets of a pool in no order; sorted, they keep their places.
  for (const pool of pools.values()) {
    pool.targets.sort((a, b) =>
      a.scrapeUrl < b.scrapeUrl ? -1 : a.scrapeUrl > b.scrapeUrl ? 1 : 0,
    );
  }
  return [...pools.values()].sort((a, b) => a.name.localeCompare(b.name));
}

export function countHealth(targets: readonly ActiveTarget[]): Record<Health, number> {
  const counts = { up: 0, down: 0, unknown: 0 };
  for (const target of targets) ++counts[target.health];
  return counts;
}

export interface Discovered {
  discovered: Record<string, string>;
  labels: Record<string, string> | null; // Null when relabelling dropped it.
}

export interface DiscoveredPool {
  name: string;
  items: Discovered[];
  active: number;
  dropped: number; // May exceed the listed ones when the server keeps only some.
}

export function groupDiscovered(
  active: readonly ActiveTarget[],
  dropped: readonly DroppedTarget[],
  droppedCounts: Record<string, number> | null,
  filter: { pool: string; states: readonly string[]; search: string },
): DiscoveredPool[] {
  const terms = parseTerms(filter.search);
  const pools = new Map<string, DiscoveredPool>();
  const poolOf = (name: string) => {
    const pool = pools.get(name) ?? { name, items: [], active: 0, dropped: 0 };
    pools.set(name, pool);
    return pool;
  };
  const add = (pool: DiscoveredPool, state: string, item: Discovered) => {
    if (filter.states.length > 0 && !filter.states.includes(state)) return;
    if (matchesTerms(terms, { ...item.discovered, ...item.labels })) pool.items.push(item);
  };
  for (const target of active) {
    const pool = poolOf(target.scrapePool);
    ++pool.active;
    add(pool, 'active', { discovered: target.discoveredLabels, labels: target.labels });
  }
  for (const target of dropped) {
    // Old servers do not name the pool of a dropped target; its job is the next best.
    const pool = poolOf(target.scrapePool ?? target.discoveredLabels['job'] ?? '');
    ++pool.dropped;
    add(pool, 'dropped', { discovered: target.discoveredLabels, labels: null });
  }
  for (const [name, count] of Object.entries(droppedCounts ?? {})) poolOf(name).dropped = count;
  return [...pools.values()]
    .filter((pool) => filter.pool === '' || pool.name === filter.pool)
    .sort((a, b) => a.name.localeCompare(b.name));
}
