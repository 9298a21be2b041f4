package stripchart
import (
 _ "github.com/prometheus/prometheus/tsdb"
 _ "github.com/prometheus/prometheus/promql/parser"
 _ "github.com/prometheus/prometheus/model/labels"
 _ "github.com/shirou/gopsutil/v4/cpu"
 _ "github.com/shirou/gopsutil/v4/load"
 _ "github.com/shirou/gopsutil/v4/mem"
 _ "github.com/shirou/gopsutil/v4/disk"
 _ "github.com/shirou/gopsutil/v4/net"
 _ "github.com/shirou/gopsutil/v4/host"
 _ "github.com/gobwas/ws"
 _ "github.com/alecthomas/kong"
 _ "github.com/prometheus/client_golang/prometheus/promhttp"
 _ "go.uber.org/goleak"
 _ "golang.org/x/sys/unix"
 _ "golang.org/x/sync/singleflight"
)
