package netio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tearing writes in pieces of random size, so that records are torn.
type tearing struct {
	net.Conn
	mu  sync.Mutex
	rng *mrand.Rand
}

func (c *tearing) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		c.mu.Lock()
		k := 1 + c.rng.IntN(min(len(b)-n, 1+c.rng.IntN(3000)))
		c.mu.Unlock()
		k, err = c.Conn.Write(b[n : n+k])
		n += k
	}
	return n, err
}

// exchange sends random data and expects it back.
func exchange(t *testing.T, nc io.ReadWriter, rng *mrand.Rand, total int) {
	t.Helper()
	sent := make([]byte, total)
	for i := range sent {
		sent[i] = byte(rng.Uint32())
	}
	done := make(chan error, 1)
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(50000))
			if _, err := nc.Write(rest[:n]); err != nil {
				done <- err
				return
			}
			rest = rest[n:]
		}
		done <- nil
	}()
	got := make([]byte, total)
	if n, err := io.ReadFull(nc, got); err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(sent, got) {
		t.Fatal("what came back is different")
	}
}

// TestTLSServer: INFO in clear, then TLS, as the client protocol does it.
func TestTLSServer(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachBackend(t, func(t *testing.T, backend string) {
		for name, version := range tlsVersions {
			t.Run(name, func(t *testing.T) {
				rng := mrand.New(mrand.NewPCG(seed, 1))
				sconf, cconf := tlsConfigs(version)
				ends := make(chan closing, 1)
				_, addr := stageServer(t, backend, func(c *Conn) Handler {
					return &stageEcho{
						open: func(c *Conn) {
							c.Out().Append(c.Loop().Index(), []byte("INFO\r\n"))
							c.StartTLS(TLSSpec{Config: sconf, Timeout: 10 * time.Second})
							c.Out().Append(c.Loop().Index(), []byte("held"))
						},
						secured: func(c *Conn) {
							if c.TLS() == nil || c.TLS().Version != version {
								t.Errorf("state %+v", c.TLS())
							}
							c.Out().Append(c.Loop().Index(), []byte("secured"))
						},
						closed: func(c *Conn, r Reason) { ends <- closing{r, c.Err()} },
					}
				})
				nc := dialStage(t, addr)
				info := make([]byte, 6)
				if _, err := io.ReadFull(nc, info); err != nil || string(info) != "INFO\r\n" {
					t.Fatalf("%q %v", info, err)
				}
				tc := tls.Client(&tearing{Conn: nc, rng: mrand.New(mrand.NewPCG(seed, 2))}, cconf)
				first := make([]byte, len("heldsecured"))
				if _, err := io.ReadFull(tc, first); err != nil || string(first) != "heldsecured" {
					t.Fatalf("%q %v", first, err)
				}
				exchange(t, tc, rng, 3<<20)
				if err := tc.Close(); err != nil {
					t.Fatal(err)
				}
				if e := await(t, "close", ends); e.reason != ReasonClientClosed {
					t.Errorf("%v %v", e.reason, e.err)
				}
			})
		}
	})
}

// TestTLSClientRole: a connection we dialed, against crypto/tls.
func TestTLSClientRole(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachBackend(t, func(t *testing.T, backend string) {
		for name, version := range tlsVersions {
			t.Run(name, func(t *testing.T) {
				sconf, cconf := tlsConfigs(version)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				g, _ := stageServer(t, backend, func(*Conn) Handler { return nil })
				g.Dial(DialSpec{Addr: l.Addr().String(), Timeout: 5 * time.Second}, func(c *Conn) Handler {
					return &stageEcho{open: func(c *Conn) { c.StartTLS(TLSSpec{Config: cconf, Client: true, Timeout: 10 * time.Second}) }}
				}, func(err error) { t.Error(err) })
				nc, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
					t.Fatal(err)
				}
				tc := tls.Server(&tearing{Conn: nc, rng: mrand.New(mrand.NewPCG(seed, 2))}, sconf)
				exchange(t, tc, mrand.New(mrand.NewPCG(seed, 3)), 1<<20)
			})
		}
	})
}

// TestTLSEarlyData: a client that sends its data together with the end of its handshake.
func TestTLSEarlyData(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		sconf, cconf := tlsConfigs(tls.VersionTLS13)
		_, addr := stageServer(t, backend, func(c *Conn) Handler {
			return &stageEcho{open: func(c *Conn) { c.StartTLS(TLSSpec{Config: sconf}) }}
		})
		for range 20 {
			nc := dialStage(t, addr)
			tc := tls.Client(nc, cconf)
			exchange(t, tc, mrand.New(mrand.NewPCG(1, 1)), 500<<10) // Write does the handshake
			nc.Close()
		}
	})
}

