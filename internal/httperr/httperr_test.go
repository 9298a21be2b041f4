package httperr

import (
	"io"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	w := httptest.NewRecorder()
	Error{"bad_batch", "a <b> & \"c\""}.Write(w, 400)
	if w.Code != 400 || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
	if e, err := Read(w.Body, 1000, 1000); err != nil || e != (Error{"bad_batch", "a <b> & \"c\""}) {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestMessagesAreBoundedAndValidOnBothSides(t *testing.T) {
	long := Error{"x", strings.Repeat("é", 5000)}
	if n := len(long.Body()); n > 1100 {
		t.Errorf("a body of %d bytes", n)
	}
	for n := range 5 {
		e, err := Read(strings.NewReader(string(long.Body())), 8000, n)
		if err != nil || e.Message != strings.Repeat("é", n/2) {
			t.Errorf("at most %d bytes: %q, %v", n, e.Message, err)
		}
	}
}

func TestAnotherFormIsNoErrorOfOurs(t *testing.T) {
	for _, s := range []string{"", "<html>welcome", "{}", `{"error":"text"}`, `{"error":{"code":"x","mess`} {
		if e, err := Read(strings.NewReader(s), 1000, 1000); err != nil || e != (Error{}) {
			t.Errorf("%q: %+v, %v", s, e, err)
		}
	}
	if _, err := Read(io.MultiReader(strings.NewReader("{"), broken{}), 1000, 1000); err == nil {
		t.Error("a body that breaks off is no error")
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
