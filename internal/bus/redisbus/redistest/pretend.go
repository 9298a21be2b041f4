package redistest

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Old serves at an address ("127.0.0.1:0": any port) and answers HELLO and INFO as Redis
// 5.0.14 and 6.0.20 do, because no Redis before 6.2 can be installed where tests run. It
// returns the server's URL and a function that stops it.
func Old(t testing.TB, address, version string) (url string, stop func()) {
	t.Helper()
	info := "# Server\r\nredis_version:" + version + "\r\n"
	return serve(t, address, func(c net.Conn) {
		for r := bufio.NewReader(c); ; {
			words, err := command(r)
			if err != nil {
				return
			}
			answer := "-ERR not asked in any test\r\n"
			switch name := strings.ToUpper(words[0]); {
			case name == "INFO":
				answer = fmt.Sprintf("$%d\r\n%s\r\n", len(info), info)
			case name == "HELLO" && version < "6":
				answer = "-ERR unknown command `HELLO`, with args beginning with: \r\n"
			case name == "HELLO" && len(words) == 1:
				answer = "-ERR wrong number of arguments for 'hello' command\r\n"
			case name == "HELLO":
				answer = "*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n6.0.20\r\n$5\r\nproto\r\n:2\r\n"
			}
			if _, err := fmt.Fprint(c, answer); err != nil {
				return
			}
		}
	})
}

// HangUp sends a text to each client that connects, and closes the connection. It returns the
// server's URL.
func HangUp(t testing.TB, says string) string {
	t.Helper()
	url, _ := serve(t, "127.0.0.1:0", func(c net.Conn) { _, _ = fmt.Fprint(c, says) })
	return url
}

// serve calls each for every connection, until stop is called or the test ends.
func serve(t testing.TB, address string, each func(net.Conn)) (url string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex // guards what follows
	open, over := map[net.Conn]bool{}, false
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			if open[c] = true; over {
				_ = c.Close()
			}
			mu.Unlock()
			handlers.Go(func() {
				each(c)
				_ = c.Close()
			})
		}
	})
	stop = sync.OnceFunc(func() {
		_ = l.Close()
		mu.Lock()
		over = true
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		handlers.Wait()
	})
	t.Cleanup(stop)
	return "redis://" + l.Addr().String(), stop
}

// command reads a command in Redis's protocol.
func command(r *bufio.Reader) (words []string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "*")))
	if err != nil || n < 1 {
		return nil, fmt.Errorf("not a command: %q", line)
	}
	for range n {
		if _, err := r.ReadString('\n'); err != nil {
			return nil, err
		}
		word, err := r.ReadString('\n')
		if err != nil {
			return nil, err
		}
		words = append(words, strings.TrimSpace(word))
	}
	return words, nil
}
