import { useMemo } from 'react';
import { useApi } from '../api/hooks';
import { SearchBox } from '../components/SearchBox';
import { Card, CopyButton, Empty, Loaded, Page, uiClasses } from '../components/ui';
import { plural } from '../lib/format';
import { useUrlParam } from '../lib/urlState';

export default function FlagsPage() {
  const answer = useApi<Record<string, string>>('/status/flags');
  const [search, setSearch] = useUrlParam('search');
  const flags = answer.data?.data;
  const rows = useMemo(() => {
    const words = search.toLowerCase().split(/\s+/);
    return Object.entries(flags ?? {})
      .filter(([name, value]) =>
        words.every((word) => `--${name}=${value}`.toLowerCase().includes(word)),
      )
      .sort(([a], [b]) => a.localeCompare(b));
  }, [flags, search]);
  return (
    <Page
      title="Flags"
      extra={flags && plural(rows.length, 'flag')}
      tools={
        <>
          <SearchBox value={search} onChange={setSearch} label="Filter by name or value" />
          <CopyButton
            label="Copy the shown flags"
            text={() => rows.map(([name, value]) => `--${name}=${value}`).join('\n')}
          />
        </>
      }
    >
      <Loaded query={answer}>
        {() => (
          <Card>
            {rows.length === 0 && <Empty>No flag matches the filter.</Empty>}
            <table className={uiClasses.table}>
              <tbody>
                {rows.map(([name, value]) => (
                  <tr key={name}>
                    <th scope="row" className="mono">
                      --{name}
                    </th>
                    <td className="mono">{value}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Card>
        )}
      </Loaded>
    </Page>
  );
}
