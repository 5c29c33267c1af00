import { ActionIcon, Modal, NativeSelect } from '@mantine/core';
import { useDeferredValue, useMemo, useState } from 'react';
import { useApi } from '../../api/hooks';
import type { Metadata } from '../../api/types';
import { Icon } from '../../components/Icon';
import { SearchBox } from '../../components/SearchBox';
import { BoxRows } from '../../components/VirtualRows';
import { CopyButton, Disclosure, Empty, Loaded, Pill } from '../../components/ui';
import { plural, quote, quoteLabelName, formatSeries, type Labels } from '../../lib/format';
import { fuzzyFilter } from '../../lib/search';
import classes from './explorer.module.css';

interface Props {
  onClose: () => void;
  onInsert: (text: string) => void;
}

const kSeriesMax = 2000; // Enough to see which labels a metric has.
const kValuesShown = 100;

export default function MetricsExplorer({ onClose, onInsert }: Props) {
  const names = useApi<string[]>('/label/__name__/values', {}, { staleMs: 30_000 });
  const metadata = useApi<Record<string, Metadata[]>>('/metadata', {}, { staleMs: 60_000 });
  const [search, setSearch] = useState('');
  const [type, setType] = useState('');
  const [open, setOpen] = useState<string | null>(null);
  const wanted = useDeferredValue(search);

  const known = metadata.data?.data;
  const shown = useMemo(() => {
    const found = fuzzyFilter(wanted, names.data?.data ?? []);
    return type === '' ? found : found.filter((name) => lookUp(known, name)?.type === type);
  }, [known, names.data, type, wanted]);

  return (
    <Modal
      opened
      onClose={onClose}
      title="Explore metrics"
      size="xl"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <div className={classes.tools}>
        <SearchBox value={search} onChange={setSearch} label="Search metrics" width={340} />
        <NativeSelect
          size="xs"
          aria-label="Metric type"
          value={type}
          onChange={(event) => setType(event.currentTarget.value)}
          data={[
            { value: '', label: 'All types' },
            ...[
              'counter',
              'gauge',
              'histogram',
              'gaugehistogram',
              'summary',
              'info',
              'stateset',
              'unknown',
            ],
          ]}
        />
        <span className="dim">{plural(shown.length, 'metric')}</span>
      </div>
      <Loaded query={names}>
        {() =>
          shown.length === 0 ? (
            <Empty>No metric has such a name.</Empty>
          ) : (
            <BoxRows
              label="Metrics"
              maxHeight="64vh"
              count={shown.length}
              estimate={() => 46}
              rowKey={(i) => shown[i]!}
              render={(i) => {
                const name = shown[i]!;
                return (
                  <Metric
                    name={name}
                    metadata={lookUp(known, name)}
                    open={open === name}
                    onToggle={() => setOpen(open === name ? null : name)}
                    onInsert={onInsert}
                  />
                );
              }}
            />
          )
        }
      </Loaded>
    </Modal>
  );
}

// Metadata stands under the family name; the series of histograms and counters have suffixes.
function lookUp(known: Record<string, Metadata[]> | undefined, name: string): Metadata | undefined {
  if (known === undefined) return undefined;
  const family = name.replace(/_(bucket|count|sum|total|created|info)$/, '');
  return known[name]?.[0] ?? known[family]?.[0];
}

interface MetricProps {
  name: string;
  metadata: Metadata | undefined;
  open: boolean;
  onToggle: () => void;
  onInsert: (text: string) => void;
}

function Metric({ name, metadata, open, onToggle, onInsert }: MetricProps) {
  const selector = formatSeries({ __name__: name });
  return (
    <div className={classes.metric}>
      <div className={classes.metricHead}>
        <Disclosure open={open} onToggle={onToggle}>
          <span className={classes.metricName}>
            <code>{name}</code>
            {metadata !== undefined && <Pill tone="mute">{metadata.type}</Pill>}
            {metadata !== undefined && metadata.unit !== '' && (
              <Pill tone="mute">{metadata.unit}</Pill>
            )}
            <span className={classes.help}>{metadata?.help ?? ''}</span>
          </span>
        </Disclosure>
        <CopyButton text={selector} label="Copy the name" />
        <ActionIcon
          size="sm"
          variant="subtle"
          color="fennel"
          aria-label={`Insert ${name}`}
          title="Insert into the query"
          onClick={() => onInsert(selector)}
        >
          <Icon name="insert" size={14} />
        </ActionIcon>
      </div>
      {open && <MetricLabels name={name} onInsert={onInsert} />}
    </div>
  );
}

function MetricLabels({ name, onInsert }: { name: string; onInsert: (text: string) => void }) {
  const series = useApi<Labels[]>(
    '/series',
    {
      'match[]': [`{__name__=${quote(name)}}`],
      limit: kSeriesMax,
      start: Math.floor(Date.now() / 60_000) * 60 - 3600,
    },
    { staleMs: 60_000 },
  );
  const labels = useMemo(() => {
    const found = new Map<string, Map<string, number>>();
    for (const one of series.data?.data ?? []) {
      for (const [label, value] of Object.entries(one)) {
        if (label === '__name__') continue;
        const values = found.get(label) ?? new Map<string, number>();
        values.set(value, (values.get(value) ?? 0) + 1);
        found.set(label, values);
      }
    }
    return [...found].sort(([a], [b]) => a.localeCompare(b));
  }, [series.data]);

  return (
    <div className={classes.labels}>
      <Loaded query={series}>
        {({ data }) => (
          <>
            <div className="dim">
              {data.length >= kSeriesMax
                ? `The first ${kSeriesMax} series`
                : plural(data.length, 'series', 'series')}{' '}
              of the last hour
            </div>
            {labels.map(([label, values]) => (
              <div key={label} className={classes.labelRow}>
                <code>{label}</code>
                <div className={classes.values}>
                  {[...values].slice(0, kValuesShown).map(([value, count]) => (
                    <button
                      key={value}
                      type="button"
                      className={classes.value}
                      title={`Insert the metric with this label (${plural(count, 'series', 'series')})`}
                      onClick={() => onInsert(formatSeries({ __name__: name, [label]: value }))}
                    >
                      {value === '' ? '""' : value} <span className="dim">{count}</span>
                    </button>
                  ))}
                  {values.size > kValuesShown && (
                    <span className="dim">
                      and {values.size - kValuesShown} more of {quoteLabelName(label)}
                    </span>
                  )}
                </div>
              </div>
            ))}
          </>
        )}
      </Loaded>
    </div>
  );
}
