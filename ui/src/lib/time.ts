// Instants as text, in UTC or in the browser's zone.

export type Zone = 'local' | 'utc';

const kZeroTime = '0001-01-01T00:00:00Z'; // What the server sends for "never".

function pad(n: number, width = 2): string {
  return String(n).padStart(width, '0');
}

interface Fields {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
  ms: number;
}

function fields(timeMs: number, zone: Zone): Fields {
  const d = new Date(timeMs);
  return zone === 'utc'
    ? {
        year: d.getUTCFullYear(),
        month: d.getUTCMonth() + 1,
        day: d.getUTCDate(),
        hour: d.getUTCHours(),
        minute: d.getUTCMinutes(),
        second: d.getUTCSeconds(),
        ms: d.getUTCMilliseconds(),
      }
    : {
        year: d.getFullYear(),
        month: d.getMonth() + 1,
        day: d.getDate(),
        hour: d.getHours(),
        minute: d.getMinutes(),
        second: d.getSeconds(),
        ms: d.getMilliseconds(),
      };
}

// "2024-05-01 13:04:05", with milliseconds only when there are some.
export function formatTime(timeMs: number, zone: Zone): string {
  if (!Number.isFinite(timeMs)) return 'never';
  const f = fields(timeMs, zone);
  const fraction = f.ms === 0 ? '' : `.${pad(f.ms, 3)}`;
  return (
    `${pad(f.year, 4)}-${pad(f.month)}-${pad(f.day)} ` +
    `${pad(f.hour)}:${pad(f.minute)}:${pad(f.second)}${fraction}`
  );
}

// The same instant with its zone spelled out, for tooltips and copying.
export function formatTimeWithZone(timeMs: number, zone: Zone): string {
  if (zone === 'utc') return `${formatTime(timeMs, 'utc')} UTC`;
  const offset = -new Date(timeMs).getTimezoneOffset();
  const sign = offset < 0 ? '-' : '+';
  const abs = Math.abs(offset);
  return `${formatTime(timeMs, 'local')} ${sign}${pad(Math.floor(abs / 60))}:${pad(abs % 60)}`;
}

// The value of an <input type="datetime-local" step="1">, read in the chosen zone.
export function toInputValue(timeMs: number, zone: Zone): string {
  return formatTime(Math.floor(timeMs / 1000) * 1000, zone).replace(' ', 'T');
}

export function fromInputValue(text: string, zone: Zone): number | null {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?/.exec(text);
  if (match === null) return null;
  const [year, month, day, hour, minute, second] = match.slice(1).map((s) => Number(s ?? 0));
  const args = [year!, month! - 1, day!, hour!, minute!, second || 0] as const;
  return zone === 'utc' ? Date.UTC(...args) : new Date(...args).getTime();
}

// Times in shared addresses are always UTC: "2024-05-01 13:04:05" (also accepts a T, a Z or none).
export function parseUrlTime(text: string): number | null {
  const trimmed = text.trim();
  if (/^\d+(\.\d+)?$/.test(trimmed)) return Number(trimmed) * 1000;
  const iso = trimmed.replace(' ', 'T');
  const parsed = Date.parse(/([zZ]|[+-]\d\d:?\d\d)$/.test(iso) ? iso : `${iso}Z`);
  return Number.isNaN(parsed) ? null : parsed;
}

export function formatUrlTime(timeMs: number): string {
  return formatTime(Math.floor(timeMs / 1000) * 1000, 'utc');
}

// RFC 3339 from the API; the zero time and nonsense become null.
export function parseApiTime(text: string | undefined): number | null {
  if (text === undefined || text === '' || text.startsWith(kZeroTime.slice(0, 10))) return null;
  // The server sends nanoseconds; browsers are only promised milliseconds.
  const parsed = Date.parse(text.replace(/(\.\d{3})\d+/, '$1'));
  return Number.isNaN(parsed) ? null : parsed;
}
