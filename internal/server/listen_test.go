package server

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestTakenDefaultPortMeansTheNextFreeOne(t *testing.T) {
	first, err := Listen("127.0.0.1:0", false)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	second, err := Listen(first.Addr().String(), false)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if got := second.Addr().(*net.TCPAddr).Port; got <= port || got > port+portsToTry {
		t.Errorf("port %d after %d", got, port)
	}
	if _, err := Listen(first.Addr().String(), true); err == nil || !strings.Contains(err.Error(), strconv.Itoa(port)) {
		t.Errorf("a port that was asked for: %v", err)
	}
}
