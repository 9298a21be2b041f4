import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './ui/theme.css';
import './ui/page.css';
import './ui/charts.css';
import './ui/panel.css';
import './ui/commands.css';
import { SocketTransport } from './live/socket.ts';
import { exposeDebug } from './page/debug.ts';
import { listenToKeys } from './page/keys.ts';
import { Page } from './page/page.ts';
import { App } from './ui/App.tsx';

const page = new Page(new SocketTransport(document.baseURI));
exposeDebug(page);
listenToKeys(page);
render(<App page={page} />, document.getElementById('app')!);
page.open();
