package config

import (
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"ramjet/proto/conf"
)

// tlsUse is where a TLS block stands, which decides what it may contain.
type tlsUse uint8

const (
	clientTLS   tlsUse = iota
	routeTLS           // cluster and gateway: always mutual
	leafTLS            // leafnode listener
	listenerTLS        // websocket and mqtt
	remoteTLS          // solicited connections
)

// Defaults of TLS.
const (
	defaultTLSTimeout    = 2 * time.Second
	handshakeFirstWait   = 50 * time.Millisecond
	pinnedHex            = 64
	unknownTLS           = "error parsing tls config, unknown field \"%s\""
	notSupportedKnownURL = "verify_cert_and_check_known_urls not supported in this context"
)

// tlsKey decodes a TLS block and builds what it describes.
func tlsKey[T any](use tlsUse, f func(*T) **TLSOptions) func(*decoder, *T, *conf.Entry) {
	return func(d *decoder, t *T, e *conf.Entry) {
		m, ok := d.object(e)
		if !ok {
			return
		}
		b := &tlsBlockState{use: use, o: &TLSOptions{}}
		before := len(d.errors)
		tlsBlock.decode(d, b, m)
		*f(t) = b.o
		if len(b.o.Certs) > 0 && b.o.CertFile != "" {
			d.errorf(e.Pos, "error parsing tls config, cannot combine 'cert_file' option with 'certs' option")
		}
		if len(d.errors) > before {
			return // certificates are looked at when the block itself is right
		}
		if use == routeTLS {
			b.o.Verify = true
		}
		config, err := BuildTLS(b.o, use == routeTLS || use == remoteTLS)
		if err != nil {
			d.errorf(e.Pos, "%v", err)
			return
		}
		b.o.Config = config
	}
}

type tlsBlockState struct {
	use tlsUse
	o   *TLSOptions
}

var tlsBlock *block[tlsBlockState]

func init() {
	tlsStr := func(f func(*TLSOptions) *string) func(*decoder, *tlsBlockState, *conf.Entry) {
		return func(d *decoder, b *tlsBlockState, e *conf.Entry) {
			if e.Value.Kind != conf.String {
				d.errorf(e.Pos, "error parsing tls config, expected '%s' to be filename, got %s", strings.ToLower(e.Key), describe(e.Value))
				return
			}
			*f(b.o) = e.Value.Str
		}
	}
	tlsBool := func(f func(*TLSOptions) *bool) func(*decoder, *tlsBlockState, *conf.Entry) {
		return func(d *decoder, b *tlsBlockState, e *conf.Entry) {
			if e.Value.Kind != conf.Bool {
				d.errorf(e.Pos, "error parsing tls config, expected '%s' to be a boolean, got %s", strings.ToLower(e.Key), describe(e.Value))
				return
			}
			*f(b.o) = e.Value.Bool
		}
	}
	windows := func(d *decoder, _ *tlsBlockState, e *conf.Entry) {
		d.errorf(e.Pos, "%s not compatible with current operating system", strings.ToLower(e.Key))
	}
	tlsBlock = newBlock(unknownTLS, []key[tlsBlockState]{
		{"cert_file", tlsStr(func(o *TLSOptions) *string { return &o.CertFile })},
		{"key_file", tlsStr(func(o *TLSOptions) *string { return &o.KeyFile })},
		{"ca_file", tlsStr(func(o *TLSOptions) *string { return &o.CAFile })},
		{"certs certificates", tlsCerts},
		{"verify", tlsBool(func(o *TLSOptions) *bool { return &o.Verify })},
		{"verify_and_map", func(d *decoder, b *tlsBlockState, e *conf.Entry) {
			tlsBool(func(o *TLSOptions) *bool { return &o.VerifyAndMap })(d, b, e)
			b.o.Verify = b.o.Verify || b.o.VerifyAndMap
		}},
		{"verify_cert_and_check_known_urls", func(d *decoder, b *tlsBlockState, e *conf.Entry) {
			tlsBool(func(o *TLSOptions) *bool { return &o.KnownURLs })(d, b, e)
			if b.use != routeTLS {
				d.errorf(e.Pos, notSupportedKnownURL)
			}
			b.o.Verify = b.o.Verify || b.o.KnownURLs
		}},
		{"insecure", tlsBool(func(o *TLSOptions) *bool { return &o.Insecure })},
		{"cipher_suites", tlsCiphers},
		{"allow_insecure_cipher_suites", tlsBool(func(o *TLSOptions) *bool { return &o.AllowInsecureCiphers })},
		{"curve_preferences", tlsCurves},
		{"min_version", tlsVersion},
		{"timeout", func(d *decoder, b *tlsBlockState, e *conf.Entry) {
			if v, ok := d.timeout(e, "tls"); ok {
				b.o.Timeout = v
			}
		}},
		{"pinned_certs", tlsPinned},
		{"connection_rate_limit", func(d *decoder, b *tlsBlockState, e *conf.Entry) {
			if e.Value.Kind != conf.Int {
				d.errorf(e.Pos, "error parsing tls config, 'connection_rate_limit' wrong type: expected an integer, got %s", describe(e.Value))
				return
			}
			b.o.RateLimit = int(min(max(e.Value.Int, 0), 1<<31-1))
		}},
		{"handshake_first first immediate", handshakeFirst},
		{"ocsp_peer", ocspPeer},
		{"cert_store", windows}, {"cert_match_by", windows}, {"cert_match", windows},
		{"ca_certs_match", windows}, {"cert_match_skip_invalid", windows},
	}...)
}

