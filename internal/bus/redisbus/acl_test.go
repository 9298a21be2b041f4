package redisbus

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

// The two users that docs/OPERATIONS.md gives to sources and to servers may do all
// that these do, also when links and the log are lost. Redis notes each refusal.
func TestTheUsersOfTheDocumentSuffice(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	admin := s.Client(t)
	users := documented(t, s, "")
	source := open(t, Options{URL: "redis://" + users[0] + "@" + s.Addr + "/0"})
	// Every round of trimming takes something out.
	server := open(t, Options{URL: "redis://" + users[1] + "@" + s.Addr + "/0", Trim: true, RetainBytes: 1})

	from := end(t, server) // an empty log has a position too
	if !counts(t, s) {
		from = bus.Position{}
	}
	reading := tail(t, server, from)
	insist(t, source, one("a", 1))
	insist(t, server, one("b", 1)) // batches that were received over HTTP
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

	refusedNothing(t, s)
}

// In a cluster the users need one more command; behind sentinels they need no other.
func TestTheUsersOfTheDocumentSufficeBehindSentinelsAndInAClusterToo(t *testing.T) {
	s := redistest.Start(t, redistest.Options{})
	_, port, _ := strings.Cut(s.Addr, ":")
	watch := redistest.Start(t, redistest.Options{Sentinel: []string{"sentinel monitor mine 127.0.0.1 " + port + " 1"}})
	node := redistest.StartClusterOfOne(t, redistest.Options{})
	for where, users := range map[string][]string{
		"redis+sentinel://" + watch.Addr + "?master_name=mine&username=%s&password=%s": documented(t, s, ""),
		"redis+cluster://%s:%s@" + node.Addr:                                           documented(t, node, "+cluster|slots"),
	} {
		var urls []string
		for _, user := range users {
			name, password, _ := strings.Cut(user, ":")
			urls = append(urls, fmt.Sprintf(where, name, password))
		}
		source := open(t, Options{URL: urls[0]})
		server := open(t, Options{URL: urls[1], Trim: true})
		insist(t, source, one("a", 1))
		read(t, server, bus.Position{}, 1)
		end(t, server)
		trim(t, server)
	}
	refusedNothing(t, s)
	refusedNothing(t, node)
}

// documented makes the users that docs/OPERATIONS.md gives to sources and to servers,
// and returns each as user:password.
func documented(t *testing.T, s *redistest.Server, more string) (users []string) {
	t.Helper()
	document, err := os.ReadFile("../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range regexp.MustCompile(`(?m)^user (\S+) on >(\S+) .+$`).FindAllStringSubmatch(string(document), -1) {
		words := []any{"ACL", "SETUSER"}
		for _, word := range strings.Fields(user[0] + " " + more)[1:] {
			words = append(words, word)
		}
		if err := s.Client(t).Do(t.Context(), words...).Err(); err != nil {
			t.Fatalf("%s: %v", user[0], err)
		}
		users = append(users, user[1]+":"+user[2])
	}
	if len(users) != 2 {
		t.Fatalf("the document has %d users, not one for sources and one for servers", len(users))
	}
	return users
}

// refusedNothing checks that Redis's ACL log is empty.
func refusedNothing(t *testing.T, s *redistest.Server) {
	t.Helper()
	refused, err := s.Client(t).Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil || len(refused) > 0 {
		t.Errorf("Redis refused: %v %v", refused, err)
	}
}

// trim trims now, as every few seconds.
func trim(t *testing.T, b *Bus) {
	t.Helper()
	testkit.Eventually(t, "a round of trimming", func() bool { return b.trimOnce(t.Context()) == nil })
}
