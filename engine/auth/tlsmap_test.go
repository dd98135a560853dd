package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/url"
	"testing"
	"time"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/proto/wire"
)

// at is one attribute of a generated subject.
func at(oid string, value any) pkix.AttributeTypeAndValue {
	oids := map[string]asn1.ObjectIdentifier{
		"CN": {2, 5, 4, 3}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "C": {2, 5, 4, 6},
		"DC": oidDC, "UID": {0, 9, 2342, 19200300, 100, 1, 1},
	}
	return pkix.AttributeTypeAndValue{Type: oids[oid], Value: value}
}

// subjectOf encodes RDNs in certificate order (least specific first).
func subjectOf(t testing.TB, seq ...pkix.RelativeDistinguishedNameSET) []byte {
	t.Helper()
	raw, err := asn1.Marshal(pkix.RDNSequence(seq))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

type set = pkix.RelativeDistinguishedNameSET

func certState(t testing.TB, subject []byte, emails, dns, uris []string) *tls.ConnectionState {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), RawSubject: subject, EmailAddresses: emails, DNSNames: dns,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<33, 0)}
	for _, u := range uris {
		p, err := url.Parse(u)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = append(c.URIs, p)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.ConnectionState{PeerCertificates: []*x509.Certificate{parsed}}
}

func TestCertificateMapping(t *testing.T) {
	plain := subjectOf(t, set{at("O", "Org")}, set{at("OU", "Dept")}, set{at("CN", "bob")})
	dcs := subjectOf(t, set{at("DC", "com")}, set{at("DC", "acme")}, set{at("CN", "bob")})
	multi := subjectOf(t, set{at("O", "Org")}, set{at("CN", "bob"), at("OU", "Dept")})
	uid := subjectOf(t, set{at("O", "Org")}, set{at("UID", "7")}, set{at("CN", "bob")})
	for _, tt := range []struct {
		name    string
		subject []byte
		emails  []string
		dns     []string
		uris    []string
		users   []string
		want    string
	}{
		{"email before all", plain, []string{"bob@x"}, []string{"bob.x"}, []string{"spiffe://x/bob"},
			[]string{"CN=bob,OU=Dept,O=Org", "spiffe://x/bob", "bob.x", "bob@x"}, "bob@x"},
		{"second email", plain, []string{"no@x", "bob@x"}, nil, nil, []string{"bob@x"}, "bob@x"},
		{"DNS name before URI", plain, []string{"e@x"}, []string{"bob.x"}, []string{"spiffe://x/bob"},
			[]string{"spiffe://x/bob", "bob.x"}, "bob.x"},
		{"URI before subject", plain, nil, []string{"n.x"}, []string{"spiffe://x/bob"},
			[]string{"CN=bob,OU=Dept,O=Org", "spiffe://x/bob"}, "spiffe://x/bob"},
		{"subject in order", plain, nil, nil, nil, []string{"OU=Dept,CN=bob,O=Org", "CN=bob,OU=Dept,O=Org"}, "CN=bob,OU=Dept,O=Org"},
		{"subject in any order", plain, nil, nil, nil, []string{"O=Org,CN=bob,OU=Dept"}, "O=Org,CN=bob,OU=Dept"},
		{"spaces and case of types", plain, nil, nil, nil, []string{"cn=bob, ou=Dept , o=Org"}, "cn=bob, ou=Dept , o=Org"},
		{"a part of the subject is not enough", plain, nil, nil, nil, []string{"CN=bob", "CN=bob,O=Org"}, ""},
		{"more than the subject", plain, nil, nil, nil, []string{"CN=bob,OU=Dept,O=Org,C=US"}, ""},
		{"values are exact", plain, nil, nil, nil, []string{"CN=Bob,OU=Dept,O=Org"}, ""},
		{"a repeated RDN has one partner", plain, nil, nil, nil, []string{"CN=bob,CN=bob,O=Org"}, ""},
		{"domain components, RFC order", dcs, nil, nil, nil, []string{"CN=bob,DC=acme,DC=com"}, "CN=bob,DC=acme,DC=com"},
		{"domain components, certificate order", dcs, nil, nil, nil, []string{"CN=bob,DC=com,DC=acme"}, "CN=bob,DC=com,DC=acme"},
		{"without domain components", dcs, nil, nil, nil, []string{"CN=bob"}, "CN=bob"},
		{"multi-valued", multi, nil, nil, nil, []string{"OU=Dept+CN=bob,O=Org"}, "OU=Dept+CN=bob,O=Org"},
		{"multi-valued is not two", multi, nil, nil, nil, []string{"CN=bob,OU=Dept,O=Org"}, "CN=bob,OU=Dept,O=Org"}, // as text
		{"multi-valued, two in another order", multi, nil, nil, nil, []string{"OU=Dept,CN=bob,O=Org"}, ""},
		{"unknown attribute", uid, nil, nil, nil, []string{"CN=bob,O=Org"}, "CN=bob,O=Org"}, // as text: pkix leaves it out
		{"no match", plain, []string{"e@x"}, nil, nil, []string{"other"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := &config.Options{TLS: &config.TLSOptions{VerifyAndMap: true}}
			for _, u := range tt.users {
				o.Auth.Users = append(o.Auth.Users, &config.User{Name: u})
			}
			a, _ := build(t, o)
			r, pooled := ask(t, a, &Request{TLS: certState(t, tt.subject, tt.emails, tt.dns, tt.uris)})
			got := ""
			if r.User != nil {
				got = r.User.Name
			}
			if got != tt.want || pooled {
				t.Errorf("%q, want %q (%s)", got, tt.want, r.Log)
			}
		})
	}
}

