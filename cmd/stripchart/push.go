package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/common/model"

	"stripchart/internal/bus"
	"stripchart/internal/bus/httpbus"
)

// pushing are the arguments of stripchart push.
type pushing struct {
	Name  string   `arg:"" help:"Name of the series, such as rtt_ms. Lines with several numbers (a=1 b=2, or a JSON object) become the series NAME_a and NAME_b."`
	Label []string `help:"A label of the series, name=value; may be given several times." placeholder:"NAME=VALUE" sep:"none"`
	To    string   `help:"Address of the server; without it http://127.0.0.1:5000." default:"http://127.0.0.1:5000" placeholder:"URL"`
}

// Help is the end of push --help. The page, and the server's answer to a path without a meaning, have the line of curl too.
func (o *pushing) Help() string {
	return "A server takes numbers from curl as well:\n\n" +
		"  curl -d 42 http://127.0.0.1:5000/api/v1/push/my_number"
}

func (o *pushing) check(as calling) error {
	if err := as.check(o.To); err != nil {
		return named("--to", err)
	}
	_, err := o.labels()
	return err
}

// labels returns the names and values of all labels, that of the name included.
func (o *pushing) labels() ([][2]string, error) {
	all := [][2]string{{model.MetricNameLabel, o.Name}}
	for _, l := range o.Label {
		name, value, is := strings.Cut(l, "=")
		switch {
		case !is:
			return nil, fmt.Errorf("--label %q: want name=value", l)
		case name == model.MetricNameLabel:
			return nil, fmt.Errorf("--label %q: the name of the series is the argument NAME", l)
		}
		all = append(all, [2]string{name, value})
	}
	b := bus.NewLabelBuilder(bus.EndpointLabels())
	for _, l := range all {
		b.Add([]byte(l[0]), []byte(l[1]))
	}
	if _, err := b.Labels(); err != nil {
		return nil, fmt.Errorf("%q with --label: %w", o.Name, err)
	}
	return all, nil
}

// runPush sends numbers from in to a server, until in ends or ctx does.
func runPush(ctx context.Context, o pushing, as calling, in io.Reader, stderr io.Writer) (err error) {
	ls, err := o.labels()
	if err != nil {
		return err
	}
	options, err := as.publisher(o.To)
	if err != nil {
		return err
	}
	to, err := httpbus.New(options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	say := func(format string, args ...any) { fmt.Fprintf(stderr, "stripchart: "+format+"\n", args...) }
	lines := newLineReader(ls, say)
	stop := make(chan struct{})
	go lines.run(in, stop) // it may wait for in for ever; the program ends then
	send := &lineSender{
		publish: to.Publish, readings: lines.readings, ended: lines.ended, say: say,
		to: userInfo.ReplaceAllString(o.To, "://"),
	}
	errs := []error{send.run(ctx), send.stopped(ctx)}
	close(stop)
	select {
	case <-lines.ended:
		errs = append(errs, lines.err)
	default: // it still waits for in
	}
	if n := lines.unread.Load(); n > 0 {
		errs = append(errs, fmt.Errorf("lines that could not be read: %d", n))
	}
	return inOneLine(errs)
}

// inOneLine joins errors with semicolons.
func inOneLine(errs []error) error {
	var says []string
	for _, err := range errs {
		if err != nil {
			says = append(says, err.Error())
		}
	}
	if len(says) == 0 {
		return nil
	}
	return errors.New(strings.Join(says, "; "))
}
