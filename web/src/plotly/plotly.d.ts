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
  /** Appends to the given traces and keeps the last `most` points of each. */
  export function extendTraces(
    root: HTMLElement,
    values: Figures,
    traces: number[],
    most: number,
  ): Promise<void>;
  export function relayout(root: HTMLElement, changes: Figures): Promise<void>;
}
