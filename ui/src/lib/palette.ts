// Line colours: eighteen hues that keep their distance on a white and on a dark ground.
const kColors = [
  '#2f9e6b',
  '#f08c1c',
  '#3b82c4',
  '#c2415b',
  '#8b6fd1',
  '#1fa3a3',
  '#b58a12',
  '#d65db1',
  '#5c7cfa',
  '#7a9a2e',
  '#e0623a',
  '#5b7a99',
  '#a0522d',
  '#2b8a3e',
  '#9c36b5',
  '#0c8599',
  '#d6336c',
  '#868e96',
];

export function seriesColor(index: number): string {
  return kColors[index % kColors.length]!;
}

// The colours of stacked or named machine graphs, by meaning.
export const namedColors: Record<string, string> = {
  user: '#3b82c4',
  system: '#c2415b',
  iowait: '#f08c1c',
  irq: '#8b6fd1',
  softirq: '#d65db1',
  steal: '#b58a12',
  nice: '#1fa3a3',
  idle: '#868e96',
};
