package redislink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// hintedError is an error of Redis, or of the connection to it, with the server's name
// and what to do.
type hintedError struct {
	addr string // without user and password
	err  error
	hint string // empty where err says what to do, and where only waiting helps
}

func (e *hintedError) Error() string {
	if e.hint == "" {
		return fmt.Sprintf("redis at %s: %v", e.addr, e.err)
	}
	return fmt.Sprintf("redis at %s: %s; %s", e.addr, strings.TrimSuffix(e.err.Error(), "."), e.hint)
}

func (e *hintedError) Unwrap() error { return e.err }

// hintOf returns the hint in err; "" if there is none. There are few different hints.
func hintOf(err error) string {
	var e *hintedError
	if errors.As(err, &e) {
		return e.hint
	}
	return ""
}

// explain turns err into a hintedError, unless err already is one. dialling says that the connection
// never worked.
func (a *address) explain(err error, dialling bool) error {
	var e *hintedError
	if errors.As(err, &e) {
		return err
	}
	hint := a.hint(err)
	if hint == "" && dialling && hungUp(err) {
		if hint = "if this error persists, the port may be for TLS (rediss://), or Redis may be in protected mode"; a.tls {
			hint = clientCertificate
		}
	}
	return &hintedError{a.name, err, hint}
}

// hint returns what to do about an error that waiting does not cure, unless the text of the error
// already says so.
func (a *address) hint(err error) string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		noTLS   tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return "name the file of its CA's certificate: ?tls_ca_cert_file=FILE at the end of --bus, or SSL_CERT_FILE=FILE in the environment"
	case errors.As(err, &name):
		return "the certificate of Redis must name this address, or --bus must use a name that is in the certificate"
	case errors.As(err, &noTLS), errors.Is(err, errNoTLS):
		return "for a port without TLS, write redis instead of rediss in --bus"
	case errors.Is(err, errProtected):
		return "set a password in Redis (requirepass, or an ACL user) and in --bus"
	case errors.Is(err, errSentinel):
		return "for Redis behind sentinels use --bus redis+sentinel://host:26379/?master_name=NAME"
	case errors.Is(err, ErrReplica) && a.kind == "":
		return "name the master in --bus, or its sentinels"
	case HasCode(err, "OOM"):
		return "the memory of Redis is full: raise maxmemory, or lower --bus-bytes of the servers"
	case a.kind == "sentinel" && errors.Is(err, redis.Nil):
		return "the sentinels know no master of that name: master_name is the name after `sentinel monitor` in their configuration"
	}
	text := strings.ToLower(err.Error())
	for _, x := range [...]struct{ says, do string }{
		{ErrOldServer.Error(), "upgrade it to 6.2 or newer, or to Valkey, or name another server in --bus"},
		{"tls: certificate required", clientCertificate},
		{"wrongpass", a.wrongPassword()},
		{"noauth", a.wrongPassword()},
		{"noperm", "give the user the permissions that docs/OPERATIONS.md lists under Redis"},
		{"db index is out of range", "the database number in --bus must be less than `databases` in the configuration of Redis (16 by default)"},
		{"cluster support disabled", "the server is not in a cluster: use --bus redis://host"},
		{"unknown command 'sentinel'", noSentinel},
		{"unknown command `sentinel`", noSentinel}, // Redis 6.2
		{"redis: invalid reply", "the server there is not Redis: check host and port in --bus"},
		{"redis: can't parse", "the server there is not Redis: check host and port in --bus"},
	} {
		if strings.Contains(text, x.says) {
			return x.do
		}
	}
	if a.kind != "cluster" && (HasCode(err, "MOVED") || HasCode(err, "CLUSTERDOWN")) {
		return "the server is a node of a cluster: use --bus redis+cluster://host"
	}
	return ""
}

const noSentinel = "the server is not a sentinel; the port of sentinels is 26379 by default"

// clientCertificate is the hint for both ways in which Redis refuses a client without a
// certificate: a TLS alert, or a reset that arrives before the alert.
const clientCertificate = "where Redis requires client certificates (its default, see tls-auth-clients), add ?tls_cert_file=FILE&tls_key_file=FILE to --bus"

func (a *address) wrongPassword() string {
	if a.kind == "sentinel" {
		return "user:password@ in --bus is for the sentinels, and for Redis too unless &username= and &password= follow"
	}
	return "correct user:password@ in --bus; write special characters as %XX"
}
