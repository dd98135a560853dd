package stream

import (
	"slices"

	"ramjet/js/op"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
)

// SourceState is how far a source has come.
type SourceState struct {
	Seq      uint64 // of the last message that was stored, in the origin
	Identity string // of the origin; "" if it did not tell
	at       uint64 // sequence here
}

// sourced are the positions of sources, by index. Purges do not touch them. A source that was removed is remembered, so
// that it goes on where it was when it comes back.
type sourced struct {
	byIndex map[string]*SourceState
	unknown uint64 // what is stored up to here was not looked at
	key     []byte // scratch
}

// Sourced returns the position of a source, by its index (SourceIndex.String). known is false if only the log can tell,
// with its messages up to the sequence upto.
func (m *Machine) Sourced(index string) (s SourceState, upto uint64, known bool) {
	if p := m.sourced.byIndex[index]; p != nil {
		return *p, 0, true
	}
	if m.sourced.unknown > 0 {
		m.log.State(&m.state)
		if m.state.Msgs > 0 && m.state.FirstSeq <= m.sourced.unknown {
			return SourceState{}, m.sourced.unknown, false
		}
	}
	return SourceState{}, 0, true
}

// track notes where a stored message came from.
func (s *sourced) track(seq uint64, block []byte) {
	var h SourceHeader
	v := header.Get(block, jsapi.HdrStreamSource)
	if len(v) == 0 || !ParseSourceHeader(v, &h) || h.Filter == nil {
		return
	}
	s.key = h.AppendIndex(s.key[:0])
	p := s.byIndex[string(s.key)]
	if p == nil {
		if s.byIndex == nil {
			s.byIndex = make(map[string]*SourceState)
		}
		p = &SourceState{}
		s.byIndex[string(s.key)] = p
	}
	p.Seq, p.at = h.Seq, seq
	if p.Identity != string(h.Identity) {
		p.Identity = string(h.Identity)
	}
}

// spareSources is how many removed sources are remembered.
const spareSources = 64

// configured forgets the removed sources that were quiet for longest, if there are many.
func (s *sourced) configured(cfg *jsapi.StreamConfig) {
	if len(s.byIndex) <= len(cfg.Sources)+spareSources {
		return
	}
	used := make(map[string]bool, len(cfg.Sources))
	for _, src := range cfg.Sources {
		x := IndexOf(src)
		used[x.String()] = true
	}
	var spare []string
	for k := range s.byIndex {
		if !used[k] {
			spare = append(spare, k)
		}
	}
	slices.SortFunc(spare, func(a, b string) int { return int(int64(s.byIndex[b].at) - int64(s.byIndex[a].at)) })
	for _, k := range spare[min(spareSources, len(spare)):] {
		delete(s.byIndex, k)
	}
}

// trackSource is called for each stored message.
func (m *Machine) trackSource(c *op.Cmd) {
	if c.Flags&op.FlagSourced != 0 && m.cfg.Mirror == nil {
		m.sourced.track(c.Seq, c.Header)
	}
}
