import { useCallback, useMemo, useRef } from 'react';
import { useLocation, useNavigate } from 'react-router-dom';
import { decodePanels, encodePanels, newPanel, type PanelState } from '../../lib/panels';

export interface IdentifiedPanel {
  id: number;
  state: PanelState;
}

export interface PanelActions {
  change: (index: number, patch: Partial<PanelState>, options?: { replace?: boolean }) => void;
  add: (patch?: Partial<PanelState>) => void;
  duplicate: (index: number, expr: string) => void;
  remove: (index: number) => void;
}

// The address is the only store, so back and forward work by themselves. The ids beside it keep
// React's components (and the unsent text in their editors) with their panels when one is removed.
export function usePanels(): [IdentifiedPanel[], PanelActions] {
  const { search } = useLocation();
  const navigate = useNavigate();
  const ids = useRef<number[]>([]);
  const nextId = useRef(0);

  const states = useMemo(() => {
    const decoded = decodePanels(search);
    return decoded.length > 0 ? decoded : [newPanel()];
  }, [search]);
  while (ids.current.length < states.length) ids.current.push(nextId.current++);
  ids.current.length = states.length;

  const latest = useRef(states);
  latest.current = states;
  const write = useCallback(
    (next: PanelState[], replace = false) => {
      latest.current = next; // Two changes within one event must not undo each other.
      navigate({ pathname: '/query', search: `?${encodePanels(next)}` }, { replace });
    },
    [navigate],
  );

  const actions = useMemo<PanelActions>(
    () => ({
      change(index, patch, options) {
        const next = latest.current.map((state, i) =>
          i === index ? { ...state, ...patch } : state,
        );
        write(next, options?.replace);
      },
      add(patch) {
        write([...latest.current, newPanel(patch)]);
      },
      duplicate(index, expr) {
        const next = [...latest.current];
        next.splice(index + 1, 0, { ...next[index]!, expr });
        ids.current.splice(index + 1, 0, nextId.current++);
        write(next);
      },
      remove(index) {
        ids.current.splice(index, 1);
        write(latest.current.filter((_, i) => i !== index));
      },
    }),
    [write],
  );
  return [states.map((state, i) => ({ id: ids.current[i]!, state })), actions];
}
