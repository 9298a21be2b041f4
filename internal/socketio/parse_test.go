package socketio

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"
)

func TestParsePacket(t *testing.T) {
	for text, want := range map[string]packet{
		`0`:                      {kind: '0', namespace: "/"},
		`0{"token":"123"}`:       {kind: '0', namespace: "/", data: json.RawMessage(`{"token":"123"}`)},
		`0/admin`:                {kind: '0', namespace: "/admin"},
		`0/admin,`:               {kind: '0', namespace: "/admin"},
		`0/admin,{"a":1}`:        {kind: '0', namespace: "/admin", data: json.RawMessage(`{"a":1}`)},
		`0/live?token=a,`:        {kind: '0', namespace: "/live"}, // clients of 2014-2018
		`1/admin,`:               {kind: '1', namespace: "/admin"},
		`2["foo"]`:               {kind: '2', namespace: "/", data: json.RawMessage(`["foo"]`)},
		`2/admin,12["foo"]`:      {kind: '2', namespace: "/admin", id: 12, hasID: true, data: json.RawMessage(`["foo"]`)},
		`20["foo",1]`:            {kind: '2', namespace: "/", id: 0, hasID: true, data: json.RawMessage(`["foo",1]`)},
		`3/admin,13["bar"]`:      {kind: '3', namespace: "/admin", id: 13, hasID: true, data: json.RawMessage(`["bar"]`)},
		`29007199254740991["a"]`: {kind: '2', namespace: "/", id: maxAckID, hasID: true, data: json.RawMessage(`["a"]`)},
		`51-["baz",{"_placeholder":true,"num":0}]`:         {kind: '5', attachments: 1, namespace: "/", data: json.RawMessage(`["baz",{"_placeholder":true,"num":0}]`)},
		`52-/admin,["baz"]`:                                {kind: '5', attachments: 2, namespace: "/admin", data: json.RawMessage(`["baz"]`)},
		`61-/admin,15[{"_placeholder":true,"num":0}]`:      {kind: '6', attachments: 1, namespace: "/admin", id: 15, hasID: true, data: json.RawMessage(`[{"_placeholder":true,"num":0}]`)},
		`51-15["name",{"_placeholder":true,"num":0}]`:      {kind: '5', attachments: 1, namespace: "/", id: 15, hasID: true, data: json.RawMessage(`["name",{"_placeholder":true,"num":0}]`)},
		`2/live,["subscribe",{"query":"up{job=\"a,b\"}"}]`: {kind: '2', namespace: "/live", data: json.RawMessage(`["subscribe",{"query":"up{job=\"a,b\"}"}]`)},
	} {
		got, err := parsePacket([]byte(text))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

// FuzzPacket checks that what is accepted is what the protocol allows, and that
// it is the same when encoded and decoded again.
func FuzzPacket(f *testing.F) {
	for _, text := range []string{
		`0`, `0/admin,{"a":1}`, `1/x,`, `2["foo"]`, `2/live,12["foo",{"a":[1,null,"é"]}]`, `3/admin,13["bar"]`,
		`52-/admin,["baz",{"_placeholder":true,"num":0}]`, `61-15[]`, `0/live?token=a,`, `2 ["x"]`, `4{}`, `29007199254740991["a"]`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := parsePacket(text)
		if err != nil {
			return
		}
		if p.kind < '0' || p.kind > '6' || p.kind == socketConnectError || p.attachments > maxAttachments || p.id > maxAckID ||
			(p.data != nil && !json.Valid(p.data)) || p.namespace == "" || p.namespace[0] != '/' {
			t.Fatalf("accepted %q as %+v", text, p)
		}
		b := appendHead(nil, p.kind, p.attachments, p.namespace)
		if p.hasID {
			b = strconv.AppendUint(b, p.id, 10)
		}
		again, err := parsePacket(append(b[1:], p.data...))
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Fatalf("%q: %+v, encoded and decoded %+v, %v", text, p, again, err)
		}
	})
}

// FuzzEvent checks that the name and arguments of an event are those that a JSON
// decoder sees, and that they can be sent back.
func FuzzEvent(f *testing.F) {
	for _, data := range []string{
		`["a"]`, `["a",1,"2",{"3":[true]}]`, `[ "a" , null ]`, `["\u00e9\ud83d\ude00",[[[]]]]`, `[]`, `[1]`, `["connect"]`, `{}`, `["a",1e400]`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		name, args, err := parseEvent(data)
		if err != nil {
			return
		}
		var want []any
		if err := json.Unmarshal(data, &want); err != nil {
			// Numbers out of range are valid JSON, and passed on as they are.
			if _, ok := err.(*json.UnmarshalTypeError); ok {
				return
			}
			t.Fatalf("accepted %q: %v", data, err)
		}
		if name != want[0] || len(args) != len(want)-1 {
			t.Fatalf("%q: name %q, %d arguments", data, name, len(args))
		}
		sent := EncodeEventArgs("/x", name, args).text
		var got []any
		if err := json.Unmarshal(sent[len("42/x,"):], &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: sent as %q: %v", data, sent, err)
		}
	})
}
