import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { useCallback, useMemo, useState } from 'react';
import { Link } from 'react-router-dom';
import { callQuery } from '../../api/client';
import type { MatrixItem } from '../../api/types';
import { Chart } from '../../components/Chart';
import { Icon } from '../../components/Icon';
import { BusyBar, Empty, ErrorNotice, uiClasses } from '../../components/ui';
import { seriesColor } from '../../lib/palette';
import { encodePanels, newPanel } from '../../lib/panels';
import { alignMatrix } from '../../lib/series';
import { settings } from '../../lib/settings';
import classes from './machine.module.css';
import type { MachinePanel } from './panels';

interface Props {
  panel: MachinePanel;
  start: number;
  end: number;
  step: number;
}

export function MachineChart({ panel, start, end, step }: Props) {
  const { zone } = settings.use();
  const { data, error, isFetching } = useQuery({
    queryKey: ['machine', panel.queries.map((query) => query.expr), start, end, step],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }) => {
      const answers = await Promise.all(
        panel.queries.map((query) =>
          callQuery<{ result: MatrixItem[] }>(
            '/query_range',
            { query: query.expr, start, end, step },
            signal,
          ),
        ),
      );
      // The grid travels with the data, because it differs from the wanted one while new data loads.
      return { start, end, step, matrices: answers.map((answer) => answer.data.result) };
    },
  });
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const toggle = useCallback(
    (name: string) =>
      setHidden((old) => {
        const next = new Set(old);
        if (!next.delete(name)) next.add(name);
        return next;
      }),
    [],
  );

  const drawn = useMemo(() => {
    if (data === undefined) return null;
    const flat = data.matrices.flatMap((matrix, q) =>
      matrix.map((item) => ({ item, query: panel.queries[q]!, q })),
    );
    const { times, columns } = alignMatrix(
      flat.map(({ item }) => item),
      data.start,
      data.end,
      data.step,
    );
    const signed = columns.map((column, i) =>
      flat[i]!.query.below ? column.map((value) => (value === null ? null : -value)) : column,
    );
    // A pair of read and written lines of one device has one colour.
    const perQuery = Math.max(...data.matrices.map((matrix) => matrix.length), 0);
    const seen = new Map<number, number>();
    const named = flat.map(({ item, query, q }) => {
      const index = seen.get(q) ?? 0;
      seen.set(q, index + 1);
      const fallback = seriesColor(query.below || perQuery > 1 ? index : index + q);
      return { name: query.name(item.metric), color: query.color?.(item.metric) ?? fallback };
    });
    return { times, columns: signed, named };
  }, [data, panel]);

  const series = useMemo(
    () =>
      (drawn?.named ?? []).map(({ name, color }) => ({
        label: name,
        color,
        shown: !hidden.has(name),
      })),
    [drawn, hidden],
  );
  const explore = encodePanels(
    panel.queries.map((query) =>
      newPanel({ expr: query.expr, tab: 'graph', rangeMs: (end - start) * 1000 }),
    ),
  );

  return (
    <section className={uiClasses.card}>
      <div className={classes.head}>
        <h2>{panel.title}</h2>
        <Link
          to={`/query?${explore}`}
          aria-label={`Open “${panel.title}” on the query page`}
          title="Open on the query page"
        >
          <Icon name="external" size={13} />
        </Link>
      </div>
      <BusyBar busy={isFetching && data === undefined} />
      {error !== null && <ErrorNotice error={error} />}
      {drawn !== null && drawn.columns.length === 0 && <Empty>No data in this range.</Empty>}
      {drawn !== null && drawn.columns.length > 0 && data !== undefined && (
        <>
          <div className={classes.chart}>
            <Chart
              label={`Graph: ${panel.title}`}
              times={drawn.times}
              columns={drawn.columns}
              series={series}
              from={data.start}
              to={data.end}
              height={190}
              zone={zone}
              stacked={panel.stacked ?? false}
              yMin={panel.yMin ?? null}
              format={panel.format}
              binary={panel.binary ?? false}
              tooltip="all"
              syncKey="machine"
            />
          </div>
          <div className={classes.legend}>
            {series.map((one) => (
              <button
                key={one.label}
                type="button"
                aria-pressed={one.shown}
                onClick={() => toggle(one.label)}
              >
                <i style={{ background: one.color }} />
                {one.label}
              </button>
            ))}
          </div>
        </>
      )}
    </section>
  );
}
