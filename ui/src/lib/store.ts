// A value kept in the browser's local storage and shared by every component that reads it.

import { useSyncExternalStore } from 'react';

export interface Store<T> {
  get(): T;
  set(next: T): void;
  use(): T;
}

export function localStore<T>(key: string, fallback: T): Store<T> {
  const listeners = new Set<() => void>();
  let value = load(key, fallback);
  const get = () => value;
  const subscribe = (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  };
  return {
    get,
    set(next: T) {
      value = next;
      try {
        localStorage.setItem(key, JSON.stringify(next));
      } catch {
        // Private windows may refuse; the value still lives until the page closes.
      }
      listeners.forEach((listener) => listener());
    },
    use: () => useSyncExternalStore(subscribe, get),
  };
}

// Objects are merged over the fallback, so that settings added later have a value.
function load<T>(key: string, fallback: T): T {
  try {
    const text = localStorage.getItem(key);
    if (text === null) return fallback;
    const parsed: unknown = JSON.parse(text);
    if (Array.isArray(fallback)) return Array.isArray(parsed) ? (parsed as T) : fallback;
    if (typeof fallback === 'object' && typeof parsed === 'object') {
      return { ...fallback, ...parsed } as T;
    }
    return typeof parsed === typeof fallback ? (parsed as T) : fallback;
  } catch {
    return fallback;
  }
}
