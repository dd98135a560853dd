package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"ramjet/proto/subject"

	"github.com/nats-io/nkeys"
)

func validLeafnodes(o *Options) error {
	l := o.Leafnodes
	if l == nil || l.Port == 0 && len(l.Remotes) == 0 {
		return nil
	}
	if o.Gateway != nil && o.Gateway.Name != "" && o.NoSystemAccount {
		return errors.New("leaf nodes and gateways (both being defined) require a system account to also be configured")
	}
	if err := checkLeafAuth(&l.Auth); err != nil {
		return err
	}
	if operatorMode(o) && len(l.Auth.Users) > 0 {
		return errors.New("operator mode does not allow specifying users in leafnode config")
	}
	for _, u := range l.Auth.Users {
		if u.Account != "" && !accountExists(o, u.Account) {
			return fmt.Errorf("cannot find local account %q specified in leafnode authorization", u.Account)
		}
	}
	if a := l.Auth.Account; a != "" && !accountExists(o, a) {
		return fmt.Errorf("cannot find local account %q specified in leafnode authorization", a)
	}
	if l.MinVersion != "" {
		if err := checkMinVersion(l.MinVersion); err != nil {
			return err
		}
	}
	if l.Port != 0 {
		if err := validCompression(&l.Compression); err != nil {
			return err
		}
	}
	seen := make(map[string]bool)
	for _, r := range l.Remotes {
		if err := validRemote(o, r); err != nil {
			return err
		}
		if name := remoteName(r); name != "" && seen[name] {
			return fmt.Errorf("duplicate remote %s", redactAll(r.URLs))
		} else {
			seen[name] = true
		}
	}
	return nil
}

// checkLeafAuth checks that leafnodes authenticate in one way only.
func checkLeafAuth(a *AuthBlock) error {
	if len(a.Users) == 0 {
		return nil
	}
	if a.User != "" {
		return errors.New("can not have a single user/pass and a users array")
	}
	if a.Nkey != "" {
		return errors.New("can not have a single nkey and a users array")
	}
	seen := make(map[string]bool)
	for _, u := range a.Users {
		name := u.Name + u.Nkey
		if seen[name] {
			return fmt.Errorf("duplicate user %q detected in leafnode authorization", name)
		}
		seen[name] = true
	}
	return nil
}

func accountExists(o *Options, name string) bool {
	return name == globalAccount || name == o.SystemAccount || operatorMode(o) ||
		slices.ContainsFunc(o.Accounts, func(a *Account) bool { return a.Name == name })
}

func validRemote(o *Options, r *RemoteLeaf) error {
	if operatorMode(o) && r.Account != globalAccount && !nkeys.IsValidPublicAccountKey(r.Account) {
		return errors.New("operator mode and non account nkeys are incompatible")
	}
	if r.Account != "" && !accountExists(o, r.Account) {
		return fmt.Errorf("cannot find local account %q specified in leafnode remote", r.Account)
	}
	ws := 0
	for _, u := range r.URLs {
		if isWS(u) {
			ws++
		}
	}
	if ws > 0 && ws < len(r.URLs) {
		return fmt.Errorf("remote leaf node configuration cannot have a mix of websocket and non-websocket urls: %s", redactAll(r.URLs))
	}
	for _, deny := range []struct {
		key      string
		subjects []string
	}{{"deny_imports", r.DenyImports}, {"deny_exports", r.DenyExports}} {
		for _, s := range deny.subjects {
			if !subject.Valid(s) {
				return fmt.Errorf("invalid %s for remote %s: subject %q is not a valid subject", deny.key, redactAll(r.URLs), s)
			}
		}
	}
	if err := validCompression(&r.Compression); err != nil {
		return err
	}
	return checkProxy(r)
}

func isWS(u *url.URL) bool {
	return strings.EqualFold(u.Scheme, "ws") || strings.EqualFold(u.Scheme, "wss")
}

// checkProxy checks the HTTP proxy of a remote.
func checkProxy(r *RemoteLeaf) error {
	if r.ProxyURL == "" {
		if r.ProxyUser != "" || r.ProxyPass != "" || r.ProxyTimeout != 0 || r.ProxyTLS != nil {
			return errors.New("proxy URL must be specified when other proxy options are set")
		}
		return nil
	}
	u, err := url.Parse(r.ProxyURL)
	switch {
	case err != nil:
		return fmt.Errorf("invalid proxy URL: %w", err)
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("proxy URL scheme must be http or https, got: %s", u.Scheme)
	case u.Host == "":
		return errors.New("proxy URL must specify a host")
	case r.ProxyTLS != nil && u.Scheme != "https":
		return fmt.Errorf("proxy TLS configuration requires an https proxy URL, got: %s", u.Scheme)
	case r.ProxyTimeout < 0:
		return errors.New("proxy timeout must be >= 0")
	case (r.ProxyUser == "") != (r.ProxyPass == ""):
		return errors.New("proxy username and password must both be specified or both be empty")
	}
	for _, x := range r.URLs {
		if strings.EqualFold(x.Scheme, "wss") && r.TLS == nil {
			return fmt.Errorf("proxy is configured but remote URL %s requires TLS and no TLS configuration is provided", x.Redacted())
		}
	}
	return nil
}
