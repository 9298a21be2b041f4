package redisbus

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
)

// The two users that docs/OPERATIONS.md gives to sources and to servers may do all
// that these do, also when links and the log are lost. Redis notes each refusal.
func TestTheUsersOfTheDocumentSuffice(t *testing.T) {
	document, err := os.ReadFile("../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	users := regexp.MustCompile(`(?m)^ACL SETUSER (\S+) on >(\S+) .+$`).FindAllStringSubmatch(string(document), -1)
	if len(users) != 2 {
		t.Fatalf("the document has %d users, not one for sources and one for servers", len(users))
	}
	s := start(t, redistest.Options{})
	admin := s.Client(t)
	var urls []string
	for _, user := range users {
		var words []any
		for _, word := range strings.Fields(user[0]) {
			words = append(words, word)
		}
		if err := admin.Do(t.Context(), words...).Err(); err != nil {
			t.Fatalf("%s: %v", user[0], err)
		}
		urls = append(urls, "redis://"+user[1]+":"+user[2]+"@"+s.Addr+"/0")
	}
	source := open(t, Options{URL: urls[0]})
	// Every round of trimming takes something out.
	server := open(t, Options{URL: urls[1], Trim: true, RetainBytes: 1})

	from := end(t, server) // an empty log has a position too
	if !counts(t, s) {
		from = bus.Position{}
	}
	reading := tail(t, server, from)
	insist(t, source, one("a", 1))
	insist(t, server, one("b", 1)) // what came over HTTP
	reading.wait(t, 2)
	trim(t, server)

	// Lost links: what was acknowledged is sent again.
	if err := admin.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	for _, batch := range sequence("a", 2, 200) {
		insist(t, source, batch)
	}
	reading.wait(t, 201)
	end(t, server)
	trim(t, server)

	// A lost log, and one that others have filled since: new epochs.
	for seq := uint64(201); seq < 203; seq++ {
		lost := admin.TxPipeline()
		lost.Del(t.Context(), server.logKey)
		if seq == 202 {
			lost.XAdd(t.Context(), &redis.XAddArgs{Stream: server.logKey, Values: []string{"not", "ours"}})
		}
		if _, err := lost.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		insist(t, source, one("a", seq))
		if err := reading.ends(t); !errors.Is(err, bus.ErrPositionLost) {
			t.Errorf("Tail on a lost log returned %v", err)
		}
		reading = tail(t, server, bus.Position{})
		reading.wait(t, 1)
	}

	refused, err := admin.Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil || len(refused) > 0 {
		t.Errorf("Redis refused: %v %v", refused, err)
	}
}

// trim trims now, as every few seconds.
func trim(t *testing.T, b *Bus) {
	t.Helper()
	eventually(t, "a round of trimming", func() bool { return b.trimOnce(t.Context()) == nil })
}