func tlsCerts(d *decoder, b *tlsBlockState, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "error parsing certificates config: unsupported type %s, expected an array of maps", kind(e.Value))
		return
	}
	for _, item := range e.Value.Items {
		if item.Kind != conf.Map {
			d.errorf(item.Pos, "error parsing certificates config: unsupported type %s", kind(item))
			continue
		}
		before := len(d.errors)
		var p CertPair
		certPairBlock.decode(d, &p, item.Map)
		pos := item.Pos
		if len(item.Map.Entries) > 0 {
			pos = item.Map.Entries[0].Pos
		}
		if len(d.errors) == before && (p.CertFile == "" || p.KeyFile == "") {
			d.errorf(pos, "error parsing certificates config: both 'cert_file' and 'cert_key' options are required")
		}
		b.o.Certs = append(b.o.Certs, p)
	}
}

var certPairBlock = newBlock("error parsing tls certs config, unknown field \"%s\"",
	key[CertPair]{"cert_file", certPath(func(p *CertPair) *string { return &p.CertFile })},
	key[CertPair]{"key_file", certPath(func(p *CertPair) *string { return &p.KeyFile })},
)

func certPath(f func(*CertPair) *string) func(*decoder, *CertPair, *conf.Entry) {
	return func(d *decoder, p *CertPair, e *conf.Entry) {
		if e.Value.Kind != conf.String {
			d.errorf(e.Pos, "error parsing certificates config: unsupported type %s, expected a file name", kind(e.Value))
			return
		}
		*f(p) = e.Value.Str
	}
}

func tlsCiphers(d *decoder, b *tlsBlockState, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.typeError(e, "an array of cipher suites")
		return
	}
	if len(e.Value.Items) == 0 {
		d.errorf(e.Pos, "error parsing tls config, 'cipher_suites' cannot be empty")
	}
	var names []string
	known := make(map[string]uint16)
	for _, c := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		known[c.Name] = c.ID
		names = append(names, c.Name)
	}
	b.o.CipherSuites = nil
	for _, item := range e.Value.Items {
		id, ok := known[item.Str]
		switch {
		case item.Kind != conf.String:
			d.errorf(item.Pos, "%s: expected the name of a cipher suite, got %s", e.Key, describe(item))
		case !ok:
			d.errorf(item.Pos, "unrecognized cipher %s%s", item.Str, hint(strings.ToUpper(item.Str), names))
		default:
			b.o.CipherSuites = append(b.o.CipherSuites, id)
		}
	}
}

// curves are the key exchanges that may be configured, in the default order.
var curves = []tls.CurveID{
	tls.X25519MLKEM768, tls.SecP384r1MLKEM1024, tls.SecP256r1MLKEM768,
	tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521,
}

func tlsCurves(d *decoder, b *tlsBlockState, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.typeError(e, "an array of curves")
		return
	}
	if len(e.Value.Items) == 0 {
		d.errorf(e.Pos, "error parsing tls config, 'curve_preferences' cannot be empty")
	}
	var names []string
	known := make(map[string]tls.CurveID)
	for _, c := range curves {
		known[c.String()] = c
		names = append(names, c.String())
	}
	b.o.Curves = nil
	for _, item := range e.Value.Items {
		id, ok := known[item.Str]
		switch {
		case item.Kind != conf.String:
			d.errorf(item.Pos, "%s: expected the name of a curve, got %s", e.Key, describe(item))
		case !ok:
			d.errorf(item.Pos, "unrecognized curve preference %s%s", item.Str, hint(item.Str, names))
		default:
			b.o.Curves = append(b.o.Curves, id)
		}
	}
}

