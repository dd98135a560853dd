package host

import "ramjet/store"

// Totals counts the assets of accounts and what they store.
type Totals struct {
	Streams, Consumers int
	Messages, Bytes    uint64
}

// Totals returns what an account has, or for "" all accounts that have JetStream enabled. It asks each shard once. Any goroutine but a shard's.
func (h *Host) Totals(account string) (t Totals) {
	byShard := map[*Shard][]*Stream{}
	for _, a := range h.Accounts() {
		if account != "" && a.name != account {
			continue
		}
		for _, s := range a.list() {
			byShard[s.sh] = append(byShard[s.sh], s)
			t.Streams++
			for _, c := range s.byName.list() {
				if !c.conf.Load().Direct {
					t.Consumers++
				}
			}
		}
	}
	for sh, list := range byShard {
		var msgs, bytes uint64 // of its own: a shard that has stopped may be in the middle of it
		if sh.call(func() {
			for _, s := range list {
				if s.gone {
					continue
				}
				var st store.State
				s.log.State(&st)
				msgs += st.Msgs
				bytes += st.Bytes
			}
		}) {
			t.Messages += msgs
			t.Bytes += bytes
		}
	}
	return t
}
