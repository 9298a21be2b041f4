package redisbus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"stripchart/internal/bus"
	"stripchart/internal/bus/redislink"
)

// The epoch names one unbroken life of the log. It is stored twice: in a key of its own,
// and inside the stream, as the name of a consumer group without consumers. A group stays
// with its stream, through dumps and replication. The key alone would outlive the stream:
// after DEL, or eviction, publishers fill a new stream, and every entry before its first
// one would look trimmed although it was lost.
//
// One script reads, judges and renews the epoch. So of several servers that see the same
// loss one renews the epoch, and the others find the new one.
//
// Epochs that the caller has found to be over (outlive, from ARGV[first]) must not come
// back. If one does, the log is that of another master, where the loss was never noticed
// and other entries were added since. Its positions do not mean what pages know under
// that epoch, so the epoch is renewed.
const epochScript = `
local log, key, fresh = KEYS[1], KEYS[2], ARGV[1]
local function renew(old)
  if old and redis.call('EXISTS', log) == 1 then redis.call('XGROUP', 'DESTROY', log, old) end
  redis.call('XGROUP', 'CREATE', log, fresh, '0', 'MKSTREAM')
  redis.call('SET', key, fresh)
  return fresh
end
local epoch, alive = redis.call('GET', key), false
if epoch and redis.call('EXISTS', log) == 1 then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', log)) do alive = alive or group[2] == epoch end
end
if not alive then epoch = renew(epoch) end
local function outlive(first)
  for i = first, #ARGV do
    if epoch == ARGV[i] then epoch = renew(epoch) end
  end
end
`

// fingerprintScript is the function fingerprint in Lua.
const fingerprintScript = `
local function fingerprint(entry)
  local f = {}
  for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
  local b = f.b or ''
  return redis.sha1hex((f.s or '') .. ' ' .. (f.n or '') .. ' ' .. (f.m or '') .. ' ' .. #b .. ' ' .. string.sub(b, -4096))
end
`

// endScript returns the epoch and the newest entry's ID. The arguments after ARGV[1] are
// epochs that are over.
const endScript = epochScript + `
outlive(2)
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
return {epoch, newest and newest[1] or '0-0'}
`

// checkScript judges the position (epoch ARGV[2], ID ARGV[3]). It returns the epoch and
// "ok", "trimmed" or "lost". ARGV[4] is the fingerprint of the entry at the position; empty:
// unknown. The arguments after it are epochs that are over. Without an ID only the epoch is
// judged, and without an epoch nothing is.
//
// The entry at the position must still be there. Two events remove it without an error
// from XREAD: a restore from an older dump, and a failover to a replica that lagged. The log
// then ends before the position, and XREAD returns nothing until the clock of Redis has
// passed it; or new entries have passed it already, and XREAD continues behind the lost
// ones. That is a new epoch ("lost"). If all entries that are left are newer than the
// position, the log was only trimmed.
//
// And it must be the same entry. After a failover there are two masters of one log until
// the old one learns of it, some seconds later. They give the same ID to different entries,
// since sources publish at the same ticks. A reader that moved from one master to the other
// would miss the other's entries before that ID. (Seen, in one of ten planned failovers.)
//
// XRANGE compares the IDs: their counters do not fit into the numbers of Lua.
const checkScript = epochScript + fingerprintScript + `
local want, id, known = ARGV[2], ARGV[3], ARGV[4]
outlive(5)
if want == '' then return {epoch, 'ok'} end
if want ~= epoch then return {epoch, 'lost'} end
if id == '' then return {epoch, 'ok'} end
if id == '0-0' then
  local info, field = redis.call('XINFO', 'STREAM', log), {}
  for i = 1, #info, 2 do field[info[i]] = info[i + 1] end
  local added = field['entries-added']
  if field['length'] == 0 and added == nil or added == field['length'] then return {epoch, 'ok'} end
  return {epoch, 'trimmed'}
end
local there = redis.call('XRANGE', log, id, id, 'COUNT', 1)[1]
if there then
  if known == '' or known == fingerprint(there) then return {epoch, 'ok'} end
elseif redis.call('XLEN', log) > 0 and #redis.call('XRANGE', log, '-', id, 'COUNT', 1) == 0 then return {epoch, 'trimmed'} end
renew(epoch)
return {fresh, 'lost'}
`

