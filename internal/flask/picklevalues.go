package flask

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number reads a number.
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
			return errors.New("the pickle has an invalid number, or one of more than 8 bytes")
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

// text reads a text, or bytes.
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
