package ingest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// otlpValue is a piece of an OTLP message, in protobuf or in JSON, so that one reader is enough for both. It refers to
// the body and copies nothing: what a library would make of a message takes up to fifty times the bytes of the body.
type otlpValue struct {
	json bool
	raw  []byte         // the message or text, and the JSON of anything
	wire protowire.Type // of a number in protobuf
	n    uint64         // that number
}

// otlpNames are the names that the fields of a message have in JSON.
type otlpNames map[string]protowire.Number

var (
	errOTLPWire = errors.New("the body is no message of OTLP in protobuf")
	errOTLPJSON = errors.New("the body is no message of OTLP in JSON")
)

// fields calls f for each field of a message. In JSON it calls f for each element of an array, as if the array were a
// repeated field.
func (v otlpValue) fields(names otlpNames, f func(protowire.Number, otlpValue) error) error {
	if !v.json {
		return v.wireFields(f)
	}
	if len(v.raw) == 0 || v.raw[0] != '{' {
		if string(v.raw) == "null" {
			return nil
		}
		return errOTLPJSON
	}
	return eachJSON(v.raw, func(key, value []byte) error {
		number, known := names[string(key)]
		if !known || string(value) == "null" {
			return nil
		}
		if value[0] == '[' {
			return eachJSON(value, func(_, element []byte) error { return f(number, otlpValue{json: true, raw: element}) })
		}
		return f(number, otlpValue{json: true, raw: value})
	})
}

func (v otlpValue) wireFields(f func(protowire.Number, otlpValue) error) error {
	for b := v.raw; len(b) > 0; {
		number, wire, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errOTLPWire
		}
		b = b[n:]
		field := otlpValue{wire: wire}
		switch wire {
		case protowire.VarintType:
			field.n, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			field.n, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			field.raw, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, wire, b)
		}
		if n < 0 {
			return errOTLPWire
		}
		b = b[n:]
		if err := f(number, field); err != nil {
			return err
		}
	}
	return nil
}

// text returns a string.
func (v otlpValue) text() (string, error) {
	if !v.json {
		if v.wire != protowire.BytesType || !utf8.Valid(v.raw) {
			return "", errOTLPWire
		}
		return string(v.raw), nil
	}
	var s string
	if err := json.Unmarshal(v.raw, &s); err != nil {
		return "", errOTLPJSON
	}
	return s, nil
}

// uint returns a number without a sign: of JSON also from text, as OTLP writes 64 bits.
func (v otlpValue) uint() (uint64, error) {
	if !v.json {
		return v.n, v.number()
	}
	n, err := strconv.ParseUint(string(bytes.Trim(v.raw, `"`)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.40q is no whole number", errOTLPJSON, v.raw)
	}
	return n, nil
}

// int returns a number with a sign.
func (v otlpValue) int() (int64, error) {
	if !v.json {
		return int64(v.n), v.number()
	}
	n, err := strconv.ParseInt(string(bytes.Trim(v.raw, `"`)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.40q is no whole number", errOTLPJSON, v.raw)
	}
	return n, nil
}

// float returns a double; of JSON also "NaN", "Infinity" and "-Infinity".
func (v otlpValue) float() (float64, error) {
	if !v.json {
		return math.Float64frombits(v.n), v.number()
	}
	f, err := strconv.ParseFloat(string(bytes.Trim(v.raw, `"`)), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%w: %.40q is no number", errOTLPJSON, v.raw)
	}
	return f, nil
}

func (v otlpValue) bool() (bool, error) {
	if !v.json {
		return v.n != 0, v.number()
	}
	return string(v.raw) == "true", nil
}

// number returns an error for a field of protobuf that is no number.
func (v otlpValue) number() error {
	if v.wire != protowire.VarintType && v.wire != protowire.Fixed64Type {
		return errOTLPWire
	}
	return nil
}

// each64 calls f for each number of a repeated field of 64 bits: one of it, or, packed in protobuf, all.
func (v otlpValue) each64(f func(otlpValue) error) error {
	if v.json || v.wire != protowire.BytesType {
		return f(v)
	}
	if len(v.raw)%8 != 0 {
		return errOTLPWire
	}
	for b := v.raw; len(b) > 0; b = b[8:] {
		if err := f(otlpValue{wire: protowire.Fixed64Type, n: binary.LittleEndian.Uint64(b)}); err != nil {
			return err
		}
	}
	return nil
}

// eachJSON calls f for each element of an array, or member of an object, of valid JSON.
func eachJSON(b []byte, f func(key, value []byte) error) error {
	object := b[0] == '{'
	for i := skipSpace(b, 1); i < len(b) && b[i] != '}' && b[i] != ']'; {
		var key []byte
		if object {
			end := endOfJSON(b, i)
			key = b[i+1 : end-1]
			i = skipSpace(b, skipSpace(b, end)+1) // behind the colon
		}
		end := endOfJSON(b, i)
		if err := f(key, b[i:end]); err != nil {
			return err
		}
		if i = skipSpace(b, end); i < len(b) && b[i] == ',' {
			i = skipSpace(b, i+1)
		}
	}
	return nil
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

// endOfJSON returns where the value ends that begins at i.
func endOfJSON(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
			if depth < 0 {
				return i // of what is around a number
			}
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	return min(i, len(b))
}
