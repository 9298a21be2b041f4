import type uPlot from 'uplot';
import type { Hole } from '../model/drawing.ts';
import type { Look } from './look.ts';

/** Distance of the hatch's lines in CSS pixels. */
const PITCH = 7;

/** Hatches the times in which nothing was measured: empty paper would look as if the value were not there to see. */
export function hatch(plot: uPlot, holes: readonly Hole[], look: Look): void {
  const { ctx, bbox } = plot;
  for (const hole of holes) {
    const left = Math.max(bbox.left, plot.valToPos(hole.from, 'x', true));
    const right = Math.min(bbox.left + bbox.width, plot.valToPos(hole.to, 'x', true));
    if (right - left < 1) continue;
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, bbox.top, right - left, bbox.height);
    ctx.clip();
    ctx.fillStyle = look.hole;
    ctx.fill();
    ctx.beginPath();
    const pitch = PITCH * devicePixelRatio;
    // The lines stand on the paper, not on the screen: they move with the hole.
    for (let x = left - bbox.height; x < right; x += pitch) {
      ctx.moveTo(x, bbox.top + bbox.height);
      ctx.lineTo(x + bbox.height, bbox.top);
    }
    ctx.strokeStyle = look.hatch;
    ctx.lineWidth = devicePixelRatio;
    ctx.stroke();
    ctx.restore();
  }
}
