import { type Signal, signal } from '@preact/signals';
import { assignInks, hostInks, type Ink } from '../model/colour.ts';
import { formatValue, type Unit, unitOf } from '../model/format.ts';
import { byKey, distinguishing, lineKey, lineTitle, NAME, shorten } from '../model/labels.ts';
import { graver, type Level, type Limits, levelOf } from '../model/limits.ts';
import type { Line } from '../model/line.ts';
import type { Panel } from '../model/panels.ts';
import { choose, mean, valueNear } from '../model/rank.ts';
import { statsOf } from '../model/stats.ts';

/** A line that is drawn, and what its chart's legend says of it. */
export interface Pen {
  readonly line: Line;
  readonly title: string;
  /** As much of the title as tells it from the others. */
  readonly short: string;
  readonly ink: Ink;
  readonly unit: Unit;
  /** The newest value, or the one under the pointer. */
  readonly value: Signal<string>;
  readonly shown: Signal<boolean>;
  /** Least, mean and greatest value of what the chart shows; null while there is none. */
  readonly stats: Signal<readonly [min: string, mean: string, max: string] | null>;
  /** Whether its newest sample is older than its rhythm allows, while others of the chart may go on. */
  readonly silent: Signal<boolean>;
  /** How the value that is told stands to the limits. */
  readonly level: Signal<Level>;
}

/** Which lines of a room its chart draws, and how. */
export class Pens {
  /** In the order of the legend. */
  readonly list = signal<readonly Pen[]>([]);
  /** Unit of the value axis: that of all lines, or none where they have several. */
  unit: Unit = 'number';
  readonly #unit: Unit | null;
  readonly #order: readonly string[];
  readonly #hosts: () => readonly string[];
  readonly #subject: string;
  #lines: readonly Line[] = [];
  #inks: ReadonlyMap<string, Ink> = new Map();

  /** `hosts` are those of the page. */
  constructor({ unit, title, order }: Panel, hosts: () => readonly string[]) {
    this.#unit = unit;
    this.#order = order;
    this.#hosts = hosts;
    this.#subject = title;
  }

  /** Whether the lines have several units, which one axis cannot tell. */
  get mixed(): boolean {
    return new Set(this.list.value.map(pen => pen.unit)).size > 1;
  }

  /**
   * Follows lines, which may be other objects of the same series; `from` is where the window begins. Returns what became of
   * the pens: `other` ones, or the `same` that draw other lines.
   */
  follow(lines: readonly Line[], from: number): 'none' | 'same' | 'other' {
    if (lines === this.#lines) return 'none';
    this.#lines = lines;
    const before = new Map(this.list.value.map(pen => [pen.line.key, pen]));
    const chosen = choose(lines, new Set(before.keys()), from);
    const labels = lines.map(line => line.labels);
    const apart = distinguishing(labels);
    const names = [...new Set(labels.map(l => l[NAME] ?? ''))];
    const place = ({ labels }: Line): number => this.#order.indexOf(labels[NAME] ?? '');
    const keyed = chosen
      .map(line => ({ line, key: lineKey(line.labels, apart) }))
      // As the note below the chart says it: where lines are left out, the highest come first.
      .sort((a, b) =>
        chosen.length < lines.length
          ? mean(b.line, from) - mean(a.line, from)
          : place(a.line) - place(b.line) || byKey(a.key, b.key),
      );
    this.#inks = assignInks(
      keyed.map(({ key }) => key),
      this.#inks,
    );
    const units = new Map(lines.map(line => [line, this.#unit ?? unitOf(line.labels[NAME] ?? '')]));
    const [first] = keyed;
    const unit = this.unit;
    this.unit = first ? units.get(first.line)! : 'number';
    if (keyed.some(({ line }) => units.get(line) !== this.unit)) this.unit = 'number';
    const titles = keyed.map(({ line }) => lineTitle(line.labels, apart, names));
    const shorts = shorten(titles, this.#subject);
    const ofHosts = hostInks(
      keyed.map(({ line }) => line.labels),
      this.#hosts(),
    );
    const list = keyed.map(({ line, key }, i) => ({
      line,
      title: titles[i]!,
      short: shorts[i]!,
      ink: ofHosts?.[i] ?? this.#inks.get(key)!,
      unit: units.get(line)!,
      value: before.get(line.key)?.value ?? signal(''),
      shown: before.get(line.key)?.shown ?? signal(true),
      stats: before.get(line.key)?.stats ?? signal(null),
      silent: before.get(line.key)?.silent ?? signal(false),
      level: before.get(line.key)?.level ?? signal<Level>('ok'),
    }));
    const old = this.list.value;
    const same =
      unit === this.unit && list.length === old.length && list.every((pen, i) => sameLook(pen, old[i]!));
    this.list.value = list;
    return same ? 'same' : 'other';
  }

  /** Chooses anew at the next `follow`, by the means of then. */
  forget(): void {
    this.#lines = [];
    this.list.value = [];
  }

  /**
   * Writes the values at `time`, or the newest ones where it is null, and whether they are old at `now`; `now` is null for what
   * stands still. `reach` is how far a sample may be from `time`, ms.
   */
  writeValues(time: number | null, reach: number, now: number | null, limits: Limits): void {
    for (const { line, unit, value, silent, level } of this.list.value) {
      silent.value = now !== null && now - line.newestTime > line.patience;
      const number = time === null ? line.newestValue : valueNear(line, time, reach);
      value.value = formatValue(number, unit);
      level.value = levelOf(number, limits);
    }
  }

  /** Writes what each line comes to from `from` to `to`. */
  writeStats(from: number, to: number): void {
    for (const { line, unit, stats } of this.list.value) {
      const found = statsOf(line, from, to);
      const next =
        found &&
        ([found.min, found.mean, found.max].map(v => formatValue(v, unit)) as [string, string, string]);
      if (stats.value?.join() !== next?.join()) stats.value = next;
    }
  }

  /** The gravest level of the newest values of lines that go on. */
  levelOf(limits: Limits): Level {
    return this.list.value
      .filter(({ silent }) => !silent.value)
      .reduce<Level>((level, { line }) => graver(level, levelOf(line.newestValue, limits)), 'ok');
  }

  /** The values at `time`, the highest first, and last the lines without one. */
  rows(time: number, reach: number): Row[] {
    return this.list.value
      .filter(({ shown }) => shown.value)
      .map(pen => ({ pen, number: valueNear(pen.line, time, reach) }))
      .sort((a, b) => (Number.isNaN(a.number) ? 1 : Number.isNaN(b.number) ? -1 : b.number - a.number))
      .map(({ pen: { line, title, ink, unit }, number }) => ({
        key: line.key,
        title,
        ink,
        value: formatValue(number, unit),
      }));
  }

  /** Shows this line only, or all of them where it is alone already. */
  isolate(pen: Pen): void {
    const alone = this.list.value.every(other => other.shown.value === (other === pen));
    for (const other of this.list.value) other.shown.value = alone || other === pen;
  }
}

/** A line's value at a time that is held. */
export interface Row {
  readonly key: string;
  readonly title: string;
  readonly ink: Ink;
  readonly value: string;
}

/** Whether a pen draws the same series in the same way. */
function sameLook(a: Pen, b: Pen): boolean {
  return (
    a.line.key === b.line.key &&
    a.ink.colour === b.ink.colour &&
    a.ink.dash === b.ink.dash &&
    a.unit === b.unit
  );
}
