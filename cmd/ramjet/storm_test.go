//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const mib = 1 << 20

// stormTime is how long a storm lasts: RAMJET_STORM, or short enough for every test run.
func stormTime(t *testing.T) time.Duration {
	if s := os.Getenv("RAMJET_STORM"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	return 3 * time.Second
}

// stormSeed is RAMJET_SEED, or another one each time.
func stormSeed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("RAMJET_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	t.Logf("RAMJET_SEED=%d", seed)
	return seed
}

// TestStormBeforeLogin: whatever arrives without credentials costs nobody else anything.
func TestStormBeforeLogin(t *testing.T) {
	storm(t, func(a *attack) bool { return !a.login })
}

// TestStormAfterLogin: nor does what users do.
func TestStormAfterLogin(t *testing.T) {
	storm(t, func(*attack) bool { return true })
}

func storm(t *testing.T, use func(*attack) bool) {
	const workers = 32
	var list []attack
	for _, a := range attacks() {
		if use(&a) {
			list = append(list, a)
		}
	}
	r := startRig(t, "max_pending: 8M\n") // the default allows each of the attackers 64 MiB
	l := startLive(r)
	ports := map[string]string{"client": r.client, "ws": r.ws, "http": r.http}
	seed := stormSeed(t)
	rss, fds := r.rss(), r.fds()

	ctx, cancel := context.WithCancel(t.Context())
	defer time.AfterFunc(stormTime(t), cancel).Stop()
	var wg sync.WaitGroup
	counts := make([]map[string]int, workers)
	for w := range workers {
		counts[w] = map[string]int{}
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for ctx.Err() == nil {
				a := &list[rng.IntN(len(list))]
				c, err := (&net.Dialer{}).DialContext(ctx, "tcp", ports[a.port])
				if err != nil {
					if ctx.Err() == nil {
						t.Errorf("%s: %v", a.name, err)
					}
					return
				}
				end := context.AfterFunc(ctx, func() { _ = c.Close() })
				a.run(c, rng)
				end()
				_ = c.Close()
				counts[w][a.name]++
			}
		})
	}
	wg.Wait()

	total, kinds := 0, map[string]bool{}
	for _, m := range counts {
		for name, n := range m {
			total += n
			kinds[name] = true
		}
	}
	eventually(t, "only the live connections are left", func() bool { return r.varz().Connections == 2 })
	eventually(t, "descriptors come back", func() bool { return r.fds() <= fds+5 })
	l.end()
	r.unharmed()
	peak := r.peak()
	if peak > 256*mib {
		t.Errorf("memory grew to %d MiB", peak/mib)
	}
	memoryReturns(t, r, rss)
	t.Logf("%d attacks of %d kinds (of %d); resident %d MiB before, %d at most, %d after", total, len(kinds), len(list), rss/mib, peak/mib, r.rss()/mib)
	if total < workers {
		t.Errorf("only %d attacks", total)
	}
}

// memoryReturns waits until the process has given back what a burst took: the server collects twice when it is calm.
func memoryReturns(t *testing.T, r *rig, before int64) {
	t.Helper()
	eventually(t, "memory comes back", func() bool { return r.rss() <= 2*before+16*mib })
}

