// Prometheus durations ("1d12h", "90s") as milliseconds.

const kUnits: readonly [string, number][] = [
  ['y', 365 * 24 * 3600 * 1000],
  ['w', 7 * 24 * 3600 * 1000],
  ['d', 24 * 3600 * 1000],
  ['h', 3600 * 1000],
  ['m', 60 * 1000],
  ['s', 1000],
  ['ms', 1],
];

const kPattern = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/;

// Null when the text is no duration. Units come in falling order, each at most once, as in PromQL.
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  const match = kPattern.exec(trimmed);
  if (trimmed === '' || match === null) return null;
  return kUnits.reduce((sum, [, unitMs], i) => sum + Number(match[i + 1] ?? 0) * unitMs, 0);
}

// Years and weeks appear only when they divide the duration exactly, as the server prints them.
export function formatDuration(durationMs: number): string {
  let rest = Math.round(Math.abs(durationMs));
  if (rest === 0) return '0s';
  let text = durationMs < 0 ? '-' : '';
  for (const [unit, unitMs] of kUnits) {
    if ((unit === 'y' || unit === 'w') && rest % unitMs !== 0) continue;
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text;
}

// For people: at most two units, fractions below ten seconds ("2.351s", "4m 12s", "3d 4h").
export function humanDuration(durationMs: number): string {
  const absMs = Math.abs(durationMs);
  const sign = durationMs < 0 ? '-' : '';
  if (absMs < 1) return absMs === 0 ? '0s' : `${sign}${Number((absMs * 1000).toPrecision(3))}µs`;
  if (absMs < 1000) return `${sign}${Number(absMs.toPrecision(4))}ms`;
  if (absMs < 60_000) return `${sign}${Number((absMs / 1000).toFixed(absMs < 10_000 ? 3 : 1))}s`;
  const units = kUnits.slice(2, 6);
  const first = units.findIndex(([, unitMs]) => absMs >= unitMs);
  const [unit, unitMs] = units[first]!;
  const count = Math.floor(absMs / unitMs);
  const next = units[first + 1];
  const minor = next ? Math.floor((absMs - count * unitMs) / next[1]) : 0;
  return `${sign}${count}${unit}${next && minor > 0 ? ` ${minor}${next[0]}` : ''}`;
}
