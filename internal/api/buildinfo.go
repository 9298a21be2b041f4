package api

import "runtime"

// engineVersion is the Prometheus whose engine evaluates. Grafana chooses by it what it
// sends.
const engineVersion = "3.15.0"

func buildInfo() map[string]string {
	return map[string]string{
		"version": engineVersion, "revision": "", "branch": "", "buildUser": "", "buildDate": "", "goVersion": runtime.Version(),
	}
}
