package spool

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
)

// machineFiles have an id of the installation: on Linux, where systemd is not,
// and on FreeBSD. Other systems are told apart by their host names alone.
var machineFiles = []string{"/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"}

// machineID returns what tells this machine from one with a copy of its spool, or
// "" where the system says nothing. The id of an installation is not to be shown
// around, so it is a hash.
//
// A clone with the same machine id and host name counts as the same machine. That does no
// harm: original and clone measure series with the same labels, and of two samples at one
// time the first is kept, whatever the names of the sources.
func machineID() string {
	var id []byte
	for _, name := range machineFiles {
		if b, err := os.ReadFile(name); err == nil && len(b) > 0 {
			id = b
			break
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	if len(id) == 0 && host == "" {
		return ""
	}
	sum := sha256.Sum256(append(append([]byte("stripchart spool\x00"), id...), "\x00"+host...))
	return hex.EncodeToString(sum[:12])
}
