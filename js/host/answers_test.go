package host

import (
	"fmt"
	"os"
	"testing"

	"ramjet/js/jstest"
	"ramjet/proto/base/clock"
	"ramjet/proto/base/rng"
	"ramjet/proto/header"
	"ramjet/proto/jsapi"
	"ramjet/store/vfs"
)

// recordedLimits are the limits of the accounts of the recorded answers.
type recordedLimits struct{}

func (recordedLimits) Account(name string) *AccountLimits {
	l := jsapi.AccountLimits{MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1,
		StoreMaxStreamBytes: -1}
	switch name {
	case "a":
	case "l":
		l.MaxMemory, l.MaxStore, l.MaxStreams, l.MaxConsumers = 1<<20, 1<<20, 1, 1
	default:
		return nil
	}
	return &AccountLimits{Flat: l}
}

// TestRecordedAnswers sends the recorded requests to the API over a whole host.
func TestRecordedAnswers(t *testing.T) {
	text, err := os.ReadFile("../api/testdata/answers.txt")
	if err != nil {
		t.Fatal(err)
	}
	all, err := jstest.ParseAnswers(string(text))
	if err != nil {
		t.Fatal(err)
	}
	n := newNet()
	h, err := Open(Env{FS: vfs.NewMem(), Clock: clock.System(), Rand: rng.New(1), Bus: func(int) Bus { return n }, Limits: recordedLimits{}},
		Options{Dir: "js", Shards: 2, ServerName: "REF", Version: "2.15.2", SystemAccount: "s", MaxMemory: -1, MaxStore: -1, JournalFile: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	for _, a := range []string{"a", "l", "n", "s"} {
		if err := h.ServeAccount(a); err != nil {
			t.Fatal(err)
		}
		n.add(&netSub{account: a, subject: "answer.*", client: true})
	}
	for i, r := range all {
		to := fmt.Sprintf("answer.%d", i)
		switch r.Kind {
		case "listen":
			n.add(&netSub{account: r.Account, subject: r.Subject, client: true})
			continue
		case "store":
			n.send(r.Account, r.Subject, r.Subject, to, string(r.HeaderBlock()), r.Body)
			n.wait(t, to)
			continue
		}
		subj := jsapi.APIPrefix + r.Subject
		in := &apiInbox{h: h, account: r.Account}
		in.Deliver(&Msg{Account: r.Account, Client: 7, Subject: []byte(subj), Reply: []byte(to), Header: r.HeaderBlock(), Payload: []byte(r.Body)})
		if r.Answer == "" {
			continue // an answer would be found at the end
		}
		m := n.wait(t, to)
		if diff := jstest.CompareAnswer(m.body, r.Answer); diff != "" {
			t.Errorf("%v\n %s", r, diff)
		}
		if r.AnswerHeader == "" && m.hdr != "" || r.AnswerHeader != "" && len(header.Get([]byte(m.hdr), r.AnswerHeader)) != 8 {
			t.Errorf("%v\n header %q", r, m.hdr)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, m := range n.msgs {
		if len(m.to) > 7 && m.to[:7] == "answer." {
			t.Errorf("answered: %+v", m)
		}
	}
}
