/**
 * Every word that the page says to its reader, by idea. Whoever changes a word or makes the page speak another language
 * changes this file only.
 */

// The state of the page, and of a chart

export const CONNECTING = 'connecting…';
export const RECONNECTING = 'reconnecting…';
export const REFUSED = 'refused';
export const OUTDATED = 'page is outdated';
export const RELOAD = 'reload it to get the one of this server';
export const RESTARTING = 'server is restarting';
export const NO_SERVER = 'no server';
export const NOTHING_TO_SHOW = 'nothing to show';
export const ALL_REFUSED = 'the server refused every chart of this page';
export const WAITING = 'waiting for the first sample';
export const STALE = 'stale';
export const LIVE = 'live';
export const NOT_RECORDED = 'live, not recorded';
export const DISK_FULL = 'the server’s disk is full';
export const SHOWN_ONLY = 'shown, not recorded: the server’s disk is full';
export const CANNOT_BE_DRAWN = 'this chart cannot be drawn; reload the page to try again';
export const READING = 'reading…';
export const PAUSED = 'paused';
export const since = (time: string) => `since ${time}`;
export const staleSince = (time: string) => `stale since ${time}`;
export const lastSample = (time: string) => `last sample ${time}`;
export const newestSample = (age: string) => `newest sample ${age} ago`;
export const away = (time: string) => `since ${time} · tried again every few seconds`;
export const silentHosts = (silent: number, hosts: number) =>
  `${silent} of ${hosts} ${hosts === 1 ? 'host' : 'hosts'} silent`;
export const recordingBegan = (time: string) => `recording began ${time}`;
export const NO_ANSWER = 'the server did not answer';

// Gaps

/** What the reasons of docs/PROTOCOL.md mean to a reader. */
export const GAP_REASONS: Readonly<Record<string, string>> = {
  damaged: 'files of this server’s history were damaged',
  log_trimmed: 'this server was away for longer than the log is kept',
  source_dropped: 'the source lost samples before it could send them',
  log_lost: 'the log lost samples (Redis restarted or failed over)',
  not_stored: 'the server’s disk was full, and this is recorded when there is room',
};
export const gap = (from: string, to: string, why: string) =>
  `samples may be missing from ${from} to ${to}: ${why}`;
export const gaps = (count: number) => (count === 1 ? '1 gap' : `${count} gaps`);
export const gapsIn = (count: string, title: string) => `${count} in ${title}`;

// What stands where there is no sample

export const NO_SAMPLE_HERE = 'no sample in this time';
export const noSample = (window: string) => `no sample in the last ${window}`;
export const noSampleSince = (window: string, age: string, value: string) =>
  `no sample in the last ${window}; the last one was ${age} ago: ${value}`;
export const noSuchLabels = (name: string) =>
  `no series of ${name} has these labels; the chart begins with the first one`;
export const noSuchSeries = (name: string) =>
  `no such series: ${name}; the chart begins with its first sample`;
export const NEAR = 'near:';
export const show = (window: string) => `Show ${window}`;

// The link

export const noWindow = (text: string) =>
  `“${text}” is no window: a window is 1s to 30d, such as 100s, 15m, 6h or 7d`;
export const NO_STRETCH =
  'from and to are no stretch of time: both are Unix milliseconds, and to is the later one';
export const tooManyCharts = (shown: number, all: number) =>
  `${shown} of the link’s ${all} charts are shown, which is as many as a page has`;
export const pageIsFull = (most: number) => `A page has ${most} charts at most: remove one first.`;
export const failed = (why: string) => `That could not be done: ${why}`;
export const noHost = (host: string) => `There is no host “${host}” among the series that are being written.`;
export const NOTES = 'Notes';
export const SHOW_ALL_HOSTS = 'Show all hosts';
export const moreMetrics = (count: number) => `${count} more metrics have no chart here.`;
export const FIND_ONE = 'Find one';
export const NO_CHART = 'There is no chart on this page.';
export const TO_OWN_CHARTS = 'Back to the page’s own';

// The head and the foot of the page

export const NAME = 'Stripchart';
export const TO_THE_CHARTS = 'To the charts';
export const HOST = 'Host';
export const ALL_HOSTS = 'All hosts';
export const isSilent = (host: string) => `${host} · silent`;
export const CHART = 'chart';
export const ADD = '+ chart';
export const ADD_HELP = 'Add a chart (press / to find anything)';
export const WINDOW = 'Window';
export const MORE = 'More';
export const THEME = 'Theme';
export const THEMES = { auto: 'Auto', light: 'Light', dark: 'Dark' } as const;
export const KEYS = 'Keys';
export const WALL = 'Wall';
export const STATE = 'State';
export const version = (build: string) => `Stripchart ${build}`;
export const UPDATED = 'The server was updated.';
export const RELOAD_PAGE = 'Reload this page';
export const unreadable = (count: number, last: string) =>
  `${count === 1 ? 'One message' : `${count} messages`} of the server could not be read (${last})`;

// Time

export const PAUSE = 'Pause';
export const PAUSE_HELP = 'Pause (space)';
export const BACK = 'Back in time';
export const BACK_HELP = 'Back in time (left arrow)';
export const ON = 'On in time';
export const ON_HELP = 'On in time (right arrow)';
export const TO_LIVE = 'Back to live';
export const TO_LIVE_HELP = 'Back to live (space, l, or a double click)';
export const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

// A chart

