package collect

import (
	"regexp"
	"strings"
)

// These devices are not measured unless Options name them, so that each byte counts once. A byte on a
// partition, in LVM, in LUKS or in a RAID is also a byte on a disk, and a byte that a container sends
// also leaves through the machine's own interface. Besides, every new container would be a new series.
var (
	stackedDisks = regexp.MustCompile(`^(` +
		`loop\d+|ram\d+|zram\d+` + // memory and files
		`|dm-\d+|md[\d_].*|bcache\d+|drbd\d+` + // on top of disks
		`|nvme\d+c\d+n\d+` + // one path of an NVMe disk that is listed itself
		`|sr\d+|fd\d+` + // CD and floppy
		`)$`)

	virtualNetworks = regexp.MustCompile(`^(` +
		`lo\d*|Loopback.*` +
		`|veth.*|docker.*|br-.*|podman\d+|lxc.*|lxdbr\d+|incusbr\d+` + // containers
		`|virbr.*|vnet\d+|vmnet\d+|bridge\d+` + // virtual machines
		`|cni.*|cali.*|cilium.*|flannel.*|weave|kube-.*|nodelocaldns|vxlan.*` + // Kubernetes
		`|dummy\d+|ifb\d+|ovs-system|teql\d+` +
		`|tunl\d+|sit\d+|gre\d+|gretap\d+|erspan\d+|ip6tnl\d+|ip6gre\d+|ip_vti\d+|ip6_vti\d+` + // ends of unused tunnels
		`|gif\d+|stf\d+|awdl\d+|llw\d+|anpi\d+|ap\d+` + // macOS
		`)$`)
)

// keep decides whether a device is measured; it is given the whole reading.
type keep func(device string, all []ioCounters) bool

// keepDisks measures the disks that chosen matches; when it is nil, whole disks.
func keepDisks(chosen *regexp.Regexp) keep {
	if chosen != nil {
		return func(device string, _ []ioCounters) bool { return chosen.MatchString(device) }
	}
	return func(device string, all []ioCounters) bool {
		return !stackedDisks.MatchString(device) && !isPartition(device, all)
	}
}

// keepNetworks measures the interfaces that chosen matches; when it is nil,
// those that are not virtual.
func keepNetworks(chosen *regexp.Regexp) keep {
	return func(device string, _ []ioCounters) bool {
		if chosen != nil {
			return chosen.MatchString(device)
		}
		return !virtualNetworks.MatchString(device)
	}
}

// isPartition reports whether device is named as a partition of another device in all: sda1 of sda,
// nvme0n1p2 of nvme0n1. The name of the device alone is not enough: some clouds have an xvda1 that is a
// whole disk.
func isPartition(device string, all []ioCounters) bool {
	disk := strings.TrimRight(device, "0123456789")
	if disk == device {
		return false
	}
	bare, separated := strings.CutSuffix(disk, "p")
	for i := range all {
		if all[i].device == disk || separated && all[i].device == bare {
			return true
		}
	}
	return false
}
