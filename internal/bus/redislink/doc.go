// Package redislink connects to Redis: addresses, TLS, Sentinel, Cluster, the check that a server is a
// recent master, and one state ("Redis is away") for all users of a Redis. Package redisbus decides
// what is stored in Redis.
//
// # Addresses
//
// The URL forms are those of the client library:
//
//	redis://[user:password@]host[:port][/db]
//	rediss://...                                          the same over TLS
//	unix://[user:password@]/path/to/socket[?db=n]
//	redis+sentinel://[user:password@]host[:port][/db]?master_name=NAME[&addr=host:port ...]
//	redis+cluster://[user:password@]host[:port][?addr=host:port ...]
//
// and rediss+sentinel, rediss+cluster. With redis+sentinel, user and password are
// for the sentinels, and for Redis too unless &username= and &password= follow. A URL
// may name only some of the sentinels or cluster nodes; the others are learned from
// them. The query may set the timeouts dial_timeout, read_timeout and write_timeout.
// The client library's own retries are always off.
//
// Over TLS the query may have tls_ca_cert_file (the CA to trust, instead of the
// system's), tls_cert_file and tls_key_file (the client's certificate, read again for
// each connection), and skip_verify=true. Each server's certificate must name the
// address that is dialled, not the host of the URL.
//
// # Guarantees
//
//  1. Dial returns a Link only to a master, of Redis 6.2 or newer. Link.Check finds
//     that a master has become a replica since.
//  2. Behind Sentinel a link is closed within about a second after the sentinels name
//     another master (docs/decisions/0009).
//  3. A server that is too old is a permanent error (ErrOldServer) only before the
//     first successful Dial. After that it is retried like any other failure: an upgrade
//     may be under way.
//  4. Errors name the server without user and password, and say what to do where
//     waiting does not help.
//  5. However many Clients a Redis has, its log gets one line for each kind of failure
//     and one when Redis is back.
//
// # Permissions
//
// An ACL user needs HELLO to connect, and in a cluster CLUSTER SLOTS. INFO, where it
// is allowed, lets the program warn of a maxmemory-policy that may evict the log.
package redislink
