package auth

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"ramjet/engine/config"
	"ramjet/proto/subject"
)

func sp(allow, deny string) *config.SubjectPerm {
	return &config.SubjectPerm{Allow: list(allow), Deny: list(deny)}
}

// list splits at `;`, so that entries may have a queue.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ";")
}

func compile(t testing.TB, p *config.Permissions) *Perms {
	t.Helper()
	c, err := CompilePerms(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The rows marked V were observed on nats-server 2.15.2 with raw connections.
func TestCanSub(t *testing.T) {
	verified := &config.Permissions{Subscribe: sp("a.*;q.>;q.> v1.*;lit", "a.z;q.d v1.a;q.no")}
	for _, tt := range []struct {
		p              *config.Permissions
		subject, queue string
		want           bool
	}{
		{verified, "a.*", "", true},       // V
		{verified, ">", "", false},        // V
		{verified, "*.x", "", false},      // V
		{verified, "q.>", "", true},       // V
		{verified, "q.>", "z", false},     // V: queue entries decide, the plain one does not
		{verified, "q.>", "v1.b", true},   // V
		{verified, "q.>", "v1.>", false},  // V
		{verified, "q.*", "v1.*", true},   // V
		{verified, "q.d", "v1.a", false},  // V: queue deny
		{verified, "q.d", "v1.b", true},   // V
		{verified, "q.d", "", true},       // V: a queue deny does not concern plain
		{verified, "q.no", "v1.b", false}, // V: plain deny
		{verified, "lit", "qq", true},     // V: plain entry allows any queue
		{verified, "a.y", "qq", true},     // V
		{verified, "lit", "", true},       // V
		{verified, "a.z", "", false},      // V
		{verified, "q.*", "v1.a", true},   // V: narrower deny is filtered at delivery
		{verified, "other", "", false},    // V
		{verified, "a.>", "", false},      // differs from nats-server, which accepts: see docs/differences.md
		{verified, "a.b.c", "", false},    //
		{verified, "a..b", "", false},     //
		{verified, "", "", false},         //
		{nil, "anything.>", "q", true},    //
		{&config.Permissions{}, ">", "", true},
		{&config.Permissions{Subscribe: sp("", "")}, ">", "q", true}, // V: empty lists are absent
		{&config.Permissions{Subscribe: &config.SubjectPerm{Allow: []string{}}}, "x", "", true},
		{&config.Permissions{Subscribe: sp("", ">")}, "x", "", false},
		{&config.Permissions{Subscribe: sp("", "a.*")}, "a.>", "", false}, // V: the text of the subscription
		{&config.Permissions{Subscribe: sp("", "a.*")}, ">", "", true},    // accepted, filtered
		{&config.Permissions{Subscribe: sp(">", "")}, "a.>", "", true},
		{&config.Permissions{Subscribe: sp("a.>", "")}, "a.*.c", "", true},
		{&config.Permissions{Subscribe: sp("a.>", "")}, "a", "", false},
		{&config.Permissions{Subscribe: sp("*", "")}, "a", "", true},
		{&config.Permissions{Subscribe: sp("a q1;a q2", "")}, "a", "q2", true},
		{&config.Permissions{Subscribe: sp("a q1;a q2", "")}, "a", "q3", false},
		{&config.Permissions{Subscribe: sp("a q1", "")}, "a", "", false},
		{&config.Permissions{Subscribe: sp("a v1.*", "")}, "a", "v1.*", true},
		{&config.Permissions{Subscribe: sp("a >", "")}, "a", "any", true},
		{&config.Permissions{Subscribe: sp("a q1;a.* q2;>", "")}, "b", "q9", true},
		{&config.Permissions{Publish: sp("x", "")}, "a", "", true},
	} {
		p := compile(t, tt.p)
		if got := p.CanSub([]byte(tt.subject), []byte(tt.queue)); got != tt.want {
			t.Errorf("%+v: SUB %q %q: %v, want %v", tt.p, tt.subject, tt.queue, got, tt.want)
		}
	}
}

func TestCanPub(t *testing.T) {
	verified := &config.Permissions{Publish: sp("a.*;b.>", "b.x")}
	resp := &config.ResponsePerm{}
	for _, tt := range []struct {
		p       *config.Permissions
		subject string
		want    bool
	}{
		{verified, "a.b", true},     // V
		{verified, "a.*", true},     // V: as text
		{verified, "a.>", true},     // V: as text
		{verified, "b.*", true},     // V
		{verified, "b.x", false},    // V
		{verified, "b.c..d", false}, // V: an empty token matches nothing, not even `>`
		{verified, "c", false},      // V
		{verified, "b", false},
		{verified, "a.b.c", false},
		{verified, "", false},
		{verified, "b.", false},
		{verified, ".b", false},
		{nil, "x", true},
		{&config.Permissions{Publish: sp("", "")}, "x", true}, // V
		{&config.Permissions{Publish: sp("", ">")}, "x", false},
		{&config.Permissions{Publish: sp("", ">")}, "x..y", true}, // matches nothing, reaches nobody
		{&config.Permissions{Responses: resp}, "y", false},        // V
		{&config.Permissions{Responses: resp, Publish: sp("", "x")}, "y", false}, // V
		{&config.Permissions{Responses: resp, Publish: sp("", "x")}, "x", false}, // V
		{&config.Permissions{Responses: resp, Publish: sp("y", "")}, "y", true},
		{&config.Permissions{Responses: resp, Subscribe: sp("y", "")}, "y", false},
	} {
		p := compile(t, tt.p)
		if got := p.CanPub([]byte(tt.subject)); got != tt.want {
			t.Errorf("%+v: PUB %q: %v, want %v", tt.p, tt.subject, got, tt.want)
		}
	}
}

func TestDelivery(t *testing.T) {
	p := compile(t, &config.Permissions{Subscribe: sp("", "a.z;q.d v1.*;w.*.x")})
	for _, tt := range []struct {
		sub    string
		filter bool
	}{
		{"a.*", true}, {">", true}, {"a.y", false}, {"q.*", true}, {"q.d", false}, {"w.>", true},
		{"w.a.*", true}, {"b.>", false}, {"a.*.c", false},
	} {
		if got := p.FiltersDelivery([]byte(tt.sub)); got != tt.filter {
			t.Errorf("FiltersDelivery(%q) = %v", tt.sub, got)
		}
	}
	for _, tt := range []struct {
		subject, queue string
		want           bool
	}{
		{"a.z", "", false}, {"a.y", "", true}, {"a.z", "q", false}, {"q.d", "", true}, {"q.d", "v1.a", false},
		{"q.d", "v2.a", true}, {"w.1.x", "", false}, {"w.1.y", "", true}, {"a.*", "", true},
	} {
		if got := p.DeliverableTo([]byte(tt.subject), tt.queue); got != tt.want {
			t.Errorf("DeliverableTo(%q, %q) = %v", tt.subject, tt.queue, got)
		}
		if tt.queue == "" && p.Deliverable([]byte(tt.subject)) != tt.want {
			t.Errorf("Deliverable(%q) != %v", tt.subject, tt.want)
		}
	}
	var none *Perms
	if none.FiltersDelivery([]byte(">")) || !none.Deliverable([]byte("x")) || !none.DeliverableTo([]byte("x"), "q") {
		t.Error("nil permissions filter")
	}
}

func TestResponses(t *testing.T) {
	for _, tt := range []struct{ in, want config.ResponsePerm }{
		{config.ResponsePerm{}, config.ResponsePerm{MaxMsgs: 1, Expires: 2 * time.Minute}},
		{config.ResponsePerm{MaxMsgs: -1, Expires: -1}, config.ResponsePerm{MaxMsgs: -1, Expires: -1}},
		{config.ResponsePerm{MaxMsgs: 5, Expires: time.Second}, config.ResponsePerm{MaxMsgs: 5, Expires: time.Second}},
	} {
		src := &config.Permissions{Responses: &tt.in}
		before := tt.in
		p := compile(t, src)
		if got := *p.Responses(); got != tt.want {
			t.Errorf("%+v: %+v", tt.in, got)
		}
		if *src.Responses != before || p.Source() != src {
			t.Error("the configuration was changed")
		}
	}
	var none *Perms
	if none.Responses() != nil || none.Source() != nil || compile(t, &config.Permissions{}).Responses() != nil {
		t.Error("responses from nothing")
	}
}

func TestValidatePerms(t *testing.T) {
	for _, tt := range []struct {
		p    config.Permissions
		want string
	}{
		{config.Permissions{Publish: sp("a..b", "")}, `publish allow: subject "a..b" is not a valid subject`},
		{config.Permissions{Publish: sp("a q", "")}, `publish allow: subject "a q" is not a valid subject`},
		{config.Permissions{Publish: sp("", "x;>.a")}, `publish deny: subject ">.a" is not a valid subject`},
		{config.Permissions{Subscribe: sp("a b c", "")}, `subscribe allow: subject "a b c" is not a valid subject`},
		{config.Permissions{Subscribe: sp("a..b q", "")}, `subscribe allow: subject "a..b" is not a valid subject`},
		{config.Permissions{Subscribe: sp("", "a q..r")}, `subscribe deny: queue "q..r" is not a valid queue`},
		{config.Permissions{Subscribe: &config.SubjectPerm{Allow: []string{""}}}, `subscribe allow: subject "" is not a valid subject`},
		{config.Permissions{Subscribe: sp("a.> q.*", "b\tq")}, ``},
	} {
		got := ""
		if err := ValidatePerms(&tt.p); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.p, got, tt.want)
		}
		if _, err := CompilePerms(&tt.p); (err != nil) != (tt.want != "") {
			t.Errorf("%+v: compile: %v", tt.p, err)
		}
	}
	if p, err := CompilePerms(nil); p != nil || err != nil {
		t.Errorf("nil: %v %v", p, err)
	}
}