// TestTLSFailures: reasons and what the peer sees, as nats-server (the -ERR of a timeout is queued
// there but never leaves, so none is sent here).
func TestTLSFailures(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		sconf, _ := tlsConfigs(tls.VersionTLS13)
		for _, c := range []struct {
			name, send, err, reply string
			timeout                time.Duration
			leave                  bool
		}{
			{name: "silent", timeout: 50 * time.Millisecond, err: "TLS handshake timeout"},
			{name: "half a hello", send: "\x16\x03\x01\x00\xff\x01", timeout: 50 * time.Millisecond, err: "TLS handshake timeout"},
			{name: "plain", send: "CONNECT {}\r\nPING\r\n", timeout: time.Minute, err: "first record does not look like a TLS handshake"},
			{name: "bad hello", send: "\x16\x03\x01\x00\x05\x01aaaa", timeout: time.Minute, err: "exceeds maximum", reply: "\x15\x03\x01\x00\x02\x02P"},
			{name: "leaves", send: "\x16\x03\x01\x00\xff\x01", timeout: time.Minute, err: "EOF", leave: true},
		} {
			t.Run(c.name, func(t *testing.T) {
				ends := make(chan closing, 1)
				_, addr := stageServer(t, backend, func(*Conn) Handler {
					return &stageEcho{
						open: func(n *Conn) {
							n.StartTLS(TLSSpec{Config: sconf, Timeout: c.timeout})
							n.Out().Append(n.Loop().Index(), []byte("never seen"))
						},
						closed: func(n *Conn, r Reason) { ends <- closing{r, n.Err()} },
					}
				})
				nc := dialStage(t, addr)
				if _, err := nc.Write([]byte(c.send)); err != nil {
					t.Fatal(err)
				}
				if c.leave {
					nc.(*net.TCPConn).CloseWrite()
				}
				got, err := io.ReadAll(nc)
				if err != nil || string(got) != c.reply {
					t.Errorf("peer read %q, %v", got, err)
				}
				e := await(t, "close", ends)
				if e.reason != ReasonTLSHandshake || e.err == nil || !strings.Contains(e.err.Error(), c.err) {
					t.Errorf("%v, %v", e.reason, e.err)
				}
			})
		}
	})
}

// TestTLSSlowPeersHoldNothing: many peers stop in the middle of their handshake; others are served
// meanwhile, no compute slot is held, and all memory of the stalled is given back.
func TestTLSSlowPeersHoldNothing(t *testing.T) {
	stalled := 300
	sconf, cconf := tlsConfigs(tls.VersionTLS13)
	g, addr := stageServer(t, stageBackends()[0], func(*Conn) Handler {
		return &stageEcho{open: func(c *Conn) { c.StartTLS(TLSSpec{Config: sconf, Timeout: time.Minute}) }}
	})
	// A whole ClientHello, then silence.
	a, b := net.Pipe()
	go tls.Client(a, cconf).Handshake()
	hello := make([]byte, 16<<10)
	n, err := b.Read(hello)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	before := runtime.NumGoroutine()
	var conns []net.Conn
	for range stalled {
		nc := dialStage(t, addr)
		if _, err := nc.Write(hello[:n]); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, nc)
	}
	for _, nc := range conns {
		if _, err := io.ReadFull(nc, make([]byte, 100)); err != nil { // the ServerHello: the goroutine waits now
			t.Fatal(err)
		}
	}
	t.Logf("%d goroutines for %d stalled handshakes", runtime.NumGoroutine()-before, stalled)
	tc := tls.Client(dialStage(t, addr), cconf)
	exchange(t, tc, mrand.New(mrand.NewPCG(1, 1)), 10000)
	g.handshakes.mu.Lock()
	running := g.handshakes.running
	g.handshakes.mu.Unlock()
	if running != stalled {
		t.Errorf("%d handshakes running, want %d", running, stalled)
	}
	for _, nc := range conns {
		nc.Close()
	}
	deadline := time.Now().Add(20 * time.Second)
	for running > 0 && time.Now().Before(deadline) {
		runtime.Gosched()
		g.handshakes.mu.Lock()
		running = g.handshakes.running
		g.handshakes.mu.Unlock()
	}
	if running != 0 {
		t.Errorf("%d handshakes left", running)
	}
}

