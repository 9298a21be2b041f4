package collect

import (
	"regexp"
	"strings"
)

// mount is a filesystem at a mount point.
type mount struct {
	device, mountpoint, fstype string
	bind                       bool // part of a filesystem, shown a second time
}

var (
	// imageFilesystems have a device, or the name of one, but no usage that is worth
	// watching: images are always full, a statfs of an automounter's mount point would
	// mount it, and namespaces hold no files.
	imageFilesystems = regexp.MustCompile(`^(squashfs|erofs|iso9660|cramfs|romfs|autofs|nsfs|binfmt_misc)$`)

	// poolFilesystems have device names of their own kind, such as tank/home of ZFS.
	poolFilesystems = regexp.MustCompile(`^(zfs|bcachefs|virtiofs|9p)$`)
)

// realFilesystems returns, in the order of all, the filesystems that can run out of space,
// each space once: those on a device (/dev/sda1, C:), on a server (server:/export,
// //server/share) or in a pool, and always the root, which is an overlay in a container.
func realFilesystems(all []mount) []mount {
	// A mount over another mount hides it. The exception is a folder of the same
	// filesystem: systemd gives a service a /tmp of its own by such a mount, and its space is
	// that of the host's /tmp.
	visible := make(map[string]int, len(all))
	for i, m := range all {
		if j, ok := visible[m.mountpoint]; !ok || !m.bind || m.device != all[j].device {
			visible[m.mountpoint] = i
		}
	}
	// One device may have several mount points (subvolumes, a disk that is mounted twice).
	// People mean the one with the shortest name.
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