// oracle evaluates permissions in the plainest way: every entry, one after the other.
type oracle struct{ p *config.Permissions }

func (o oracle) canPub(s string) bool {
	if o.p == nil {
		return true
	}
	var l config.SubjectPerm
	if o.p.Publish != nil {
		l = *o.p.Publish
	}
	if len(l.Allow) == 0 && o.p.Responses != nil {
		return false
	}
	ok := len(l.Allow) == 0
	for _, e := range l.Allow {
		ok = ok || subject.Match(s, e)
	}
	for _, e := range l.Deny {
		ok = ok && !subject.Match(s, e)
	}
	return ok
}

func (o oracle) denied(s, q string) bool {
	for _, e := range o.p.Subscribe.Deny {
		es, eq, _ := strings.Cut(e, " ")
		if subject.Match(s, es) && (eq == "" || q != "" && (q == eq || subject.IsSubset(q, eq))) {
			return true
		}
	}
	return false
}

func (o oracle) canSub(s, q string) bool {
	if o.p == nil || o.p.Subscribe == nil {
		return true
	}
	plain, queued, in := false, false, false
	for _, e := range o.p.Subscribe.Allow {
		es, eq, _ := strings.Cut(e, " ")
		switch {
		case !subject.IsSubset(s, es):
		case eq == "":
			plain = true
		default:
			queued = true
			in = in || q == eq || q != "" && subject.IsSubset(q, eq)
		}
	}
	ok := plain || len(o.p.Subscribe.Allow) == 0
	if q != "" && queued {
		ok = in
	}
	return ok && !o.denied(s, q)
}

