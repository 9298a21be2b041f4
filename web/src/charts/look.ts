import { PALETTE } from '../model/colour.ts';
import type { Hatching } from './hatch.ts';

/** Colours of a theme, as a canvas needs them; those of the page are in ui/theme.css. */
export interface Look {
  readonly palette: readonly string[];
  /** The palette, thinned for the area under a single line. */
  readonly wash: readonly string[];
  /** And for areas that are stacked upon each other. */
  readonly area: readonly string[];
  /** The ground that charts are drawn on. */
  readonly paper: string;
  readonly muted: string;
  readonly grid: string;
  /** The limits of a chart, and what lies beyond them. */
  readonly warn: string;
  readonly bad: string;
  /** Time of which nothing is known yet. */
  readonly unknown: string;
  /** Time in which nothing was measured. */
  readonly hole: Hatching;
  /** Time in which samples are known to be missing: in the colour of warnings. */
  readonly gap: Hatching;
}

export type Shade = 'light' | 'dark';

export const LOOKS: Readonly<Record<Shade, Look>> = {
  light: {
    palette: PALETTE.light,
    wash: PALETTE.light.map(colour => `${colour}14`),
    area: PALETTE.light.map(colour => `${colour}4d`),
    paper: '#ffffff',
    muted: '#5a6670',
    grid: '#e8ebe7',
    warn: '#9a6200',
    bad: '#b3261e',
    unknown: '#1f29330a',
    hole: { paper: '#f4f4ef', lines: '#d5d6cd' },
    gap: { paper: '#fdf4e3', lines: '#e0b25c' },
  },
  dark: {
    palette: PALETTE.dark,
    wash: PALETTE.dark.map(colour => `${colour}1f`),
    area: PALETTE.dark.map(colour => `${colour}5c`),
    paper: '#14191d',
    muted: '#93a0aa',
    grid: '#242c32',
    warn: '#e69f00',
    bad: '#ff7b6b',
    unknown: '#e4e7eb0d',
    hole: { paper: '#1a2025', lines: '#39434b' },
    gap: { paper: '#261f12', lines: '#80601c' },
  },
};
