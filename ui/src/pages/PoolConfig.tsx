import { Modal } from '@mantine/core';
import { useApi } from '../api/hooks';
import { Loaded } from '../components/ui';
import YamlView from '../components/YamlView';

export default function PoolConfig({ pool, onClose }: { pool: string; onClose: () => void }) {
  const answer = useApi<{ yaml: string }>('/scrape_pools/config', { scrapePool: pool });
  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={`Configuration of ${pool}`}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Loaded query={answer}>{({ data }) => <YamlView text={data.yaml} maxHeight="70vh" />}</Loaded>
    </Modal>
  );
}
