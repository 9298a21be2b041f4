package flask

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"stripchart/internal/backoff"
	"stripchart/internal/bus"
)

// DefaultChannel is Flask-SocketIO's.
const DefaultChannel = "flask-socketio"

// silence is how long Redis may send nothing, not even a reply to a ping, before the connection counts
// as lost.
const silence = 10 * time.Second

// quiet is the least time between two log lines of one reason.
const quiet = time.Minute

// Options of New.
type Options struct {
	// URL is redis://[user:password@]host[:port][/db], also rediss:// and unix://, with ?channel= (DefaultChannel) and
	// ?zone=, the zone of times without one, such as Europe/Berlin (this machine's).
	URL string
	// Series is what the samples become, as ParseSeries returns it.
	Series labels.Labels
	// Behind and Ahead say which times are accepted.
	Behind, Ahead time.Duration
	Logger        *slog.Logger          // nil: none
	Registerer    prometheus.Registerer // nil: none
}

// Listener listens to one channel; see the package comment.
type Listener struct {
	redis   *redis.Options
	channel string
	series  labels.Labels
	reader  reader
	log     *slog.Logger
	metrics *metrics

	last int64                // of the newest sample; 0: there was none
	told map[string]time.Time // when a reason was logged last
}

// New returns a Listener that does nothing until Run. It only checks the options: Redis may be away.
func New(o Options) (*Listener, error) {
	ro, channel, zone, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	logging.Disable() // the client library writes to standard error by itself
	l := &Listener{
		redis: ro, channel: channel, series: o.Series, reader: reader{zone, o.Behind, o.Ahead},
		log: o.Logger.With("redis", ro.Addr, "channel", channel), told: map[string]time.Time{},
	}
	l.metrics, err = newMetrics(o.Registerer)
	return l, err
}

// CheckURL returns what is wrong with a URL, without any part of its password.
func CheckURL(u string) error {
	_, _, _, err := parseURL(u)
	return err
}

func parseURL(raw string) (o *redis.Options, channel string, zone *time.Location, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, "", nil, errors.New("not of the form redis://[user:password@]host[:port][/db]; write special characters of the password as %XX")
	}
	q := u.Query()
	channel, zone = cmp.Or(q.Get("channel"), DefaultChannel), time.Local
	if name := q.Get("zone"); name != "" {
		if zone, err = time.LoadLocation(name); err != nil {
			return nil, "", nil, fmt.Errorf("zone=%.60s is no time zone that this machine knows; want a name such as Europe/Berlin or UTC", name)
		}
	}
	q.Del("channel")
	q.Del("zone")
	u.RawQuery = q.Encode()
	if o, err = redis.ParseURL(u.String()); err != nil {
		return nil, "", nil, errors.New("want redis://host:6379/0, rediss:// or unix://, with ?channel= and ?zone= where they differ")
	}
	o.Protocol, o.DisableIdentity, o.MaxRetries, o.PoolSize = 2, true, -1, 1 // an old Redis will do
	return o, channel, zone, nil
}

// ParseSeries reads NAME or NAME{label="value",...}.
func ParseSeries(s string) (labels.Labels, error) {
	bad := fmt.Errorf(`%.100q is no series; want a name and labels, such as cpu_usage_percent{source="flask"}`, s)
	if strings.ContainsAny(s, "\n\r#") {
		return labels.EmptyLabels(), bad
	}
	p := textparse.NewPromParser([]byte(s+" 0\n"), labels.NewSymbolTable(), false)
	if entry, err := p.Next(); err != nil || entry != textparse.EntrySeries {
		return labels.EmptyLabels(), bad
	}
	if _, named, _ := p.Series(); named != nil {
		return labels.EmptyLabels(), bad
	}
	var ls labels.Labels
	p.Labels(&ls)
	b := bus.NewLabelBuilder(bus.EndpointLabels())
	ls.Range(func(l labels.Label) { b.Add([]byte(l.Name), []byte(l.Value)) })
	return b.Labels()
}

// Run listens until ctx ends, and gives samples to queue.
func (l *Listener) Run(ctx context.Context, queue func(*bus.Batch)) {
	client := redis.NewClient(l.redis)
	defer client.Close()
	pause := backoff.Backoff{First: 100 * time.Millisecond, Max: 2 * time.Second}
	away := false
	for ctx.Err() == nil {
		err := l.listen(ctx, client, queue, func() {
			pause.Reset()
			l.metrics.connected.Set(1)
			l.metrics.subscriptions.Inc()
			l.log.Info("listening to what Flask-SocketIO publishes", "series", l.series.String())
			away = false
		})
		l.metrics.connected.Set(0)
		if ctx.Err() != nil {
			return
		}
		l.end(queue)
		if !away {
			away = true
			l.log.Warn("cannot subscribe to the channel; Redis drops what is published meanwhile; trying until it works", "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause.Next()):
		}
	}
}

// listen subscribes and reads until the connection is lost. subscribed is called when Redis has confirmed it.
func (l *Listener) listen(ctx context.Context, client *redis.Client, queue func(*bus.Batch), subscribed func()) error {
	sub := client.Subscribe(ctx, l.channel)
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })()
	for pinged := false; ; {
		got, err := sub.ReceiveTimeout(ctx, silence)
		var late net.Error
		switch {
		case err == nil:
			pinged = false
		case errors.As(err, &late) && late.Timeout() && !pinged:
			if err := sub.Ping(ctx); err != nil {
				return err
			}
			pinged = true
			continue
		default:
			return err
		}
		switch m := got.(type) {
		case *redis.Subscription:
			subscribed()
		case *redis.Message:
			l.take([]byte(m.Payload), time.Now(), queue)
		}
	}
}

// take makes a batch of a message.
func (l *Listener) take(payload []byte, now time.Time, queue func(*bus.Batch)) {
	samples, refused := l.reader.read(payload, now)
	for _, r := range refused {
		l.metrics.refused.WithLabelValues(r.reason).Inc()
		// Messages that are not meant for everybody are normal, because a Flask server sends each
		// joining page something.
		if r.reason != notForAll && now.Sub(l.told[r.reason]) >= quiet {
			l.told[r.reason] = now
			l.log.Warn("a published message, or a point of it, is not taken", "reason", r.reason, "err", r, "begins", fmt.Sprintf("%.100q", payload[:min(len(payload), 100)]))
		}
	}
	samples = ascending(samples)
	if len(samples) == 0 {
		return
	}
	l.last = max(l.last, samples[len(samples)-1].T)
	l.metrics.samples.Add(float64(len(samples)))
	queue(&bus.Batch{Series: []bus.Series{{Labels: l.series, Samples: samples}}})
}

// end ends the line behind the newest sample, because samples after it may be lost.
func (l *Listener) end(queue func(*bus.Batch)) {
	if l.last == 0 {
		return
	}
	queue(&bus.Batch{Series: []bus.Series{{Labels: l.series, Samples: []bus.Sample{{T: l.last + 1, V: math.Float64frombits(value.StaleNaN)}}}}})
	l.last = 0
}

// ascending orders samples by time. Of several at one time it keeps the first.
func ascending(samples []bus.Sample) []bus.Sample {
	slices.SortStableFunc(samples, func(a, b bus.Sample) int { return cmp.Compare(a.T, b.T) })
	return slices.CompactFunc(samples, func(a, b bus.Sample) bool { return a.T == b.T })
}
