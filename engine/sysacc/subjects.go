package sysacc

// The pages that can be asked of servers, by the last token of the subject.
var serverPages = []string{"VARZ", "SUBSZ", "CONNZ", "ROUTEZ", "GATEWAYZ", "LEAFZ", "ACCOUNTZ", "JSZ", "HEALTHZ",
	"PROFILEZ", "EXPVARZ", "IPQUEUESZ", "RAFTZ"}

// The pages that can be asked of accounts.
var accountPages = []string{"SUBSZ", "CONNZ", "LEAFZ", "JSZ", "INFO", "STATZ"}

const (
	pingPrefix    = "$SYS.REQ.SERVER.PING"
	accountPrefix = "$SYS.REQ.ACCOUNT."
	userInfo      = "$SYS.REQ.USER.INFO"
	numSubs       = "$SYS.REQ.ACCOUNT.NSUBS"
	subscribers   = "$SYS.DEBUG.SUBSCRIBERS"
	accountDenied = "$SYS.ACCOUNT.CLIENT.AUTH.ERR"
)

// subjects are those that contain the id of the server.
type subjects struct{ own, authErr, stats, shutdown, lameDuck, answers, sums string }

func newSubjects(id string) subjects {
	e := "$SYS.SERVER." + id
	return subjects{own: "$SYS.REQ.SERVER." + id + ".", authErr: e + ".CLIENT.AUTH.ERR", stats: e + ".STATSZ",
		shutdown: e + ".SHUTDOWN", lameDuck: e + ".LAMEDUCK", answers: "$SYS._INBOX_." + id, sums: "$SYS._INBOX_." + id + ".NSUBS."}
}

func connectSubject(acc string) string    { return "$SYS.ACCOUNT." + acc + ".CONNECT" }
func disconnectSubject(acc string) string { return "$SYS.ACCOUNT." + acc + ".DISCONNECT" }

// connsSubjects are the subject of connection counts and the one of before.
func connsSubjects(acc string) [2]string {
	return [2]string{"$SYS.ACCOUNT." + acc + ".SERVER.CONNS", "$SYS.SERVER.ACCOUNT." + acc + ".CONNS"}
}

// entry is a subject and what answers it.
type entry struct {
	subject string
	handle  handler
}

// systemTable is what the system account can be asked.
func (s *Service) systemTable() []entry {
	t := []entry{
		{pingPrefix, s.statsz}, {pingPrefix + ".STATSZ", s.statsz}, {s.subjects.own + "STATSZ", s.statsz},
		{pingPrefix + ".IDZ", s.idz}, {s.subjects.own + "IDZ", s.idz},
		{s.subjects.own + "RELOAD", s.reload}, {s.subjects.own + "KICK", s.kick}, {s.subjects.own + "LDM", s.lameDuck},
		{accountPrefix + "*.CONNS", s.conns}, {accountPrefix + "PING.STATZ", s.allStatz},
		{numSubs, s.numSubs}, {subscribers, s.subscribers}, {userInfo, s.userInfo},
	}
	for _, x := range serverPages {
		h := s.serverPage(x)
		t = append(t, entry{pingPrefix + "." + x, h}, entry{s.subjects.own + x, h})
	}
	for _, x := range accountPages {
		t = append(t, entry{accountPrefix + "*." + x, s.accountPage(x)})
	}
	return append(t, s.claimsTable()...)
}

// accountTable is what every other account can ask about itself. These stand in place of imports from the
// system account: an account sees its own name in place of the wildcard.
func (s *Service) accountTable() []entry {
	return []entry{
		{accountPrefix + "PING.CONNZ", s.ownPage("CONNZ")}, {pingPrefix + ".CONNZ", s.ownPage("CONNZ")},
		{accountPrefix + "PING.STATZ", s.ownPage("STATZ")}, {userInfo, s.userInfo},
	}
}
