package ocsp

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxResponse bounds what is read of a responder's answer, in bytes; real ones have a few KiB.
	maxResponse = 256 << 10
	// maxPerResponder bounds the connections to one responder.
	maxPerResponder = 32
	idleResponder   = time.Minute
)

// Responders asks CAs. One for all staplers and verifiers of a server. Any goroutine.
type Responders struct {
	client *http.Client
}

// NewResponders returns a client for responders. Close it when the server ends.
func NewResponders() *Responders {
	return &Responders{client: &http.Client{Transport: &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		MaxConnsPerHost:     maxPerResponder,
		MaxIdleConnsPerHost: 2,
		IdleConnTimeout:     idleResponder,
	}}}
}

// Close drops idle connections.
func (r *Responders) Close() { r.client.CloseIdleConnections() }

// post sends the DER request as a body, get as part of the path (RFC 6960, appendix A.1).
func (r *Responders) post(ctx context.Context, to string, request []byte) ([]byte, error) {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/ocsp-request")
	q.Header.Set("Accept", "application/ocsp-response")
	return r.do(q)
}

func (r *Responders) get(ctx context.Context, to string, request []byte) ([]byte, error) {
	path := url.QueryEscape(base64.StdEncoding.EncodeToString(request))
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(to, "/")+"/"+path, nil)
	if err != nil {
		return nil, err
	}
	return r.do(q)
}

func (r *Responders) do(q *http.Request) ([]byte, error) {
	resp, err := r.client.Do(q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("bad OCSP responder http status: [%d]", resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, err
	case len(raw) == 0:
		return nil, errors.New("empty answer of the OCSP responder")
	case len(raw) > maxResponse:
		return nil, fmt.Errorf("answer of the OCSP responder is larger than %d bytes", maxResponse)
	}
	return raw, nil
}
