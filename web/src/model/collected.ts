import { NAME } from './labels.ts';
import type { Labels } from './wire.ts';

/** What the collector measures of a host. */
export const COLLECTED: ReadonlySet<string> = new Set([
  'cpu_mode_percent',
  'cpu_usage_percent',
  'disk_busy_percent',
  'disk_read_bytes_per_second',
  'disk_write_bytes_per_second',
  'filesystem_size_bytes',
  'filesystem_used_bytes',
  'filesystem_used_percent',
  'load1',
  'load15',
  'load5',
  'memory_available_bytes',
  'memory_cached_bytes',
  'memory_total_bytes',
  'memory_used_bytes',
  'network_receive_bytes_per_second',
  'network_transmit_bytes_per_second',
  'pressure_some_percent',
  'processes',
  'processes_blocked',
  'processes_running',
  'swap_used_bytes',
  'temperature_celsius',
]);

/** Whether a series is one of the collector's, which measures in a steady rhythm. Others may write when they like. */
export function isCollected(labels: Labels): boolean {
  return labels.host !== undefined && COLLECTED.has(labels[NAME] ?? '');
}
