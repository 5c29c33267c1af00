// Numbers, sizes and series names as text.

export type Labels = Record<string, string>;

const kPlainName = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const kPlainLabel = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export function quote(text: string): string {
  return `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
}

export function quoteLabelName(name: string): string {
  return kPlainLabel.test(name) ? name : quote(name);
}

// The labels as PromQL prints them; a UTF-8 metric name moves inside the braces.
export function formatSeries(labels: Labels): string {
  const name = labels['__name__'] ?? '';
  const pairs = Object.entries(labels)
    .filter(([key]) => key !== '__name__')
    .map(([key, value]) => `${quoteLabelName(key)}=${quote(value)}`);
  if (name !== '' && !kPlainName.test(name)) return `{${[quote(name), ...pairs].join(', ')}}`;
  if (pairs.length === 0) return name === '' ? '{}' : name;
  return `${name}{${pairs.join(', ')}}`;
}

// "+Inf", "NaN" and numbers as the API spells them.
export function parseValue(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

const kSiPrefixes = ['', 'k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y'];
const kSmallPrefixes = ['', 'm', 'µ', 'n', 'p', 'f', 'a'];

function trimNumber(value: number, digits: number): string {
  return String(Number(value.toPrecision(digits)));
}

// Short form for axes and tiles: 12.3k, 4.5m, 1.2e+30.
export function formatShort(value: number, digits = 4): string {
  if (value === 0) return '0';
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  const abs = Math.abs(value);
  if (abs >= 1e27 || abs < 1e-18) return value.toExponential(2);
  if (abs >= 1) {
    const step = Math.min(Math.floor(Math.log10(abs) / 3 + 1e-9), kSiPrefixes.length - 1);
    return trimNumber(value / 1000 ** step, digits) + kSiPrefixes[step];
  }
  if (abs >= 0.001) return trimNumber(value, Math.min(digits, 3));
  const step = Math.min(Math.ceil(-Math.log10(abs) / 3 - 1e-9), kSmallPrefixes.length - 1);
  return trimNumber(value * 1000 ** step, digits) + kSmallPrefixes[step];
}

export function formatBytes(bytes: number, digits = 3): string {
  if (!Number.isFinite(bytes)) return String(bytes);
  const abs = Math.abs(bytes);
  if (abs < 1024) return `${trimNumber(bytes, digits)} B`;
  const step = Math.min(Math.floor(Math.log2(abs) / 10), 6);
  return `${trimNumber(bytes / 1024 ** step, Math.max(digits, 3))} ${'KMGTPE'[step - 1]}iB`;
}

// Whole counts with thousands separators, independent of the browser's language.
export function formatCount(n: number): string {
  return n.toLocaleString('en-US', { maximumFractionDigits: 3 });
}

export function plural(n: number, one: string, many = `${one}s`): string {
  return `${formatCount(n)} ${n === 1 ? one : many}`;
}

// Alert values come as "1e+00"; people read 1.
export function formatValueText(text: string): string {
  const value = parseValue(text);
  return Number.isFinite(value) ? String(value) : text;
}
