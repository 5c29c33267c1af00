import { lazy, Suspense } from 'react';
import { useApi } from '../api/hooks';
import { BusyBar, Card, CopyButton, Loaded, Page } from '../components/ui';
import { plural } from '../lib/format';

const YamlView = lazy(() => import('../components/YamlView'));

export default function ConfigPage() {
  const answer = useApi<{ yaml: string }>('/status/config');
  const yaml = answer.data?.data.yaml;
  return (
    <Page
      title="Configuration"
      extra={yaml !== undefined && plural(yaml.trimEnd().split('\n').length, 'line')}
      tools={yaml !== undefined && <CopyButton text={yaml} label="Copy the configuration" />}
    >
      <Loaded query={answer}>
        {({ data }) => (
          <Card>
            <Suspense fallback={<BusyBar busy />}>
              <YamlView text={data.yaml} maxHeight="calc(100vh - 90px)" />
            </Suspense>
          </Card>
        )}
      </Loaded>
    </Page>
  );
}
