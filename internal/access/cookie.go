package access

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"stripchart/internal/datadir"
)

// CookieAge is how long a browser stays signed in.
const CookieAge = 30 * 24 * time.Hour

// keyName is the file of the key in the data folder: 64 hexadecimal digits, mode 0600.
const keyName = "cookie.key"

const keySize = 32

// Cookies make and read the cookies of browsers that have signed in. A cookie has the name of
// its token, when it expires, and a MAC over both and the token's hash: nothing is stored for
// it, and it ends with its token. The key is in the data folder, and not made of the hash, so
// that whoever reads a token file still cannot make a cookie. Servers behind one address need
// the same key to know each other's cookies.
type Cookies struct {
	tokens *Tokens
	key    []byte
	now    func() time.Time
}

// OpenCookies returns the cookies of tokens. dir is the data folder; where it has no key yet,
// one is made.
func OpenCookies(tokens *Tokens, dir string) (*Cookies, error) {
	path := filepath.Join(dir, keyName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, keySize)
		_, _ = rand.Read(key) // it never fails
		text = append(hex.AppendEncode(nil, key), '\n')
		err = datadir.ReplacePrivate(path, text)
	}
	if err != nil {
		return nil, fmt.Errorf("key of the cookies: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("key of the cookies: %s has no %d hexadecimal digits; remove it, and browsers sign in again", path, 2*keySize)
	}
	return &Cookies{tokens: tokens, key: key, now: time.Now}, nil
}

// Name is the name of the cookie. It differs from server to server, because the servers on
// all ports of one host share their cookies.
func (c *Cookies) Name() string {
	return "stripchart-" + hex.EncodeToString(c.mac("name")[:4])
}

// Make returns the value of a cookie for t.
func (c *Cookies) Make(t *Token) string {
	expires := strconv.FormatInt(c.now().Add(CookieAge).Unix(), 10)
	return t.Name + "~" + expires + "~" + c.sign(t, expires)
}

// Find returns the token of a cookie's value, or nil.
func (c *Cookies) Find(value string) *Token {
	name, rest, _ := strings.Cut(value, "~")
	expires, mac, ok := strings.Cut(rest, "~")
	t := c.tokens.named(name)
	if !ok || t == nil || !hmac.Equal([]byte(mac), []byte(c.sign(t, expires))) {
		return nil
	}
	at, err := strconv.ParseInt(expires, 10, 64)
	if err != nil || c.now().Unix() >= at {
		return nil
	}
	return t
}

func (c *Cookies) sign(t *Token, expires string) string {
	return base64.RawURLEncoding.EncodeToString(c.mac("session", t.Name, string(t.hash[:]), expires))
}

// mac is the MAC of parts, none of which, but for the hash of fixed size, can have a zero byte.
func (c *Cookies) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, c.key)
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	return h.Sum(nil)
}
