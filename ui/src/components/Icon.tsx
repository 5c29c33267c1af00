import type { CSSProperties } from 'react';

// Line icons on a 16-pixel grid, drawn for this UI.
const kPaths = {
  query: 'M2.5 3.5h11M2.5 8h6M2.5 12.5h4M9.5 12.5l2 2 3-4',
  machine: 'M2 3h12v8H2zM6 14h4M8 11v3M4.5 7.5l2-2 2 3 1.5-2h1.5',
  alerts:
    'M8 2a4 4 0 0 1 4 4c0 3.5 1.5 4.5 1.5 5.5h-11C2.5 10.5 4 9.5 4 6a4 4 0 0 1 4-4zM6.5 13.5a1.6 1.6 0 0 0 3 0',
  rules: 'M3 2.5h10v11H3zM5.5 5.5h5M5.5 8h5M5.5 10.5h3',
  targets: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 7.5v1',
  discovery: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5 14 14',
  send: 'M14 2 2 7l4.5 2L14 2zM6.5 9 8.5 14 14 2',
  status: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 7.5v3.5M8 5v.01',
  database: 'M3 4c0-2 10-2 10 0v8c0 2-10 2-10 0zM3 4c0 2 10 2 10 0M3 8c0 2 10 2 10 0',
  config: 'M2.5 4.5h5M11 4.5h2.5M9.2 2.8v3.4M2.5 11.5h2.5M8.5 11.5h5M6.7 9.8v3.4',
  flags: 'M3.5 14V2.5M3.5 3h8.5l-2 3 2 3H3.5',
  agent: 'M8 2 14 5v6l-6 3-6-3V5zM2 5l6 3 6-3M8 8v6',
  consoles: 'M2 3h12v10H2zM4.5 6l2 2-2 2M8.5 10h3',
  bell: 'M8 2a4 4 0 0 1 4 4c0 3.5 1.5 4.5 1.5 5.5h-11C2.5 10.5 4 9.5 4 6a4 4 0 0 1 4-4zM6.5 13.5a1.6 1.6 0 0 0 3 0',
  sun: 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1',
  moon: 'M13.5 9.5A6 6 0 0 1 6.5 2.5a6 6 0 1 0 7 7z',
  auto: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 2v12M8 5l4-1.5M8 8h6M8 11l4 1.5',
  clock: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM8 4.5V8l2.5 1.5',
  menu: 'M2.5 4h11M2.5 8h11M2.5 12h11',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  check: 'M3 8.5 6.5 12 13 4.5',
  close: 'M4 4l8 8M12 4l-8 8',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  search: 'M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5 14 14',
  chevron: 'M6 3.5 10.5 8 6 12.5',
  left: 'M10 3.5 5.5 8l4.5 4.5',
  table: 'M2.5 3h11v10h-11zM2.5 6.5h11M2.5 10h11M7 6.5V13',
  graph: 'M2 13.5h12M3 11l3.5-4 2.5 2.5L13.5 4',
  tree: 'M3 2.5v9.5h4M3 6.5h4M9 4.5h5v4H9zM9 10.5h5v3H9z',
  history: 'M3 4v3h3M3.3 7A5.3 5.3 0 1 1 3 10M8 5v3.5l2 1',
  format: 'M2.5 3.5h11M5 6.5h8.5M5 9.5h6M2.5 12.5h11',
  list: 'M5.5 4h8M5.5 8h8M5.5 12h8M2.5 4v.01M2.5 8v.01M2.5 12v.01',
  settings:
    'M8 6a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM8 1.5v2M8 12.5v2M1.5 8h2M12.5 8h2M3.4 3.4l1.4 1.4M11.2 11.2l1.4 1.4M3.4 12.6l1.4-1.4M11.2 4.8l1.4-1.4',
  external: 'M6 3H3v10h10v-3M9 2.5h4.5V7M13.5 2.5 7.5 8.5',
  refresh: 'M13 3v3.5H9.5M13 6.5A5.3 5.3 0 1 0 13.3 9',
  stacked: 'M2 13.5h12M2.5 11 6 8l3 2 4.5-4M2.5 7.5 6 4.5 9 6l4.5-3.5',
  heatmap: 'M2.5 3h11v10h-11zM2.5 6.3h11M2.5 9.6h11M6.2 3v10M9.8 3v10M7 7.5l2 1',
  insert: 'M2.5 8h8M7.5 4.5 11 8l-3.5 3.5M13.5 3v10',
  trash: 'M3 4.5h10M6 4.5v-2h4v2M4.5 4.5l.5 9h6l.5-9',
  duplicate: 'M2.5 2.5h8v8h-8zM5.5 13.5h8v-8M6.5 4.5v4M4.5 6.5h4',
} as const;

export type IconName = keyof typeof kPaths;

export function Icon({
  name,
  size = 16,
  style,
}: {
  name: IconName;
  size?: number;
  style?: CSSProperties;
}) {
  return (
    <svg
      viewBox="0 0 16 16"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth={1.4}
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
      style={{ flex: 'none', ...style }}
    >
      <path d={kPaths[name]} />
    </svg>
  );
}
