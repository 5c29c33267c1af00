import { Button, NativeSelect } from '@mantine/core';
import { lazy, Suspense, useDeferredValue, useMemo, useState } from 'react';
import { useApi } from '../api/hooks';
import type { ActiveTarget, Health, Targets } from '../api/types';
import { ChoiceChips } from '../components/Choice';
import { Ago } from '../components/Moment';
import { PoolHead } from '../components/PoolHead';
import { SearchBox } from '../components/SearchBox';
import { WindowRows } from '../components/VirtualRows';
import { Empty, LabelList, Loaded, Page, Pill, type Tone } from '../components/ui';
import { humanDuration } from '../lib/duration';
import { plural } from '../lib/format';
import { countHealth, groupTargets, type Pool } from '../lib/targets';
import { useUrlParam, useUrlSet } from '../lib/urlState';
import { useOpen } from '../lib/useOpen';
import classes from './lists.module.css';

const PoolConfig = lazy(() => import('./PoolConfig'));

const kTones: Record<Health, Tone> = { up: 'ok', down: 'bad', unknown: 'mute' };

type Row =
  | { kind: 'pool'; key: string; pool: Pool }
  | { kind: 'head'; key: string }
  | { kind: 'target'; key: string; target: ActiveTarget; last: boolean };

export default function TargetsPage() {
  const answer = useApi<Targets>('/targets', { state: 'active' }, { refreshMs: 15_000 });
  const [pool, setPool] = useUrlParam('pool');
  const [health, setHealth] = useUrlSet('health');
  const [search, setSearch] = useUrlParam('search');
  const wanted = useDeferredValue(search);
  const [config, setConfig] = useState<string | null>(null);
  const open = useOpen(true);

  const targets = answer.data?.data.activeTargets;
  const counts = useMemo(() => countHealth(targets ?? []), [targets]);
  const names = useMemo(
    () => [...new Set((targets ?? []).map((one) => one.scrapePool))].sort(),
    [targets],
  );
  const pools = useMemo(
    () => groupTargets(targets ?? [], { pool, health, search: wanted }),
    [health, pool, targets, wanted],
  );
  const rows = useMemo(
    () =>
      pools
        .filter((one) => one.targets.length > 0 || (health.length === 0 && wanted === ''))
        .flatMap((one): Row[] => {
          const head: Row = { kind: 'pool', key: one.name, pool: one };
          if (!open.isOpen(one.name) || one.targets.length === 0) return [head];
          return [
            head,
            { kind: 'head', key: `${one.name}\nhead` },
            ...one.targets.map((target, i): Row => ({
              kind: 'target',
              key: `${one.name}\n${target.scrapeUrl}\n${i}`,
              target,
              last: i === one.targets.length - 1,
            })),
          ];
        }),
    [health.length, open.isOpen, pools, wanted],
  );

  return (
    <Page
      title="Targets"
      extra={targets && `${plural(targets.length, 'target')} in ${plural(names.length, 'pool')}`}
      tools={
        <>
          <NativeSelect
            size="xs"
            aria-label="Scrape pool"
            value={pool}
            onChange={(event) => setPool(event.currentTarget.value)}
            data={[{ value: '', label: 'All pools' }, ...names]}
          />
          <ChoiceChips
            label="Health"
            chosen={health}
            onChange={setHealth}
            options={(['up', 'down', 'unknown'] as const).map((one) => ({
              value: one,
              label: one,
              count: counts[one],
            }))}
          />
          <SearchBox
            value={search}
            onChange={setSearch}
            label="Filter by address, labels or error"
          />
          <Button
            size="xs"
            variant="default"
            onClick={() => open.setAll(open.isOpen(names[0] ?? '') ? names : [])}
          >
            {open.isOpen(names[0] ?? '') ? 'Collapse all' : 'Expand all'}
          </Button>
        </>
      }
    >
      <Loaded query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty>
              {targets?.length === 0 ? 'There are no targets.' : 'No target matches the filter.'}
            </Empty>
          ) : (
            <WindowRows
              count={rows.length}
              estimate={(i) =>
                rows[i]!.kind === 'target' ? 34 : rows[i]!.kind === 'head' ? 22 : 42
              }
              rowKey={(i) => rows[i]!.key}
              render={(i) => {
                const row = rows[i]!;
                if (row.kind === 'head') return <TargetHead />;
                if (row.kind === 'target')
                  return (
                    <TargetRow target={row.target} last={row.last} nowMs={answer.dataUpdatedAt} />
                  );
                const { name, up, total } = row.pool;
                return (
                  <PoolHead name={name} open={open.isOpen(name)} onToggle={() => open.toggle(name)}>
                    <Pill tone={up === total ? 'ok' : up === 0 ? 'bad' : 'warn'}>
                      {up} of {total} up
                    </Pill>
                    <Button
                      size="compact-xs"
                      variant="subtle"
                      color="gray"
                      onClick={() => setConfig(name)}
                    >
                      Configuration
                    </Button>
                  </PoolHead>
                );
              }}
            />
          )
        }
      </Loaded>
      {config !== null && (
        <Suspense fallback={null}>
          <PoolConfig pool={config} onClose={() => setConfig(null)} />
        </Suspense>
      )}
    </Page>
  );
}

function TargetHead() {
  return (
    <div className={`${classes.target} ${classes.targetHead}`} aria-hidden="true">
      <span>Endpoint</span>
      <span>Labels</span>
      <span>Last scrape</span>
      <span>Took</span>
      <span>State</span>
    </div>
  );
}

function TargetRow({
  target,
  last,
  nowMs,
}: {
  target: ActiveTarget;
  last: boolean;
  nowMs: number;
}) {
  const took = target.lastScrapeDuration;
  return (
    <div
      className={classes.item}
      data-tone={kTones[target.health]}
      data-last={last || undefined}
      data-testid="target"
    >
      <div className={classes.target}>
        <a
          className={`${classes.targetUrl} mono`}
          href={target.globalUrl}
          target="_blank"
          rel="noreferrer noopener"
          title={target.scrapeUrl}
        >
          {target.scrapeUrl}
        </a>
        <LabelList labels={target.labels} />
        <span
          className={classes.small}
          title={`every ${target.scrapeInterval}, timeout ${target.scrapeTimeout}`}
        >
          <Ago time={target.lastScrape} nowMs={nowMs} />
        </span>
        <span className={classes.small}>
          {target.health === 'unknown' ? '' : humanDuration(Math.round(took * 1e5) / 100)}
        </span>
        <span>
          <Pill tone={kTones[target.health]}>{target.health}</Pill>
        </span>
        {target.lastError !== '' && <div className={classes.targetError}>{target.lastError}</div>}
      </div>
    </div>
  );
}
