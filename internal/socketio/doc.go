// Package socketio is a Socket.IO server made for sending the same packets to
// many connections.
//
// It speaks Engine.IO 4 and Socket.IO 5 (the 3.x and 4.x clients), and
// Engine.IO 3 with Socket.IO 3 and 4 (the 1.x and 2.x clients), over WebSocket
// and HTTP long-polling with the upgrade between them. The words of both
// protocols are theirs: a [Conn] is an Engine.IO session, a [Socket] is one
// namespace of it. JSONP and WebTransport are not offered.
//
// Guarantees:
//
//  1. The methods of a [Namespace] are called one at a time per connection, in the
//     order of the events. For every Socket with a call of Connected there is exactly one
//     call of Disconnected, and none after it.
//  2. [Conn.Write] never blocks. It takes all packets of a call or none, and
//     the packets of all calls leave in the order of the calls. While a socket
//     accepts them, the packets of one call leave in one system call.
//  3. What a socket does not accept is queued, up to Config.OutputBytes (a call
//     that begins below the bound is taken whole), and on all connections together
//     up to Config.TotalOutputBytes. A refused Write is followed by exactly one
//     Drained per socket once the queue is empty and there is room, unless the
//     connection ends first; there is no moment at which a Write is refused and
//     no Drained is to come. An application that asks Conn.Ready before it makes
//     something large exceeds the bounds by no more than it makes at a time.
//  4. A [Packet] is encoded once and never changes; any number of connections
//     share its bytes.
//  5. Whatever a client sends has a bound: connections (in total and per
//     address), time until it connects to a namespace, bytes per message, time for
//     the body of a request, attachments, events per second. What breaks the
//     protocol or a bound ends that connection, and no other. Events beyond the
//     rate are handled later, in order; only a client that exceeds it for
//     seconds is ended. Polling sessions that do not join keep no client out.
//  6. [Server.Shutdown] and [Server.Close] return when every connection has
//     ended, and every goroutine that was started for one. http.Server.Shutdown waits
//     for responses to polls that are still being written.
//
// Lock order: Conn.app before Conn.mu; Server.mu and heartbeat.mu are leaves.
package socketio
