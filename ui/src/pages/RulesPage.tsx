import { useMemo } from 'react';
import { useApi } from '../api/hooks';
import type { Rule, RuleGroup } from '../api/types';
import { ChoiceChips } from '../components/Choice';
import { Ago } from '../components/Moment';
import { RuleFacts, RuleHead } from '../components/RuleParts';
import { SearchBox } from '../components/SearchBox';
import { WindowRows } from '../components/VirtualRows';
import { Disclosure, Empty, ErrorNotice, Loaded, Page, Pill, type Tone } from '../components/ui';
import { formatDuration, humanDuration } from '../lib/duration';
import { plural } from '../lib/format';
import { filterRules } from '../lib/rules';
import { useUrlParam, useUrlSet } from '../lib/urlState';
import { useOpen } from '../lib/useOpen';
import classes from './lists.module.css';

const kTones: Record<Rule['health'], Tone> = { ok: 'ok', err: 'bad', unknown: 'mute' };

type Row =
  | { kind: 'group'; key: string; group: RuleGroup }
  | { kind: 'rule'; key: string; rule: Rule; last: boolean };

export default function RulesPage() {
  const answer = useApi<{ groups: RuleGroup[] }>('/rules', {}, { refreshMs: 15_000 });
  const [health, setHealth] = useUrlSet('health');
  const [search, setSearch] = useUrlParam('search');
  const open = useOpen();

  const groups = answer.data?.data.groups;
  const counts = useMemo(() => {
    const found = { ok: 0, err: 0, unknown: 0 };
    groups?.forEach((group) => group.rules.forEach((rule) => ++found[rule.health]));
    return found;
  }, [groups]);
  const rows = useMemo(
    () =>
      filterRules(groups ?? [], health, search).flatMap(({ group, rules }): Row[] => {
        const key = `${group.file}\n${group.name}`;
        return [
          { kind: 'group', key, group },
          ...rules.map((rule, i): Row => ({
            kind: 'rule',
            key: `${key}\n${group.rules.indexOf(rule)}`,
            rule,
            last: i === rules.length - 1,
          })),
        ];
      }),
    [groups, health, search],
  );

  return (
    <Page
      title="Rules"
      extra={
        groups &&
        `${plural(counts.ok + counts.err + counts.unknown, 'rule')} in ${plural(groups.length, 'group')}`
      }
      tools={
        <>
          <ChoiceChips
            label="Health"
            chosen={health}
            onChange={setHealth}
            options={[
              { value: 'ok', label: 'ok', count: counts.ok },
              { value: 'err', label: 'failing', count: counts.err },
              { value: 'unknown', label: 'unknown', count: counts.unknown },
            ]}
          />
          <SearchBox value={search} onChange={setSearch} label="Filter by name or labels" />
        </>
      }
    >
      <Loaded query={answer}>
        {() =>
          rows.length === 0 ? (
            <Empty>
              {groups?.length === 0 ? 'There are no rules.' : 'No rule matches the filter.'}
            </Empty>
          ) : (
            <WindowRows
              count={rows.length}
              estimate={(i) => (rows[i]!.kind === 'group' ? 44 : 36)}
              rowKey={(i) => rows[i]!.key}
              render={(i) => {
                const row = rows[i]!;
                return row.kind === 'group' ? (
                  <GroupHead group={row.group} nowMs={answer.dataUpdatedAt} />
                ) : (
                  <RuleRow
                    row={row}
                    open={open.isOpen(row.key)}
                    toggle={() => open.toggle(row.key)}
                    nowMs={answer.dataUpdatedAt}
                  />
                );
              }}
            />
          )
        }
      </Loaded>
    </Page>
  );
}

function GroupHead({ group, nowMs }: { group: RuleGroup; nowMs: number }) {
  return (
    <div className={classes.groupHead}>
      <h2>{group.name}</h2>
      <span className="dim mono">{group.file}</span>
      <span className={classes.groupFacts}>
        last run <Ago time={group.lastEvaluation} nowMs={nowMs} /> · took{' '}
        {humanDuration(group.evaluationTime * 1000)} · every {formatDuration(group.interval * 1000)}
        {group.limit > 0 && ` · limit ${group.limit}`}
      </span>
    </div>
  );
}

interface RuleRowProps {
  row: Extract<Row, { kind: 'rule' }>;
  open: boolean;
  toggle: () => void;
  nowMs: number;
}

function RuleRow({ row: { rule, last }, open, toggle, nowMs }: RuleRowProps) {
  return (
    <div className={classes.item} data-tone={kTones[rule.health]} data-last={last || undefined}>
      <Disclosure open={open} onToggle={toggle}>
        <RuleHead rule={rule}>
          <span className="dim mono">{humanDuration(rule.evaluationTime * 1000)}</span>
          <Pill tone={kTones[rule.health]}>{rule.health === 'err' ? 'failing' : rule.health}</Pill>
        </RuleHead>
      </Disclosure>
      {rule.lastError && !open && (
        <div className={classes.targetError} style={{ padding: '0 12px 8px 32px' }}>
          {rule.lastError}
        </div>
      )}
      {open && (
        <div className={classes.detail}>
          <RuleFacts rule={rule} />
          {rule.lastError && <ErrorNotice error={new Error(rule.lastError)} />}
          <div className="dim">
            last evaluated <Ago time={rule.lastEvaluation} nowMs={nowMs} />, took{' '}
            {humanDuration(rule.evaluationTime * 1000)}
          </div>
        </div>
      )}
    </div>
  );
}
