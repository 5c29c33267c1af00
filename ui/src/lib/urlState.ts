import { useCallback, useMemo } from 'react';
import { useSearchParams } from 'react-router-dom';

// One filter of a page, kept in the address so that the view can be shared. The default is left out.
export function useUrlParam(name: string, fallback = ''): [string, (value: string) => void] {
  const [params, setParams] = useSearchParams();
  const set = useCallback(
    (value: string) =>
      setParams(
        (old) => {
          const next = new URLSearchParams(old);
          if (value === fallback) next.delete(name);
          else next.set(name, value);
          return next;
        },
        { replace: true },
      ),
    [fallback, name, setParams],
  );
  return [params.get(name) ?? fallback, set];
}

// Several chosen words: repeated parameters, as upstream's pages write them, or comma separated.
export function readSet(params: URLSearchParams, name: string): string[] {
  return params
    .getAll(name)
    .flatMap((text) => text.split(','))
    .filter((word) => word !== '');
}

export function useUrlSet(name: string): [string[], (value: string[]) => void] {
  const [params, setParams] = useSearchParams();
  const value = useMemo(() => readSet(params, name), [name, params]);
  const set = useCallback(
    (next: string[]) =>
      setParams(
        (old) => {
          const changed = new URLSearchParams(old);
          changed.delete(name);
          next.forEach((word) => changed.append(name, word));
          return changed;
        },
        { replace: true },
      ),
    [name, setParams],
  );
  return [value, set];
}
