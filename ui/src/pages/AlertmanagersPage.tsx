import { useApi } from '../api/hooks';
import type { Alertmanagers } from '../api/types';
import { Card, CopyButton, Empty, Loaded, Page, uiClasses } from '../components/ui';
import { plural } from '../lib/format';

export default function AlertmanagersPage() {
  const answer = useApi<Alertmanagers>('/alertmanagers', {}, { refreshMs: 30_000 });
  const data = answer.data?.data;
  return (
    <Page
      title="Alertmanagers"
      extra={data && `${plural(data.activeAlertmanagers.length, 'active endpoint')}`}
    >
      <Loaded query={answer}>
        {({ data: { activeAlertmanagers, droppedAlertmanagers } }) => (
          <>
            <Endpoints title="Active" urls={activeAlertmanagers} none="Alerts are sent nowhere." />
            <Endpoints title="Dropped by relabelling" urls={droppedAlertmanagers} none="None." />
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Endpoints({
  title,
  urls,
  none,
}: {
  title: string;
  urls: { url: string }[];
  none: string;
}) {
  return (
    <Card title={title}>
      {urls.length === 0 && <Empty>{none}</Empty>}
      <table className={uiClasses.table}>
        <tbody>
          {urls.map(({ url }) => (
            <tr key={url}>
              <td>
                {/* The path is that of the alerts API; the base of it is the UI. */}
                <a
                  className="mono"
                  href={url.replace(/\/api\/v2\/alerts$/, '/')}
                  target="_blank"
                  rel="noreferrer noopener"
                >
                  {url}
                </a>
              </td>
              <td style={{ width: 40 }}>
                <CopyButton text={url} label="Copy the address" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Card>
  );
}
