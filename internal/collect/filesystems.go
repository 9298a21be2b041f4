package collect

import (
	"regexp"
	"strings"
)

// mount is a filesystem at a place in the tree.
type mount struct {
	device, mountpoint, fstype string
	bind                       bool // part of a filesystem, shown a second time
}

var (
	// imageFilesystems are on a device, or are named as if they were, and yet
	// have no use to watch: images are full by nature, an automounter's own
	// mountpoint must not be asked (that mounts), and namespaces hold no files.
	imageFilesystems = regexp.MustCompile(`^(squashfs|erofs|iso9660|cramfs|romfs|autofs|nsfs|binfmt_misc)$`)

	// poolFilesystems name as their device what only they understand.
	poolFilesystems = regexp.MustCompile(`^(zfs|bcachefs|virtiofs|9p)$`)
)

// realFilesystems returns those of all, in their order, in which space can run
// out and which are not another view of the same space: what is on a device
// (/dev/sda1, C:), on a server (server:/export, //server/share) or in a pool,
// and the root, whatever it is: in a container it is an overlay.
func realFilesystems(all []mount) []mount {
	// What was mounted over something else hides it, unless it is a folder of the
	// same filesystem: a service that systemd gives a /tmp of its own is shown that
	// folder over the host's /tmp, and its space is the host's.
	visible := make(map[string]int, len(all))
	for i, m := range all {
		if j, ok := visible[m.mountpoint]; !ok || !m.bind || m.device != all[j].device {
			visible[m.mountpoint] = i
		}
	}
	// Of the places of one device (subvolumes, a disk that is mounted twice) the
	// one with the shortest name is the one that people mean.
	place := make(map[string]int)
	for i, m := range all {
		if visible[m.mountpoint] != i || !isReal(m) {
			continue
		}
		if j, ok := place[m.device]; !ok || len(m.mountpoint) < len(all[j].mountpoint) {
			place[m.device] = i
		}
	}
	var real []mount
	for i, m := range all {
		if j, ok := place[m.device]; ok && i == j {
			real = append(real, m)
		}
	}
	return real
}

func isReal(m mount) bool {
	switch {
	case m.mountpoint == "/":
		return true
	case m.bind, imageFilesystems.MatchString(m.fstype):
		return false
	}
	return strings.HasPrefix(m.device, "/dev/") ||
		strings.HasPrefix(m.device, "//") || strings.Contains(m.device, ":") ||
		poolFilesystems.MatchString(m.fstype)
}
