import { Button, NativeSelect } from '@mantine/core';
import { lazy, Suspense, useDeferredValue, useMemo, useState } from 'react';
import { useApi } from '../api/hooks';
import type { Targets } from '../api/types';
import { ChoiceChips } from '../components/Choice';
import { PoolHead } from '../components/PoolHead';
import { SearchBox } from '../components/SearchBox';
import { WindowRows } from '../components/VirtualRows';
import { Empty, LabelList, Loaded, Page, Pill } from '../components/ui';
import { plural } from '../lib/format';
import { groupDiscovered, type Discovered, type DiscoveredPool } from '../lib/targets';
import { useUrlParam, useUrlSet } from '../lib/urlState';
import { useOpen } from '../lib/useOpen';
import classes from './lists.module.css';

const RelabelSteps = lazy(() => import('./RelabelSteps'));

type Row =
  | { kind: 'pool'; key: string; pool: DiscoveredPool }
  | { kind: 'item'; key: string; pool: string; item: Discovered; last: boolean };

export default function ServiceDiscoveryPage() {
  const answer = useApi<Targets>('/targets', { state: 'any' }, { refreshMs: 30_000 });
  const [pool, setPool] = useUrlParam('pool');
  const [states, setStates] = useUrlSet('state');
  const [search, setSearch] = useUrlParam('search');
  const wanted = useDeferredValue(search);
  const [explained, setExplained] = useState<{ pool: string; item: Discovered } | null>(null);
  const open = useOpen(true);

  const data = answer.data?.data;
  const all = useMemo(
    () =>
      groupDiscovered(
        data?.activeTargets ?? [],
        data?.droppedTargets ?? [],
        data?.droppedTargetCounts ?? null,
        {
          pool: '',
          states,
          search: wanted,
        },
      ),
    [data, states, wanted],
  );
  const active = all.reduce((sum, one) => sum + one.active, 0);
  const dropped = all.reduce((sum, one) => sum + one.dropped, 0);
  const rows = useMemo(
    () =>
      all
        .filter((one) => pool === '' || one.name === pool)
        .filter((one) => one.items.length > 0 || (states.length === 0 && wanted === ''))
        .flatMap((one): Row[] => {
          const head: Row = { kind: 'pool', key: one.name, pool: one };
          if (!open.isOpen(one.name)) return [head];
          return [
            head,
            ...one.items.map((item, i): Row => ({
              kind: 'item',
              key: `${one.name}\n${i}`,
              pool: one.name,
              item,
              last: i === one.items.length - 1,
            })),
          ];
        }),
    [all, open.isOpen, pool, states.length, wanted],
  );

  return (
    <Page
      title="Service discovery"
      extra={data && `${plural(active, 'target')} kept, ${dropped} dropped`}
      tools={
        <>
          <NativeSelect
            size="xs"
            aria-label="Scrape pool"
            value={pool}
            onChange={(event) => setPool(event.currentTarget.value)}
            data={[{ value: '', label: 'All pools' }, ...all.map((one) => one.name)]}
          />
          <ChoiceChips
            label="States"
            chosen={states}
            onChange={setStates}
            options={[
              { value: 'active', label: 'kept', count: active },
              { value: 'dropped', label: 'dropped', count: dropped },
            ]}
          />
          <SearchBox value={search} onChange={setSearch} label="Filter by labels" />
        </>
      }
    >
      <Loaded query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty>Nothing was discovered that matches.</Empty>
          ) : (
            <WindowRows
              count={rows.length}
              estimate={(i) => (rows[i]!.kind === 'item' ? 92 : 42)}
              rowKey={(i) => rows[i]!.key}
              render={(i) => {
                const row = rows[i]!;
                if (row.kind === 'pool') {
                  const { name, active: kept, dropped: gone } = row.pool;
                  return (
                    <PoolHead
                      name={name}
                      open={open.isOpen(name)}
                      onToggle={() => open.toggle(name)}
                    >
                      <Pill tone="ok">{kept} kept</Pill>
                      {gone > 0 && <Pill tone="mute">{gone} dropped</Pill>}
                    </PoolHead>
                  );
                }
                return (
                  <div
                    className={classes.item}
                    data-tone={row.item.labels ? 'ok' : 'mute'}
                    data-last={row.last || undefined}
                  >
                    <div className={classes.discovery}>
                      <div>
                        <span className="visually-hidden">Discovered labels</span>
                        <LabelList labels={row.item.discovered} />
                      </div>
                      <div>
                        <span className="visually-hidden">Target labels</span>
                        {row.item.labels ? (
                          <LabelList labels={row.item.labels} />
                        ) : (
                          <span className="dim">dropped by relabelling</span>
                        )}
                      </div>
                      <Button
                        size="compact-xs"
                        variant="subtle"
                        color="gray"
                        onClick={() => setExplained({ pool: row.pool, item: row.item })}
                      >
                        Steps
                      </Button>
                    </div>
                  </div>
                );
              }}
            />
          )
        }
      </Loaded>
      {explained !== null && (
        <Suspense fallback={null}>
          <RelabelSteps
            pool={explained.pool}
            labels={explained.item.discovered}
            onClose={() => setExplained(null)}
          />
        </Suspense>
      )}
    </Page>
  );
}
