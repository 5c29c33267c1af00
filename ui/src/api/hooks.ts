import { useQuery } from '@tanstack/react-query';
import { callApi, type Answer, type Params } from './client';

interface Options {
  refreshMs?: number;
  enabled?: boolean;
  staleMs?: number;
}

// A GET that is cached by its address and answered again every `refreshMs`, while the tab is shown.
export function useApi<T>(path: string, params: Params = {}, options: Options = {}) {
  return useQuery<Answer<T>, Error>({
    queryKey: [path, params],
    queryFn: ({ signal }) => callApi<T>(path, params, { signal }),
    enabled: options.enabled ?? true,
    staleTime: options.staleMs ?? 0,
    refetchInterval: options.refreshMs ?? false,
  });
}
