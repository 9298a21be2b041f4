import * as Plotly from 'plotly.js-basic-dist-min';
import { io, type Socket } from 'socket.io-client';
import { signInByLink, signInIfAsked } from '../signin.ts';
import { pollWhereNothingAnswers, webSocketFirst } from '../ways.ts';
import './plotly.css';
import { readAsked } from './asked.ts';
import { Inbox } from './inbox.ts';
import { Lines, type Message } from './live.ts';
import { isSamples, joined, type Samples, windowEndingAt, withBreaks } from './samples.ts';
import * as texts from './texts.ts';

/**
 * The recipe that this product grew from, as short as it can be: one series over the last `x_window` seconds, drawn by
 * Plotly from Socket.IO's namespace `/`: first `bootstrap` with the history, then `update` with what is new. A link that
 * asks for another query or window is answered from namespace `/live`.
 */
const serverWindow = Number(document.querySelector<HTMLMetaElement>('meta[name=x_window]')?.content) || 100;
const asked = readAsked(location.search, serverWindow);

/** Points that are kept: a server of the fastest interval, 50 ms, measures twenty a second. */
const mostPoints = Math.ceil(20 * asked.window);

const chart = document.getElementById('chart')!;
const system = matchMedia('(prefers-color-scheme: dark)');

interface Line {
  readonly name?: string;
  readonly x: readonly (string | number)[];
  readonly y: readonly (number | null)[];
}

let shown: readonly Line[] = [];
let range: readonly number[] | null = null;

/** Plotly draws everything anew; it rests for this many times as long, so that the page stays at hand on any machine. */
const REST = 2;

/** Draws lines in place of what is shown. What comes meanwhile waits. */
async function draw(lines: readonly Line[], ends: readonly number[] | null): Promise<void> {
  const begun = performance.now();
  shown = lines;
  range = ends;
  const dark = asked.dark ?? system.matches;
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
  const grid = dark ? '#2a3238' : '#e8ebe7';
  const axis = { gridcolor: grid, zerolinecolor: grid };
  const traces = lines.map(({ name, x, y }) => ({
    type: 'scatter',
    mode: 'lines',
    line: { width: 1.5, ...(lines.length === 1 ? { color: dark ? '#56b4e9' : '#0063a0' } : {}) },
    ...(name === undefined ? {} : { name }),
    x: [...x],
    y: [...y],
  }));
  const layout = {
    margin: { t: 16, r: 24 },
    paper_bgcolor: 'transparent',
    plot_bgcolor: 'transparent',
    font: { color: dark ? '#e4e7eb' : '#1b2329' },
    showlegend: lines.length > 1,
    xaxis: { ...axis, type: 'date', ...(range ? { range: [...range] } : {}) },
    yaxis: { ...axis, rangemode: 'tozero', title: { text: asked.unit } },
  };
  // Without `showSendToCloud` Plotly offers to upload the chart to its makers; data stays on this server.
  await Plotly.react(chart, traces, layout, {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false,
  });
  await new Promise(resolve => setTimeout(resolve, REST * (performance.now() - begun)));
}

system.addEventListener('change', () => void draw(shown, range));

/** Says above the chart what it shows, and whether it is live. */
function tell(socket: Socket): void {
  const state = document.getElementById('state')!;
  document.getElementById('title')!.textContent = asked.title || texts.NAME;
  document.title = [asked.title, texts.NAME].filter(Boolean).join(' · ');
  const say = (words: string, live: boolean): void => {
    if (state.textContent !== words) state.textContent = words;
    state.dataset.live = `${live}`;
  };
  say(texts.CONNECTING, false);
  let away = false;
  socket.on('connect', () => {
    away = false;
    say(texts.LIVE, true);
  });
  const lost = (): void => {
    if (!away) say(texts.lost(new Date().toTimeString().slice(0, 8)), false);
    away = true;
  };
  socket.on('disconnect', lost);
  socket.on('connect_error', lost);
}

function connect(namespace: string): Socket {
  const { origin, pathname } = new URL('socket.io/', document.baseURI);
  const socket = io(origin + namespace, { path: pathname, ...webSocketFirst, autoConnect: false });
  pollWhereNothingAnswers(socket.io);
  tell(socket);
  socket.on('connect_error', error => signInIfAsked(error));
  void signInByLink().then(() => socket.connect());
  return socket;
}

/** The series of namespace `/`. */
function showDefault(): void {
  const socket = connect('/');
  let kept: Samples = { x: [], y: [] };
  let gaps: { from: string; to: string }[] = [];
  const redraw = (): Promise<void> => {
    const newest = kept.x.at(-1);
    const ends = newest === undefined ? null : windowEndingAt(newest, asked.window);
    return draw([withBreaks(kept, gaps)], ends);
  };
  const inbox = new Inbox(
    mostPoints,
    history => {
      kept = history;
      return redraw();
    },
    more => {
      kept = joined(kept, more, mostPoints);
      return redraw();
    },
  );
  inbox.replace(kept);
  socket.on('bootstrap', (message: unknown) => {
    if (!isSamples(message)) return;
    gaps = [];
    inbox.replace(message);
  });
  socket.on('update', (message: unknown) => {
    if (isSamples(message)) inbox.append(message);
  });
  socket.on('gap', (message: { from: string; to: string }) => {
    gaps = [...gaps, message].slice(-64);
  });
}

/** A query over a window, from namespace `/live`. */
function showQuery(query: string): void {
  const socket = connect('/live');
  const lines = new Lines();
  let drawing = false;
  let dirty = true;
  let now = Date.now();
  const work = async (): Promise<void> => {
    if (drawing) return;
    drawing = true;
    while (dirty) {
      dirty = false;
      // The clock on the wall at the end of the window: no hour is there twice where clocks are put back.
      const wall = -60_000 * new Date(now).getTimezoneOffset();
      const from = now - 1000 * asked.window;
      const traces = lines.traces(from).map(({ name, x, y }) => ({ name, x: x.map(t => t + wall), y }));
      await draw(traces, [from + wall, now + wall]);
    }
    drawing = false;
  };
  const take = (change: () => void) => (): void => {
    change();
    dirty = true;
    void work();
  };
  const on = (name: string, change: (message: Message) => void): void => {
    socket.on(name, (message: Message & { readonly now: number }) => {
      now = message.now;
      take(() => change(message))();
    });
  };
  on('bootstrap', message => lines.bootstrap(message));
  on('update', message => lines.update(message));
  socket.on('hello', () => {
    const request = { query, window: asked.window, points: 2_400 };
    socket.emit('subscribe', request, (answer: { ok: boolean; error?: { message: string } }) => {
      if (!answer.ok) document.getElementById('state')!.textContent = answer.error?.message ?? '';
    });
  });
  void work();
}

if (asked.query === null) showDefault();
else showQuery(asked.query);
