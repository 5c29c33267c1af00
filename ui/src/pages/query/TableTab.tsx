import { useMemo, useState } from 'react';
import type { QueryData, VectorItem } from '../../api/types';
import { BoxRows } from '../../components/VirtualRows';
import { CopyButton, Empty } from '../../components/ui';
import { formatSeries, parseValue, plural, type Labels } from '../../lib/format';
import type { PanelState } from '../../lib/panels';
import { settings } from '../../lib/settings';
import { formatTimeWithZone } from '../../lib/time';
import { HistogramView } from './HistogramView';
import classes from './query.module.css';
import { ResultFrame } from './ResultFrame';
import { SeriesName } from './SeriesName';
import { TimeInput } from './TimeInput';
import { useInstantQuery } from './useQueries';

interface Props {
  state: PanelState;
  run: number;
  change: (patch: Partial<PanelState>) => void;
}

export function TableTab({ state, run, change }: Props) {
  const query = useInstantQuery(state, run);
  return (
    <ResultFrame
      expr={state.expr}
      query={query}
      controls={
        <TimeInput
          label="Evaluation time"
          valueMs={state.endMs}
          stepMs={state.rangeMs / 2}
          onChange={(endMs) => change({ endMs })}
        />
      }
    >
      {({ answer }) => <ResultTable data={answer.data} />}
    </ResultFrame>
  );
}

type Order = { by: 'series' | 'value'; descending: boolean } | null;

interface Row {
  key: string;
  labels: Labels;
  text: string; // The value or values, as the API spells them.
  item?: VectorItem;
}

function toRows(data: QueryData, withTime: (seconds: number) => string): Row[] {
  if (data.resultType === 'scalar' || data.resultType === 'string') {
    return [{ key: data.resultType, labels: {}, text: data.result[1] }];
  }
  if (data.resultType === 'vector') {
    return data.result.map((item) => ({
      key: formatSeries(item.metric),
      labels: item.metric,
      text: item.value?.[1] ?? '',
      item,
    }));
  }
  return data.result.map((item) => ({
    key: formatSeries(item.metric),
    labels: item.metric,
    text: [
      ...(item.values ?? []).map(([time, value]) => `${value}  @ ${withTime(time)}`),
      ...(item.histograms ?? []).map(
        ([time, h]) => `count ${h.count}, sum ${h.sum}  @ ${withTime(time)}`,
      ),
    ].join('\n'),
  }));
}

function sortRows(rows: Row[], order: Order): Row[] {
  if (order === null) return rows;
  const sign = order.descending ? -1 : 1;
  const value = (row: Row) =>
    row.item?.histogram ? parseValue(row.item.histogram[1].count) : parseValue(row.text);
  // NaN has no place in an order; it goes last both ways.
  return [...rows].sort((a, b) => {
    if (order.by === 'series') return sign * a.key.localeCompare(b.key);
    const x = value(a);
    const y = value(b);
    if (Number.isNaN(x) || Number.isNaN(y))
      return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
    return x === y ? 0 : x < y ? -sign : sign;
  });
}

// Longer results of range selectors are cut on the page only; copying a row gives all of it.
const kLinesShown = 200;

function shownText(text: string): string {
  const lines = text.split('\n');
  if (lines.length <= kLinesShown) return text;
  return `${lines.slice(0, kLinesShown).join('\n')}\n… and ${plural(lines.length - kLinesShown, 'more value')}`;
}

function ResultTable({ data }: { data: QueryData }) {
  const { zone } = settings.use();
  const [order, setOrder] = useState<Order>(null);
  const rows = useMemo(
    () =>
      sortRows(
        toRows(data, (seconds) => formatTimeWithZone(seconds * 1000, zone)),
        order,
      ),
    [data, order, zone],
  );
  if (rows.length === 0) return <Empty>The result is empty.</Empty>;

  const scalar = data.resultType === 'scalar' || data.resultType === 'string';
  const toggle = (by: 'series' | 'value') =>
    setOrder((old) =>
      old?.by !== by
        ? { by, descending: by === 'value' }
        : old.descending === (by === 'value')
          ? { by, descending: !old.descending }
          : null,
    );
  const arrow = (by: 'series' | 'value') =>
    order?.by === by ? (order.descending ? ' ↓' : ' ↑') : '';
  return (
    <div>
      <div className={classes.rowsHead}>
        <button type="button" className={classes.sort} onClick={() => toggle('series')}>
          {scalar ? data.resultType : `Series${arrow('series')}`}
        </button>
        <button type="button" className={classes.sort} onClick={() => toggle('value')}>
          Value{arrow('value')}
        </button>
      </div>
      <BoxRows
        label="Result of the query"
        maxHeight="68vh"
        count={rows.length}
        estimate={() => 28}
        rowKey={(i) => `${i}:${rows[i]!.key}`}
        render={(i) => {
          const row = rows[i]!;
          const histogram = row.item?.histogram?.[1];
          return (
            <div className={classes.row} data-testid="result-row">
              <div className={classes.rowSeries}>
                {scalar ? row.key : <SeriesName labels={row.labels} />}
              </div>
              <div className={classes.rowValue}>
                {histogram ? <HistogramView histogram={histogram} /> : shownText(row.text)}
              </div>
              <div className={classes.rowCopy}>
                <CopyButton
                  label="Copy the series and its value"
                  text={() =>
                    scalar
                      ? row.text
                      : `${row.key} ${histogram ? JSON.stringify(histogram) : row.text}`
                  }
                />
              </div>
            </div>
          );
        }}
      />
    </div>
  );
}