func randSubject(r *rand.Rand, wild bool) string {
	toks := []string{"a", "b", "c"}
	if wild {
		toks = append(toks, "*", "a")
	}
	n := 1 + r.IntN(4)
	out := make([]string, n)
	for i := range out {
		out[i] = toks[r.IntN(len(toks))]
	}
	if wild && r.IntN(4) == 0 {
		out[n-1] = ">"
	}
	return strings.Join(out, ".")
}

func randList(r *rand.Rand, queues bool) []string {
	out := []string{}
	for range r.IntN(6) {
		e := randSubject(r, true)
		if queues && r.IntN(3) == 0 {
			e += " " + randSubject(r, true)
		}
		out = append(out, e)
	}
	return out
}

func randPerms(r *rand.Rand) *config.Permissions {
	p := &config.Permissions{}
	if r.IntN(5) > 0 {
		p.Publish = &config.SubjectPerm{Allow: randList(r, false), Deny: randList(r, false)}
	}
	if r.IntN(5) > 0 {
		p.Subscribe = &config.SubjectPerm{Allow: randList(r, true), Deny: randList(r, true)}
	}
	if r.IntN(4) == 0 {
		p.Responses = &config.ResponsePerm{}
	}
	return p
}

func TestPermsAgainstOracle(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	granted := 0
	for range 3000 {
		src := randPerms(r)
		p, o := compile(t, src), oracle{src}
		for range 30 {
			lit, sub, q := randSubject(r, false), randSubject(r, true), ""
			if r.IntN(2) == 0 {
				q = randSubject(r, true)
			}
			checkPerms(t, src, p, o, lit, sub, q)
			if p.CanSub([]byte(sub), []byte(q)) {
				granted++
				checkNoLeak(t, src, p, o, sub, lit, q)
			}
		}
	}
	if granted < 10000 {
		t.Errorf("only %d subscriptions were granted: the test decides too little", granted)
	}
}

