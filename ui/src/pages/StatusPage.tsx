import { type ReactNode } from 'react';
import { useApi } from '../api/hooks';
import { Moment } from '../components/Moment';
import { Card, FactTable, Loaded, Page, Pill } from '../components/ui';
import { humanDuration } from '../lib/duration';
import { formatBytes } from '../lib/format';
import { parseApiTime } from '../lib/time';
import classes from './cards.module.css';

type Info = Record<string, string | number | boolean>;

const kBuildNames: Record<string, string> = {
  version: 'Version',
  revision: 'Revision',
  branch: 'Branch',
  buildUser: 'Built by',
  buildDate: 'Built on',
  goVersion: 'Go version',
};

const kRuntimeNames: Record<string, string> = {
  startTime: 'Started',
  CWD: 'Working directory',
  hostname: 'Host name',
  serverTime: 'Server time',
  reloadConfigSuccess: 'Last configuration reload',
  lastConfigTime: 'Last successful reload',
  corruptionCount: 'WAL corruptions',
  goroutineCount: 'Goroutines',
  storageRetention: 'Storage retention',
};

const kTimes = ['startTime', 'serverTime', 'lastConfigTime'];
const kMemoryLimitNone = 2 ** 62; // GOMEMLIMIT of a process without one is the largest integer.

function runtimeValue(name: string, value: string | number | boolean): ReactNode {
  if (name === 'reloadConfigSuccess') {
    return (
      <Pill tone={value === true ? 'ok' : 'bad'}>{value === true ? 'successful' : 'failed'}</Pill>
    );
  }
  if (kTimes.includes(name)) return <Moment timeMs={parseApiTime(String(value))} />;
  if (name === 'GOMEMLIMIT' && typeof value === 'number') {
    return value > kMemoryLimitNone ? 'none' : formatBytes(value);
  }
  return value === '' ? <span className="dim">not set</span> : String(value);
}

export default function StatusPage() {
  const runtime = useApi<Info>('/status/runtimeinfo', {}, { refreshMs: 15_000 });
  const build = useApi<Info>('/status/buildinfo');
  const info = runtime.data?.data;
  const started = parseApiTime(String(info?.['startTime'] ?? ''));
  const server = parseApiTime(String(info?.['serverTime'] ?? '')) ?? runtime.dataUpdatedAt;
  return (
    <Page
      title="Status"
      extra={started !== null && `running for ${humanDuration(Math.max(server - started, 0))}`}
    >
      <div className={classes.columns}>
        <Card title="Runtime">
          <Loaded query={runtime}>
            {({ data }) => (
              <FactTable
                rows={Object.entries(data).map(([name, value]) => [
                  kRuntimeNames[name] ?? name,
                  runtimeValue(name, value),
                ])}
              />
            )}
          </Loaded>
        </Card>
        <Card title="Build">
          <Loaded query={build}>
            {({ data }) => (
              <FactTable
                rows={Object.entries(data).map(([name, value]) => [
                  kBuildNames[name] ?? name,
                  runtimeValue(name, value),
                ])}
              />
            )}
          </Loaded>
        </Card>
      </div>
    </Page>
  );
}
