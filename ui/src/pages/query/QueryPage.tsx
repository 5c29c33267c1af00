import { Button } from '@mantine/core';
import { Icon } from '../../components/Icon';
import { Page } from '../../components/ui';
import { QueryPanel } from './QueryPanel';
import { usePanels } from './usePanels';

export default function QueryPage() {
  const [panels, actions] = usePanels();
  return (
    <Page title="Query">
      {panels.map(({ id, state }, index) => (
        <QueryPanel
          key={id}
          index={index}
          state={state}
          actions={actions}
          removable={panels.length > 1}
        />
      ))}
      <div>
        <Button
          size="xs"
          variant="default"
          leftSection={<Icon name="plus" size={13} />}
          onClick={() => actions.add()}
        >
          Add panel
        </Button>
      </div>
    </Page>
  );
}
