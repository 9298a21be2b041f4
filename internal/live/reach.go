package live

// reach is the greatest distance of two times that was seen lately, in ms: in the last
// span w, and at most two of them back.
type reach struct {
	Now    int64 `json:"now"`
	Before int64 `json:"before,omitempty"` // in the w before Since
	Since  int64 `json:"since"`            // log time, Unix ms
}

// see takes up a distance that was seen at a log time.
func (r *reach) see(distance, logTime, w int64) {
	if age := logTime - r.Since; age >= 2*w {
		*r = reach{Since: logTime}
	} else if age >= w {
		*r = reach{Before: r.Now, Since: logTime}
	}
	r.Now = max(r.Now, distance)
}

// most returns the greatest distance.
func (r *reach) most() int64 { return max(r.Now, r.Before) }
