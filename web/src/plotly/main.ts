import * as Plotly from 'plotly.js-basic-dist-min';
import { io } from 'socket.io-client';
import './plotly.css';
import { isSamples, type Samples, windowEndingAt } from './samples.ts';

/**
 * One series over the last `x_window` seconds, drawn by Plotly from Socket.IO's namespace `/`: first `bootstrap`
 * with the history, then `update` with what is new. The recipe that this product grew from, as short as it can be.
 */
const xWindow = Number(document.querySelector<HTMLMetaElement>('meta[name=x_window]')?.content) || 100;

/** Points that are kept: a server sends twenty updates a second at most, with one sample each when it is that fast. */
const mostPoints = Math.ceil(20 * xWindow);

const chart = document.getElementById('chart')!;

function draw({ x, y }: Samples): Promise<void> {
  const trace = { type: 'scatter', mode: 'lines', line: { width: 1.5 }, x: [...x], y: [...y] };
  const layout = {
    margin: { t: 24, r: 24 },
    xaxis: { type: 'date', ...rangeOf(x) },
    yaxis: { rangemode: 'tozero' },
  };
  return Plotly.react(chart, [trace], layout, { responsive: true, displaylogo: false });
}

async function extend({ x, y }: Samples): Promise<void> {
  await Plotly.extendTraces(chart, { x: [[...x]], y: [[...y]] }, [0], mostPoints);
  await Plotly.relayout(chart, { xaxis: { type: 'date', ...rangeOf(x) } });
}

function rangeOf(x: readonly string[]): { range?: [number, number] } {
  const newest = x[x.length - 1];
  return newest === undefined ? {} : { range: windowEndingAt(newest, xWindow) };
}

const { origin, pathname } = new URL('socket.io/', document.baseURI);
const socket = io(origin, { path: pathname, transports: ['websocket'] });

// Plotly draws asynchronously: each message waits for the one before it, or they would overtake each other.
let drawn = draw({ x: [], y: [] });
socket.on('bootstrap', (message: unknown) => {
  if (isSamples(message)) drawn = drawn.then(() => draw(message));
});
socket.on('update', (message: unknown) => {
  if (isSamples(message) && message.x.length > 0) drawn = drawn.then(() => extend(message));
});
