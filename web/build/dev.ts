import type { Plugin } from 'vite';

/** In development: serves /plotly as the Go server does, from plotly.html with the window filled in. */
export function plotlyRoute(): Plugin {
  return {
    name: 'stripchart:plotly-route',
    apply: 'serve',
    configureServer(server) {
      server.middlewares.use((request, _response, next) => {
        if (request.url?.split('?')[0] === '/plotly') request.url = '/plotly.html';
        next();
      });
    },
    transformIndexHtml: html => html.replace('__X_WINDOW__', '100'),
  };
}
