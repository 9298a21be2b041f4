import type uPlot from 'uplot';
import { GRAVE, type Limits } from '../model/limits.ts';
import type { Look } from './look.ts';

/** How much of a limit's colour is on the paper beyond it. */
const BAND = 0.07;

/** Draws a line at each limit, and a band over what lies beyond it. `placeOf` tells where a value lies, from 0 to 1. */
export function drawLimits(
  { ctx, bbox, valToPos }: uPlot,
  limits: Limits,
  placeOf: (value: number) => number,
  look: Look,
): void {
  const inside = (y: number): number => Math.min(Math.max(y, bbox.top), bbox.top + bbox.height);
  ctx.save();
  for (const level of GRAVE) {
    const limit = limits[level];
    if (!limit) continue;
    const y = Math.round(valToPos(placeOf(limit.value), 'y', true));
    const edge = limit.below ? bbox.top + bbox.height : bbox.top;
    ctx.fillStyle = look[level];
    ctx.globalAlpha = BAND;
    ctx.fillRect(bbox.left, Math.min(inside(y), edge), bbox.width, Math.abs(edge - inside(y)));
    if (y !== inside(y)) continue;
    ctx.globalAlpha = 1;
    ctx.strokeStyle = look[level];
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([6 * devicePixelRatio, 4 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y + 0.5);
    ctx.lineTo(bbox.left + bbox.width, y + 0.5);
    ctx.stroke();
  }
  ctx.restore();
}
