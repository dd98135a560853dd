package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"ramjet/engine"
	"ramjet/engine/server"
)

// handleSignals makes s follow the signals of this process: SIGINT and SIGTERM shut down, SIGHUP reloads,
// SIGUSR1 reopens the log, SIGUSR2 enters lame duck mode. stop ends that.
func handleSignals(s *server.Server) (stop func()) {
	c := make(chan os.Signal, 8)
	signal.Notify(c, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case sig := <-c:
				handle(s, sig)
			case <-done:
				return
			}
		}
	}()
	return func() { signal.Stop(c); close(done) }
}

func handle(s *server.Server, sig os.Signal) {
	s.Logger().Logf(engine.Info, "", "Trapped %q signal", sig)
	switch sig {
	case syscall.SIGTERM:
		if s.InLameDuck() { // it is on its way already
			return
		}
		fallthrough
	case syscall.SIGINT:
		// Returns when everything has ended; until then another signal waits. SIGKILL stays.
		_ = s.Shutdown(context.Background())
	case syscall.SIGHUP:
		_ = s.ReloadFile() // logged
	case syscall.SIGUSR1:
		s.ReopenLog()
	case syscall.SIGUSR2:
		s.LameDuck()
	}
}

// signalNames are the words of --signal.
var signalNames = map[string]syscall.Signal{
	"stop":   syscall.SIGKILL,
	"quit":   syscall.SIGINT,
	"term":   syscall.SIGTERM,
	"reopen": syscall.SIGUSR1,
	"ldm":    syscall.SIGUSR2,
	"reload": syscall.SIGHUP,
}

// sendSignal carries out --signal: "name", "name=pid", "name=pidfile" or "name=prefix*" (every process
// whose id starts so).
func sendSignal(arg string) error {
	name, target, _ := strings.Cut(arg, "=")
	sig, ok := signalNames[name]
	if !ok {
		return fmt.Errorf("unknown signal %q", name)
	}
	pids, err := signalTargets(target)
	if err != nil {
		return err
	}
	var failed strings.Builder
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil {
			fmt.Fprintf(&failed, "\nsignal %q %d: %s", name, pid, err)
		}
	}
	if failed.Len() > 0 {
		return errors.New(failed.String())
	}
	return nil
}

// signalTargets returns the process ids that target means; "" is the only running server.
func signalTargets(target string) ([]int, error) {
	prefix, glob := strings.CutSuffix(target, "*")
	if target != "" && !glob {
		if pid, err := strconv.Atoi(target); err == nil {
			return []int{pid}, nil
		}
		b, err := os.ReadFile(target)
		if err != nil {
			return nil, fmt.Errorf("invalid pid: %s", target)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			return nil, fmt.Errorf("invalid pid: %s", strings.TrimSpace(string(b)))
		}
		return []int{pid}, nil
	}
	if prefix != "" {
		if _, err := strconv.Atoi(prefix); err != nil {
			return nil, fmt.Errorf("invalid pid: %s", prefix)
		}
	}
	pids, err := runningServers()
	if err != nil {
		return nil, err
	}
	if glob {
		pids = slices.DeleteFunc(pids, func(pid int) bool { return !strings.HasPrefix(strconv.Itoa(pid), prefix) })
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("no %s processes running", program)
	}
	if len(pids) > 1 && !glob {
		msg := fmt.Sprintf("multiple %s processes running:", program)
		for _, pid := range pids {
			msg += "\n" + strconv.Itoa(pid)
		}
		return nil, errors.New(msg)
	}
	return pids, nil
}

// runningServers returns the other processes whose name is ours, ascending.
func runningServers() ([]int, error) {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil || len(names) == 0 {
		return pgrep()
	}
	var pids []int
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil || strings.TrimSpace(string(b)) != program {
			continue // gone meanwhile, or somebody else
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}

// pgrep asks the command of that name, where there is no /proc.
func pgrep() ([]int, error) {
	out, err := exec.Command("pgrep", "-x", program).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // a failure means that there are none
		return nil, errors.New("unable to resolve pid, try providing one")
	}
	var pids []int
	for _, f := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(f); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids, nil
}
