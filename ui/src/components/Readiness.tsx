import { Progress } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState, type ReactNode } from 'react';
import { callApi } from '../api/client';
import type { WalReplay } from '../api/types';
import { globals } from '../lib/globals';
import { Card } from './ui';

const kPollMs = 1000;

// While the server replays its log, pages would only show 503; this shows how far it has come.
export function Readiness({ children }: { children: ReactNode }) {
  const [ready, setReady] = useState(globals.ready);
  const [replay, setReplay] = useState<WalReplay | null>(null);
  const client = useQueryClient();

  useEffect(() => {
    if (ready) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const poll = async () => {
      try {
        const answer = await fetch(`${globals.pathPrefix}/-/ready`, {
          cache: 'no-store',
          signal: stop.signal,
        });
        if (answer.ok) {
          setReady(true);
          void client.invalidateQueries();
          return;
        }
        setReplay(
          (await callApi<WalReplay>('/status/walreplay', {}, { signal: stop.signal })).data,
        );
      } catch {
        // Not even listening yet: ask again.
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void poll(), kPollMs);
    };
    void poll();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [client, ready]);

  if (ready) return children;
  const total = replay === null ? 0 : replay.max - replay.min + 1;
  const done = replay === null ? 0 : Math.max(replay.current - replay.min + 1, 0);
  return (
    <Card title="The server is starting">
      <div style={{ padding: 16 }} role="status">
        <p style={{ marginTop: 0 }}>
          {replay === null || replay.max === 0
            ? 'Waiting for the storage to open.'
            : `Replaying the write-ahead log: segment ${replay.current} of ${replay.max}.`}
        </p>
        <Progress
          value={total > 0 ? (100 * done) / total : 0}
          aria-label="Replay of the write-ahead log"
        />
      </div>
    </Card>
  );
}
