//go:build linux

package main

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	granted   = `43/live,0[{"ok":true,"room":"r-1","matched":1,"sent":1}]`
	described = `"series":[{"id":3,"labels":{"__name__":"m","host":"h"},"interval_ms":1000}]`
)

func bootstrap(from, samples string) string {
	return fmt.Sprintf(`42/live,["bootstrap",{"room":"r-1","from":%s,"position":"e-1","now":1,%s,"blocks":[%s],"reason":"join"}]`, from, described, samples)
}

func update(samples string) string {
	return fmt.Sprintf(`42/live,["update",{"room":"r-1","position":"e-2","now":1,"blocks":[%s]}]`, samples)
}

func at(t int, v float64) string { return fmt.Sprintf(`{"ids":[3],"x":[%d],"y":[[%g]]}`, t, v) }

// The store has 10, 20, 30 and 40; from 20 to 40 is judged.
func TestOracleFindsEveryFault(t *testing.T) {
	held := truth{{`{"__name__":"m","host":"h"}`: {10: 1, 20: 2, 30: 3, 40: 4}}}
	whole := bootstrap("null", at(20, 2))
	for name, c := range map[string]struct {
		sent []string
		want verdict
	}{
		"nothing wrong":               {[]string{granted, whole, update(at(30, 3)), update(at(40, 4))}, verdict{samples: 3}},
		"late, in any order":          {[]string{granted, whole, update(at(40, 4)), update(at(30, 3))}, verdict{samples: 3}},
		"a hole":                      {[]string{granted, whole, update(at(40, 4))}, verdict{samples: 3, missing: 1}},
		"another value":               {[]string{granted, whole, update(at(30, 9)), update(at(40, 4))}, verdict{samples: 3, wrong: 1}},
		"a sample of nobody":          {[]string{granted, whole, update(at(30, 3)), update(at(35, 3)), update(at(40, 4))}, verdict{samples: 3, wrong: 1}},
		"outside of what is judged":   {[]string{granted, whole, update(at(30, 3)), update(at(40, 4)), update(at(50, 5))}, verdict{samples: 3}},
		"twice":                       {[]string{granted, whole, update(at(30, 3)), update(at(30, 3)), update(at(40, 4))}, verdict{samples: 3, doubled: 1}},
		"continues":                   {[]string{granted, whole, bootstrap(`"e-1"`, at(30, 3)), update(at(40, 4))}, verdict{samples: 3, resumed: 1}},
		"begins anew and forgets":     {[]string{granted, whole, bootstrap("null", at(40, 4))}, verdict{samples: 3, missing: 2, replaced: 1}},
		"begins anew with everything": {[]string{granted, whole, bootstrap("null", at(20, 2)), update(at(30, 3)), update(at(40, 4))}, verdict{samples: 3, replaced: 1}},
	} {
		o := newOracle(1)
		for _, text := range c.sent {
			o.record(0, []byte(text))
			o.record(1, []byte("not watched"))
		}
		got, err := o.judge(held, 20, 40)
		if err != nil || got != c.want {
			t.Errorf("%s: %v (%v), want %v", name, got, err, c.want)
		}
	}
}

func TestOracleRefusesWhatItCannotJudge(t *testing.T) {
	held := truth{{}}
	for name, sent := range map[string][]string{
		"no room":             {},
		"unknown series":      {granted, update(at(20, 2))},
		"downsampled":         {granted, bootstrap("null", `{"ids":[3],"x0":0,"step":10,"y":[[1,1,1,1]]}`)},
		"no JSON":             {`42/live,["update",{]`},
		"event without":       {`42/live,["update"]`},
		"answer to no number": {`43/live,x[{"ok":true}]`},
	} {
		o := newOracle(1)
		for _, text := range sent {
			o.record(0, []byte(text))
		}
		if _, err := o.judge(held, 0, 100); err == nil {
			t.Errorf("%s: judged", name)
		}
	}
}

func TestAMessageIsKeptOnceForAll(t *testing.T) {
	o := newOracle(3)
	for viewer := range 3 {
		o.record(viewer, []byte("a"))
		o.record(viewer, []byte("b"))
	}
	if len(o.texts) != 2 || fmt.Sprint(o.sent) != "[[0 1] [0 1] [0 1]]" {
		t.Errorf("%q, sent %v", o.texts, o.sent)
	}
}

func TestTheLastTickIsRecorded(t *testing.T) {
	var r tickRecorder
	for _, text := range []string{
		`42/live,["update",{"room":"a","position":"e-1"}]`, `42/live,["update",{"room":"b","position":"e-1"}]`,
		`42/live,["bootstrap",{"more":true}]`,
		`42/live,["update",{"room":"a","position":"e-2"}]`, `42/live,["update",{"room":"b","position":"e-2"}]`,
	} {
		r.add([]byte(text))
	}
	if got := fmt.Sprintf("%s", r.texts); got != `[42/live,["update",{"room":"a","position":"e-2"}] 42/live,["update",{"room":"b","position":"e-2"}]]` {
		t.Error(got)
	}
}
