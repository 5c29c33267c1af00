import { ActionIcon, TextInput } from '@mantine/core';
import { useState } from 'react';
import { Icon } from '../../components/Icon';
import { formatDuration, parseDuration } from '../../lib/duration';
import { nextRange } from '../../lib/panels';
import { settings } from '../../lib/settings';
import { fromInputValue, toInputValue } from '../../lib/time';
import classes from './query.module.css';

interface TimeProps {
  label: string;
  valueMs: number | null;
  stepMs: number; // How far the arrows move.
  onChange: (valueMs: number | null) => void;
}

// A moment, or now when it is empty.
export function TimeInput({ label, valueMs, stepMs, onChange }: TimeProps) {
  const { zone } = settings.use();
  const [focused, setFocused] = useState(false);
  const now = valueMs === null && !focused;
  const shift = (direction: number) => onChange((valueMs ?? Date.now()) + direction * stepMs);
  return (
    <div className={classes.joined}>
      <ActionIcon
        variant="default"
        size={30}
        aria-label={`${label}: earlier`}
        title="Earlier"
        onClick={() => shift(-1)}
      >
        <Icon name="left" size={13} />
      </ActionIcon>
      <TextInput
        size="xs"
        type={now ? 'text' : 'datetime-local'}
        placeholder="Now"
        step={1}
        w={now ? 76 : 196}
        onFocus={() => setFocused(true)}
        onBlur={() => setFocused(false)}
        aria-label={`${label} (${zone === 'utc' ? 'UTC' : 'local time'}), empty means now`}
        value={valueMs === null ? '' : toInputValue(valueMs, zone)}
        onChange={(event) => {
          const text = event.currentTarget.value;
          const parsed = fromInputValue(text, zone);
          if (text === '' || parsed !== null) onChange(parsed);
        }}
      />
      <ActionIcon
        variant="default"
        size={30}
        aria-label={`${label}: later`}
        title="Later"
        onClick={() => shift(1)}
      >
        <Icon name="chevron" size={13} />
      </ActionIcon>
      {valueMs !== null && (
        <ActionIcon
          variant="default"
          size={30}
          w={44}
          aria-label={`${label}: now`}
          onClick={() => onChange(null)}
        >
          <span style={{ fontSize: 11 }}>Now</span>
        </ActionIcon>
      )}
    </div>
  );
}

export function RangeInput({
  rangeMs,
  onChange,
}: {
  rangeMs: number;
  onChange: (rangeMs: number) => void;
}) {
  const [draft, setDraft] = useState<string | null>(null);
  const parsed = draft === null ? rangeMs : parseDuration(draft);
  const invalid = parsed === null || parsed <= 0;
  const commit = () => {
    if (draft !== null && !invalid && parsed !== rangeMs) onChange(parsed);
    if (!invalid) setDraft(null);
  };
  return (
    <div className={classes.joined}>
      <ActionIcon
        variant="default"
        size={30}
        aria-label="Shorter range"
        title="Shorter range"
        onClick={() => onChange(nextRange(rangeMs, -1))}
      >
        <Icon name="minus" size={13} />
      </ActionIcon>
      <TextInput
        size="xs"
        w={82}
        aria-label="Range"
        value={draft ?? formatDuration(rangeMs)}
        error={invalid}
        onChange={(event) => setDraft(event.currentTarget.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === 'Enter') commit();
          if (event.key === 'Escape') setDraft(null);
        }}
      />
      <ActionIcon
        variant="default"
        size={30}
        aria-label="Longer range"
        title="Longer range"
        onClick={() => onChange(nextRange(rangeMs, 1))}
      >
        <Icon name="plus" size={13} />
      </ActionIcon>
    </div>
  );
}
