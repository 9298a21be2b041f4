// What the witness judges by. Each rule names the sentence of the documents that it comes from; nothing is
// taken from the program. Where a document leaves something open, the rule accepts every reading (`open` below).

/** @type {Record<string, string>} */
export const RULES = {
  // docs/PROTOCOL.md, "Joining": "The promise: after the upsert a page holds every acknowledged sample of its
  // window exactly once and in order, or was told of a gap." A window is [now - window, now] ("Connect", `now`).
  missing: 'an acknowledged sample of the window is not held, and no gap covers it',
  // The same, of a room that matches more series than it sends: the series that are described to the page.
  crowded: 'a sample of the window is not held, of a series that a crowded room sends',
  // "`log_trimmed` (a server was away for longer than the log is kept)": the samples that were acknowledged meanwhile
  // and that the server never read, late ones and those ahead of the clock too.
  trimmed: 'a sample was trimmed from the log while a server was away, and lies outside of the declared gap',
  // HTTP.md, "Request": "a copy is known by series and time: the first value wins"; README: every acknowledged
  // sample reaches a page exactly once.
  value: 'a value that is not the first one acknowledged for its series and time',
  // The same promise: a page holds samples, so nothing that nobody wrote, and (HTTP.md) nothing that was refused:
  // "A sample is accepted when its time lies at most 24 h back and 60 s ahead."
  invented: 'a sample that was never written, or was refused',
  // The promise, "in order"; "Updates may hold times older than the last (late samples)": of a series that is
  // written in order, one request after another, no sample is late.
  order: 'a series that is written in order arrives out of order',
  // "`x` ascends strictly; one array of values per id, as long as `x`".
  block: 'a block that is not as described',
  // "Each is a complete, ascending slice of time, and all have the same `from` and `reason`. Only the first has
  // `series`." / `position`: "Only the last part has it". / "Parts hold at most 128 KiB each, as far as they can be
  // divided: `series`, and the samples of one time, cannot."
  parts: 'parts of a bootstrap that are not as described',
  // "`position`: a place in the log, opaque. All that came up to it has been sent": so no update, which has a later
  // position, comes between two parts; and "Then comes `bootstrap`": none before the first.
  position: 'a position is given before what lies before it was sent',
  // "The acknowledgement precedes the room's first event."
  ack: 'a request was not acknowledged, or the room spoke before the acknowledgement',
  // "descriptors that the viewer may not know yet: learn them before reading the blocks".
  ids: 'an id that was not described, or means two series at once',
  // "`gone` (ids that the room has forgotten: their last sample is older than every viewer's window)".
  gone: 'a series is gone although the window has samples of it',
  // "`points`: most values per series of a bootstrap"; "A series is raw while its samples fit into `points`;
  // otherwise it has points/4 columns at most."
  points: 'more values than asked for, or columns where the samples fit',
  // "column i is [x0 + i·step, x0 + (i+1)·step); four values a column, four `null`s for an empty one. `x0` is a
  // multiple of `step` since the epoch"; first, min, max, last.
  columns: 'a column does not agree with first, min, max and last of the samples',
  // `reason`: "`join`: first bootstrap. `resume`: continues from `since`. `slow`: the page was too slow. `lost`:
  // `since` was given but its place is gone (another epoch, or older than the ring)".
  reason: 'a bootstrap for a reason that there was not',
  // `matched`: "how many series match"; `sent`: "`limits.series` at most, chosen in the order of their labels when
  // the room is opened; later ones take free places".
  matched: 'matched or sent are not as documented',
  // `room`: "hash of the canonical selector, the same on every server. Two spellings of one selector are one room".
  room: 'one selector, two rooms',
  // "### `gap`": its reasons; and HTTP.md: "readers of the log skip a number that they have seen, and declare a gap
  // where one is missing"; "Stripchart-Dropped: how many batches right before those in this one the source has
  // given up".
  gap: 'a gap without a cause, or not as described',
  undeclared: 'a source gave batches up, and no gap says so',
  // "`stale`: the newest sample is older than max(3 s, 3 intervals)"; "Sent after the first bootstrap".
  status: 'a status that is not so',
  // "Every message that carries samples has it" (`now`, the server's clock).
  now: '`now` is missing, or not the clock',
  // "Namespace /": ascending; "one or more samples, all newer than every one before"; form of the times.
  root: 'namespace /: not as described',
  // "### Requests": error codes.
  answer: 'a request is answered otherwise than documented',
  // "`history` reads once ... both ends are included".
  history: 'history does not agree with what was acknowledged',
  // "`catalogue` asks which series there are: ... in the order of their labels"; its events.
  catalogue: 'the catalogue does not agree with what was written',
  // HTTP.md, "Answer".
  write: 'a write is answered otherwise than documented',
  // OPERATIONS.md and README: it starts again after each fault, and ends within five seconds on SIGTERM.
  process: 'a process did not start, end or answer as documented',
};
