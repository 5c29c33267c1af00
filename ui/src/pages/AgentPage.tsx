import { Link } from 'react-router-dom';
import { Card, Page } from '../components/ui';

export default function AgentPage() {
  return (
    <Page title="Agent">
      <Card>
        <div style={{ padding: 16, maxWidth: 680, lineHeight: 1.6 }}>
          <p style={{ marginTop: 0 }}>
            This server runs in agent mode: it discovers targets, scrapes them and forwards their
            samples by remote write. It keeps nothing to query, and it evaluates no rules and no
            alerts.
          </p>
          <p style={{ marginBottom: 0 }}>
            See the <Link to="/targets">targets</Link>, the{' '}
            <Link to="/service-discovery">service discovery</Link>, the{' '}
            <Link to="/config">configuration</Link> and the <Link to="/status">status</Link>.
          </p>
        </div>
      </Card>
    </Page>
  );
}
