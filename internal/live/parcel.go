package live

// parcels are the lists of packets that connections are sent in a flush. Connections that are sent the
// same packets share one parcel: most clients watch the same rooms, and a list for each client would
// take more memory than all else that a client has here.
//
// A flush goes from group to group of viewers with packets for each (next). A
// client of the group goes from the parcel that it has to the one with these
// packets at its end (extend). Clients that have the same parcel go to the same new
// parcel: the latest that was made of theirs, since a group never comes again.
type parcels struct {
	groups [][]Packet
	all    []parcel // by number; all[0] is empty
	first  int32    // that the present group has made
	list   []Packet // packets of the parcels that were asked for, one after the other
}

// parcel is the packets of another parcel, and then those of a group. It is a pair of numbers and not
// a list, because many clients may each watch something that no other client watches.
type parcel struct {
	before, group int32
	latest        int32 // newest parcel that was made of it; 0: none
	from, to      int32 // place in parcels.list; to is 0 until asked for
}

// next begins a group that is sent ps.
func (p *parcels) next(ps []Packet) {
	if len(p.all) == 0 {
		p.all = append(p.all, parcel{})
	}
	p.groups = append(p.groups, ps)
	p.first = int32(len(p.all))
}

// extend returns the parcel that has the packets of parcel n, and then the
// group's. Parcel 0 is that of a client that has none yet.
func (p *parcels) extend(n int32) int32 {
	if latest := p.all[n].latest; latest >= p.first {
		return latest
	}
	made := int32(len(p.all))
	p.all[n].latest = made
	p.all = append(p.all, parcel{before: n, group: int32(len(p.groups) - 1)})
	return made
}

// packets returns all packets of parcel n, in order: the same slice for each client
// that has n, valid until clear.
func (p *parcels) packets(n int32) []Packet {
	if p.all[n].to == 0 {
		p.all[n].from = int32(len(p.list))
		p.gather(n)
		p.all[n].to = int32(len(p.list))
	}
	return p.list[p.all[n].from:p.all[n].to:p.all[n].to]
}

// gather appends the packets of parcel n to list.
func (p *parcels) gather(n int32) {
	if n == 0 {
		return
	}
	p.gather(p.all[n].before)
	p.list = append(p.list, p.groups[p.all[n].group]...)
}

// clear forgets all parcels and what they refer to; it keeps the memory.
func (p *parcels) clear() {
	clear(p.groups)
	clear(p.list)
	p.groups, p.all, p.list = p.groups[:0], p.all[:0], p.list[:0]
}
