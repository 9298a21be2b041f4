package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"stripchart/internal/socketio/siotest"
	"stripchart/internal/wire"
)

// Namespaces.
const (
	root = "/"
	live = "/live"
)

// dial connects to address, host:port, and enters the namespace.
func dial(ctx context.Context, address, namespace string) (*siotest.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return siotest.Dial(ctx, "http://"+address, siotest.Options{Namespace: namespace})
}

// request sends a request and waits for its answer. A refusal is an error.
func request(c *siotest.Client, event string, arg, answer any) error {
	b, err := c.Ask(event, arg)
	if err != nil {
		return err
	}
	if err := granted(b); err != nil {
		return fmt.Errorf("%s: %w", event, err)
	}
	return json.Unmarshal(b, answer)
}

// granted returns the error that an answer is, or nil.
func granted(answer json.RawMessage) error {
	var r wire.Refused
	if err := json.Unmarshal(answer, &r); err != nil {
		return fmt.Errorf("answer %.200s: %w", answer, err)
	}
	if !r.OK {
		if r.Error == nil {
			return fmt.Errorf("refused: %.200s", answer)
		}
		return r.Error
	}
	return nil
}
