/** Numbers for pictures: what a machine, several of them and a few sensors might have measured. The same in every run. */

/**
 * Lines of InfluxDB's protocol, one for each series, of a time.
 *
 * @typedef {(time: number) => string[]} Story
 */

const GIB = 2 ** 30;

/** Something between 0 and 1 that wanders with time, ms; `pace` is its rhythm in seconds. */
function wander(/** @type {number} */ seed, /** @type {number} */ time, pace = 40) {
  const x = time / 1000 / pace;
  const waves = [1, 2.3, 5.1, 11.7].map((f, i) => Math.sin(f * x + 7.3 * seed * (i + 1)) / (i + 1.4));
  return Math.min(1, Math.max(0, 0.5 + 0.36 * waves.reduce((sum, wave) => sum + wave, 0)));
}

/** Something between 0 and 1 that is another for every moment. */
function noise(/** @type {number} */ seed, /** @type {number} */ time) {
  const x = Math.sin(seed * 12.9898 + time * 0.0078233) * 43_758.5453;
  return x - Math.floor(x);
}

/**
 * All that the collector measures of one machine, which is busy as `share` says, 0 to 1.
 *
 * @param {string} host
 * @param {number} seed
 * @param {(time: number) => number} share
 * @returns {Story}
 */
export function machine(host, seed, share) {
  return time => {
    const busy = (/** @type {number} */ core) =>
      Math.min(100, 100 * share(time) * (0.8 + 0.4 * noise(seed + core, time)));
    const cores = [1, 2, 3, 4].map(busy);
    const cpu = cores.reduce((sum, core) => sum + core, 0) / cores.length;
    const used = (6 + 3 * share(time) + wander(seed, time, 90)) * GIB;
    const lines = [
      line('cpu_usage_percent', { host, cpu: 'total' }, cpu),
      ...cores.map((core, i) => line('cpu_usage_percent', { host, cpu: `${i}` }, core)),
      line('memory_used_bytes', { host }, used),
      line('memory_available_bytes', { host }, 15.6 * GIB - used),
      line('memory_cached_bytes', { host }, 4.2 * GIB),
      line('memory_total_bytes', { host }, 15.6 * GIB),
      line('swap_used_bytes', { host }, 0),
      ...[1, 5, 15].map((minutes, i) =>
        line(`load${minutes}`, { host }, 0.4 + (3 - i) * wander(seed + 0.1, time, 30 * (i + 1))),
      ),
      line('disk_read_bytes_per_second', { host }, 4e6 * share(time) * noise(seed + 5, time) ** 3),
      line('disk_write_bytes_per_second', { host }, 3e7 * noise(seed + 6, time) ** 8 + 2e5),
      line('network_receive_bytes_per_second', { host }, 1e6 * (0.2 + wander(seed + 2, time, 15))),
      line('network_transmit_bytes_per_second', { host }, 4e5 * (0.2 + wander(seed + 3, time, 12))),
      ...Object.entries({ user: 0.7, system: 0.22, iowait: 0.05, softirq: 0.03 }).map(([mode, part], i) =>
        line('cpu_mode_percent', { host, mode }, cpu * part * (0.7 + 0.6 * noise(seed + 10 + i, time))),
      ),
      ...Object.entries({ cpu: 0.6, io: 0.1, memory: 0 }).map(([resource, part], i) =>
        line('pressure_some_percent', { host, resource }, cpu * part * (0.6 + noise(seed + 20 + i, time))),
      ),
      line('disk_busy_percent', { host, device: 'sda' }, 18 * noise(seed + 7, time) ** 2 + 1),
    ];
    if (time % 10_000 === 0)
      lines.push(line('filesystem_used_percent', { host, mountpoint: '/' }, 41.2 + share(time)));
    return lines;
  };
}

/** Series of one's own: rooms, a training run, a door, a service. @type {Story} */
export function ownSeries(time) {
  const step = (time / 1000) % 3_600;
  return [
    ...Object.entries({ kitchen: 21, bedroom: 18.5, cellar: 12 }).map(([room, celsius], i) =>
      line('room_celsius', { room }, Math.round(10 * (celsius + wander(i, time, 70))) / 10),
    ),
    line('train_loss', {}, 0.3 + 1.6 * Math.exp(-(step % 240) / 80) + 0.08 * noise(1, time)),
    line('val_accuracy', {}, 0.97 - 0.3 * Math.exp(-(step % 240) / 60) + 0.01 * noise(2, time)),
    ...Object.entries({ p50: 1.2e-3, p90: 2.6e-3, p99: 7e-3 }).map(([q, seconds], i) =>
      line('http_latency_seconds', { q }, seconds * (0.8 + 0.5 * wander(i + 4, time, 9))),
    ),
    line('queue_length', {}, Math.round(40 * wander(9, time, 25))),
    line('door_open', {}, wander(3, time, 20) > 0.62 ? 1 : 0),
  ];
}

/**
 * Writes a story from one time to another, both Unix ms, a moment every `interval` ms.
 *
 * @param {string} url
 * @param {readonly Story[]} stories
 * @param {number} from
 * @param {number} to
 * @param {number} interval
 */
export async function tell(url, stories, from, to, interval) {
  /** @type {string[]} */
  const lines = [];
  for (let time = Math.ceil(from / interval) * interval; time <= to; time += interval)
    for (const story of stories) lines.push(...story(time).map(text => `${text} ${time}`));
  if (lines.length === 0) return;
  const answer = await fetch(`${url}/write?precision=ms`, { method: 'POST', body: lines.join('\n') });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
}

function line(
  /** @type {string} */ name,
  /** @type {Readonly<Record<string, string>>} */ labels,
  /** @type {number} */ value,
) {
  const tags = Object.entries(labels).map(([label, text]) => `,${label}=${text}`);
  return `${name}${tags.join('')} value=${value}`;
}
