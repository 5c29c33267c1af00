// The queries that this browser ran, newest first, each once.

import { localStore } from './store';

const kEntriesMax = 100;

export const queryHistory = localStore<string[]>('narthex.history', []);

export function withEntry(entries: readonly string[], expr: string): string[] {
  const trimmed = expr.trim();
  if (trimmed === '') return [...entries];
  return [trimmed, ...entries.filter((entry) => entry !== trimmed)].slice(0, kEntriesMax);
}

export function rememberQuery(expr: string) {
  queryHistory.set(withEntry(queryHistory.get(), expr));
}
