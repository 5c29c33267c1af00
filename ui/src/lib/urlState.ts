import { useCallback } from 'react';
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

// Several chosen words, as repeated parameters or comma separated.
export function useUrlSet(name: string): [string[], (value: string[]) => void] {
  const [text, setText] = useUrlParam(name);
  const set = useCallback((value: string[]) => setText(value.join(',')), [setText]);
  return [text === '' ? [] : text.split(','), set];
}
