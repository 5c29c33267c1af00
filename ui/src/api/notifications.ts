// Server notifications: a live stream where the server has one, otherwise a poll.

import { useEffect, useState } from 'react';
import { globals } from '../lib/globals';
import { apiUrl, callApi } from './client';
import type { Notification } from './types';

const kPollMs = 30_000;

// A stream message replaces the notification of the same text; an inactive one removes it.
export function applyNotification(
  list: readonly Notification[],
  next: Notification,
): Notification[] {
  const rest = list.filter((one) => one.text !== next.text);
  return next.active ? [...rest, next] : rest;
}

export function useNotifications(): { list: Notification[]; reachable: boolean } {
  const [list, setList] = useState<Notification[]>([]);
  const [reachable, setReachable] = useState(true);

  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;

    // Old servers have no such endpoint: 404 and 501 end the polling for good.
    const poll = async () => {
      try {
        const answer = await callApi<Notification[]>('/notifications', {}, { signal: stop.signal });
        setList(answer.data.filter((one) => one.active));
        setReachable(true);
      } catch (error) {
        if (stop.signal.aborted) return;
        const status = (error as { status?: number }).status ?? 0;
        if (status === 404 || status === 501) return;
        setReachable(status !== 0);
      }
      if (!stop.signal.aborted) timer = setTimeout(() => void poll(), kPollMs);
    };

    const live = new EventSource(apiUrl('/notifications/live'));
    live.onopen = () => {
      setReachable(true);
      setList([]); // The stream begins with everything that is active.
    };
    live.onmessage = (event: MessageEvent<string>) => {
      try {
        setList((old) => applyNotification(old, JSON.parse(event.data) as Notification));
      } catch {
        // A message that is no JSON is not for us.
      }
    };
    // CLOSED means the server refused (no endpoint, too many subscribers); otherwise the browser
    // reconnects by itself, and only the connection is reported as lost.
    live.onerror = () => {
      if (live.readyState === EventSource.CLOSED) void poll();
      else setReachable(false);
    };
    return () => {
      stop.abort();
      live.close();
      clearTimeout(timer);
    };
  }, []);

  return { list, reachable: reachable || !globals.ready };
}
