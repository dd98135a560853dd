package link

import (
	"testing"
	"time"

	"ramjet/engine/config"
)

// TestSelectCompression is the table of reference/interserver.md, 0.1.
func TestSelectCompression(t *testing.T) {
	all := []string{"s2_auto", "s2_fast", "s2_better", "s2_best", "s2_uncompressed"}
	check := func(own, remote, want string) {
		t.Helper()
		if got := SelectCompression(own, remote); got != want {
			t.Errorf("own %s, remote %q: %s, want %s", own, remote, got, want)
		}
	}
	for _, own := range append(all, "accept") {
		check(own, "", "not supported")
		check(own, "not supported", "not supported")
		check(own, "off", "off")
	}
	for _, remote := range append(all, "accept", "off") {
		check("off", remote, "off")
		if remote != "off" {
			check("not supported", remote, "not supported")
		}
	}
	check("accept", "accept", "off")
	check("accept", "s2_auto", "s2_fast")
	check("accept", "s2_best", "s2_best")
	check("accept", "s2_fast", "s2_fast")
	for _, own := range all {
		for _, remote := range append(all, "accept") {
			check(own, remote, own)
		}
	}
}

func TestCompressionMode(t *testing.T) {
	for in, want := range map[string]string{
		"on": "s2_fast", "TRUE": "s2_fast", "enabled": "s2_fast", "auto": "s2_auto", "S2_Best": "s2_best", "Better": "s2_better", "accept": "accept",
		"off": "off", "disabled": "off", "false": "off", "not supported": "not supported", "": "not supported",
	} {
		got := CompressionMode(&config.CompressionOptions{Mode: in}, CompressionFast)
		if got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
		if Compresses(got) != (len(got) > 3 && got[:3] == "s2_") {
			t.Errorf("%q compresses: %v", got, Compresses(got))
		}
	}
}

func TestAutoCompression(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		rtt   time.Duration
		limit []time.Duration
		want  string
	}{
		{10 * ms, nil, "s2_uncompressed"}, {11 * ms, nil, "s2_fast"}, {50 * ms, nil, "s2_fast"}, {100 * ms, nil, "s2_better"},
		{101 * ms, nil, "s2_best"},
		{1, []time.Duration{0, 5 * ms, 10 * ms}, "s2_fast"}, {20 * ms, []time.Duration{0, 5 * ms, 10 * ms}, "s2_best"},
		{time.Hour, []time.Duration{5 * ms}, "s2_uncompressed"}, {1, []time.Duration{5 * ms}, "s2_uncompressed"},
		{time.Hour, []time.Duration{0, 5 * ms}, "s2_fast"},
		{1, []time.Duration{0, 0, 0, 5 * ms}, "s2_best"},
	} {
		if got := AutoCompression(c.rtt, c.limit); got != c.want {
			t.Errorf("%v with %v: %s, want %s", c.rtt, c.limit, got, c.want)
		}
	}
}
