package main

import (
	"encoding/binary"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"stripchart/internal/testkit"
)

// fileServer is a filesystem of the kernel's kind for servers in user space. While
// it is silent, whoever asks it hangs in the kernel, as with a file server whose
// machine is gone.
type fileServer struct {
	t       *testing.T
	device  *os.File
	answers atomic.Bool
	asked   atomic.Int32 // questions for its size that were read
	closing chan struct{}
	once    sync.Once
	done    sync.WaitGroup
}

// newFileServer returns one that answers nothing but the kernel's greeting. Close
// makes the kernel fail whatever still waits for it; so does the end of this process.
func newFileServer(t *testing.T) *fileServer {
	t.Helper()
	device, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatalf("open the kernel's side of a filesystem: %v; run where FUSE is, or not as root", err)
	}
	f := &fileServer{t: t, device: device, closing: make(chan struct{})}
	f.done.Go(f.serve)
	t.Cleanup(f.close)
	return f
}

func (f *fileServer) close() {
	f.once.Do(func() { close(f.closing) })
	f.done.Wait()
	_ = f.device.Close()
}

// Operations and sizes of linux/fuse.h.
const (
	fuseStatfs, fuseInit   = 17, 26
	fuseInHeader           = 40
	fuseOutHeader          = 16
	fuseInitOut, fuseSpace = 64, 80
	fuseReadBuffer         = 1 << 17
)

// fileServerSize is what the filesystem says of itself: bytes, of which a quarter is used.
const fileServerSize = 1000 * 4096

func (f *fileServer) serve() {
	fd := int(f.device.Fd())
	request := make([]byte, fuseReadBuffer)
	greeted := false
	for {
		select {
		case <-f.closing:
			return
		case <-time.After(10 * time.Millisecond):
		}
		if greeted && !f.answers.Load() {
			continue
		}
		// Before it is mounted there is an error instead of something to read.
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(ready, 0); err != nil || n == 0 || ready[0].Revents != unix.POLLIN {
			continue
		}
		n, err := unix.Read(fd, request)
		if err != nil || n < fuseInHeader {
			continue
		}
		var body []byte
		switch binary.NativeEndian.Uint32(request[4:]) {
		case fuseInit:
			greeted = true
			body = make([]byte, fuseInitOut)
			binary.NativeEndian.PutUint32(body[0:], 7) // the protocol's version, 7.31
			binary.NativeEndian.PutUint32(body[4:], 31)
		case fuseStatfs:
			f.asked.Add(1)
			body = make([]byte, fuseSpace)
			for at, v := range map[int]uint64{0: 1000, 8: 750, 16: 750} { // blocks: all, free, free for users
				binary.NativeEndian.PutUint64(body[at:], v)
			}
			binary.NativeEndian.PutUint32(body[40:], 4096)
			binary.NativeEndian.PutUint32(body[48:], 4096)
		default:
			continue // an interruption, which needs no answer
		}
		answer := make([]byte, fuseOutHeader, fuseOutHeader+len(body))
		binary.NativeEndian.PutUint32(answer, uint32(fuseOutHeader+len(body)))
		copy(answer[8:], request[8:16]) // which request
		if _, err := unix.Write(fd, append(answer, body...)); err != nil {
			f.t.Errorf("answer the kernel: %v", err)
		}
	}
}

// startBehind starts the program where the filesystem is mounted, and nowhere else: in
// a tree of mounts of its own, which ends with it. It returns when the program has
// asked the filesystem and given up waiting.
func (f *fileServer) startBehind() (p *process, mountpoint string) {
	f.t.Helper()
	const script = `mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0,allow_other fileserver:/export "$1" &&
		shift && exec "$0" "$@" 3<&-`
	mountpoint = f.t.TempDir()
	cmd := exec.Command("/bin/sh", "-c", script, os.Args[0], mountpoint, "--data-dir", f.t.TempDir(), "--listen", "127.0.0.1:0", "--interval", "100ms")
	cmd.ExtraFiles = []*os.File{f.device}
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	p = startCommand(f.t, "program", cmd)
	if p.url == "" {
		f.t.Fatalf("the program did not start:\n%s", p.log)
	}
	testkit.Eventually(f.t, "a round without the filesystem", func() bool { return strings.Contains(p.log.String(), mountpoint+": no answer") })
	return p, mountpoint
}

// ticks waits until the program has measured n times more.
func (p *process) ticks(n int) {
	p.t.Helper()
	began := time.Now().UnixMilli()
	testkit.Eventually(p.t, "it goes on measuring", func() bool { return p.history().between(began, 1<<62) >= n })
}

// sizes returns what the history has of the size of a filesystem, by time.
func (p *process) sizes(mountpoint string) samples {
	p.t.Helper()
	return p.historyOf(`filesystem_size_bytes{fstype="fuse",mountpoint=` + strconv.Quote(mountpoint) + `}`)
}

func TestAFileServerThatHangs(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("not root: a filesystem that hangs cannot be mounted, so the promise is tested with readings that hang alone (internal/collect)")
		return
	}
	t.Run("delays nothing else, is asked once, and is measured when it answers", func(t *testing.T) {
		t.Parallel()
		f := newFileServer(t)
		p, mountpoint := f.startBehind()
		p.ticks(10)
		if n := len(p.sizes(mountpoint)); n != 0 {
			t.Errorf("%d samples of a filesystem that never answered", n)
		}

		f.answers.Store(true)
		testkit.Eventually(t, "the filesystem is measured", func() bool { return len(p.sizes(mountpoint)) > 0 })
		for at, size := range p.sizes(mountpoint) {
			if size != fileServerSize {
				t.Errorf("at %d its size is %v", at, size)
			}
		}
		// The question that hung, and one for each sample: no thread for every round.
		// An answer may be on its way.
		testkit.Eventually(t, "a sample for each question but one", func() bool { return int(f.asked.Load()) == len(p.sizes(mountpoint))+1 })
		p.stop()
	})
	t.Run("may fail at last", func(t *testing.T) {
		t.Parallel()
		f := newFileServer(t)
		p, mountpoint := f.startBehind()
		f.close()
		p.ticks(10)
		if n := len(p.sizes(mountpoint)); n != 0 {
			t.Errorf("%d samples of a filesystem that never answered", n)
		}
		p.stop()
	})
	t.Run("does not hold up the end", func(t *testing.T) {
		t.Parallel()
		f := newFileServer(t)
		p, _ := f.startBehind()
		p.stop()
	})
}
