package collect

import (
	"maps"
	"testing"
)

func TestModesShareOutTheTimeBetweenTwoReadings(t *testing.T) {
	for _, c := range []struct {
		name     string
		was, now []modeTime
		want     map[string]float64
	}{
		{"first reading", nil, []modeTime{{"user", 5}, {"idle", 5}}, nil},
		{"2 decimals", []modeTime{{"user", 5}, {"idle", 5}}, []modeTime{{"user", 6}, {"idle", 7}}, map[string]float64{"user": 33.33, "idle": 66.67}},
		{"a mode that is never used", []modeTime{{"irq", 0}, {"idle", 5}}, []modeTime{{"irq", 0}, {"idle", 7}}, map[string]float64{"idle": 100}},
		{"its first time", []modeTime{{"irq", 0}, {"idle", 5}}, []modeTime{{"irq", 1}, {"idle", 6}}, map[string]float64{"irq": 50, "idle": 50}},
		{"not used now", []modeTime{{"nice", 3}, {"idle", 5}}, []modeTime{{"nice", 3}, {"idle", 6}}, map[string]float64{"nice": 0, "idle": 100}},
		{"time taken back is no reset", []modeTime{{"iowait", 3}, {"user", 5}}, []modeTime{{"iowait", 2.9}, {"user", 6}}, map[string]float64{"iowait": 0, "user": 100}},
		{"no time has passed", []modeTime{{"user", 5}}, []modeTime{{"user", 5}}, nil},
		{"counters reset", []modeTime{{"user", 5}, {"idle", 50}}, []modeTime{{"user", 1}, {"idle", 1}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newModes("h")
			_, none := emitted(t, "mode")
			m.measure(c.was, none)
			got, emit := emitted(t, "mode")
			m.measure(c.now, emit)
			want := make(map[string]float64)
			for mode, v := range c.want {
				want["cpu_mode_percent "+mode] = v
			}
			if !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestModesHaveNoShareAcrossAFailedReading(t *testing.T) {
	m := newModes("h")
	got, emit := emitted(t, "mode")
	m.measure([]modeTime{{"user", 1}}, emit)
	m.measure(nil, emit)
	m.measure([]modeTime{{"user", 9}}, emit)
	if len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
