package server

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"ramjet/engine/config"
)

// fetchTimeout bounds the wait for the JWT of an account (reference/limits_and_defaults.md).
const fetchTimeout = 1900 * time.Millisecond

// webResolver asks a web service for the JWTs of accounts: GET <url>/<account>. Any goroutine but a loop; it waits.
type webResolver struct {
	base string // ends with a slash
	http http.Client
}

func newWebResolver(o *config.ResolverOptions, t *config.TLSOptions) (*webResolver, error) {
	w := &webResolver{base: strings.TrimSuffix(o.URL, "/") + "/"}
	tr := &http.Transport{MaxIdleConns: 10, IdleConnTimeout: 30 * time.Second, Proxy: http.ProxyFromEnvironment}
	if t != nil {
		conf, err := config.BuildTLS(t, true)
		if err != nil {
			return nil, fmt.Errorf("resolver_tls: %w", err)
		}
		tr.TLSClientConfig = conf
	}
	w.http = http.Client{Timeout: fetchTimeout, Transport: tr}
	return w, nil
}

// check asks whether the service is there at all.
func (w *webResolver) check() error {
	_, err := w.get("")
	return err
}

// get returns the JWT of an account.
func (w *webResolver) get(account string) (string, error) {
	shown := w.base + account
	if u, err := url.Parse(shown); err == nil {
		shown = u.Redacted()
	}
	resp, err := w.http.Get(w.base + account)
	if err != nil {
		if ue, ok := err.(*url.Error); ok {
			err = ue.Err // the other part repeats the address, with its password
		}
		return "", fmt.Errorf("could not fetch <%q>: %w", shown, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("could not fetch <%q>: %v", shown, resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxJWT+1))
	if err != nil {
		return "", fmt.Errorf("could not fetch <%q>: %w", shown, err)
	}
	if len(b) > maxJWT {
		return "", fmt.Errorf("could not fetch <%q>: the JWT is too long", shown)
	}
	return string(b), nil
}
