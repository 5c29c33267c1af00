import { useCallback, useState } from 'react';

// Which rows of a list are unfolded; `flipped` holds those that differ from the default.
export function useOpen(openByDefault = false) {
  const [flipped, setFlipped] = useState<ReadonlySet<string>>(new Set());
  const isOpen = useCallback(
    (key: string) => flipped.has(key) !== openByDefault,
    [flipped, openByDefault],
  );
  const toggle = useCallback(
    (key: string) =>
      setFlipped((old) => {
        const next = new Set(old);
        if (!next.delete(key)) next.add(key);
        return next;
      }),
    [],
  );
  const setAll = useCallback((keys: readonly string[]) => setFlipped(new Set(keys)), []);
  return { isOpen, toggle, setAll };
}
