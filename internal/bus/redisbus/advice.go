package redisbus

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// trouble is an error of Redis's, or on the way there, with what to do about it.
type trouble struct {
	at  string // without user and password
	err error
	do  string // empty where err says it, or where waiting is all there is to do
}

func (t *trouble) Error() string {
	if t.do == "" {
		return fmt.Sprintf("redis at %s: %v", t.at, t.err)
	}
	return fmt.Sprintf("redis at %s: %s; %s", t.at, strings.TrimSuffix(t.err.Error(), "."), t.do)
}

func (t *trouble) Unwrap() error { return t.err }

// explain makes err a trouble. fresh says that the connection has not worked yet.
func (a *address) explain(err error, fresh bool) error {
	var t *trouble
	if errors.As(err, &t) {
		return err
	}
	do := a.advice(err)
	if do == "" && fresh && hungUp(err) {
		if do = "if this stays so, that port may be one for TLS (rediss://), or Redis in protected mode"; a.tls {
			do = clientCertificate
		}
	}
	return &trouble{a.name, err, do}
}

// advice says what to do about an error that does not go away by itself, and
// does not say so either.
func (a *address) advice(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		noTLS   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return "name the file of its CA's certificate: ?tls_ca_cert_file=FILE at the end of --bus, or SSL_CERT_FILE=FILE in the environment"
	case errors.As(err, &name):
		return "Redis's certificate has to be issued for the address that is called, or called has to be a name that it has"
	case errors.As(err, &noTLS), errors.Is(err, errNoTLS):
		return "for a port without TLS, write redis instead of rediss in --bus"
	case errors.Is(err, errProtected):
		return "give it a password (requirepass, or a user of its own), and --bus too"
	case errors.Is(err, errSentinel):
		return "for Redis behind sentinels, --bus is redis+sentinel://host:26379/?master_name=NAME"
	case errors.Is(err, errReplica) && a.kind == "":
		return "name the master in --bus, or its sentinels"
	case saysFirst(err, "OOM"):
		return "Redis's memory is full: raise maxmemory, or lower the servers' --bus-bytes"
	case a.kind == "sentinel" && errors.Is(err, redis.Nil):
		return "the sentinels know no master of that name: master_name is what follows `sentinel monitor` in their configuration"
	}
	text := strings.ToLower(err.Error())
	for _, x := range [...]struct{ says, do string }{
		{ErrOldServer.Error(), "upgrade it to 6.2 or newer, or to Valkey, or name another one in --bus"},
		{"tls: certificate required", clientCertificate},
		{"wrongpass", a.wrongPassword()},
		{"noauth", a.wrongPassword()},
		{"noperm", "give the user the permissions that docs/OPERATIONS.md lists under Redis"},
		{"db index is out of range", "the number behind the host in --bus has to be less than `databases` in Redis's configuration, which is 16 unless it says otherwise"},
		{"cluster support disabled", "that is no cluster: --bus is redis://host"},
		{"unknown command 'sentinel'", noSentinel},
		{"unknown command `sentinel`", noSentinel}, // Redis 6.2
		{"redis: invalid reply", "no Redis answers there: is that its port?"},
		{"redis: can't parse", "no Redis answers there: is that its port?"},
	} {
		if strings.Contains(text, x.says) {
			return x.do
		}
	}
	if a.kind != "cluster" && (saysFirst(err, "MOVED") || saysFirst(err, "CLUSTERDOWN")) {
		return "that is a node of a cluster: --bus is redis+cluster://host"
	}
	return ""
}

const noSentinel = "that is no sentinel; their port is 26379 unless it was changed"

// clientCertificate is for both ways in which a client without one is told: by an
// alert, or by a reset that overtakes it.
const clientCertificate = "where Redis wants a client's certificate, as it does without `tls-auth-clients no`, add ?tls_cert_file=FILE&tls_key_file=FILE to --bus"

func (a *address) wrongPassword() string {
	if a.kind == "sentinel" {
		return "user:password@ in --bus are the sentinels', and Redis's too unless &username= and &password= follow"
	}
	return "correct user:password@ in --bus; special characters are written as %XX"
}

// hungUp reports whether the other end closed the connection.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
