import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { callQuery, type Answer } from '../../api/client';
import type { QueryData } from '../../api/types';
import { stepMsOf, type PanelState } from '../../lib/panels';

export interface Executed {
  answer: Answer<QueryData>;
  elapsedMs: number;
  start: number; // Unix seconds, as are the next two.
  end: number;
  step: number;
}

// The old result stays on the page, dimmed by its busy bar, until the new one is there.
const kCommon = { placeholderData: keepPreviousData, staleTime: Infinity, gcTime: 60_000 } as const;

export function useInstantQuery(state: PanelState, run: number) {
  return useQuery<Executed, Error>({
    ...kCommon,
    queryKey: ['instant', state.expr, state.endMs, run],
    enabled: state.expr.trim() !== '',
    queryFn: async ({ signal }) => {
      const time = (state.endMs ?? Date.now()) / 1000;
      const began = performance.now();
      const answer = await callQuery<QueryData>(
        '/query',
        { query: state.expr, time, stats: 'true' },
        signal,
      );
      return { answer, elapsedMs: performance.now() - began, start: time, end: time, step: 0 };
    },
  });
}

export function useRangeQuery(state: PanelState, run: number) {
  const step = stepMsOf(state.resolution, state.rangeMs) / 1000;
  return useQuery<Executed, Error>({
    ...kCommon,
    queryKey: ['range', state.expr, state.endMs, state.rangeMs, step, run],
    enabled: state.expr.trim() !== '',
    queryFn: async ({ signal }) => {
      const end = (state.endMs ?? Date.now()) / 1000;
      const start = end - state.rangeMs / 1000;
      const params = { query: state.expr, start, end, step, stats: 'true' };
      const began = performance.now();
      const answer = await callQuery<QueryData>('/query_range', params, signal);
      return { answer, elapsedMs: performance.now() - began, start, end, step };
    },
  });
}
