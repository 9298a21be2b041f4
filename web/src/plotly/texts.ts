/** The words of the page of Plotly, which stands on its own. */
export const NAME = 'Stripchart';
export const CONNECTING = 'connecting…';
export const LIVE = 'live';
export const lost = (time: string) => `no server since ${time}, tried again every few seconds`;
