import { PALETTE } from '../model/colour.ts';

/** Colours of a theme, as a canvas needs them; those of the page are in ui/theme.css. */
export interface Look {
  readonly palette: readonly string[];
  /** The palette, thinned for the area under a single line. */
  readonly wash: readonly string[];
  readonly muted: string;
  readonly grid: string;
  readonly hole: string;
  readonly hatch: string;
}

export type Shade = 'light' | 'dark';

export const LOOKS: Readonly<Record<Shade, Look>> = {
  light: {
    palette: PALETTE.light,
    wash: PALETTE.light.map(colour => `${colour}14`),
    muted: '#5a6670',
    grid: '#e8ebe7',
    hole: '#f4f4ef',
    hatch: '#d5d6cd',
  },
  dark: {
    palette: PALETTE.dark,
    wash: PALETTE.dark.map(colour => `${colour}1f`),
    muted: '#93a0aa',
    grid: '#242c32',
    hole: '#1a2025',
    hatch: '#39434b',
  },
};