// TestTLSConcurrentSeal: other goroutines deliver while the peer sends and updates its keys.
func TestTLSConcurrentSeal(t *testing.T) {
	for name, version := range tlsVersions {
		t.Run(name, func(t *testing.T) {
			sconf, cconf := tlsConfigs(version)
			ready := make(chan *Conn, 1)
			var in atomic.Int64
			_, addr := stageServer(t, stageBackends()[0], func(*Conn) Handler {
				return &stageEcho{
					open:    func(c *Conn) { c.StartTLS(TLSSpec{Config: sconf}) },
					secured: func(c *Conn) { ready <- c },
					data:    func(_ *Conn, d []byte) bool { in.Add(int64(len(d))); return true },
				}
			})
			tc := tls.Client(dialStage(t, addr), cconf)
			if err := tc.Handshake(); err != nil {
				t.Fatal(err)
			}
			c := await(t, "secured", ready)
			const writers, each = 4, 500
			var wg sync.WaitGroup
			for w := range writers {
				wg.Go(func() {
					for i := range each {
						c.Out().Append(-1, fmt.Appendf(nil, "%d %03d %s\n", w, i, strings.Repeat("x", i)))
						c.Out().Flush(-1)
					}
				})
			}
			wg.Go(func() {
				for range 500 {
					if _, err := tc.Write(make([]byte, 1000)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			next := make([]int, writers)
			buf := make([]byte, 0, 1<<20)
			for got := 0; got < writers*each; {
				chunk := make([]byte, 16<<10)
				n, err := tc.Read(chunk)
				if err != nil {
					t.Fatal(err)
				}
				buf = append(buf, chunk[:n]...)
				for {
					line, rest, ok := bytes.Cut(buf, []byte("\n"))
					if !ok {
						break
					}
					var w, i int
					var x string
					fmt.Sscanf(string(line), "%d %d %s", &w, &i, &x)
					if i != next[w] || len(x) != i {
						t.Fatalf("writer %d: line %d of %d bytes, want %d", w, i, len(x), next[w])
					}
					next[w]++
					got++
					buf = rest
				}
			}
			wg.Wait()
		})
	}
}

func TestDetectTLS(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		sconf, cconf := tlsConfigs(tls.VersionTLS13)
		verdicts := make(chan bool, 1)
		_, addr := stageServer(t, backend, func(*Conn) Handler {
			return &stageEcho{open: func(c *Conn) {
				c.DetectTLS(50*time.Millisecond, func(isTLS bool) {
					verdicts <- isTLS
					if isTLS {
						c.StartTLS(TLSSpec{Config: sconf})
					}
				})
			}}
		})
		nc := dialStage(t, addr)
		exchange(t, nc, mrand.New(mrand.NewPCG(1, 1)), 1000)
		if await(t, "plain", verdicts) {
			t.Error("random data taken for TLS")
		}
		tc := tls.Client(dialStage(t, addr), cconf)
		exchange(t, tc, mrand.New(mrand.NewPCG(1, 1)), 1000)
		if !await(t, "tls", verdicts) {
			t.Error("TLS not seen")
		}
		late := dialStage(t, addr)
		if await(t, "silence", verdicts) {
			t.Error("silence taken for TLS")
		}
		exchange(t, late, mrand.New(mrand.NewPCG(1, 1)), 1000)
	})
}

// TestProxyThenTLS: the header comes before TLS, in pieces, and gives the addresses.
func TestProxyThenTLS(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		sconf, cconf := tlsConfigs(tls.VersionTLS13)
		_, addr := stageServer(t, backend, func(*Conn) Handler {
			return &stageEcho{
				open: func(c *Conn) {
					c.ExpectProxy(5 * time.Second)
					c.DetectTLS(0, func(isTLS bool) {
						if isTLS {
							c.StartTLS(TLSSpec{Config: sconf})
						}
					})
				},
				data: func(c *Conn, _ []byte) bool {
					c.Out().Append(c.Loop().Index(), fmt.Appendf(nil, "%v %v\n", c.RemoteAddr(), c.LocalAddr()))
					return true
				},
			}
		})
		v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x11\x01\x02\x03\x04\x05\x06\x07\x08\x00\x6f\x00\xde\x01\x00\x02ab"
		for _, header := range []string{"PROXY TCP4 1.2.3.4 5.6.7.8 111 222\r\n", v2, "PROXY UNKNOWN\r\n", ""} {
			for _, useTLS := range []bool{false, true} {
				nc := dialStage(t, addr)
				want := fmt.Sprintf("%v %v\n", nc.LocalAddr(), nc.RemoteAddr())
				if header == v2 || strings.Contains(header, "1.2.3.4") {
					want = "1.2.3.4:111 5.6.7.8:222\n"
				}
				for i := range len(header) {
					if _, err := nc.Write([]byte{header[i]}); err != nil {
						t.Fatal(err)
					}
				}
				if useTLS {
					nc = tls.Client(nc, cconf)
				}
				if _, err := nc.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, len(want))
				if _, err := io.ReadFull(nc, got); err != nil || string(got) != want {
					t.Errorf("%q, tls %v: %q %v, want %q", header, useTLS, got, err, want)
				}
			}
		}
	})
}

func TestProxyInvalid(t *testing.T) {
	eachBackend(t, func(t *testing.T, backend string) {
		for _, send := range []string{"PROXY TCP4 1.2.3.4\r\n", "PROXY", "", "\r\n\r\n\x00\r\nQUIT\n"} {
			ends := make(chan closing, 1)
			_, addr := stageServer(t, backend, func(*Conn) Handler {
				return &stageEcho{
					open:   func(c *Conn) { c.ExpectProxy(50 * time.Millisecond) },
					closed: func(c *Conn, r Reason) { ends <- closing{r, c.Err()} },
				}
			})
			nc := dialStage(t, addr)
			if _, err := nc.Write([]byte(send)); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(nc); len(got) > 0 || (err != nil && !errors.Is(err, io.EOF)) {
				t.Errorf("%q: read %q %v", send, got, err)
			}
			if e := await(t, "close", ends); e.reason != ReasonProtocolViolation || e.err == nil {
				t.Errorf("%q: %v %v", send, e.reason, e.err)
			}
		}
	})
}
