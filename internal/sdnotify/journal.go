package sdnotify

import "github.com/coreos/go-systemd/v22/journal"

// StderrIsJournal reports whether standard error goes straight to systemd's journal,
// which takes a level before each line: see sd-daemon(3).
func StderrIsJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}
