import { ActionIcon, Indicator, Popover } from '@mantine/core';
import { useNotifications } from '../api/notifications';
import { settings } from '../lib/settings';
import { formatTime, parseApiTime } from '../lib/time';
import { Icon } from './Icon';

export function Notifications() {
  const { list, reachable } = useNotifications();
  const { zone } = settings.use();
  const items = [
    ...(reachable
      ? []
      : [{ text: 'The connection to the server is lost.', date: '', active: true }]),
    ...list,
  ];
  const label = items.length === 0 ? 'No notifications' : `${items.length} notifications`;
  return (
    <Popover position="right-end" shadow="md" withinPortal>
      <Popover.Target>
        <Indicator disabled={items.length === 0} color="red" size={8} offset={5}>
          <ActionIcon variant="subtle" color="gray.4" aria-label={label} title={label}>
            <Icon name="bell" />
          </ActionIcon>
        </Indicator>
      </Popover.Target>
      <Popover.Dropdown maw={360} role="status">
        {items.length === 0 && <span className="dim">Nothing to report.</span>}
        {items.map((item) => (
          <div key={item.text} style={{ marginBottom: 6 }}>
            <div>{item.text}</div>
            {item.date !== '' && (
              <div className="dim" style={{ fontSize: 11 }}>
                {formatTime(parseApiTime(item.date) ?? NaN, zone)}
              </div>
            )}
          </div>
        ))}
      </Popover.Dropdown>
    </Popover>
  );
}
