import type { Labels } from './format';

// What a relabelling step changed: labels with a new value, and labels that are gone.
export function labelChanges(before: Labels, after: Labels): { set: Labels; removed: Labels } {
  const pick = (entries: [string, string][]) => Object.fromEntries(entries);
  return {
    set: pick(Object.entries(after).filter(([name, value]) => before[name] !== value)),
    removed: pick(Object.entries(before).filter(([name]) => !(name in after))),
  };
}
