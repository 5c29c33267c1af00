import { Button, TextInput } from '@mantine/core';
import { useState, type FormEvent } from 'react';
import { callApi } from '../api/client';
import { useApi } from '../api/hooks';
import { Card, ErrorNotice, Notice } from '../components/ui';
import { settings } from '../lib/settings';
import { fromInputValue } from '../lib/time';
import classes from './cards.module.css';

// The admin API is off by default; the form is there only where it would work.
export function DeleteSeries() {
  const flags = useApi<Record<string, string>>('/status/flags', {}, { staleMs: 60_000 });
  const { zone } = settings.use();
  const [selector, setSelector] = useState('');
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const [asked, setAsked] = useState(false);
  const [done, setDone] = useState('');
  const [error, setError] = useState<Error | null>(null);
  if (flags.data?.data['web.enable-admin-api'] !== 'true') return null;

  const call = async (path: string, params: Record<string, string>, message: string) => {
    setDone('');
    setError(null);
    setAsked(false);
    try {
      // These calls read the address; a POST body would do as well, but shows less in access logs.
      await callApi(`${path}?${new URLSearchParams(params)}`, {}, { method: 'POST' });
      setDone(message);
    } catch (problem) {
      setError(problem as Error);
    }
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (!asked) {
      setAsked(true);
      return;
    }
    const params: Record<string, string> = { 'match[]': selector };
    const start = fromInputValue(from, zone);
    const end = fromInputValue(to, zone);
    if (start !== null) params['start'] = String(start / 1000);
    if (end !== null) params['end'] = String(end / 1000);
    void call('/admin/tsdb/delete_series', params, `Deleted the samples of ${selector}.`);
  };

  return (
    <Card title="Delete series">
      <form onSubmit={submit} style={{ padding: 12, display: 'grid', gap: 10 }}>
        <div className={classes.columns}>
          <TextInput
            size="xs"
            required
            label="Series selector"
            placeholder='{job="old"}'
            value={selector}
            onChange={(event) => {
              setSelector(event.currentTarget.value);
              setAsked(false);
            }}
          />
          <div style={{ display: 'flex', gap: 10, flexWrap: 'wrap' }}>
            <TextInput
              size="xs"
              type="datetime-local"
              step={1}
              label="From (empty: all)"
              value={from}
              onChange={(event) => setFrom(event.currentTarget.value)}
            />
            <TextInput
              size="xs"
              type="datetime-local"
              step={1}
              label="To (empty: all)"
              value={to}
              onChange={(event) => setTo(event.currentTarget.value)}
            />
          </div>
        </div>
        {asked && <Notice tone="warn">This cannot be undone. Press again to delete.</Notice>}
        {done !== '' && <Notice tone="info">{done}</Notice>}
        {error !== null && <ErrorNotice error={error} />}
        <div style={{ display: 'flex', gap: 8 }}>
          <Button size="xs" color="red" type="submit" disabled={selector.trim() === ''}>
            {asked ? 'Delete for good' : 'Delete'}
          </Button>
          <Button
            size="xs"
            variant="default"
            onClick={() =>
              void call(
                '/admin/tsdb/clean_tombstones',
                {},
                'The space of deleted samples was freed.',
              )
            }
          >
            Free the space of deleted samples
          </Button>
        </div>
      </form>
    </Card>
  );
}
