package mqtt

// pending is a delivery that the client has not acknowledged.
type pending struct {
	ack     string // reply subject, "" for a retained message
	durable string
	seq     uint64
	qos     byte
}

// delivery identifies a message of a consumer.
type delivery struct {
	durable string
	seq     uint64
}

// inflight gives packet identifiers to what is delivered with QoS 1 and 2. Owner: whoever holds the lock of
// its session.
type inflight struct {
	last    uint16
	publish map[uint16]pending // PUBLISH without PUBACK or PUBREC
	pubrel  map[uint16]pending // PUBREL without PUBCOMP
	ids     map[delivery]uint16
}

// next returns an unused packet identifier, 0 when there is none. Identifiers go up, so that one that was
// just freed is not used again at once.
func (f *inflight) next() uint16 {
	for range 0xFFFF {
		if f.last++; f.last == 0 {
			f.last = 1
		}
		_, a := f.publish[f.last]
		_, b := f.pubrel[f.last]
		if !a && !b {
			return f.last
		}
	}
	return 0
}

// track returns the packet identifier for a delivery: that of its first attempt, or a new one. 0: it is not
// to be sent now, because limit deliveries are under way or it is past PUBREC.
func (f *inflight) track(p pending, limit int) uint16 {
	key := delivery{p.durable, p.seq}
	id, known := f.ids[key]
	if known {
		if _, released := f.pubrel[id]; released {
			return 0
		}
	} else {
		if len(f.publish) >= limit {
			return 0
		}
		if id = f.next(); id == 0 {
			return 0
		}
		if f.ids == nil {
			f.ids = map[delivery]uint16{}
		}
		f.ids[key] = id
	}
	f.put(id, p)
	return id
}

// trackRetained returns a packet identifier for a retained message sent to the subscription called durable.
func (f *inflight) trackRetained(durable string, qos byte) uint16 {
	id := f.next()
	if id != 0 {
		f.put(id, pending{durable: durable, seq: uint64(id), qos: qos})
	}
	return id
}

func (f *inflight) put(id uint16, p pending) {
	if f.publish == nil {
		f.publish = map[uint16]pending{}
	}
	f.publish[id] = p
}

// untrack ends a PUBLISH; ok is false if there was none.
func (f *inflight) untrack(id uint16) (p pending, ok bool) {
	if p, ok = f.publish[id]; ok {
		delete(f.publish, id)
		delete(f.ids, delivery{p.durable, p.seq})
	}
	return p, ok
}

// trackPubRel notes that id waits for PUBCOMP; ack and seq are those of the PUBREL's own delivery, "" and 0
// before it.
func (f *inflight) trackPubRel(id uint16, durable, ack string, seq uint64) {
	if f.pubrel == nil {
		f.pubrel = map[uint16]pending{}
	}
	f.pubrel[id] = pending{ack: ack, durable: durable, seq: seq}
}

// untrackPubRel ends a PUBREL and returns the reply subject of its delivery.
func (f *inflight) untrackPubRel(id uint16) (ack string) {
	p := f.pubrel[id]
	delete(f.pubrel, id)
	return p.ack
}

// purge forgets what was sent for a consumer or subscription that is gone.
func (f *inflight) purge(durable string) {
	for id, p := range f.publish {
		if p.durable == durable {
			f.untrack(id)
		}
	}
}

// retainedKey is the durable under which retained messages of a subscription are tracked; no consumer is
// called so.
func retainedKey(sid string) string { return StreamRetained + "/" + sid }
