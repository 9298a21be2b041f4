import type uPlot from 'uplot';
import { formatTime } from '../model/format.ts';
import * as texts from '../texts.ts';
import type { Look } from './look.ts';

/** A stretch of time, Unix ms. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** The colours of a hatched stretch: the paper's, and the lines'. */
export interface Hatching {
  readonly paper: string;
  readonly lines: string;
}

/** Distance of the hatch's lines in CSS pixels. */
const PITCH = 7;

/**
 * Hatches stretches of time: empty paper would look as if the value were not there to see. One that is narrower than
 * `least` CSS pixels is left out, or made that wide where `widen` is set.
 */
export function hatch(
  plot: uPlot,
  stretches: readonly Stretch[],
  colours: Hatching,
  least: number,
  widen = false,
): void {
  const { ctx, bbox } = plot;
  for (const stretch of stretches) {
    let left = Math.max(bbox.left, plot.valToPos(stretch.from, 'x', true));
    let right = Math.min(bbox.left + bbox.width, plot.valToPos(stretch.to, 'x', true));
    if (right < left) continue;
    const lacking = least * devicePixelRatio - (right - left);
    if (lacking > 0) {
      if (!widen) continue;
      left -= lacking / 2;
      right += lacking / 2;
    }
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.fillStyle = colours.paper;
    ctx.fill();
    ctx.beginPath();
    const pitch = PITCH * devicePixelRatio;
    // The lines stand on the paper, not on the screen: they move with the stretch.
    for (let x = left - bbox.height; x < right; x += pitch) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.strokeStyle = colours.lines;
    ctx.lineWidth = devicePixelRatio;
    ctx.stroke();
    ctx.restore();
  }
}

/** Tints stretches of time of which nothing is known yet. */
export function wash(plot: uPlot, stretches: readonly Stretch[], colour: string): void {
  const { ctx, bbox } = plot;
  ctx.fillStyle = colour;
  for (const stretch of stretches) {
    const left = Math.max(bbox.left, plot.valToPos(stretch.from, 'x', true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(stretch.to, 'x', true));
    if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
  }
}

/** Says when recording began on the paper before, where there is room: tinted paper alone would look like a fault. */
export function tellBeginning(plot: uPlot, began: number, look: Look, font: string): void {
  const { ctx, bbox } = plot;
  const right = Math.min(bbox.left + bbox.width, plot.valToPos(began, 'x', true));
  const text = texts.recordingBegan(formatTime(began));
  ctx.save();
  ctx.font = font;
  const { width } = ctx.measureText(text);
  if (width < 0.9 * (right - bbox.left)) {
    const [x, y] = [(bbox.left + right) / 2, bbox.top + bbox.height / 2];
    const high = 20 * devicePixelRatio;
    ctx.fillStyle = look.paper;
    ctx.fillRect(x - 0.54 * width, y - high / 2, 1.08 * width, high);
    ctx.fillStyle = look.muted;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    ctx.fillText(text, x, y);
  }
  ctx.restore();
}
