// The state of the query page lives in the address, under the parameter names of upstream's UI
// (g0.expr, g0.tab, g0.range_input, ...), so that links from other tools and old bookmarks work.

import { formatDuration, parseDuration } from './duration';
import { formatUrlTime, parseUrlTime } from './time';

export type Tab = 'table' | 'graph' | 'explain';
export const displayModes = ['lines', 'stacked', 'heatmap'] as const;
export type DisplayMode = (typeof displayModes)[number];
export type Density = 'low' | 'medium' | 'high';

export type Resolution =
  { type: 'auto'; density: Density } | { type: 'fixed' | 'custom'; stepMs: number };

export interface PanelState {
  expr: string;
  showTree: boolean;
  tab: Tab;
  endMs: number | null; // Null means now.
  rangeMs: number;
  resolution: Resolution;
  displayMode: DisplayMode;
  yAxisMin: number | null;
  showExemplars: boolean;
}

export function newPanel(patch: Partial<PanelState> = {}): PanelState {
  return {
    expr: '',
    showTree: false,
    tab: 'table',
    endMs: null,
    rangeMs: 3600 * 1000,
    resolution: { type: 'auto', density: 'medium' },
    displayMode: 'lines',
    yAxisMin: null,
    showExemplars: false,
    ...patch,
  };
}

// Points across the graph for each density; the server refuses more than 11,000.
const kPoints: Record<Density, number> = { low: 100, medium: 250, high: 750 };

export function stepMsOf(resolution: Resolution, rangeMs: number): number {
  if (resolution.type !== 'auto') return resolution.stepMs;
  return Math.max(Math.floor(rangeMs / kPoints[resolution.density] / 1000), 1) * 1000;
}

function decodeTab(value: string): Tab | null {
  // Numbers come from the address format of the 2.x UI.
  if (value === '0' || value === 'graph') return 'graph';
  if (value === '1' || value === 'table') return 'table';
  return value === 'explain' ? 'explain' : null;
}

function decodeResolution(get: (name: string) => string | null): Resolution | null {
  const type = get('res_type');
  if (type === 'auto') {
    const density = get('res_density');
    return density === 'low' || density === 'medium' || density === 'high'
      ? { type, density }
      : { type, density: 'medium' };
  }
  if (type === 'fixed' || type === 'custom') {
    const step = Number(get('res_step'));
    if (step > 0) return { type, stepMs: step * 1000 };
  }
  const step = Number(get('step_input')); // 2.x: seconds.
  return step > 0 ? { type: 'custom', stepMs: step * 1000 } : null;
}

export function decodePanels(search: string): PanelState[] {
  const params = new URLSearchParams(search);
  const panels: PanelState[] = [];
  for (let i = 0; params.has(`g${i}.expr`); ++i) {
    const get = (name: string) => params.get(`g${i}.${name}`);
    const panel = newPanel({ expr: get('expr') ?? '' });
    panel.showTree = get('show_tree') === '1';
    panel.tab = decodeTab(get('tab') ?? '') ?? panel.tab;
    panel.endMs = parseUrlTime(get('moment_input') ?? '') ?? parseUrlTime(get('end_input') ?? '');
    const range = parseDuration(get('range_input') ?? '');
    if (range !== null && range > 0) panel.rangeMs = range;
    panel.resolution = decodeResolution(get) ?? panel.resolution;
    const mode = displayModes.find((one) => one === get('display_mode'));
    panel.displayMode = mode ?? (get('stacked') === '1' ? 'stacked' : panel.displayMode);
    const min = get('y_axis_min');
    if (min !== null && min !== '' && Number.isFinite(Number(min))) panel.yAxisMin = Number(min);
    panel.showExemplars = get('show_exemplars') === '1';
    panels.push(panel);
  }
  return panels;
}

export function encodePanels(panels: readonly PanelState[]): string {
  const params = new URLSearchParams();
  panels.forEach((panel, i) => {
    const add = (name: string, value: string) => params.append(`g${i}.${name}`, value);
    add('expr', panel.expr);
    add('show_tree', panel.showTree ? '1' : '0');
    add('tab', panel.tab);
    if (panel.endMs !== null) {
      add('end_input', formatUrlTime(panel.endMs));
      add('moment_input', formatUrlTime(panel.endMs));
    }
    add('range_input', formatDuration(panel.rangeMs));
    add('res_type', panel.resolution.type);
    if (panel.resolution.type === 'auto') add('res_density', panel.resolution.density);
    else add('res_step', String(panel.resolution.stepMs / 1000));
    add('display_mode', panel.displayMode);
    if (panel.yAxisMin !== null) add('y_axis_min', String(panel.yAxisMin));
    add('show_exemplars', panel.showExemplars ? '1' : '0');
  });
  return params.toString();
}

// The address of the query page with one expression in it, relative to the route prefix.
export function queryPath(expr: string, tab: Tab = 'table', rangeMs?: number): string {
  const panel = newPanel({ expr, tab, ...(rangeMs === undefined ? {} : { rangeMs }) });
  return `/query?${encodePanels([panel])}`;
}

const kRangeStops = [
  '1s',
  '10s',
  '1m',
  '5m',
  '15m',
  '30m',
  '1h',
  '2h',
  '6h',
  '12h',
  '1d',
  '2d',
  '1w',
  '2w',
  '4w',
  '8w',
  '1y',
  '2y',
].map((text) => parseDuration(text)!);

// The next stop of the range control's plus and minus buttons.
export function nextRange(rangeMs: number, direction: 1 | -1): number {
  if (direction === 1) return kRangeStops.find((stop) => stop > rangeMs) ?? rangeMs;
  return [...kRangeStops].reverse().find((stop) => stop < rangeMs) ?? rangeMs;
}
