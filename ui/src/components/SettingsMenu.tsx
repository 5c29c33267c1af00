import {
  ActionIcon,
  Popover,
  SegmentedControl,
  Stack,
  Switch,
  useMantineColorScheme,
} from '@mantine/core';
import { changeSettings, settings, type Settings } from '../lib/settings';
import { Icon } from './Icon';

const kSwitches: { key: keyof Settings; label: string }[] = [
  { key: 'autocomplete', label: 'Complete while typing' },
  { key: 'linter', label: 'Check queries while typing' },
  { key: 'queryHistory', label: 'Keep a query history' },
  { key: 'showWarnings', label: 'Show query warnings' },
  { key: 'showInfos', label: 'Show query hints' },
  { key: 'showAnnotations', label: 'Open annotations of alerts' },
];

export function SettingsMenu() {
  const current = settings.use();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const next = colorScheme === 'auto' ? 'light' : colorScheme === 'light' ? 'dark' : 'auto';
  const zone = current.zone === 'utc' ? 'UTC' : 'local time';
  return (
    <>
      <ActionIcon
        variant="subtle"
        color="gray.4"
        aria-label={`Theme: ${colorScheme}. Switch to ${next}`}
        title={`Theme: ${colorScheme}`}
        onClick={() => setColorScheme(next)}
      >
        <Icon name={colorScheme === 'auto' ? 'auto' : colorScheme === 'light' ? 'sun' : 'moon'} />
      </ActionIcon>
      <ActionIcon
        variant="subtle"
        color="gray.4"
        w="auto"
        px={6}
        aria-label={`Times in ${zone}. Switch`}
        title={`Times are shown in ${zone}`}
        onClick={() => changeSettings({ zone: current.zone === 'utc' ? 'local' : 'utc' })}
      >
        <span style={{ fontSize: 11, fontWeight: 600 }}>
          {current.zone === 'utc' ? 'UTC' : 'Local'}
        </span>
      </ActionIcon>
      <Popover position="right-end" shadow="md" withinPortal trapFocus>
        <Popover.Target>
          <ActionIcon variant="subtle" color="gray.4" aria-label="Settings" title="Settings">
            <Icon name="settings" />
          </ActionIcon>
        </Popover.Target>
        <Popover.Dropdown>
          <Stack gap="xs">
            <SegmentedControl
              size="xs"
              aria-label="Theme"
              value={colorScheme}
              onChange={(value) => setColorScheme(value as typeof colorScheme)}
              data={[
                { value: 'auto', label: 'Auto' },
                { value: 'light', label: 'Light' },
                { value: 'dark', label: 'Dark' },
              ]}
            />
            <SegmentedControl
              size="xs"
              aria-label="Time zone"
              value={current.zone}
              onChange={(value) => changeSettings({ zone: value as Settings['zone'] })}
              data={[
                { value: 'local', label: 'Local time' },
                { value: 'utc', label: 'UTC' },
              ]}
            />
            {kSwitches.map(({ key, label }) => (
              <Switch
                key={key}
                size="xs"
                label={label}
                checked={current[key] as boolean}
                onChange={(event) => changeSettings({ [key]: event.currentTarget.checked })}
              />
            ))}
          </Stack>
        </Popover.Dropdown>
      </Popover>
    </>
  );
}