func checkPerms(t *testing.T, src *config.Permissions, p *Perms, o oracle, lit, sub, q string) {
	t.Helper()
	if got, want := p.CanPub([]byte(lit)), o.canPub(lit); got != want {
		t.Fatalf("%s: PUB %q: %v, want %v", show(src), lit, got, want)
	}
	if got, want := p.CanPub([]byte(sub)), o.canPub(sub); got != want {
		t.Fatalf("%s: PUB %q: %v, want %v", show(src), sub, got, want)
	}
	if got, want := p.CanSub([]byte(sub), []byte(q)), o.canSub(sub, q); got != want {
		t.Fatalf("%s: SUB %q %q: %v, want %v", show(src), sub, q, got, want)
	}
	if src.Subscribe == nil {
		return
	}
	if got, want := p.DeliverableTo([]byte(lit), q), !o.denied(lit, q); got != want {
		t.Fatalf("%s: deliver %q to queue %q: %v, want %v", show(src), lit, q, got, want)
	}
	if got, want := p.Deliverable([]byte(lit)), !o.denied(lit, ""); got != want {
		t.Fatalf("%s: deliver %q: %v, want %v", show(src), lit, got, want)
	}
}

// checkNoLeak: what a granted subscription receives, filter applied, is never denied.
func checkNoLeak(t *testing.T, src *config.Permissions, p *Perms, o oracle, sub, lit, q string) {
	t.Helper()
	if !subject.Match(lit, sub) || p.FiltersDelivery([]byte(sub)) && !p.DeliverableTo([]byte(lit), q) {
		return
	}
	if src.Subscribe != nil && o.denied(lit, q) {
		t.Fatalf("%s: SUB %q %q gets denied %q", show(src), sub, q, lit)
	}
	if q == "" && src.Subscribe != nil && !o.canSub(lit, "") {
		t.Fatalf("%s: SUB %q gets %q, which may not be subscribed", show(src), sub, lit)
	}
}

func show(p *config.Permissions) string {
	return fmt.Sprintf("pub %+v sub %+v resp %+v", p.Publish, p.Subscribe, p.Responses)
}

func FuzzPermEntries(f *testing.F) {
	for _, s := range []string{"a.b", "a.* q", "> >", "a..b", " a  b ", "a\u00a0b", "\v", "*.* *", "x.>.y"} {
		f.Add(s, "a.b", "q")
	}
	f.Fuzz(func(t *testing.T, entry, subj, queue string) {
		src := &config.Permissions{
			Publish:   &config.SubjectPerm{Deny: []string{entry}},
			Subscribe: &config.SubjectPerm{Allow: []string{entry}, Deny: []string{"x.y", entry}},
		}
		pub, err := CompilePerms(&config.Permissions{Publish: src.Publish})
		if err == nil && strings.ContainsAny(strings.TrimSpace(entry), " \t") {
			t.Fatalf("publish entry %q accepted", entry)
		}
		pub.CanPub([]byte(subj))
		p, err := CompilePerms(&config.Permissions{Subscribe: src.Subscribe})
		if err != nil {
			return
		}
		if subject.Valid(subj) && p.CanSub([]byte(subj), []byte(queue)) && !strings.Contains(entry, " ") {
			// allowed by the entry, not denied by the same one: only a wildcard text can do that
			if !subject.HasWildcard(subj) && len(strings.Fields(entry)) == 1 {
				t.Fatalf("SUB %q %q with %q allowed and denied", subj, queue, entry)
			}
		}
		p.FiltersDelivery([]byte(subj))
		p.Deliverable([]byte(subj))
	})
}

func TestPermsDoNotAllocate(t *testing.T) {
	p := compile(t, &config.Permissions{
		Publish:   sp("a.*;b.>;exact.subject", "b.x;b.*.secret"),
		Subscribe: sp("a.*;q.>;q.> v1.*;lit", "a.z;q.d v1.a;q.*.no"),
	})
	wild, lit, queue := []byte("q.*.y"), []byte("b.orders.new"), []byte("v1.x")
	exact := []byte("exact.subject")
	if n := testing.AllocsPerRun(200, func() {
		p.CanPub(lit)
		p.CanPub(exact)
		p.CanSub(wild, queue)
		p.CanSub(wild, nil)
		p.FiltersDelivery(wild)
		p.Deliverable(lit)
		p.DeliverableTo(lit, "v1.x")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCanPub(b *testing.B) {
	p := compile(b, &config.Permissions{Publish: sp("a.*;b.>;exact.subject", "b.x;b.*.secret")})
	for _, s := range []string{"exact.subject", "b.orders.new", "other.thing"} {
		b.Run(s, func(b *testing.B) {
			subj := []byte(s)
			b.ReportAllocs()
			for b.Loop() {
				p.CanPub(subj)
			}
		})
	}
}
