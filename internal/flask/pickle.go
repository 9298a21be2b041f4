package flask

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
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
	errStack     = errors.New("the pickle takes more from the stack than there is")
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
	return errors.New("the pickle fills what cannot be filled")
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

func (u *unpickler) number(op byte) error {
	switch op {
	case 'I', 'L', 'F': // a line of text
		s, err := u.line()
		if err != nil {
			return err
		}
		switch {
		case op == 'I' && (s == "00" || s == "01"):
			u.push(s == "01")
			return nil
		case op == 'F':
			f, err := strconv.ParseFloat(s, 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return errors.New("the pickle has a number that is none")
			}
			u.push(f)
			return nil
		}
		n, err := strconv.ParseInt(strings.TrimSuffix(s, "L"), 10, 64)
		if err != nil {
			return errors.New("the pickle has a number that is none, or needs more than 8 bytes")
		}
		u.push(n)
		return nil
	case 'G': // BINFLOAT
		b, err := u.take(8)
		if err != nil {
			return err
		}
		u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
		return nil
	case 0x8a: // LONG1: two's complement
		b, err := u.counted(1)
		if err != nil {
			return err
		}
		if len(b) > 8 {
			return errors.New("the pickle has a number of more than 8 bytes")
		}
		var full [8]byte
		copy(full[:], b)
		if len(b) > 0 && b[len(b)-1]&0x80 != 0 {
			for i := len(b); i < 8; i++ {
				full[i] = 0xff
			}
		}
		u.push(int64(binary.LittleEndian.Uint64(full[:])))
		return nil
	}
	size := map[byte]uint64{'K': 1, 'M': 2, 'J': 4}[op] // BININT1, BININT2, BININT
	v, err := u.uint(size)
	if err != nil {
		return err
	}
	if op == 'J' {
		u.push(int64(int32(v)))
	} else {
		u.push(int64(v))
	}
	return nil
}

func (u *unpickler) text(op byte) error {
	switch op {
	case 'S', 'V': // STRING, UNICODE: a line
		s, err := u.line()
		if err != nil {
			return err
		}
		if op == 'S' {
			s, err = unquote(s)
		}
		if err == nil {
			s, err = unescape(s, op == 'S')
		}
		u.push(s)
		return err
	}
	size := map[byte]uint64{'U': 1, 0x8c: 1, 'C': 1, 'T': 4, 'X': 4, 'B': 4, 0x8d: 8, 0x8e: 8}[op]
	b, err := u.counted(size)
	if err != nil {
		return err
	}
	if op == 'B' || op == 'C' || op == 0x8e {
		u.push(b)
	} else {
		u.push(string(b))
	}
	return nil
}

func unquote(s string) (string, error) {
	if n := len(s); n >= 2 && (s[0] == '\'' || s[0] == '"') && s[n-1] == s[0] {
		return s[1 : n-1], nil
	}
	return "", errors.New("the pickle has a text without quotes")
}

// unescape reads the escapes of Python's repr (all), or of raw-unicode-escape (\u and \U alone).
func unescape(s string, all bool) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		digits := map[byte]int{'u': 4, 'U': 8}[s[i+1]]
		if all {
			digits = map[byte]int{'x': 2}[s[i+1]]
		}
		switch {
		case digits > 0:
			if i+2+digits > len(s) {
				return "", errTruncated
			}
			n, err := strconv.ParseUint(s[i+2:i+2+digits], 16, 32)
			if err != nil {
				return "", errors.New("the pickle has an escape that is none")
			}
			if all {
				out.WriteByte(byte(n))
			} else {
				out.WriteRune(rune(n))
			}
			i += 1 + digits
		case all:
			c, known := map[byte]byte{'n': '\n', 't': '\t', 'r': '\r', '\\': '\\', '\'': '\'', '"': '"'}[s[i+1]]
			if !known {
				return "", errors.New("the pickle has an escape that is none")
			}
			out.WriteByte(c)
			i++
		default:
			out.WriteByte('\\')
		}
	}
	return out.String(), nil
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
			return errors.New("the pickle has a place of the memo that is none")
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
			return errors.New("the pickle gets what it has not put")
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

// Names that are allowed, for np.float64 alone. Nothing is looked up under them.
const (
	numpyScalar1 = "numpy.core.multiarray scalar"
	numpyScalar2 = "numpy._core.multiarray scalar"
	numpyType    = "numpy dtype"
)

// numpy makes a float64 of scalar(dtype('f8', False, True), 8 bytes), which is what np.float64 pickles to.
func (u *unpickler) numpy(op byte) error {
	switch op {
	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		var module, name any
		var err error
		if op == 'c' {
			if module, err = u.line(); err == nil {
				name, err = u.line()
			}
		} else if name, err = u.pop(); err == nil {
			module, err = u.pop()
		}
		if err != nil {
			return err
		}
		switch g := global(fmt.Sprintf("%.60v %.60v", module, name)); g {
		case numpyScalar1, numpyScalar2, numpyType:
			u.push(g)
			return nil
		default:
			return fmt.Errorf("the pickle names %s, and only plain values and np.float64 are read", string(g))
		}
	case 'b': // BUILD of the dtype, whose state says little-endian
		state, err := u.pop()
		if err != nil {
			return err
		}
		fields, _ := state.(*list)
		if fields == nil || len(fields.items) != 8 || fields.items[1] != "<" || len(u.stack) == 0 || u.stack[len(u.stack)-1] != (numpyDtype{}) {
			return errors.New("the pickle builds what is no np.float64")
		}
		return nil
	}
	given, err := u.pop() // REDUCE
	if err != nil {
		return err
	}
	callee, err := u.pop()
	if err != nil {
		return err
	}
	args, _ := given.(*list)
	name, _ := callee.(global)
	switch {
	case args == nil:
	case name == numpyType && len(args.items) == 3 && args.items[0] == "f8":
		u.push(numpyDtype{})
		return nil
	case (name == numpyScalar1 || name == numpyScalar2) && len(args.items) == 2 && args.items[0] == (numpyDtype{}):
		raw, ok := args.items[1].([]byte)
		if text, is := args.items[1].(string); is {
			raw, ok = []byte(text), true // of Python 2
		}
		if ok && len(raw) == 8 {
			u.push(math.Float64frombits(binary.LittleEndian.Uint64(raw)))
			return nil
		}
	}
	return errors.New("the pickle calls what is no np.float64")
}
