package redistest

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"testing"
)

// Pretend answers as a server of another version would: answers has what is sent,
// in Redis's protocol, by the command's name in lower case. Other commands are
// unknown. It returns the server's URL.
func Pretend(t testing.TB, answers map[string]string) string {
	t.Helper()
	return serve(t, "127.0.0.1:0", func(c net.Conn) { pretend(c, answers) })
}

// serve lets each handle a connection until the test is over, and closes it.
func serve(t testing.TB, address string, each func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go each(c)
		}
	}()
	return "redis://" + l.Addr().String()
}

// HangUp says something to whoever connects, and closes the connection. It returns the
// server's URL.
func HangUp(t testing.TB, says string) string {
	t.Helper()
	return serve(t, "127.0.0.1:0", func(c net.Conn) {
		_, _ = fmt.Fprint(c, says)
		_ = c.Close()
	})
}

// pretend serves one connection until its client leaves.
func pretend(c net.Conn, answers map[string]string) {
	defer func() { _ = c.Close() }()
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		var words []string
		n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
		for range n {
			_, _ = r.ReadString('\n')
			word, _ := r.ReadString('\n')
			words = append(words, strings.TrimSpace(word))
		}
		answer, ok := answers[strings.ToLower(words[0])]
		if !ok {
			answer = "-ERR unknown command '" + words[0] + "'\r\n"
		}
		if _, err := fmt.Fprint(c, answer); err != nil {
			return
		}
	}
}

// HelloOf is the answer to HELLO of a Redis of that version.
func HelloOf(version string) string {
	return fmt.Sprintf("*6\r\n+server\r\n+redis\r\n+version\r\n+%s\r\n+role\r\n+master\r\n", version)
}
