// Package flask listens to what Flask-SocketIO and python-socketio publish through Redis, and makes samples of it, so
// that a publisher of the recipe of 2018 goes on unchanged: emit('update', {'x': [...], 'y': [...]}).
//
// Guarantees:
//
//  1. Messages of all versions are understood: pickle of protocols 0 to 5 (python-socketio until 5.13), and JSON in its
//     three forms (since 5.14). Nothing of a message is ever executed: the decoder of pickle knows a list of opcodes
//     that make plain values, and np.float64 in its exact form, and refuses anything else.
//  2. Only messages to everybody are taken: the event update in namespace /, without a room and without
//     a callback. x and y are lists of one length, or two plain values. x is a time: text such as
//     2026-11-27 13:43:35, also with T, fractions and a zone, or a number, Unix seconds or
//     milliseconds. y is a number, a boolean, or text with a number; None and NaN are no samples. A
//     point that cannot be read costs the others nothing. Everything else is counted by reason, and
//     logged at most once a minute for each reason.
//  3. A time without a zone is in the zone of the URL, or else in the zone of the listener. In the hour
//     that comes twice in autumn, the time is read as the one of the two that is nearest to its
//     arrival. A time in the hour that is left out in spring is shifted by the difference.
//  4. Redis silently drops messages that are published while nobody listens. When the connection is
//     lost, the series gets Prometheus's stale marker behind its newest sample: the line ends there,
//     and goes on with the first sample after it (docs/decisions/0017). Pauses of the publisher are no
//     end.
//  5. A message has at most 64 KiB, which also bounds the memory of its decoder.
package flask
