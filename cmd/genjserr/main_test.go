package main

import (
	"bytes"
	"os"
	"testing"
)

// TestGeneratedIsCurrent fails when errors.json changed without running go generate.
func TestGeneratedIsCurrent(t *testing.T) {
	want, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../proto/jsapi/errors_gen.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("proto/jsapi/errors_gen.go is stale: run go generate ./proto/jsapi")
	}
}
