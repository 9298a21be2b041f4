// What this page uses of Plotly; the package has no types.
declare module 'plotly.js-basic-dist-min' {
  type Figures = Record<string, unknown>;
  /** Draws `traces` into `root`, in place of what it shows. */
  export function react(
    root: HTMLElement,
    traces: Figures[],
    layout: Figures,
    config: Figures,
  ): Promise<void>;
}
