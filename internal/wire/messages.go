package wire

import "github.com/prometheus/prometheus/model/labels"

// Protocol is the number of docs/PROTOCOL.md.
const Protocol = 1

// Names of the events.
const (
	EventHello       = "hello"
	EventSubscribe   = "subscribe"
	EventUnsubscribe = "unsubscribe"
	EventHistory     = "history"
	EventCatalogue   = "catalogue"
	EventBootstrap   = "bootstrap"
	EventUpdate      = "update"
	EventStatus      = "status"
	EventGap         = "gap"
	EventBye         = "bye"
)

// Hello is the first message in namespace /live.
type Hello struct {
	Protocol int     `json:"protocol"`
	Build    string  `json:"build"`
	Now      int64   `json:"now"`    // the server's clock, Unix ms
	Window   float64 `json:"window"` // default window, seconds
	Limits   Limits  `json:"limits"`
}

// Limits bound what one connection may ask for.
type Limits struct {
	Rooms  int   `json:"rooms"`  // rooms per connection
	Series int   `json:"series"` // series that a room sends
	Points int   `json:"points"` // values per series of a bootstrap
	Window int64 `json:"window"` // longest window, seconds
}

// Subscribe asks to join a room, or to change window and points in it.
type Subscribe struct {
	Query  string   `json:"query"`
	Window *float64 `json:"window,omitempty"` // seconds; nil: the default
	Points *int     `json:"points,omitempty"` // nil: DefaultPoints
	Since  string   `json:"since,omitempty"`  // last position seen
}

// DefaultPoints is the most values per series when a page does not say.
const DefaultPoints = 1200

// MinPoints makes two downsampled columns: a window always lies across a line of
// their grid.
const MinPoints = 8

// Subscribed answers Subscribe.
type Subscribed struct {
	OK      bool   `json:"ok"`
	Room    string `json:"room"`
	Matched int    `json:"matched"`
	Sent    int    `json:"sent"`
}

// Unsubscribe leaves a room.
type Unsubscribe struct {
	Room string `json:"room"`
}

// OK answers requests that have nothing to tell.
type OK struct {
	OK bool `json:"ok"`
}

// History asks for samples once; both ends are included.
type History struct {
	Query  string `json:"query"`
	From   int64  `json:"from"` // Unix ms
	To     int64  `json:"to"`   // Unix ms
	Points *int   `json:"points,omitempty"`
}

// Catalogue asks which series there are.
type Catalogue struct {
	Match []string `json:"match,omitempty"` // selectors; none: every series
}

// CatalogueAnswer answers Catalogue.
type CatalogueAnswer struct {
	OK        bool            `json:"ok"`
	Series    []labels.Labels `json:"series"`
	Truncated bool            `json:"truncated,omitempty"`
}

// CatalogueChange tells of series that came and went.
type CatalogueChange struct {
	Added []labels.Labels `json:"added,omitempty"`
	Gone  []labels.Labels `json:"gone,omitempty"`
}

// States of a room.
const (
	StateLive      = "live"
	StateStale     = "stale"
	StateNotStored = "not_stored"
)

// Status tells that a room's state changed.
type Status struct {
	Room  string `json:"room"`
	State string `json:"state"`
	Since int64  `json:"since"` // Unix ms
}

// Gap tells that samples between two times, both excluded, may be missing.
type Gap struct {
	Room   string `json:"room,omitempty"` // absent in a HistoryAnswer
	IDs    []int  `json:"ids"`
	From   int64  `json:"from"` // Unix ms
	To     int64  `json:"to"`   // Unix ms
	Reason string `json:"reason"`
}

// Reasons of a Gap.
const (
	GapLogTrimmed    = "log_trimmed"    // a server was away for longer than the log is kept
	GapLogLost       = "log_lost"       // the log lost its end
	GapSourceDropped = "source_dropped" // numbers of a source are missing: a full spool, a power loss, a full queue
	GapDamaged       = "damaged"        // files of the history were damaged
	GapNotStored     = "not_stored"     // the disk was full; told for as long as it has not been recorded
)

// Bye announces a planned stop.
type Bye struct {
	RetryMS int `json:"retry_ms"`
}

// Codes of refused requests.
const (
	CodeBadRequest       = "bad_request"
	CodeBadQuery         = "bad_query"
	CodeUnsupportedQuery = "unsupported_query"
	CodeTooManyRooms     = "too_many_rooms"
	CodeNotReady         = "not_ready"
	CodeUnknownEvent     = "unknown_event"
	CodeOverloaded       = "overloaded"
	CodeInternal         = "internal"
)

// Error is why a request was refused: a stable code, and a sentence that says
// what to do.
type Error struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *Error) Error() string { return e.Message }

// Refused answers a request that was refused.
type Refused struct {
	OK    bool   `json:"ok"` // false
	Error *Error `json:"error"`
}
