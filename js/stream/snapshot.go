package stream

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sort"
)

// stateVersion is the version of the checkpoint blob.
const stateVersion = 2

// ErrState is the error of a checkpoint blob that cannot be read. Rebuild restores the state from the log.
var ErrState = errors.New("stream: checkpoint state is damaged or of an unknown version")

// AppendState appends what the machine knows beyond its log, for the checkpoint: applied index, last id and time, the
// dedupe window, schedules, positions of sources. Equal states give equal bytes.
func (m *Machine) AppendState(dst []byte) []byte {
	dst = append(dst, stateVersion)
	dst = binary.AppendUvarint(dst, m.applied)
	dst = binary.AppendVarint(dst, m.lastTime)
	dst = appendBytes(dst, m.lastID)
	d := &m.dedupe
	dst = binary.AppendUvarint(dst, uint64(d.len()))
	var seq uint64
	var at int64
	for p := d.head; p < d.tail; p++ {
		s := d.at(p)
		dst = binary.AppendUvarint(dst, s.seq-seq)
		dst = binary.AppendVarint(dst, s.time-at)
		dst = appendBytes(dst, d.key(s))
		seq, at = s.seq, s.time
	}
	list := make([]*scheduled, 0, len(m.sched.bySubj))
	for _, s := range m.sched.bySubj {
		list = append(list, s)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].seq < list[j].seq })
	dst = binary.AppendUvarint(dst, uint64(len(list)))
	for _, s := range list {
		dst = binary.AppendUvarint(dst, s.seq)
		dst = binary.AppendVarint(dst, s.next)
		dst = appendBytes(dst, []byte(s.subj))
	}
	dst = binary.AppendUvarint(dst, m.sourced.unknown)
	dst = binary.AppendUvarint(dst, uint64(len(m.sourced.byIndex)))
	for _, k := range slices.Sorted(maps.Keys(m.sourced.byIndex)) {
		p := m.sourced.byIndex[k]
		dst = appendBytes(dst, []byte(k))
		dst = binary.AppendUvarint(dst, p.Seq)
		dst = binary.AppendUvarint(dst, p.at)
		dst = appendBytes(dst, []byte(p.Identity))
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// Restore replaces the state by that of a checkpoint, which was taken with the log as it is now.
func (m *Machine) Restore(b []byte) error {
	d := stateDecoder{b: b}
	if d.byte() != stateVersion {
		return ErrState
	}
	applied, lastTime, lastID := d.uvarint(), d.varint(), d.bytes()
	var ids fifo
	var seq uint64
	var at int64
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		seq += d.uvarint()
		at += d.varint()
		if key := d.bytes(); !d.bad {
			ids.push(key, seq, at)
		}
	}
	var sched schedules
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		seq, next, subj := d.uvarint(), d.varint(), d.bytes()
		if !d.bad {
			sched.set(subj, seq, next)
		}
	}
	src := sourced{unknown: d.uvarint()}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		key, seq, at, identity := d.bytes(), d.uvarint(), d.uvarint(), d.bytes()
		if src.byIndex == nil {
			src.byIndex = make(map[string]*SourceState)
		}
		if _, twice := src.byIndex[string(key)]; twice {
			d.bad = true
		}
		src.byIndex[string(key)] = &SourceState{Seq: seq, at: at, Identity: string(identity)}
	}
	if d.bad || len(d.b) > 0 {
		return ErrState
	}
	m.applied, m.lastTime, m.sched, m.sourced = applied, lastTime, sched, src
	m.lastID = append(m.lastID[:0], lastID...)
	m.dedupe.fifo = ids
	return nil
}

type stateDecoder struct {
	b   []byte
	bad bool
}

func (d *stateDecoder) byte() byte {
	if len(d.b) == 0 {
		d.bad = true
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *stateDecoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, n, v = true, 0, 0
	}
	d.b = d.b[n:]
	return v
}

func (d *stateDecoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, n, v = true, 0, 0
	}
	d.b = d.b[n:]
	return v
}

func (d *stateDecoder) bytes() []byte {
	n := d.uvarint()
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}
