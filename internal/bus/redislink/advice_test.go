package redislink

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"stripchart/internal/bus/redisbus/redistest"
	"stripchart/internal/testkit"
)

func TestAWrongAddressIsLoggedOnceWithWhatToDo(t *testing.T) {
	locked := redistest.Start(t, redistest.Options{Password: "right"})
	mustSay(t, "redis://:wrong@"+locked.Addr, "WRONGPASS", "correct user:password@ in --bus")
	mustSay(t, "redis://"+locked.Addr, "NOAUTH", "correct user:password@ in --bus")
	mustSay(t, "redis://"+shared.Addr+"/99", "DB index is out of range", "less than `databases`")

	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	mustSay(t, "redis://"+web.Listener.Addr().String(), "is not Redis")
	mustSay(t, "rediss://"+web.Listener.Addr().String(), "redis instead of rediss")
	mustSay(t, "redis+cluster://"+shared.Addr, "not in a cluster")
	mustSay(t, "redis+sentinel://"+shared.Addr+"?master_name=mine", "is not a sentinel")

	node := redistest.Start(t, redistest.Options{Args: []string{"--cluster-enabled", "yes"}})
	mustSay(t, "redis://"+node.Addr, "redis+cluster://host")

	watch := redistest.Start(t, redistest.Options{Sentinel: []string{"sentinel monitor mine 127.0.0.1 1 1"}})
	mustSay(t, "redis://"+watch.Addr, "the server is a sentinel", "redis+sentinel://")
	mustSay(t, "redis+sentinel://"+watch.Addr+"?master_name=yours", "no master of that name")

	replica := redistest.Start(t, redistest.Options{})
	if err := replica.Client(t).ReplicaOf(t.Context(), "127.0.0.1", "1").Err(); err != nil {
		t.Fatal(err)
	}
	mustSay(t, "redis://"+replica.Addr, "connected to a replica", "name the master in --bus")
}

// Redis sends such a reason and closes the connection before it has read a command. It
// does so to other machines only, so a server of the test's own plays its part.
func TestTheReasonWithWhichRedisHangsUpIsLogged(t *testing.T) {
	mustSay(t, redistest.HangUp(t, "-DENIED Redis is running in protected mode because ...\r\n"), "protected mode", "set a password in Redis")
	mustSay(t, redistest.HangUp(t, "-ERR max number of clients reached\r\n"), "max number of clients")
	mustSay(t, redistest.HangUp(t, ""), "if this error persists")
}

// The user in the URL is the sentinels', and Redis's unless Redis has one of its own.
func TestUserAndPasswordBehindASentinel(t *testing.T) {
	s := redistest.Start(t, redistest.Options{Password: "right"})
	_, port, _ := strings.Cut(s.Addr, ":")
	monitor := []string{"sentinel monitor mine 127.0.0.1 " + port + " 1", "sentinel auth-pass mine right"}
	open := redistest.Start(t, redistest.Options{Sentinel: monitor})
	mustReach(t, "redis+sentinel://:right@"+open.Addr+"?master_name=mine")
	mustReach(t, "redis+sentinel://"+open.Addr+"?master_name=mine&password=right")
	mustSay(t, "redis+sentinel://"+open.Addr+"?master_name=mine", "NOAUTH", "user:password@ in --bus is for the sentinels")
	locked := redistest.Start(t, redistest.Options{Password: "sesame", Sentinel: append(monitor, "requirepass sesame")})
	mustReach(t, "redis+sentinel://:sesame@"+locked.Addr+"?master_name=mine&password=right")
	mustSay(t, "redis+sentinel://:wrong@"+locked.Addr+"?master_name=mine&password=right", "WRONGPASS", "user:password@ in --bus is for the sentinels")
}

func TestAPolicyThatEvictsIsWarnedOfOnce(t *testing.T) {
	var log testkit.Log
	s := redistest.Start(t, redistest.Options{Args: []string{"--maxmemory-policy", "allkeys-lru"}})
	r := open(t, s.URL, log.Logger())
	for range 2 {
		l, err := r.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	}
	if n := strings.Count(log.String(), "noeviction"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, &log)
	}
}
