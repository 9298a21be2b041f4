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

// The epoch names one unbroken life of the log. It stands in a key of its own,
// and, as the name of a consumer group without consumers, inside the stream: a
// group comes and goes with the stream that holds it, through dumps and
// replication. The key alone would outlive the stream: after DEL, or eviction,
// publishers fill a new stream, and everything older than its first entry
// would look trimmed although it was lost.
//
// It is read, judged and renewed in one script, so that of several servers that
// see the same loss one renews it, and the others find that it is not theirs.
//
// Epochs that the caller has found to be over (outlive, from ARGV[first]) do not come back:
// the log of one is that of another master, which nobody has told, and has gone another
// way. Its places are not what pages have under that name, so it gets a new one.
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

// markScript is mark, for Lua.
const markScript = `
local function mark(entry)
  local f = {}
  for i = 1, #entry[2], 2 do f[entry[2][i]] = entry[2][i + 1] end
  local b = f.b or ''
  return redis.sha1hex((f.s or '') .. ' ' .. (f.n or '') .. ' ' .. (f.m or '') .. ' ' .. #b .. ' ' .. string.sub(b, -4096))
end
`

// endScript returns the epoch and the newest entry's ID. What follows ARGV[1] are
// epochs that are over.
const endScript = epochScript + `
outlive(2)
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
return {epoch, newest and newest[1] or '0-0'}
`

// checkScript returns the epoch and "ok", "trimmed" or "lost" for the position
// (ARGV[2], ARGV[3]), and the mark of the entry there (ARGV[4]), if it is known; then
// follow epochs that are over. With no ID only the epoch is judged; with no epoch
// nothing is.
//
// The entry at the position must still be there. It is not, with nothing said
// by XREAD: after a restore from an older dump, and after failover to a replica
// that lagged (the log ends before the position, so that XREAD returns nothing
// until Redis's clock has passed it; or new entries have passed it already, and
// XREAD goes on behind what was lost). That is a new epoch. It is none when all
// that is left is newer: trimmed.
//
// And it must be the same entry. Two masters of one log, in the seconds in which
// the old one is not told yet that another was promoted, give the same ID to
// different entries: sources publish at the same ticks. A reader that came from the one
// would go on behind what the other had before that ID. (Seen, in one of ten planned failovers.)
//
// IDs are compared by XRANGE: their counters do not fit Lua's numbers.
const checkScript = epochScript + markScript + `
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
  if known == '' or known == mark(there) then return {epoch, 'ok'} end
elseif redis.call('XLEN', log) > 0 and #redis.call('XRANGE', log, '-', id, 'COUNT', 1) == 0 then return {epoch, 'trimmed'} end
renew(epoch)
return {fresh, 'lost'}
`

// newEpoch returns a random name.
func newEpoch() string { return rand.Text()[:12] }

// end returns the epoch and the newest entry.
func (b *Bus) end(ctx context.Context, l *redislink.Link) (bus.Position, error) {
	epoch, id, err := pair(l.Conn.Eval(ctx, endScript, b.keys(), append([]any{newEpoch()}, b.trail.ended()...)...))
	if err != nil {
		return bus.Position{}, err
	}
	offset, err := parseID(id)
	return bus.Position{Epoch: epoch, Offset: offset}, err
}

// check judges whether the log still holds what follows p, and that the server
// is still a master. started is false for a Tail that has delivered nothing
// from the beginning of what is retained, which may move; mark is the entry's at p,
// if it is known. It returns the log's epoch, and ErrPositionLost.
func (b *Bus) check(ctx context.Context, l *redislink.Link, p bus.Position, started bool, mark string) (epoch string, err error) {
	id := ""
	if started {
		id = formatID(p.Offset)
	}
	pipe := l.Conn.Pipeline()
	judged := pipe.Eval(ctx, checkScript, b.keys(), append([]any{newEpoch(), p.Epoch, id, mark}, b.trail.ended()...)...)
	hello := pipe.Do(ctx, "HELLO")
	_, _ = pipe.Exec(ctx) // each answer has its own error
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
		return epoch, &bus.LostError{Reason: fmt.Sprintf("trimmed up to beyond %s", p)}
	default:
		since, err := b.common(ctx, l, epoch, p, mark)
		if err != nil {
			return "", err
		}
		b.trail.ends(p.Epoch)
		return epoch, &bus.LostError{Reason: fmt.Sprintf("the log lost its past, and its epoch is %s now, not %s", epoch, p.Epoch), Since: since}
	}
}

// commonScript returns the number of the first of the entries (ARGV[2], ARGV[3], then
// two for the next and so on: ID and mark) that the log holds; 0 when it holds none, or
// its epoch is not ARGV[1] any more.
const commonScript = markScript + `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do
  local there = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i], 'COUNT', 1)[1]
  if there and mark(there) == ARGV[i + 1] then return i / 2 end
end
return 0
`

// common returns the place up to which the log of an epoch is the one that p was a
// place of; zero if that is not known. mark is that of the entry at p, if it is known.
//
// A log that has lost its end is a beginning of the one that was, with other entries
// behind it: so is a replica's, and a dump's. Entries are only ever added at the end, so
// where one of them is what it was, so are all before it.
func (b *Bus) common(ctx context.Context, l *redislink.Link, epoch string, p bus.Position, mark string) (since bus.Position, err error) {
	steps := b.trail.before(p)
	if mark != "" {
		steps = append([]step{{p.Offset, mark}}, steps...)
	}
	if len(steps) == 0 {
		return bus.Position{}, nil
	}
	args := []any{epoch}
	for _, s := range steps {
		args = append(args, formatID(s.at), s.mark)
	}
	n, err := l.Conn.Eval(ctx, commonScript, b.keys(), args...).Int()
	if err != nil || n == 0 {
		return bus.Position{}, err
	}
	since = bus.Position{Epoch: epoch, Offset: steps[n-1].at}
	b.trail.goesOn(p.Epoch, since)
	return since, nil
}

// pair reads a script's answer of two strings.
func pair(c *redis.Cmd) (first, second string, err error) {
	s, err := c.StringSlice()
	if err != nil {
		return "", "", err
	}
	if len(s) != 2 {
		return "", "", errors.New("the script's answer is not a pair")
	}
	return s[0], s[1], nil
}
