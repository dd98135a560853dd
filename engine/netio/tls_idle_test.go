package netio

import (
	"crypto/tls"
	mrand "math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// TestTLSIdleHoldsNoSlot: handshakes that wait for somebody else in Idle leave the slots for computing to others.
func TestTLSIdleHoldsNoSlot(t *testing.T) {
	sconf, cconf := tlsConfigs(tls.VersionTLS13)
	release := make(chan struct{})
	n := 4 * max(2, runtime.GOMAXPROCS(0))
	waiting := make(chan struct{}, n)
	slow := sconf.Clone()
	slow.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == "slow.test" {
			hello.Conn.(interface{ Idle(func()) }).Idle(func() {
				waiting <- struct{}{}
				<-release
			})
		}
		return sconf, nil
	}
	_, addr := stageServer(t, stageBackends()[0], func(*Conn) Handler {
		return &stageEcho{open: func(c *Conn) { c.StartTLS(TLSSpec{Config: slow, Timeout: time.Minute}) }}
	})
	asked := cconf.Clone()
	asked.ServerName, asked.InsecureSkipVerify = "slow.test", true
	errs := make(chan error, n)
	for range n {
		tc := tls.Client(dialStage(t, addr), asked)
		go func() { errs <- tc.Handshake() }()
	}
	for range n {
		wait(t, waiting, "handshake in Idle")
	}
	exchange(t, tls.Client(dialStage(t, addr), cconf), mrand.New(mrand.NewPCG(1, 1)), 10000)
	close(release)
	for range n {
		if err := wait(t, errs, "end of a handshake"); err != nil {
			t.Error(err)
		}
	}
}
