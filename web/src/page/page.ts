import { batch, computed, effect, signal } from '@preact/signals';
import { Loop } from '../charts/loop.ts';
import { LiveClient, type Malformed, type Subscription } from '../live/client.ts';
import type { Transport } from '../live/transport.ts';
import { type Choices, readAddress, WALL_TURNS, writeAddress } from '../model/address.ts';
import { MAX_CARDS } from '../model/cards.ts';
import { ServerClock } from '../model/clock.ts';
import { type Condition, type Connection, condition } from '../model/condition.ts';
import { gapText } from '../model/gap.ts';
import { byKey } from '../model/labels.ts';
import type { Level } from '../model/limits.ts';
import type { DeclaredGap } from '../model/line.ts';
import { type Panel, STANDARD } from '../model/panels.ts';
import { silentHosts } from '../model/silence.ts';
import { wantedSeries } from '../model/wanted.ts';
import type { Labels } from '../model/wire.ts';
import * as texts from '../texts.ts';
import { Board } from './board.ts';
import type { Question } from './commands.ts';
import { Cursor } from './cursor.ts';
import { keep, kept } from './kept.ts';
import { Overview } from './overview.ts';
import { Pin } from './pin.ts';
import { Presence } from './presence.ts';
import { ThemeChoice } from './theme.ts';
import { Timeline } from './timeline.ts';
import type { View } from './view.ts';
import { Wall } from './wall.ts';

/** The window while neither the link nor the server has named one, seconds. */
const DEFAULT_WINDOW = 100;

/** The link is written when the paper has rested for this long, ms. */
const ADDRESS_RESTS = 250;

/** Where the browser keeps whether single keys act. */
const KEYS_KEPT = 'stripchart.keys';

/** How often the page looks whether its state changed though nothing came, ms. */
const PULSE = 1_000;

/** A chart with a value beyond a limit. */
export interface Alarm {
  readonly level: Level;
  /** The chart's title, and its value where it has one line. */
  readonly text: string;
}

/** The page's state: what was chosen, what is shown, and how the connection stands. */
export class Page {
  readonly clock = new ServerClock(() => performance.now());
  readonly loop = new Loop(() => this.clock.now());
  readonly client: LiveClient;
  readonly presence = new Presence();
  readonly theme: ThemeChoice;
  readonly wall: Wall;
  /** Seconds that every chart shows while the page is live. */
  readonly window = signal(DEFAULT_WINDOW);
  readonly time = new Timeline(
    this.window,
    () => this.clock.now(),
    step => this.#timeChanged(step),
  );
  /** The host that was chosen, null for all. */
  readonly host = signal<string | null>(null);
  /** The hosts that were seen, in the order of their appearance: a chart of one host stays with the first. */
  readonly hosts = signal<readonly string[]>([]);
  /** Those of them that have fallen silent while others go on. */
  readonly silent = signal<ReadonlySet<string>>(new Set());
  /** Time under the pointer on any chart, Unix ms; null when it is on none. */
  readonly hover = signal<number | null>(null);
  /** The series that the page has asked for, see `askWhole`. */
  readonly series = signal<readonly Labels[]>([]);
  /** Whether these are all that there are, as far as the server lists them; null while not all were asked for. */
  readonly whole = signal<boolean | null>(null);
  /** Whether it is a part of another page: charts, and no controls. */
  readonly embedded = /\/embed$/.test(location.pathname);
  readonly pin = new Pin();
  readonly board: Board;
  readonly overview: Overview;
  /** What the command bar asks, null while it is closed. */
  readonly question = signal<Question | null>(null);
  /** What of the link could not be followed. */
  readonly faults: readonly string[];
  /** The first value of the page, for its tab. */
  readonly reading = signal('');
  /** The first chart of those whose values are the furthest beyond a limit. */
  readonly alarm = signal<Alarm | null>(null);
  readonly keysOn = signal(kept(KEYS_KEPT) !== 'off');
  /** Whether the keys are being told. */
  readonly help = signal(false);
  /** Whether every legend tells least, mean and greatest values; a wide one does so by itself. */
  readonly numbers = signal(false);
  /** What could not be done, empty for nothing. */
  readonly notice = signal('');
  readonly condition = signal<Condition>({ kind: 'connecting', title: texts.CONNECTING, detail: '' });
  /** What was last said to those who cannot see it: of a gap, or of what keys read on a chart; empty for nothing. */
  readonly said = signal('');
  /** The chart whose table is shown, null for none. */
  readonly table = signal<View | null>(null);
  readonly cursor = new Cursor(this);
  /** Version of the server, empty until it said so. */
  readonly build = signal('');
  /** Whether the server was replaced by another version since this page was loaded. */
  readonly updated = signal(false);
  readonly malformed = signal<Malformed>({ count: 0, last: '' });
  #windowChosen: boolean;
  readonly #connection = signal<Connection>({ kind: 'connecting' });
  #lostSince: number | null = Date.now();
  /** Whether all series are asked for, and not only those that the page itself needs. */
  readonly #whole = signal(false);
  readonly #views = new Map<Subscription, View>();
  #toldGap: DeclaredGap | null = null;
  #writing: ReturnType<typeof setTimeout> | undefined;
  #alarm: ReturnType<typeof setTimeout> | undefined;