// TestChurn: waves of connections with a subscription each leave nothing behind.
func TestChurn(t *testing.T) {
	r := startRig(t, "")
	l := startLive(r)
	rss, fds, subs := r.rss(), r.fds(), r.varz().Subscriptions
	n := 2000
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err == nil && lim.Cur < 4000 {
		n = int(lim.Cur / 2)
	}
	for wave := range 3 {
		conns := openMany(t, r, n, func(i int) string { return fmt.Sprintf("SUB churn.%d.> 1\r\n", i) })
		v := r.varz()
		if v.Connections != n+2 || v.Subscriptions != subs+n {
			t.Errorf("wave %d: %d connections, %d subscriptions, want %d and %d", wave, v.Connections, v.Subscriptions, n+2, subs+n)
		}
		t.Logf("wave %d: resident %d MiB, %d bytes for each of %d connections", wave, r.rss()/mib, (r.rss()-rss)/int64(n), n)
		for _, c := range conns {
			_ = c.Close()
		}
		eventually(t, "descriptors come back", func() bool { return r.fds() <= fds+5 })
		eventually(t, "connections and subscriptions are gone", func() bool {
			v := r.varz()
			return v.Connections == 2 && v.Subscriptions == subs
		})
	}
	l.end()
	r.unharmed()
	memoryReturns(t, r, rss)
	t.Logf("resident %d MiB before, %d after; %d and %d descriptors", rss/mib, r.rss()/mib, fds, r.fds())
}

// openMany logs in n peers that send commands(i).
func openMany(t *testing.T, r *rig, n int, commands func(i int) string) []*peer {
	t.Helper()
	const workers = 32
	conns := make([]*peer, n)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				conns[i], errs[w] = joinPeer(r.client, commands(i))
			}
		})
	}
	wg.Wait()
	t.Cleanup(func() {
		for _, c := range conns {
			if c != nil {
				_ = c.Close()
			}
		}
	})
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
	return conns
}

// TestUnauthenticatedCost: a connection that has said nothing, or half of a CONNECT, is cheap and does not stay.
func TestUnauthenticatedCost(t *testing.T) {
	const n, most = 1000, 16 << 10
	for name, says := range map[string]string{"silent": "", "half a CONNECT": login[:len(login)/2]} {
		t.Run(name, func(t *testing.T) {
			r := startRig(t, "authorization { timeout: 3 }\n") // long enough to open and measure them all
			l := startLive(r)
			rss := r.rss()
			conns := make([]*peer, n)
			for i := range conns {
				p, err := dialPeer(r.client)
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				if _, err := p.Write([]byte(says)); err != nil {
					t.Fatal(err)
				}
				conns[i] = p
			}
			for _, p := range conns { // all are accepted and served
				if _, err := p.in.ReadSlice('\n'); err != nil {
					t.Fatal(err)
				}
			}
			each := (r.rss() - rss) / n
			t.Logf("%d bytes for each of %d connections", each, n)
			if each > most {
				t.Errorf("%d bytes for each connection, want at most %d", each, most)
			}
			eventually(t, "they are closed by the authentication timeout", func() bool { return r.varz().Connections == 2 })
			l.end()
			r.unharmed()
		})
	}
}

// TestDescriptorExhaustion: with more connections than descriptors those that are there go on, those that wait are
// served as soon as descriptors are free.
func TestDescriptorExhaustion(t *testing.T) {
	const limit, n = 128, 200
	r := startRig(t, "authorization { timeout: 60 }\n")
	l := startLive(r)
	if err := unix.Prlimit(r.cmd.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: limit}, nil); err != nil {
		t.Fatal(err)
	}
	var conns []*peer
	for range n {
		p, err := dialPeer(r.client) // the kernel's backlog takes what the server cannot
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		conns = append(conns, p)
	}
	r.expect(`accept: too many open files`)
	if got := r.fds(); got < limit {
		t.Errorf("%d of %d descriptors in use", got, limit)
	}
	// Existing clients, also with new subscriptions.
	if _, err := l.a.Request("live.echo", nil, patience); err != nil {
		t.Error(err)
	}
	for _, p := range conns[:n/2] {
		_ = p.Close()
	}
	// The last in line gets its turn by itself.
	if err := conns[n-1].sync(login); err != nil {
		t.Errorf("the connection that waited: %v", err)
	}
	for _, p := range conns {
		_ = p.Close()
	}
	eventually(t, "only the live connections are left", func() bool { return r.varz().Connections == 2 })
	p, err := joinPeer(r.client, "")
	if err != nil {
		t.Fatal(err)
	}
	_ = p.Close()
	l.end()
	r.unharmed()
}