export const chartOf = (title: string) => `Chart of ${title}`;
export const change = (title: string) => `Change the chart ${title}`;
export const CHART_HELP = 'Arrows: read samples and lines. Enter: a summary. t: a table. p: hold this time.';
export const sample = (time: string, value: string, name: string) => `${time}: ${value}, ${name}`;
export const summary = (name: string, least: string, most: string, last: string, trend: string) =>
  `${name}: least ${least}, most ${most}, now ${last}, ${trend}.`;
export const TRENDS = { rising: 'rising', falling: 'falling', steady: 'steady' } as const;
export const TABLE = 'Table';
export const TIME = 'Time';
export const tableOf = (title: string) => `Table of ${title}`;
export const newestRows = (shown: number, all: number) =>
  `The newest ${shown} of ${all} rows; the CSV has all of them.`;
export const TITLE = 'Title';
export const WARN_FROM = 'Warn from';
export const BAD_FROM = 'Bad from';
export const LIMIT_FORM = '80, or <10 for below';
export const SET = 'Set';
export const FORM = 'Form';
export const SPLIT = 'A chart for each';
export const TOGETHER = 'all in one';
export const FORMS = {
  lines: 'Lines',
  stack: 'Stacked areas',
  mirror: 'In above, out below zero',
  log: 'Logarithmic',
} as const;
export const MOVE_BACK = 'Move back';
export const MOVE_ON = 'Move on';
export const REMOVE = 'Remove';
export const TO_STANDARD = 'Back to the page’s own charts';
export const FULL_SCREEN = 'Full screen';
export const COPY_LINK = 'Copy link';
export const PNG = 'PNG';
export const SVG = 'SVG';
export const CSV = 'CSV';
export const EMPTY_PICTURE = 'the chart has nothing to show';
export const LARGE_PICTURE = 'the picture is too large';
/** The name of a file that is saved, where the chart's title gives none. */
export const FILE = 'chart';
export const LET_GO = 'Let go (Escape)';
export const LET_GO_OF = ' let go of this time';
export const someLines = (drawn: number, all: number) => `${drawn} of ${all} lines, highest mean first`;
export const SEVERAL_UNITS = 'the values have several units, so the axis has none';
export const RANK_AGAIN = 'Rank again';
export const lineHelp = (title: string) =>
  `${title}\na click shows this line only, Ctrl and a click hides it`;
export const MIN = 'min';
export const MEAN = 'mean';
export const MAX = 'max';

// The overview

export const OVERVIEW = 'Overview';
/** Behind a value of the overview while the charts show another time. */
export const NOW = '· now';
export const MORE_HOSTS = 'There are more hosts than the server tells at once.';
export const readingOf = (title: string, host: string) => `${title} of ${host}`;
export const chartsOf = (host: string) => `Show the charts of ${host}`;
export const SILENT = 'silent';
export const FOR_LONGER = 'for longer';

// The command bar

export const FIND = 'Find';
export const FOUND = 'Found';
export const ADD_A_CHART = 'Add a chart';
export const SERIES = 'Series';
export const ANYTHING = 'Series, hosts, windows, actions';
export const ADD_BY = 'Add a chart: a name, a label, a value';
export const NOTHING_FOUND = 'Nothing is called so.';
export const MORE_SERIES = 'The server has more series than it lists; a selector finds the others.';
export const onThisPage = (what: string) => `${what} · on this page`;
export const addChart = (what: string) => `${what} · add chart`;
export const seriesCount = (count: number) => (count === 1 ? '1 series' : `${count} series`);
export const A_SELECTOR = 'selector';
export const A_SERIES = 'series';
export const A_HOST = 'host';
export const A_WINDOW = 'window';
export const A_VIEW = 'view';
export const A_THEME = 'theme';
export const OF_TIME = 'time · space';
export const ALL_NUMBERS = 'Min, mean and max in all legends';
export const allNumbers = (on: boolean) => `${on ? 'on' : 'off'} · n`;
export const OF_WALL = 'no controls · w';
export const THEME_ACTIONS = {
  auto: 'As the system: light or dark',
  light: 'Light theme',
  dark: 'Dark theme',
} as const;

// Numbers of one's own

export const OWN_NUMBERS = 'Add your own numbers';

// Keys

export const KEY_HELP: readonly (readonly [string, string])[] = [
  ['/', 'find series, hosts, windows and actions'],
  ['space', 'pause, and back to live'],
  ['← →', 'back and on in time'],
  ['+ −', 'a shorter and a longer stretch'],
  ['l', 'back to live'],
  ['n', 'min, mean and max in all legends'],
  ['w', 'a wall: no controls, everything on one screen; Esc: back'],
  ['Esc', 'let go of a time that is held'],
  ['on a chart: ← → ↑ ↓', 'read samples and lines; with Shift ten samples, Home and End the ends'],
  ['on a chart: Enter', 'a summary: least, most, now, trend'],
  ['on a chart: p, t', 'hold the time, a table of what is shown'],
  ['?', 'these keys'],
  ['drag', 'zoom, on all charts; double click: back'],
  ['Shift and drag', 'pull the paper; on a touch screen: one finger'],
  ['click', 'hold a time with all values; again: let go'],
  ['click a legend', 'show one line only; with Ctrl: hide it'],
];
export const KEYS_ON = 'single keys do this';
export const CLOSE = 'Close';

// The charts of the page itself

export const VITALS = {
  cpu: 'CPU',
  cores: 'CPU by core',
  memory: 'Memory',
  load: 'Load',
  disk: 'Disk',
  network: 'Network',
  modes: 'CPU by mode',
  pressure: 'Pressure',
  busy: 'Disk busy',
  filesystems: 'Filesystems',
  temperature: 'Temperature',
} as const;
