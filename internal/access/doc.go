// Package access says who may look and who may write: tokens with scopes, sessions, and
// the cookies of browsers that have signed in.
//
// Guarantees:
//
//  1. A token is 256 random bits. It is shown once, by `stripchart token add`. The token
//     file has its SHA-256 alone, and no log line, metric, error or URL has either.
//  2. The file is read anew within two seconds of a change. A damaged file changes nothing:
//     the tokens that were read last stay, and the log names the line.
//  3. A session belongs to one entry of the file. When that entry is changed or removed,
//     everything that was registered for the session (Sessions.Hold) is ended.
//  4. A cookie is worth what its token is worth at the time of each request: the cookie of a
//     removed token is worth nothing.
//
// The package decides nothing about routes: package server asks it once for each request.
package access