  constructor(transport: Transport) {
    const address = readAddress(location.search);
    this.faults = address.faults;
    this.#windowChosen = address.window !== null;
    this.window.value = address.window ?? DEFAULT_WINDOW;
    this.host.value = address.host;
    this.time.fixed.value = address.fixed;
    this.theme = new ThemeChoice(address.theme);
    this.wall = new Wall(address.wall);
    document.documentElement.toggleAttribute('data-embed', this.embedded);
    const situation = computed(() => ({
      host: this.host.value,
      hosts: this.hosts.value,
      series: this.series.value,
    }));
    this.board = new Board(address.layout, situation, () => this.#writeAddress());
    this.client = new LiveClient(transport, this.clock, {
      connection: connection => {
        this.#connection.value = connection;
        const away = connection.kind === 'lost' || connection.kind === 'restarting';
        this.#lostSince = away ? (this.#lostSince ?? this.#time()) : null;
        this.#judge(false);
      },
      hello: hello => {
        this.updated.value ||= this.build.value !== '' && this.build.value !== hello.build;
        this.build.value = hello.build;
        if (!this.#windowChosen) this.window.value = hello.window;
      },
      changed: subscription => {
        this.#views.get(subscription)?.changed();
        if (subscription === this.overview.subscription) this.overview.changed();
        this.#learnHosts(subscription.room.lines.map(line => line.labels));
        this.#judge(false);
      },
      catalogue: (series, whole, queries) => {
        batch(() => {
          this.#learnHosts(series);
          this.series.value = series;
          this.whole.value = queries.length === 0 ? whole : null;
          // There may be more hosts than those that are measured.
          if (this.host.value !== null && !this.hosts.value.includes(this.host.value)) this.askWhole();
        });
      },
      malformed: malformed => {
        this.malformed.value = malformed;
      },
    });
    this.overview = new Overview(this);
    // A string, so that it is asked again only where it is another question.
    const wanted = computed(() =>
      JSON.stringify(this.#whole.value ? [] : wantedSeries(this.board.cards.value)),
    );
    effect(() => this.client.watch(JSON.parse(wanted.value)));
    effect(() => {
      void this.hover.value;
      void this.pin.held.value;
      for (const view of this.views()) view.pointed();
    });
    effect(() => {
      void this.time.fixed.value;
      void this.numbers.value;
      for (const view of this.views()) view.moved();
    });
    effect(() => {
      void this.time.selecting.value;
      for (const view of this.views()) view.selecting();
    });
    effect(() => {
      const { kind } = this.condition.value;
      document.documentElement.dataset.condition = kind;
    });
    effect(() => {
      void this.theme.shade.value;
      for (const view of this.views()) view.repaint();
    });
  }

  /** Connects, and keeps the page's state up to date from then on. */
  open(): void {
    this.client.open();
    addEventListener('popstate', () => this.#stepped());
    setInterval(() => {
      this.#judge(true);
      this.pin.leave(this.time.at(this.clock.now()).from);
      for (const view of this.views()) view.pulse();
      this.overview.changed();
      this.reading.value = this.#firstReading();
      const alarm = this.#gravest();
      if (alarm?.text !== this.alarm.value?.text) this.alarm.value = alarm;
    }, PULSE);
  }

  /** The value of the large chart, where it has one line. */
  #firstReading(): string {
    for (const { panel, single } of this.views())
      if (panel.hero && single.value && !single.value.silent.value) return single.value.value.value;
    return '';
  }

  #gravest(): Alarm | null {
    let found = null as Alarm | null;
    for (const { panel, pens, single } of this.views()) {
      const level = pens.levelOf(panel.limits);
      if (level === 'ok' || found?.level === 'bad' || found?.level === level) continue;
      found = { level, text: [panel.title, single.value?.value.value].filter(Boolean).join(' ') };
    }
    return found;
  }

  /** The charts that are on the page. */
  views(): Iterable<View> {
    return this.#views.values();
  }

  attach(view: View): void {
    this.#views.set(view.subscription, view);
  }

  detach(view: View): void {
    this.#views.delete(view.subscription);
  }

  /** A chart's newest gap: it is announced once, though every chart may have it. */
  tellGap(gap: DeclaredGap | undefined): void {
    if (!gap || (this.#toldGap && gap.from < this.#toldGap.to)) return;
    this.#toldGap = gap;
    this.say(gapText(gap));
  }

  say(words: string): void {
    this.said.value = words;
  }

  /** Moves the cursor of all charts to a time, or away. */
  point(time: number | null): void {
    this.hover.value = time;
    for (const view of this.views()) view.point(time);
  }

  /** Shows the window that ends now. */
  chooseWindow(seconds: number): void {
    this.#windowChosen = true;
    this.window.value = seconds;
    this.time.fixed.value = null;
    this.#writeAddress();
  }

  chooseHost(host: string | null): void {
    this.host.value = host;
    this.#writeAddress();
  }

  /** Puts the page on a wall, over the whole screen where the browser lets it; or takes it down. */
  hang(on: boolean): void {
    this.wall.turns.value = on ? WALL_TURNS : null;
    this.#writeAddress();
    if (on) document.documentElement.requestFullscreen?.().catch(() => {});
    else if (document.fullscreenElement) void document.exitFullscreen();
  }

  /** Has the page know every series that there is: to search them, or to tell that one is not there. */
  askWhole(): void {
    this.#whole.value = true;
  }

  ask(question: Question | null): void {
    if (question) this.askWhole();
    this.question.value = question;
  }

  /** Whether single keys act, which a reader who speaks to the browser may not want. */
  allowKeys(on: boolean): void {
    this.keysOn.value = on;
    keep(KEYS_KEPT, on ? '' : 'off');
  }

  toggleNumbers(): void {
    this.numbers.value = !this.numbers.value;
  }

  addChart(query: string): void {
    if (!this.board.add(query)) this.notice.value = texts.pageIsFull(MAX_CARDS);
  }

  /** Brings a chart into sight. */
  reveal(id: string): void {
    const panel = document.getElementById(id)?.closest('section');
    panel?.scrollIntoView({ block: 'nearest' });
    panel?.querySelector('summary')?.focus();
  }

  /** The address of a page with this chart alone, and of the same time. */
  linkOf(panel: Panel): string {
    const { card, metric, unit, limits } = panel;
    const form = card?.form ?? null;
    const query = card?.query ?? metric ?? panel.query;
    const only = { id: panel.id, query, title: card?.title ?? null, unit, limits, form, by: null };
    const search = writeAddress(
      location.search,
      { ...this.#choices(), wall: null, layout: { cards: [only], hidden: [] } },
      STANDARD,
    );
    return new URL(search, location.href).href;
  }

  #writeAddress(): void {
    clearTimeout(this.#writing);
    history.replaceState(null, '', this.#address());
  }

  #address(): string {
    return writeAddress(location.search, this.#choices(), STANDARD) + location.hash;
  }

  #choices(): Choices {
    return {
      window: this.#windowChosen ? this.window.value : null,
      fixed: this.time.fixed.value,
      host: this.host.value,
      wall: this.wall.turns.value,
      layout: this.board.layout,
    };
  }

  /** A selection is a step that the browser's Back takes back. Browsers allow few changes of the link a second. */
  #timeChanged(step: boolean): void {
    clearTimeout(this.#writing);
    if (step) history.pushState(null, '', this.#address());
    else this.#writing = setTimeout(() => this.#writeAddress(), ADDRESS_RESTS);
  }

  /** The reader went back, or forth again. */
  #stepped(): void {
    const { window, fixed } = readAddress(location.search);
    batch(() => {
      if (window !== null) this.window.value = window;
      this.time.fixed.value = fixed;
    });
  }

  #learnHosts(series: readonly Labels[]): void {
    const known = new Set(this.hosts.value);
    for (const { host } of series) if (host) known.add(host);
    const before = this.hosts.value;
    if (known.size > before.length)
      this.hosts.value = [...before, ...[...known].slice(before.length).sort(byKey)];
  }

  /** Judges the page's state. Ages in it are written at the pulse only: each writing costs a frame. */
  #judge(ages: boolean): void {
    let joined = false;
    let newest = Number.NEGATIVE_INFINITY;
    let interval = 0;
    let notStored = false;
    let loading = false;
    let patience = Number.POSITIVE_INFINITY;
    let refused = this.#views.size > 0;
    for (const { room, problem } of this.#views.keys()) {
      joined ||= room.joined;
      refused &&= problem !== null;
      // Its newest sample is on its way, so its age tells nothing.
      loading ||= room.loading;
      if (room.loading) continue;
      notStored ||= room.state === 'not_stored';
      if (room.newest > newest) {
        newest = room.newest;
        interval = room.interval;
        patience = room.patience;
      }
    }
    // Where every history is under way, the page stands as it stood.
    if (loading && !Number.isFinite(newest) && this.#connection.value.kind === 'open') return;
    const now = this.#time();
    if (ages) this.#listenToHosts(now);
    const next = condition({
      connection: this.#connection.value,
      lostSince: this.#lostSince,
      joined,
      refused,
      hosts: this.hosts.value.length,
      silent: this.silent.value.size,
      newest,
      interval,
      patience,
      notStored,
      now,
    });
    const last = this.condition.value;
    if (next.kind === 'live' || next.kind === 'not-recorded') this.#wakeAfter(newest + patience - now);
    if (next.title !== last.title || (ages && next.detail !== last.detail)) this.condition.value = next;
  }

  /** The server's time; this browser's while no server has said what it is. */
  #time(): number {
    return this.clock.isSet ? this.clock.now() : Date.now();
  }

  #listenToHosts(now: number): void {
    const open = this.#connection.value.kind === 'open';
    const present = [...this.views()].filter(view => open && view.present);
    const lines = present.flatMap(({ subscription: { room } }) => (room.loading ? [] : room.lines));
    const silent = silentHosts(this.silent.value, lines, now);
    if ([...silent].join('\n') !== [...this.silent.value].join('\n')) this.silent.value = silent;
  }

  /** Judges again in `ms`, when the page may have become stale: the pulse could be a second late. */
  #wakeAfter(ms: number): void {
    if (!Number.isFinite(ms)) return;
    this.#alarm ??= setTimeout(() => {
      this.#alarm = undefined;
      this.#judge(true);
      for (const view of this.views()) view.changed();
    }, ms + 1);
  }
}
