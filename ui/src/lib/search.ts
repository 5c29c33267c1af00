// The filter boxes: every word must occur, in any order, in any case. "key:word" or "key=word"
// looks only at one label.

export interface Term {
  key: string | null;
  word: string;
}

export function parseTerms(text: string): Term[] {
  return text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => {
      const match = /^([a-z_][\w.]*)[=](.+)$/.exec(word);
      return match
        ? { key: match[1]!, word: match[2]!.replace(/^"|"$/g, '') }
        : { key: null, word };
    });
}

export function matchesTerms(
  terms: readonly Term[],
  labels: Record<string, string>,
  extra: readonly string[] = [],
): boolean {
  return terms.every(({ key, word }) => {
    const inLabels = Object.entries(labels).some(
      ([name, value]) =>
        (key === null || name.toLowerCase() === key) &&
        (value.toLowerCase().includes(word) || (key === null && name.toLowerCase().includes(word))),
    );
    if (inLabels) return true;
    const whole = key === null ? word : `${key}=${word}`;
    return extra.some((text) => text.toLowerCase().includes(whole));
  });
}

// For completion-like lists: all letters in order, earlier and denser matches first. Null: no match.
export function fuzzyScore(query: string, text: string): number | null {
  const needle = query.toLowerCase();
  const hay = text.toLowerCase();
  const direct = hay.indexOf(needle);
  if (direct >= 0) return 1000 - direct - (hay.length - needle.length) * 0.1;
  let at = -1;
  let gaps = 0;
  for (const letter of needle) {
    const next = hay.indexOf(letter, at + 1);
    if (next < 0) return null;
    if (at >= 0) gaps += next - at - 1;
    at = next;
  }
  return 500 - gaps - hay.length * 0.1;
}

export function fuzzyFilter(query: string, items: readonly string[]): string[] {
  if (query.trim() === '') return [...items];
  return items
    .map((item) => ({ item, score: fuzzyScore(query.trim(), item) }))
    .filter((entry): entry is { item: string; score: number } => entry.score !== null)
    .sort((a, b) => b.score - a.score || a.item.localeCompare(b.item))
    .map((entry) => entry.item);
}