func TestCertificateRules(t *testing.T) {
	bob := subjectOf(t, set{at("CN", "bob")})
	state := certState(t, bob, nil, nil, nil)
	o := &config.Options{TLS: &config.TLSOptions{VerifyAndMap: true}, NoAuthUser: "free", Auth: config.AuthBlock{Users: []*config.User{
		{Name: "CN=bob", ConnTypes: []string{"STANDARD"}}, {Name: "free", Pass: "p"}, {Name: "CN=pw", Pass: "pw"},
	}}, Websocket: &config.WebsocketOptions{Port: 80}}
	pw := certState(t, subjectOf(t, set{at("CN", "pw")}), nil, nil, nil)
	for _, tt := range []struct {
		name string
		l    Listener
		t    engine.ConnType
		tls  *tls.ConnectionState
		c    wire.Connect
		want string
		warn string
	}{
		{"mapped", 0, 0, state, wire.Connect{}, "$G/CN=bob", ""},
		{"user in CONNECT does not count", 0, 0, state, wire.Connect{User: "free"}, "$G/CN=bob",
			`User "free" found in connect proto, but user required from cert`},
		{"no TLS", 0, 0, nil, wire.Connect{User: "free", Pass: "p"}, denied + ` - User "free"`, ""},
		{"no certificate", 0, 0, &tls.ConnectionState{}, wire.Connect{}, denied, ""}, // no_auth_user does not help
		{"type not allowed", 0, engine.InProcess, state, wire.Connect{}, denied, ""},
		{"user with a password must send it", 0, 0, pw, wire.Connect{}, denied + ` - User "CN=pw"`, ""},
		{"user with a password sends it", 0, 0, pw, wire.Connect{Pass: "pw"}, "$G/CN=pw", ""},
		{"other listener does not map", WebsocketListener, engine.Websocket, state, wire.Connect{User: "free", Pass: "p"}, "$G/free", ""},
		{"empty password of a certificate user", WebsocketListener, engine.Standard, nil, wire.Connect{User: "CN=bob"}, denied + ` - User "CN=bob"`, ""},
	} {
		a, _ := build(t, o)
		r, _ := ask(t, a, &Request{Listener: tt.l, ConnType: tt.t, TLS: tt.tls, Connect: tt.c})
		if got := outcome(r); got != tt.want || r.Warn != tt.warn {
			t.Errorf("%s: %q, want %q; warning %q", tt.name, got, tt.want, r.Warn)
		}
	}
}

func TestParseDN(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want dn
	}{
		{`CN=a`, dn{{{"CN", "a"}}}},
		{`CN=a+O=b,C=c`, dn{{{"CN", "a"}, {"O", "b"}}, {{"C", "c"}}}},
		{`CN= a b , O=\ c\ `, dn{{{"CN", "a b"}}, {{"O", " c "}}}},
		{`CN=a\,b\2Cc`, dn{{{"CN", "a,b,c"}}}},
		{`CN=`, dn{{{"CN", ""}}}},
		{`CN=#04`, nil}, {`CN=a\`, nil}, {`CN=a\4`, nil}, {`CN=a\zz`, nil}, {`a`, nil}, {``, nil}, {`a@b.c`, nil},
		{`=a`, nil}, {`CN=a,b`, nil},
	} {
		got, ok := parseDN(tt.in)
		if ok != (tt.want != nil) || ok && !got.equal(tt.want) {
			t.Errorf("%q: %q %v", tt.in, got, ok)
		}
	}
}

func FuzzParseDN(f *testing.F) {
	for _, s := range []string{`CN=a`, `CN=a\,b+O= c ,DC=x`, `=`, `\`, `a=#`, `a=\2C`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := parseDN(s)
		if !ok {
			return
		}
		if !name.equal(name) || !name.sameRDNs(name) {
			t.Errorf("%q is not itself", s)
		}
		for _, r := range name {
			if len(r) == 0 || r[0].typ == "" {
				t.Errorf("%q: empty RDN", s)
			}
		}
	})
}
