// Package chaos tests the promise of the product: every acknowledged sample
// reaches every page that watches it exactly once and in order, or the page says
// that there is a gap.
//
// It starts real processes (servers, collectors, sources of its own with the
// product's spool and bus, Redis, nginx) with Toxiproxy between each pair, or with
// sentinels and a replica of Redis and nothing between. It injects faults at random
// moments, heals them, and then compares, per series, what sources were told is
// acknowledged with what each server's history and each of several viewers holds. A
// fault passes when
//
//  1. no acknowledged sample is missing anywhere, unless it lies in a gap that was
//     declared for a reason that the fault allows;
//  2. no sample has two values, or comes twice in one message; nobody holds a sample
//     that was not published, or with another value than its source measured;
//  3. the samples of a source arrive in order, as far as they do not come as history or
//     fill a declared gap afterwards;
//  4. no process ended that was not told to, no message broke docs/PROTOCOL.md;
//  5. every viewer is live again within 30 s.
//
// Meanwhile, in every rig: sources put several times into a batch and some of their
// series lag; a writer without numbers (plain remote write) delivers backlogs late, and
// beside good samples what must be refused, second values, and labels with empty values;
// restless pages have several rooms on one connection, leave and resume them, change
// windows and points and move between servers; pages of namespace / join at any moment,
// and are owed every sample that is newer than all before it. In some rigs rooms have more
// series than are sent. A second table says how often each was done. What a process
// cannot live to see, such as a log that is idle for ten minutes, is in the storm of
// internal/live (make storm FOR=1h).
//
// The oracle is tested for its ability to fail.
//
// `make test` injects each fault once; `make chaos FAULTS=500` as many as asked, with
// MODE=http on one server with its log in memory, and prints the table of
// docs/RELIABILITY.md.
package chaos
