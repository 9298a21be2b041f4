package collect

import (
	"context"
	"maps"
	"runtime"
	"slices"

	"github.com/shirou/gopsutil/v4/common"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/sensors"
)

// processCount lists /proc, but reads nothing below it.
func (gopsutilProber) processCount(ctx context.Context) (int, error) {
	if runtime.GOOS != "linux" {
		return 0, wrap("process count", errLacks) // gopsutil would start ps, or has no count
	}
	misc, err := load.MiscWithContext(ctx)
	if err == nil && misc.ProcsTotal == 0 {
		err = errNone
	}
	if err != nil {
		return 0, wrap("process count", err)
	}
	return misc.ProcsTotal, nil
}

func (gopsutilProber) temperatures(ctx context.Context) ([]temperature, error) {
	if runtime.GOOS == "windows" {
		return nil, wrap("temperatures", errLacks) // a query of WMI, for administrators only
	}
	// The error lists the sensors that are asleep or switched off; the others have values.
	list, _ := sensors.TemperaturesWithContext(ctx)
	if len(list) == 0 {
		return nil, wrap("temperatures", errLacks)
	}
	all := make([]temperature, 0, len(list))
	for i := range list {
		all = append(all, temperature{list[i].SensorKey, list[i].Temperature})
	}
	return all, nil
}

func (gopsutilProber) mounts(ctx context.Context) ([]mount, error) {
	list, err := disk.PartitionsWithContext(withOwnMounts(ctx), true)
	if err == nil && len(list) == 0 {
		err = errNone
	}
	all := make([]mount, 0, len(list))
	for i := range list {
		p := &list[i]
		all = append(all, mount{p.Device, p.Mountpoint, p.Fstype, slices.Contains(p.Opts, "bind")})
	}
	return all, wrap("mounts", err)
}

// withOwnMounts makes gopsutil list the mounts of this process. By default it lists those of
// process 1. A service whose view of some folders is restricted would then measure other
// filesystems under the same names.
func withOwnMounts(ctx context.Context) context.Context {
	if runtime.GOOS != "linux" || hostEnv(ctx, common.HostProcMountinfo) != "" {
		return ctx
	}
	env := common.EnvMap{common.HostProcMountinfo: procPath(ctx, "self/mountinfo")}
	if given, ok := ctx.Value(common.EnvKey).(common.EnvMap); ok {
		maps.Copy(env, given)
	}
	return context.WithValue(ctx, common.EnvKey, env)
}

func (gopsutilProber) filesystem(ctx context.Context, mountpoint string) (space, error) {
	u, err := disk.UsageWithContext(ctx, mountpoint)
	if err != nil {
		return space{}, err // it names the failed call
	}
	return space{size: u.Total, used: u.Used, free: u.Free}, nil
}