func tlsVersion(d *decoder, b *tlsBlockState, e *conf.Entry) {
	const prefix = "error parsing tls config: "
	if e.Value.Kind != conf.String {
		d.errorf(e.Pos, prefix+"'min_version' wrong type: expected the string \"1.2\" or \"1.3\", got %s", describe(e.Value))
		return
	}
	switch e.Value.Str {
	case "1.2":
		b.o.MinVersion = tls.VersionTLS12
	case "1.3":
		b.o.MinVersion = tls.VersionTLS13
	case "1.0", "1.1":
		d.errorf(e.Pos, prefix+"unsupported TLS version: TLS %s", e.Value.Str)
	default:
		d.errorf(e.Pos, prefix+"unknown version: %s (expected \"1.2\" or \"1.3\")", e.Value.Str)
	}
}

func tlsPinned(d *decoder, b *tlsBlockState, e *conf.Entry) {
	if e.Value.Kind != conf.Array {
		d.errorf(e.Pos, "error parsing tls config, expected 'pinned_certs' to be a list of hex-encoded sha256 of DER encoded SubjectPublicKeyInfo")
		return
	}
	b.o.PinnedCerts = make(map[string]struct{}, len(e.Value.Items))
	for _, item := range e.Value.Items {
		k := strings.ToLower(item.Text())
		if !validPin(k) {
			d.errorf(item.Pos, "error parsing tls config, 'pinned_certs' key %s does not look like hex-encoded sha256 of DER encoded SubjectPublicKeyInfo", item.Text())
			continue
		}
		b.o.PinnedCerts[k] = struct{}{}
	}
}

func validPin(k string) bool {
	_, err := hex.DecodeString(k)
	return len(k) == pinnedHex && err == nil && k == strings.ToLower(k)
}

func handshakeFirst(d *decoder, b *tlsBlockState, e *conf.Entry) {
	switch e.Value.Kind {
	case conf.Bool:
		b.o.HandshakeFirst, b.o.HandshakeFirstFallback = e.Value.Bool, 0
	case conf.String:
		b.o.HandshakeFirst, b.o.HandshakeFirstFallback = true, handshakeFirstWait
		switch s := strings.ToLower(e.Value.Str); s {
		case "auto", "auto_fallback":
		case "true", "on", "yes":
			b.o.HandshakeFirstFallback = 0
		case "false", "off", "no":
			b.o.HandshakeFirst, b.o.HandshakeFirstFallback = false, 0
		default:
			v, err := time.ParseDuration(s)
			if err != nil {
				d.errorf(e.Pos, "field %q's value %q is invalid", e.Key, e.Value.Str)
				return
			}
			b.o.HandshakeFirstFallback = v
		}
	default:
		d.errorf(e.Pos, "field %q should be a boolean or a string, got %s", e.Key, kind(e.Value))
	}
}

func ocspPeer(d *decoder, b *tlsBlockState, e *conf.Entry) {
	switch e.Value.Kind {
	case conf.Bool:
		if e.Value.Bool {
			b.o.OCSPPeer = map[string]any{"verify": true}
		}
	case conf.Map:
		m := map[string]any{}
		ocspPeerBlock.decode(d, &m, e.Value.Map)
		if m["verify"] == true {
			b.o.OCSPPeer = m
		}
	default:
		d.errorf(e.Pos, "error parsing ocsp peer config: unsupported type %s, expected a boolean or a map", kind(e.Value))
	}
	if b.o.OCSPPeer != nil {
		d.opts.note("ocsp_peer", e.Pos)
	}
}

var ocspPeerBlock = func() *block[map[string]any] {
	var keys []key[map[string]any]
	for _, name := range []string{"verify", "warn_only", "unknown_is_good", "allow_when_ca_unreachable"} {
		keys = append(keys, key[map[string]any]{name, func(d *decoder, m *map[string]any, e *conf.Entry) {
			if b, ok := d.boolean(e); ok {
				(*m)[name] = b
			}
		}})
	}
	for _, name := range []string{"ca_timeout", "allowed_clockskew", "cache_ttl_when_next_update_unset"} {
		keys = append(keys, key[map[string]any]{name, func(d *decoder, m *map[string]any, e *conf.Entry) {
			if v, ok := d.timeout(e, "tls peer"); ok {
				(*m)[name] = v
			}
		}})
	}
	return newBlock("error parsing tls peer config, unknown field [\"%s\"]", keys...)
}()

// suiteNames lists the names of cipher suites.
func suiteNames(ids []uint16) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = tls.CipherSuiteName(id)
	}
	return fmt.Sprint(strings.Join(names, ", "))
}
