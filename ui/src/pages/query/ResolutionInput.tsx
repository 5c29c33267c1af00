import { NativeSelect, TextInput } from '@mantine/core';
import { useState } from 'react';
import { formatDuration, parseDuration } from '../../lib/duration';
import { stepMsOf, type Resolution } from '../../lib/panels';
import classes from './query.module.css';

const kFixed = ['1s', '5s', '10s', '15s', '30s', '1m', '5m', '15m', '30m', '1h', '6h', '1d'];

interface Props {
  resolution: Resolution;
  rangeMs: number;
  onChange: (resolution: Resolution) => void;
}

export function ResolutionInput({ resolution, rangeMs, onChange }: Props) {
  const [draft, setDraft] = useState<string | null>(null);
  const value =
    resolution.type === 'auto'
      ? resolution.density
      : resolution.type === 'fixed'
        ? formatDuration(resolution.stepMs)
        : 'custom';
  const select = (next: string) => {
    if (next === 'low' || next === 'medium' || next === 'high')
      onChange({ type: 'auto', density: next });
    else if (next === 'custom') onChange({ type: 'custom', stepMs: stepMsOf(resolution, rangeMs) });
    else onChange({ type: 'fixed', stepMs: parseDuration(next)! });
  };
  const parsed = draft === null ? null : parseDuration(draft);
  const commit = () => {
    if (parsed !== null && parsed > 0) {
      onChange({ type: 'custom', stepMs: parsed });
      setDraft(null);
    }
  };
  const listed = resolution.type !== 'fixed' || kFixed.includes(value);
  return (
    <div className={classes.joined}>
      <NativeSelect
        size="xs"
        aria-label="Resolution"
        value={value}
        onChange={(event) => select(event.currentTarget.value)}
      >
        <optgroup label="Automatic">
          <option value="low">Low resolution</option>
          <option value="medium">Medium resolution</option>
          <option value="high">High resolution</option>
        </optgroup>
        <optgroup label="Step">
          {!listed && <option value={value}>{value}</option>}
          {kFixed.map((step) => (
            <option key={step} value={step}>
              {step}
            </option>
          ))}
          <option value="custom">Other step</option>
        </optgroup>
      </NativeSelect>
      {resolution.type === 'custom' && (
        <TextInput
          size="xs"
          w={74}
          aria-label="Step"
          value={draft ?? formatDuration(resolution.stepMs)}
          error={draft !== null && (parsed === null || parsed <= 0)}
          onChange={(event) => setDraft(event.currentTarget.value)}
          onBlur={commit}
          onKeyDown={(event) => event.key === 'Enter' && commit()}
        />
      )}
    </div>
  );
}
