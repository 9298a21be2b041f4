package flask

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// Values of a pickle are nil, bool, int64, float64, string, []byte, *list and *dict. Lists and dictionaries are shared
// where the pickle shares them, and may contain themselves: readers look a fixed number of levels deep.
type (
	list struct{ items []any } // or a tuple
	dict struct{ items map[string]any }
)

// Values that exist only on the way to an np.float64.
type (
	global     string // module and name, with a space between
	numpyDtype struct{}
)

// mark is MARK on the stack.
type mark struct{}

var (
	errTruncated = errors.New("the pickle ends early")
	errStack     = errors.New("the pickle takes more values from the stack than the stack holds")
)

// unpickler reads a pickle. Every opcode makes at most one value, so memory is bounded by the bytes of the pickle.
type unpickler struct {
	in    []byte
	stack []any
	memo  map[int64]any
}

// unpickle returns the value of a pickle.
func unpickle(b []byte) (any, error) {
	u := &unpickler{in: b, memo: map[int64]any{}}
	for {
		op, err := u.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return u.pop()
		}
		if err := u.do(op[0]); err != nil {
			return nil, err
		}
	}
}

// take returns the next n bytes.
func (u *unpickler) take(n uint64) ([]byte, error) {
	if n > uint64(len(u.in)) {
		return nil, errTruncated
	}
	b := u.in[:n]
	u.in = u.in[n:]
	return b, nil
}

// line returns the bytes up to the next line feed.
func (u *unpickler) line() (string, error) {
	b, rest, found := bytes.Cut(u.in, []byte{'\n'})
	if !found {
		return "", errTruncated
	}
	u.in = rest
	return string(bytes.TrimSuffix(b, []byte{'\r'})), nil
}

// uint reads an unsigned number of n bytes, the least first.
func (u *unpickler) uint(n uint64) (uint64, error) {
	b, err := u.take(n)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return binary.LittleEndian.Uint64(full[:]), nil
}

// counted returns the bytes behind their number, which has n bytes.
func (u *unpickler) counted(n uint64) ([]byte, error) {
	size, err := u.uint(n)
	if err != nil {
		return nil, err
	}
	return u.take(size)
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) pop() (any, error) {
	if len(u.stack) == 0 {
		return nil, errStack
	}
	v := u.stack[len(u.stack)-1]
	u.stack = u.stack[:len(u.stack)-1]
	if v == (mark{}) {
		return nil, errStack
	}
	return v, nil
}

// popMark returns what lies above the newest mark, and takes both away.
func (u *unpickler) popMark() ([]any, error) {
	for i := len(u.stack) - 1; i >= 0; i-- {
		if u.stack[i] == (mark{}) {
			items := append([]any(nil), u.stack[i+1:]...)
			u.stack = u.stack[:i]
			return items, nil
		}
	}
	return nil, errStack
}

// do carries out one opcode. The lists of opcodes are those of Python's pickletools.
func (u *unpickler) do(op byte) error {
	switch op {
	case 0x80: // PROTO
		v, err := u.uint(1)
		if err == nil && v > 5 {
			err = fmt.Errorf("pickle protocol %d is not known", v)
		}
		return err
	case 0x95: // FRAME
		_, err := u.uint(8)
		return err
	case '(':
		u.push(mark{})
	case 'N':
		u.push(nil)
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		u.push(op == 0x88)
	case '}', ']', ')', 'd', 'l', 't', 0x85, 0x86, 0x87, 'a', 'e', 's', 'u':
		return u.container(op)
	case 'I', 'J', 'K', 'M', 'L', 0x8a, 'F', 'G':
		return u.number(op)
	case 'S', 'T', 'U', 'V', 'X', 0x8c, 0x8d, 'B', 'C', 0x8e:
		return u.text(op)
	case 'p', 'q', 'r', 0x94, 'g', 'h', 'j':
		return u.remember(op)
	case 'c', 0x93, 'R', 'b':
		return u.numpy(op)
	default:
		return fmt.Errorf("pickle opcode %#x is not among those that make plain values", op)
	}
	return nil
}

// container makes and fills lists, tuples and dictionaries.
func (u *unpickler) container(op byte) error {
	switch op {
	case '}':
		u.push(&dict{map[string]any{}})
		return nil
	case ']', ')':
		u.push(&list{})
		return nil
	case 'l', 't', 'd':
		items, err := u.popMark()
		if err != nil {
			return err
		}
		if op != 'd' {
			u.push(&list{items})
			return nil
		}
		d := &dict{map[string]any{}}
		u.push(d)
		return d.set(items)
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		n := int(op - 0x84)
		items := make([]any, n)
		for i := n - 1; i >= 0; i-- {
			var err error
			if items[i], err = u.pop(); err != nil {
				return err
			}
		}
		u.push(&list{items})
		return nil
	}
	var items []any
	var err error
	switch op {
	case 'e', 'u': // APPENDS, SETITEMS
		items, err = u.popMark()
	case 's': // SETITEM
		var value any
		if value, err = u.pop(); err != nil {
			return err
		}
		items = []any{nil, value}
		items[0], err = u.pop()
	default: // APPEND
		items = make([]any, 1)
		items[0], err = u.pop()
	}
	if err != nil {
		return err
	}
	if len(u.stack) == 0 {
		return errStack
	}
	switch into := u.stack[len(u.stack)-1].(type) {
	case *list:
		if op == 'a' || op == 'e' {
			into.items = append(into.items, items...)
			return nil
		}
	case *dict:
		if op == 's' || op == 'u' {
			return into.set(items)
		}
	}
	return errors.New("the pickle adds items to a value that is no list or dictionary")
}

// set sets pairs of keys and values.
func (d *dict) set(pairs []any) error {
	if len(pairs)%2 != 0 {
		return errors.New("the pickle has a key without a value")
	}
	for i := 0; i < len(pairs); i += 2 {
		key, ok := pairs[i].(string)
		if !ok {
			return errors.New("the pickle has a key that is no text")
		}
		d.items[key] = pairs[i+1]
	}
	return nil
}

// remember puts values into the memo and gets them.
func (u *unpickler) remember(op byte) error {
	var at int64
	switch op {
	case 0x94: // MEMOIZE
		at = int64(len(u.memo))
	case 'p', 'g':
		s, err := u.line()
		if err != nil {
			return err
		}
		if at, err = strconv.ParseInt(s, 10, 64); err != nil {
			return errors.New("the pickle has an invalid memo index")
		}
	default:
		size := uint64(4)
		if op == 'q' || op == 'h' {
			size = 1
		}
		v, err := u.uint(size)
		if err != nil {
			return err
		}
		at = int64(v)
	}
	switch op {
	case 'g', 'h', 'j':
		v, there := u.memo[at]
		if !there {
			return errors.New("the pickle reads a memo entry that it has not written")
		}
		u.push(v)
	default:
		if len(u.stack) == 0 || u.stack[len(u.stack)-1] == (mark{}) {
			return errStack
		}
		u.memo[at] = u.stack[len(u.stack)-1]
	}
	return nil
}
