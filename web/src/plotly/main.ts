import * as Plotly from 'plotly.js-basic-dist-min';
import { io } from 'socket.io-client';
import { signInByLink, signInIfAsked } from '../signin.ts';
import { pollWhereNothingAnswers, webSocketFirst } from '../ways.ts';
import './plotly.css';
import { Inbox } from './inbox.ts';
import { isSamples, type Samples, windowEndingAt } from './samples.ts';

/**
 * One series over the last `x_window` seconds, drawn by Plotly from Socket.IO's namespace `/`: first `bootstrap`
 * with the history, then `update` with what is new. The recipe that this product grew from, as short as it can be.
 */
const xWindow = Number(document.querySelector<HTMLMetaElement>('meta[name=x_window]')?.content) || 100;

/** Points that are kept: a server of the fastest interval, 50 ms, measures twenty a second. */
const mostPoints = Math.ceil(20 * xWindow);

const chart = document.getElementById('chart')!;

/** Draws a history in place of what is shown. */
function draw({ x, y }: Samples): Promise<void> {
  const trace = { type: 'scatter', mode: 'lines', line: { width: 1.5 }, x: [...x], y: [...y] };
  const layout = {
    margin: { t: 24, r: 24 },
    xaxis: { type: 'date', ...rangeEndingWith(x) },
    yaxis: { rangemode: 'tozero' },
  };
  // Without `showSendToCloud` Plotly offers to upload the chart to its makers; data stays on this server.
  return Plotly.react(chart, [trace], layout, {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false,
  });
}

/** Appends what is new, and moves the window on. */
async function extend({ x, y }: Samples): Promise<void> {
  await Plotly.extendTraces(chart, { x: [[...x]], y: [[...y]] }, [0], mostPoints);
  await Plotly.relayout(chart, { xaxis: { type: 'date', ...rangeEndingWith(x) } });
}

function rangeEndingWith(x: readonly string[]): { range?: [number, number] } {
  const newest = x[x.length - 1];
  return newest === undefined ? {} : { range: windowEndingAt(newest, xWindow) };
}

const { origin, pathname } = new URL('socket.io/', document.baseURI);
const socket = io(origin, { path: pathname, ...webSocketFirst, autoConnect: false });
pollWhereNothingAnswers(socket.io);
const inbox = new Inbox(mostPoints, draw, extend);
inbox.replace({ x: [], y: [] });
socket.on('connect_error', error => signInIfAsked(error));
socket.on('bootstrap', (message: unknown) => {
  if (isSamples(message)) inbox.replace(message);
});
socket.on('update', (message: unknown) => {
  if (isSamples(message)) inbox.append(message);
});
void signInByLink().then(() => socket.connect());
