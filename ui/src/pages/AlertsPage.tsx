import { Switch } from '@mantine/core';
import { useMemo } from 'react';
import { useApi } from '../api/hooks';
import type { Alert, AlertingRule, AlertState, RuleGroup } from '../api/types';
import { Annotations } from '../components/Annotations';
import { ChoiceChips } from '../components/Choice';
import { Ago } from '../components/Moment';
import { RuleHead, RuleFacts } from '../components/RuleParts';
import { SearchBox } from '../components/SearchBox';
import { WindowRows } from '../components/VirtualRows';
import {
  Disclosure,
  Empty,
  ErrorNotice,
  LabelList,
  Loaded,
  Page,
  Pill,
  uiClasses,
  type Tone,
} from '../components/ui';
import { formatSeries, formatValueText, plural } from '../lib/format';
import { alertStateOf, countStates, filterAlerts, kAlertStates } from '../lib/rules';
import { changeSettings, settings } from '../lib/settings';
import { useUrlParam, useUrlSet } from '../lib/urlState';
import { useOpen } from '../lib/useOpen';
import classes from './lists.module.css';

const kTones: Record<AlertState, Tone> = {
  firing: 'bad',
  pending: 'warn',
  inactive: 'ok',
  unknown: 'mute',
};

type Row =
  | { kind: 'group'; key: string; group: RuleGroup; count: number }
  | { kind: 'rule'; key: string; rule: AlertingRule; last: boolean };

export default function AlertsPage() {
  const rules = useApi<{ groups: RuleGroup[] }>('/rules', { type: 'alert' }, { refreshMs: 15_000 });
  const [states, setStates] = useUrlSet('state');
  const [search, setSearch] = useUrlParam('search');
  const { showAnnotations } = settings.use();
  const open = useOpen();

  const groups = rules.data?.data.groups;
  const counts = useMemo(() => countStates(groups ?? []), [groups]);
  const rows = useMemo(
    () =>
      filterAlerts(groups ?? [], states, search).flatMap(({ group, rules: list }): Row[] => {
        const key = `${group.file}\n${group.name}`;
        return [
          { kind: 'group', key, group, count: list.length },
          ...list.map((rule, i): Row => ({
            kind: 'rule',
            key: `${key}\n${group.rules.indexOf(rule)}`,
            rule,
            last: i === list.length - 1,
          })),
        ];
      }),
    [groups, search, states],
  );

  return (
    <Page
      title="Alerts"
      extra={
        groups &&
        plural(counts.firing + counts.pending + counts.inactive + counts.unknown, 'alerting rule')
      }
      tools={
        <>
          <ChoiceChips
            label="States"
            chosen={states}
            onChange={setStates}
            options={kAlertStates
              .filter((state) => state !== 'unknown' || counts.unknown > 0)
              .map((state) => ({ value: state, label: state, count: counts[state] }))}
          />
          <SearchBox value={search} onChange={setSearch} label="Filter by name or labels" />
          <Switch
            size="xs"
            label="Annotations"
            checked={showAnnotations}
            onChange={(event) => changeSettings({ showAnnotations: event.currentTarget.checked })}
          />
        </>
      }
    >
      <Loaded query={rules}>
        {() =>
          rows.length === 0 ? (
            <Empty>
              {groups?.length === 0
                ? 'There are no alerting rules.'
                : 'No rule matches the filter.'}
            </Empty>
          ) : (
            <WindowRows
              count={rows.length}
              estimate={(i) => (rows[i]!.kind === 'group' ? 44 : 36)}
              rowKey={(i) => rows[i]!.key}
              render={(i) => {
                const row = rows[i]!;
                if (row.kind === 'group') {
                  return (
                    <div className={classes.groupHead}>
                      <h2>{row.group.name}</h2>
                      <span className="dim mono">{row.group.file}</span>
                    </div>
                  );
                }
                const shown = open.isOpen(row.key);
                const state = alertStateOf(row.rule);
                return (
                  <div
                    className={classes.item}
                    data-tone={kTones[state]}
                    data-last={row.last || undefined}
                  >
                    <Disclosure open={shown} onToggle={() => open.toggle(row.key)}>
                      <RuleHead rule={row.rule}>
                        {stateCounts(row.rule).map(([one, count]) => (
                          <Pill key={one} tone={kTones[one]}>
                            {one} {count > 0 && `(${count})`}
                          </Pill>
                        ))}
                      </RuleHead>
                    </Disclosure>
                    {shown && (
                      <div className={classes.detail}>
                        <RuleFacts rule={row.rule} />
                        {row.rule.lastError && (
                          <ErrorNotice error={new Error(row.rule.lastError)} />
                        )}
                        <AlertTable
                          alerts={row.rule.alerts ?? []}
                          annotations={showAnnotations}
                          nowMs={rules.dataUpdatedAt}
                        />
                      </div>
                    )}
                  </div>
                );
              }}
            />
          )
        }
      </Loaded>
    </Page>
  );
}

function stateCounts(rule: AlertingRule): [AlertState, number][] {
  const counts = new Map<AlertState, number>();
  for (const alert of rule.alerts ?? [])
    counts.set(alert.state, (counts.get(alert.state) ?? 0) + 1);
  if (counts.size === 0) return [[alertStateOf(rule), 0]];
  return kAlertStates
    .filter((state) => counts.has(state))
    .map((state) => [state, counts.get(state)!]);
}

// A rule may have thousands of alerts; the first ones tell what is going on.
const kAlertsShown = 200;

function AlertTable({
  alerts,
  annotations,
  nowMs,
}: {
  alerts: Alert[];
  annotations: boolean;
  nowMs: number;
}) {
  // The server gives them in no order; without one, rows would jump at every refresh.
  const sorted = useMemo(
    () => [...alerts].sort((a, b) => formatSeries(a.labels).localeCompare(formatSeries(b.labels))),
    [alerts],
  );
  if (alerts.length === 0) return null;
  return (
    <table className={uiClasses.table}>
      <thead>
        <tr>
          <th scope="col">Labels</th>
          <th scope="col">State</th>
          <th scope="col">Active since</th>
          <th scope="col" className="num">
            Value
          </th>
        </tr>
      </thead>
      <tbody>
        {sorted.slice(0, kAlertsShown).map((alert, i) => (
          <tr key={i}>
            <td>
              <LabelList labels={alert.labels} />
              {annotations && Object.keys(alert.annotations).length > 0 && (
                <div style={{ marginTop: 4 }}>
                  <Annotations annotations={alert.annotations} />
                </div>
              )}
            </td>
            <td>
              <Pill tone={kTones[alert.state]}>{alert.state}</Pill>
            </td>
            <td style={{ whiteSpace: 'nowrap' }}>
              <Ago time={alert.activeAt} nowMs={nowMs} />
              {alert.keepFiringSince && (
                <div className="dim">
                  kept for <Ago time={alert.keepFiringSince} nowMs={nowMs} />
                </div>
              )}
            </td>
            <td className="num">{formatValueText(alert.value)}</td>
          </tr>
        ))}
        {alerts.length > kAlertsShown && (
          <tr>
            <td colSpan={4} className="dim">
              and {plural(alerts.length - kAlertsShown, 'more alert')}
            </td>
          </tr>
        )}
      </tbody>
    </table>
  );
}
