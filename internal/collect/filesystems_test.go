package collect

import (
	"slices"
	"testing"
)

func TestFilesystemsInWhichSpaceCanRunOut(t *testing.T) {
	for _, c := range []struct {
		name string
		all  []mount
		want []string
	}{
		{"a machine with pseudo filesystems", []mount{
			{"proc", "/proc", "proc", false}, {"sysfs", "/sys", "sysfs", false}, {"devtmpfs", "/dev", "devtmpfs", false},
			{"tmpfs", "/dev/shm", "tmpfs", false}, {"/dev/vda1", "/", "ext4", false}, {"/dev/vda15", "/boot/efi", "vfat", false},
			{"tmpfs", "/run", "tmpfs", false}, {"cgroup2", "/sys/fs/cgroup", "cgroup2", false}, {"net:[4026532]", "/run/netns/x", "nsfs", false},
			{"/dev/loop3", "/snap/core/1", "squashfs", false}, {"/dev/sr0", "/media/cd", "iso9660", false},
		}, []string{"/", "/boot/efi"}},
		{"network and pools", []mount{
			{"/dev/sda1", "/", "xfs", false}, {"/etc/auto.nas", "/nas", "autofs", false}, {"nas:/x", "/nas/x", "nfs4", false}, {"//win/share", "/smb", "cifs", false},
			{"u@h:/home", "/ssh", "fuse.sshfs", false}, {"tank/data", "/tank", "zfs", false}, {"tank/home", "/tank/home", "zfs", false},
		}, []string{"/", "/nas/x", "/smb", "/ssh", "/tank", "/tank/home"}},
		{"an automounted server is seen, the automounter below it is not", []mount{
			{"yp:auto.home", "/home/a", "autofs", false}, {"nas:/a", "/home/a", "nfs4", false}, {"yp:auto.home", "/home/b", "autofs", false},
		}, []string{"/home/a"}},
		{"a container", []mount{
			{"overlay", "/", "overlay", false}, {"/dev/sda1", "/etc/hosts", "ext4", true}, {"/dev/sda1", "/etc/resolv.conf", "ext4", true},
		}, []string{"/"}},
		{"containers on a host", []mount{
			{"/dev/sda1", "/", "ext4", false}, {"overlay", "/var/lib/docker/overlay2/1/merged", "overlay", false}, {"/dev/sda1", "/srv/jail/data", "ext4", true},
		}, []string{"/"}},
		{"a service with a file tree of its own", []mount{
			{"/dev/sda1", "/", "ext4", true}, {"/dev/sda1", "/var/lib/stripchart", "ext4", true},
		}, []string{"/"}},
		{"a service with a /tmp of its own, where the host's /tmp is a filesystem, and its /var/tmp is not", []mount{
			{"/dev/sda1", "/", "ext4", false}, {"/dev/sdb", "/tmp", "ext4", false},
			{"/dev/sdb", "/tmp", "ext4", true}, {"/dev/sda1", "/var/tmp", "ext4", true},
		}, []string{"/", "/tmp"}},
		{"mounted over by a folder of another", []mount{
			{"/dev/sda1", "/", "ext4", false}, {"/dev/sdb", "/x", "ext4", false}, {"/dev/sda1", "/x", "ext4", true},
		}, []string{"/"}},
		{"subvolumes and a second mount", []mount{
			{"/dev/sda2", "/home", "btrfs", false}, {"/dev/sda2", "/", "btrfs", false}, {"/dev/sdb", "/mnt/b", "ext4", false}, {"/dev/sdb", "/b", "ext4", false},
		}, []string{"/", "/b"}},
		{"mounted over", []mount{
			{"/dev/sda", "/", "ext4", false}, {"/dev/sdb", "/x", "ext4", false}, {"tmpfs", "/x", "tmpfs", false},
		}, []string{"/"}},
		{"Windows", []mount{{"C:", "C:", "NTFS", false}, {"D:", "D:", "NTFS", false}}, []string{"C:", "D:"}},
		{"none", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, m := range realFilesystems(c.all) {
				got = append(got, m.mountpoint)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
