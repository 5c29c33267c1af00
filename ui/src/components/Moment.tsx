import { humanDuration } from '../lib/duration';
import { settings } from '../lib/settings';
import { formatTimeWithZone, parseApiTime } from '../lib/time';

// "12s ago", with the full time as a tooltip. `nowMs` is when the data was fetched.
export function Ago({ time, nowMs }: { time: string; nowMs: number }) {
  const { zone } = settings.use();
  const at = parseApiTime(time);
  if (at === null) return <span className="dim">never</span>;
  const agoMs = Math.max(nowMs - at, 0);
  const text = agoMs < 60_000 ? `${(agoMs / 1000).toFixed(1)}s` : humanDuration(agoMs);
  return <span title={formatTimeWithZone(at, zone)}>{text} ago</span>;
}

export function Moment({ timeMs }: { timeMs: number | null }) {
  const { zone } = settings.use();
  if (timeMs === null) return <span className="dim">never</span>;
  return <span title={`${timeMs / 1000}`}>{formatTimeWithZone(timeMs, zone)}</span>;
}
