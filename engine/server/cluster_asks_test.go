package server

import (
	"encoding/json"
	"slices"
	"testing"

	"ramjet/engine/config"
	"ramjet/proto/sysapi"
)

// twoAccounts gives a server the accounts A and B, with users a and b, and a system account with user sys.
func twoAccounts(o *config.Options) {
	none := config.AccountLimits{MaxConn: -1, MaxSubs: -1, MaxPayload: -1, MaxLeafs: -1}
	o.Accounts = []*config.Account{
		{Name: "A", Limits: none, Users: []*config.User{{Name: "a", Pass: "p", Account: "A"}}},
		{Name: "B", Limits: none, Users: []*config.User{{Name: "b", Pass: "p", Account: "B"}},
			Imports: []*config.Import{{Account: "$SYS", Service: "$SYS.DEBUG.SUBSCRIBERS"}}},
		{Name: "$SYS", Limits: none, Users: []*config.User{{Name: "sys", Pass: "p", Account: "$SYS"}}},
	}
	o.SystemAccount = "$SYS"
}

// TestClusterAnswersAccounts: what an account asks about itself is answered by every server, about that account alone.
func TestClusterAnswersAccounts(t *testing.T) {
	a := member(t, "a", twoAccounts)
	b := member(t, "b", twoAccounts, a)
	c := member(t, "c", twoAccounts, a)
	formed(t, a, b, c)
	ask := dial(t, a, "a")
	for _, s := range []*Server{b, c} {
		dial(t, s, "a")
		dial(t, s, "b")
	}
	inbox := subscribe(t, ask, "answers.*")
	for _, s := range []*Server{b, c} {
		heard(t, a, "$SYS", "$SYS._INBOX_."+s.ID()+".NSUBS.1") // and with it what it answers
	}
	for _, tt := range []struct {
		subj, body string
		want       []string
	}{
		{"$SYS.REQ.ACCOUNT.PING.CONNZ", ``, []string{"a", "b", "c"}},
		{"$SYS.REQ.SERVER.PING.CONNZ", `{"acc":"B"}`, []string{"a", "b", "c"}},
		{"$SYS.REQ.ACCOUNT.PING.STATZ", `{"accounts":["B"]}`, []string{"a", "b", "c"}},
		{"$SYS.REQ.ACCOUNT.PING.CONNZ", `{"server_name":"b","exact_match":true}`, []string{"b"}},
	} {
		var names []string
		if err := ask.PublishRequest(tt.subj, "answers.1", []byte(tt.body)); err != nil {
			t.Fatal(err)
		}
		for range tt.want {
			m, err := inbox.NextMsg(gatewayPatience)
			if err != nil {
				t.Fatalf("%s %s: answers of %v, then %v", tt.subj, tt.body, names, err)
			}
			var v struct {
				Server sysapi.ServerInfo
				Data   struct {
					NumConns int                   `json:"num_connections"`
					Accounts []*sysapi.AccountStat `json:"account_statz"`
				}
				Error any
			}
			if err := json.Unmarshal(m.Data, &v); err != nil || v.Error != nil {
				t.Fatalf("%v: %s", err, m.Data)
			}
			names = append(names, v.Server.Name)
			if n := v.Data.NumConns; n != 1 && (len(v.Data.Accounts) != 1 || v.Data.Accounts[0].Account != "A" || v.Data.Accounts[0].Conns != 1) {
				t.Errorf("%s: %s", tt.subj, m.Data)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, tt.want) {
			t.Errorf("%s %s: answers of %v", tt.subj, tt.body, names)
		}
	}
	// Who asks is told by its own server alone, and the answers before were all.
	if err := ask.PublishRequest("$SYS.REQ.USER.INFO", "answers.2", nil); err != nil {
		t.Fatal(err)
	}
	if m := arrives(t, inbox); m.Subject != "answers.2" {
		t.Errorf("another answer: %s", m.Data)
	}
}

// TestClusterCountsSubscribers: the number of subscribers is that of all servers, also for an account that imports the request.
func TestClusterCountsSubscribers(t *testing.T) {
	a := member(t, "a", twoAccounts)
	b := member(t, "b", twoAccounts, a)
	c := member(t, "c", twoAccounts, a)
	formed(t, a, b, c)
	asks := dial(t, a, "b")
	for i, s := range []*Server{a, b, b, c} {
		nc := dial(t, s, "b")
		for _, q := range []string{"", "q"}[:1+i%2] {
			var err error
			if q == "" {
				_, err = nc.SubscribeSync("work.x")
			} else {
				_, err = nc.QueueSubscribeSync("work.*", q)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "connections of all are known", func() bool { return a.accounts.Lookup("B").RemoteServers() == 2 })
	for body, want := range map[string]string{"work.x": "6", "work.* q": "2", "work.>": "6", "none": "0"} {
		m, err := asks.Request("$SYS.DEBUG.SUBSCRIBERS", []byte(body), gatewayPatience)
		if err != nil || string(m.Data) != want {
			t.Errorf("%s: %v, %v, want %s", body, m, err, want)
		}
	}
}
