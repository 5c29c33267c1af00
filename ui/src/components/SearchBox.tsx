import { CloseButton, TextInput } from '@mantine/core';
import { Icon } from './Icon';

interface Props {
  value: string;
  onChange: (value: string) => void;
  label: string;
  width?: number;
}

export function SearchBox({ value, onChange, label, width = 280 }: Props) {
  return (
    <TextInput
      size="xs"
      w={width}
      maw="100%"
      type="search"
      value={value}
      aria-label={label}
      placeholder={label}
      leftSection={<Icon name="search" size={13} />}
      rightSection={
        value !== '' && <CloseButton size="xs" aria-label="Clear" onClick={() => onChange('')} />
      }
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
