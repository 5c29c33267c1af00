import { NativeSelect, SegmentedControl } from '@mantine/core';
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useEffect, useMemo, useState } from 'react';
import { callQuery } from '../../api/client';
import { useApi } from '../../api/hooks';
import type { Targets, VectorItem } from '../../api/types';
import { Empty, Loaded, Page, uiClasses } from '../../components/ui';
import { formatDuration, humanDuration, parseDuration } from '../../lib/duration';
import { parseValue } from '../../lib/format';
import { useUrlParam } from '../../lib/urlState';
import cards from '../cards.module.css';
import classes from './machine.module.css';
import { MachineChart } from './MachineChart';
import { machinePanels, machineTiles, rateWindowMs, type Tile } from './panels';

const kRanges = ['15m', '1h', '6h', '1d', '7d'];
const kRefreshMs = 15_000;
const kPoints = 240;
const kDefaultIntervalMs = 15_000;

type Vector = { result: VectorItem[] };

export default function MachinePage() {
  // Joined by instance: the name and kernel of the machine if the exporter tells them.
  const found = useApi<Vector>(
    '/query',
    { query: 'node_uname_info or on (instance) node_load1' },
    { staleMs: 60_000, refreshMs: 60_000 },
  );
  const [chosen, setInstance] = useUrlParam('instance');
  const machines = useMemo(
    () =>
      (found.data?.data.result ?? [])
        .map(({ metric }) => metric)
        .sort((a, b) => (a['instance'] ?? '').localeCompare(b['instance'] ?? '')),
    [found.data],
  );
  const machine = machines.find((one) => one['instance'] === chosen) ?? machines[0];
  const instance = machine?.['instance'] ?? '';
  const [range, setRange] = useUrlParam('range', '1h');

  return (
    <Page
      title={machine?.['nodename'] ?? 'This machine'}
      extra={
        machine?.['release'] && `${machine['sysname']} ${machine['release']}, ${machine['machine']}`
      }
      tools={
        <>
          {machines.length > 1 && (
            <NativeSelect
              size="xs"
              aria-label="Machine"
              value={instance}
              onChange={(event) => setInstance(event.currentTarget.value)}
              data={machines.map((one) => ({
                value: one['instance'] ?? '',
                label: one['nodename']
                  ? `${one['nodename']} (${one['instance']})`
                  : (one['instance'] ?? ''),
              }))}
            />
          )}
          <SegmentedControl
            size="xs"
            aria-label="Range"
            value={range}
            onChange={setRange}
            data={kRanges}
          />
        </>
      }
    >
      <Loaded query={found}>
        {() =>
          machine === undefined ? (
            <Empty>
              No node exporter is being scraped, so there is nothing to show about a machine.
            </Empty>
          ) : (
            <Machine
              key={instance}
              instance={instance}
              rangeMs={parseDuration(range) ?? 3_600_000}
            />
          )
        }
      </Loaded>
    </Page>
  );
}

function useScrapeInterval(instance: string): number {
  const targets = useApi<Targets>('/targets', { state: 'active' }, { staleMs: 300_000 });
  const target = targets.data?.data.activeTargets.find(
    (one) => one.labels['instance'] === instance,
  );
  return parseDuration(target?.scrapeInterval ?? '') ?? kDefaultIntervalMs;
}

function Machine({ instance, rangeMs }: { instance: string; rangeMs: number }) {
  const intervalMs = useScrapeInterval(instance);
  const stepMs = Math.max(Math.ceil(rangeMs / kPoints / 1000) * 1000, 1000);
  const window = formatDuration(rateWindowMs(intervalMs, stepMs));
  const panels = useMemo(() => machinePanels(instance, window), [instance, window]);
  const tiles = useMemo(
    () => machineTiles(instance, formatDuration(rateWindowMs(intervalMs, 0))),
    [instance, intervalMs],
  );

  // All graphs share one end, on the grid of the step, so that lines stand still while time moves on.
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') setNow(Date.now());
    }, kRefreshMs);
    return () => clearInterval(timer);
  }, []);
  const end = (Math.floor(now / stepMs) * stepMs) / 1000;

  return (
    <>
      <dl className={cards.tiles} style={{ margin: 0 }}>
        <Uptime instance={instance} now={now} />
        {tiles.map((tile) => (
          <StatTile key={tile.name} tile={tile} now={now} />
        ))}
      </dl>
      <div className={classes.grid}>
        {panels.map((panel) => (
          <MachineChart
            key={panel.title}
            panel={panel}
            start={end - rangeMs / 1000}
            end={end}
            step={stepMs / 1000}
          />
        ))}
      </div>
    </>
  );
}

function useNumber(expr: string, now: number): number | null {
  const { data } = useQuery<number | null>({
    queryKey: ['tile', expr, now],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const answer = await callQuery<Vector>('/query', { query: expr, time: now / 1000 }, signal);
      const text = answer.data.result[0]?.value?.[1];
      return text === undefined ? null : parseValue(text);
    },
  });
  return data ?? null;
}

function StatTile({ tile, now }: { tile: Tile; now: number }) {
  const value = useNumber(tile.expr, now);
  const high = tile.warnAbove !== undefined && value !== null && value > tile.warnAbove;
  return (
    <div className={`${uiClasses.card} ${cards.tile}`}>
      <dt>{tile.name}</dt>
      <dd style={high ? { color: 'var(--nx-bad)' } : undefined}>
        {value === null ? '–' : tile.format(value)}
      </dd>
    </div>
  );
}

function Uptime({ instance, now }: { instance: string; now: number }) {
  const boot = useNumber(`node_boot_time_seconds{instance=${JSON.stringify(instance)}}`, now);
  return (
    <div className={`${uiClasses.card} ${cards.tile}`}>
      <dt>Up for</dt>
      <dd>{boot === null ? '–' : humanDuration(Math.max(now - boot * 1000, 0))}</dd>
    </div>
  );
}
