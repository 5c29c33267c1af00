import { NativeSelect } from '@mantine/core';
import type { ReactNode } from 'react';
import { Link } from 'react-router-dom';
import { useApi } from '../api/hooks';
import type { Block, NameCount, TsdbStatus } from '../api/types';
import { Moment } from '../components/Moment';
import { Card, Empty, Loaded, Page, uiClasses } from '../components/ui';
import { humanDuration } from '../lib/duration';
import {
  formatBytes,
  formatCount,
  formatSeries,
  plural,
  quote,
  quoteLabelName,
} from '../lib/format';
import { queryPath } from '../lib/panels';
import { useUrlParam } from '../lib/urlState';
import classes from './cards.module.css';
import { DeleteSeries } from './DeleteSeries';

export default function TsdbPage() {
  const [limit, setLimit] = useUrlParam('limit', '10');
  const status = useApi<TsdbStatus>('/status/tsdb', { limit });
  const blocks = useApi<{ blocks: Block[] }>('/status/tsdb/blocks');
  return (
    <Page
      title="Storage"
      tools={
        <NativeSelect
          size="xs"
          aria-label="Rows in each list"
          value={limit}
          onChange={(event) => setLimit(event.currentTarget.value)}
          data={['10', '25', '50', '100', '500'].map((n) => ({ value: n, label: `Top ${n}` }))}
        />
      }
    >
      <Loaded query={status}>{({ data }) => <Head status={data} />}</Loaded>
      <Card title="Blocks on disk">
        <Loaded query={blocks}>{({ data }) => <Blocks blocks={data.blocks ?? []} />}</Loaded>
      </Card>
      <DeleteSeries />
    </Page>
  );
}

function Head({ status }: { status: TsdbStatus }) {
  const { headStats: head } = status;
  // An empty head has no times: its bounds are the extremes of the type.
  const spanMs = head.maxTime - head.minTime;
  const empty = head.maxTime < head.minTime;
  return (
    <>
      <dl className={classes.tiles} style={{ margin: 0 }}>
        <Tile name="Series in the head">{formatCount(head.numSeries)}</Tile>
        <Tile name="Chunks in the head">{formatCount(head.chunkCount)}</Tile>
        <Tile name="Label pairs">{formatCount(head.numLabelPairs)}</Tile>
        <Tile name="Span of the head">{empty ? 'empty' : humanDuration(spanMs)}</Tile>
      </dl>
      {!empty && (
        <div className="dim">
          From <Moment timeMs={head.minTime} /> to <Moment timeMs={head.maxTime} />
        </div>
      )}
      <div className={classes.columns}>
        <Top
          title="Series by metric name"
          rows={status.seriesCountByMetricName}
          link={(name) => formatSeries({ __name__: name })}
        />
        <Top
          title="Series by label pair"
          rows={status.seriesCountByLabelValuePair}
          link={(pair) => {
            const at = pair.indexOf('=');
            return `{${quoteLabelName(pair.slice(0, at))}=${quote(pair.slice(at + 1))}}`;
          }}
        />
        <Top title="Values by label name" rows={status.labelValueCountByLabelName} />
        <Top
          title="Memory by label name"
          rows={status.memoryInBytesByLabelName}
          format={formatBytes}
        />
      </div>
    </>
  );
}

function Tile({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className={`${uiClasses.card} ${classes.tile}`}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

interface TopProps {
  title: string;
  rows: NameCount[];
  format?: (n: number) => string;
  link?: (name: string) => string; // The selector that shows these series.
}

function Top({ title, rows, format = formatCount, link }: TopProps) {
  const max = Math.max(...rows.map((row) => row.value), 1);
  return (
    <Card title={title}>
      {rows.length === 0 && <Empty>Nothing yet.</Empty>}
      <table className={uiClasses.table}>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name}>
              <td
                className={`${classes.bar} mono`}
                style={{ ['--share' as string]: `${(100 * row.value) / max}%` }}
              >
                {link ? (
                  <Link to={queryPath(link(row.name))} style={{ color: 'inherit' }}>
                    {row.name}
                  </Link>
                ) : (
                  <span>{row.name}</span>
                )}
              </td>
              <td className="num" style={{ width: 110 }}>
                {format(row.value)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}

function Blocks({ blocks }: { blocks: Block[] }) {
  if (blocks.length === 0) return <Empty>No block has been written yet.</Empty>;
  const sorted = [...blocks].sort((a, b) => b.minTime - a.minTime);
  return (
    <table className={uiClasses.table}>
      <thead>
        <tr>
          <th scope="col">Block</th>
          <th scope="col">From</th>
          <th scope="col">Span</th>
          <th scope="col">Level</th>
          <th scope="col" className="num">
            Series
          </th>
          <th scope="col" className="num">
            Samples
          </th>
          <th scope="col" className="num">
            Chunks
          </th>
        </tr>
      </thead>
      <tbody>
        {sorted.map((block) => (
          <tr key={block.ulid}>
            <td className="mono" title={plural(block.compaction.sources?.length ?? 0, 'source')}>
              {block.ulid}
            </td>
            <td>
              <Moment timeMs={block.minTime} />
            </td>
            <td>{humanDuration(block.maxTime - block.minTime)}</td>
            <td>{block.compaction.level}</td>
            <td className="num">{formatCount(block.stats.numSeries ?? 0)}</td>
            <td className="num">{formatCount(block.stats.numSamples ?? 0)}</td>
            <td className="num">{formatCount(block.stats.numChunks ?? 0)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
