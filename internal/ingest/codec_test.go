package ingest

import (
	"fmt"
	"time"

	"github.com/golang/snappy"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"
	"github.com/prometheus/prometheus/model/labels"
	"google.golang.org/protobuf/proto"

	"stripchart/internal/bus"
	"stripchart/internal/bus/rw"
)

// encode writes b as our own sources do.
func encode(b *bus.Batch) []byte { return rw.Encode(b) }

func compress(r *writev2.Request) []byte {
	raw, err := proto.Marshal(r)
	if err != nil {
		panic(err)
	}
	return snappy.Encode(nil, raw)
}

func request(b *bus.Batch) *writev2.Request {
	symbols := writev2.NewSymbolTable()
	r := &writev2.Request{}
	for _, s := range b.Series {
		ts := &writev2.TimeSeries{}
		s.Labels.Range(func(l labels.Label) {
			ts.LabelsRefs = append(ts.LabelsRefs, symbols.Symbolize(l.Name), symbols.Symbolize(l.Value))
		})
		for _, x := range s.Samples {
			ts.Samples = append(ts.Samples, &writev2.Sample{Timestamp: x.T, Value: x.V})
		}
		r.Timeseries = append(r.Timeseries, ts)
	}
	r.Symbols = symbols.Symbols()
	return r
}

// batch returns one sample of one series for each of ages, which are how long
// before now.
func batch(ages ...time.Duration) *bus.Batch {
	b := &bus.Batch{}
	for i, age := range ages {
		b.Series = append(b.Series, bus.Series{
			Labels:  labels.FromStrings("__name__", "m", "n", fmt.Sprint(i)),
			Samples: []bus.Sample{{T: time.Now().Add(-age).UnixMilli(), V: float64(i)}},
		})
	}
	return b
}

func sequenced(source string, seq, merged uint64, ages ...time.Duration) *bus.Batch {
	b := batch(ages...)
	b.Source, b.Seq, b.Merged = source, seq, merged
	return b
}
