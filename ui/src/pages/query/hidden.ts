// A click shows one series alone, and all again; with Ctrl, Cmd or Shift it switches one.
export function nextHidden(
  hidden: ReadonlySet<number>,
  index: number,
  count: number,
  toggle: boolean,
): ReadonlySet<number> {
  if (toggle) {
    const next = new Set(hidden);
    if (!next.delete(index)) next.add(index);
    return next;
  }
  const alone = hidden.size === count - 1 && !hidden.has(index);
  if (alone) return new Set();
  return new Set(Array.from({ length: count }, (_, i) => i).filter((i) => i !== index));
}
