// What the page about one machine shows: queries over the metrics of the node exporter.

import { formatBytes, formatShort, quote, type Labels } from '../../lib/format';
import { namedColors } from '../../lib/palette';

export interface MachineQuery {
  expr: string;
  name: (labels: Labels) => string;
  color?: (labels: Labels) => string | undefined;
  below?: boolean; // Drawn below zero, as the counterpart of another query.
}

export interface MachinePanel {
  title: string;
  format: (value: number) => string;
  queries: MachineQuery[];
  binary?: boolean;
  stacked?: boolean;
  yMin?: number;
}

const kDevices = 'device!~"loop.*|ram.*|dm-.*|sr.*|fd.*"';
const kFilesystems =
  'fstype!~"tmpfs|ramfs|squashfs|overlay|devtmpfs|iso9660|nsfs|proc|sysfs|fuse.*"';
const kInterfaces = 'device!~"lo|veth.*|br-.*|docker.*|cali.*|cni.*"';

export const percent = (value: number) => `${formatShort(value, 3)}%`;
const bytes = (value: number) => formatBytes(value);
const bytesPerSecond = (value: number) => `${formatBytes(Math.abs(value))}/s`;

function selector(instance: string, ...more: string[]): string {
  return `{${[`instance=${quote(instance)}`, ...more].join(',')}}`;
}

export interface Tile {
  name: string;
  expr: string;
  format: (value: number) => string;
  warnAbove?: number;
}

export function machineTiles(instance: string, window: string): Tile[] {
  const s = selector(instance);
  const root = selector(instance, 'mountpoint="/"', 'fstype!="rootfs"');
  return [
    {
      name: 'CPU busy',
      expr: `100 * (1 - avg(rate(node_cpu_seconds_total${selector(instance, 'mode="idle"')}[${window}])))`,
      format: percent,
      warnAbove: 90,
    },
    {
      name: 'Memory used',
      expr: `100 * (1 - node_memory_MemAvailable_bytes${s} / node_memory_MemTotal_bytes${s})`,
      format: percent,
      warnAbove: 90,
    },
    {
      name: 'Root disk used',
      expr: `max(100 * (1 - node_filesystem_avail_bytes${root} / node_filesystem_size_bytes${root}))`,
      format: percent,
      warnAbove: 90,
    },
    { name: 'Load, 1 minute', expr: `node_load1${s}`, format: (value) => value.toFixed(2) },
    {
      name: 'Processors',
      expr: `count(count by (cpu) (node_cpu_seconds_total${s}))`,
      format: (value) => String(value),
    },
    { name: 'Memory', expr: `node_memory_MemTotal_bytes${s}`, format: bytes },
  ];
}

export function machinePanels(instance: string, window: string): MachinePanel[] {
  const s = selector(instance);
  const rate = (metric: string, ...more: string[]) =>
    `rate(${metric}${selector(instance, ...more)}[${window}])`;
  return [
    {
      title: 'Processor time by mode',
      format: percent,
      stacked: true,
      yMin: 0,
      queries: [
        {
          expr: `100 * avg by (mode) (sum by (cpu, mode) (${rate('node_cpu_seconds_total', 'mode!="idle"')}))`,
          name: (labels) => labels['mode'] ?? '',
          color: (labels) => namedColors[labels['mode'] ?? ''],
        },
      ],
    },
    {
      title: 'Load average',
      format: (value) => formatShort(value, 3),
      yMin: 0,
      queries: [
        { expr: `node_load1${s}`, name: () => '1 minute', color: () => '#f08c1c' },
        { expr: `node_load5${s}`, name: () => '5 minutes', color: () => '#3b82c4' },
        { expr: `node_load15${s}`, name: () => '15 minutes', color: () => '#2f9e6b' },
      ],
    },
    {
      title: 'Memory',
      format: bytes,
      binary: true,
      stacked: true,
      yMin: 0,
      queries: [
        {
          expr:
            `node_memory_MemTotal_bytes${s} - node_memory_MemFree_bytes${s}` +
            ` - node_memory_Buffers_bytes${s} - node_memory_Cached_bytes${s}`,
          name: () => 'used',
          color: () => '#f08c1c',
        },
        { expr: `node_memory_Buffers_bytes${s}`, name: () => 'buffers', color: () => '#8b6fd1' },
        { expr: `node_memory_Cached_bytes${s}`, name: () => 'cached', color: () => '#3b82c4' },
        { expr: `node_memory_MemFree_bytes${s}`, name: () => 'free', color: () => '#2f9e6b' },
      ],
    },
    {
      title: 'Filesystem usage',
      format: percent,
      yMin: 0,
      queries: [
        {
          expr:
            `100 * (1 - max by (mountpoint) (node_filesystem_avail_bytes${selector(instance, kFilesystems)}` +
            ` / node_filesystem_size_bytes${selector(instance, kFilesystems)}))`,
          name: (labels) => labels['mountpoint'] ?? '',
        },
      ],
    },
    {
      title: 'Disk: read above, written below',
      format: bytesPerSecond,
      binary: true,
      queries: [
        {
          expr: rate('node_disk_read_bytes_total', kDevices),
          name: (labels) => `${labels['device']} read`,
        },
        {
          expr: rate('node_disk_written_bytes_total', kDevices),
          name: (labels) => `${labels['device']} written`,
          below: true,
        },
      ],
    },
    {
      title: 'Network: received above, sent below',
      format: bytesPerSecond,
      binary: true,
      queries: [
        {
          expr: rate('node_network_receive_bytes_total', kInterfaces),
          name: (labels) => `${labels['device']} received`,
        },
        {
          expr: rate('node_network_transmit_bytes_total', kInterfaces),
          name: (labels) => `${labels['device']} sent`,
          below: true,
        },
      ],
    },
  ];
}

// A rate needs at least two scrapes in its window, four to survive a lost one, and no window
// shorter than a step, or samples between the steps would never be looked at.
export function rateWindowMs(scrapeIntervalMs: number, stepMs: number): number {
  return Math.max(4 * scrapeIntervalMs, stepMs);
}