// newEpoch returns a random epoch.
func newEpoch() string { return rand.Text()[:12] }

// end returns the position of the newest entry.
func (b *Bus) end(ctx context.Context, l *redislink.Link) (bus.Position, error) {
	epoch, id, err := pair(l.Conn.Eval(ctx, endScript, b.keys(), append([]any{newEpoch()}, b.checkpoints.endedEpochs()...)...))
	if err != nil {
		return bus.Position{}, err
	}
	offset, err := parseID(id)
	return bus.Position{Epoch: epoch, Offset: offset}, err
}

// check returns the log's epoch. Its error is ErrPositionLost if the log no longer holds
// all entries after p, and redislink.ErrReplica if the server is no longer a master.
// started is false for a Tail from the beginning of the retained log that has delivered
// nothing yet: trimming may move that beginning. fingerprint is that of the entry at p;
// empty: unknown.
func (b *Bus) check(ctx context.Context, l *redislink.Link, p bus.Position, started bool, fingerprint string) (epoch string, err error) {
	id := ""
	if started {
		id = formatID(p.Offset)
	}
	pipe := l.Conn.Pipeline()
	judged := pipe.Eval(ctx, checkScript, b.keys(), append([]any{newEpoch(), p.Epoch, id, fingerprint}, b.checkpoints.endedEpochs()...)...)
	hello := pipe.Do(ctx, "HELLO")
	_, _ = pipe.Exec(ctx) // each reply has its own error
	if err := l.CheckReply(ctx, hello); err != nil {
		return "", err
	}
	epoch, verdict, err := pair(judged)
	if err != nil {
		return "", err
	}
	switch verdict {
	case "ok":
		return epoch, nil
	case "trimmed":
		return epoch, &bus.LostError{Reason: fmt.Sprintf("the log was trimmed beyond %s", p)}
	default:
		since, err := b.common(ctx, l, epoch, p, fingerprint)
		if err != nil {
			return "", err
		}
		b.checkpoints.end(p.Epoch)
		return epoch, &bus.LostError{Reason: fmt.Sprintf("the log lost its end, and its epoch is %s now, not %s", epoch, p.Epoch), Since: since}
	}
}

// commonScript gets an epoch (ARGV[1]) and entries (two arguments each: ID and
// fingerprint). It returns which of the entries, counted from 1, is the first that the log
// holds; 0 when it holds none, or has another epoch.
const commonScript = fingerprintScript + `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do
  local there = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i], 'COUNT', 1)[1]
  if there and fingerprint(there) == ARGV[i + 1] then return i / 2 end
end
return 0
`

// common returns the position up to which the log of epoch is the same as the log in which
// p was a position; zero if unknown. fingerprint is that of the entry at p; empty: unknown.
//
// A log that has lost its end is a first part of the former log, with other entries behind
// it. The same holds for the log of a replica and of a dump. Entries are only ever added at
// the end, so if one entry is the same, all entries before it are.
func (b *Bus) common(ctx context.Context, l *redislink.Link, epoch string, p bus.Position, fingerprint string) (since bus.Position, err error) {
	known := b.checkpoints.before(p)
	if fingerprint != "" {
		known = append([]checkpoint{{p.Offset, fingerprint}}, known...)
	}
	if len(known) == 0 {
		return bus.Position{}, nil
	}
	args := []any{epoch}
	for _, c := range known {
		args = append(args, formatID(c.at), c.fingerprint)
	}
	n, err := l.Conn.Eval(ctx, commonScript, b.keys(), args...).Int()
	if err != nil || n == 0 {
		return bus.Position{}, err
	}
	since = bus.Position{Epoch: epoch, Offset: known[n-1].at}
	b.checkpoints.rename(p.Epoch, since)
	return since, nil
}

// pair reads the reply of a script that returns two strings.
func pair(c *redis.Cmd) (first, second string, err error) {
	s, err := c.StringSlice()
	if err != nil {
		return "", "", err
	}
	if len(s) != 2 {
		return "", "", errors.New("the script's reply is not a pair")
	}
	return s[0], s[1], nil
}
