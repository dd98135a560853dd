package server

import (
	"runtime"

	"ramjet/engine/monitor"
)

// maxShards bounds the workers of JetStream: each has a lane and a staging area in the server.
const maxShards = 32

// jsShards is how many workers JetStream has when it runs.
func jsShards() int { return min(runtime.GOMAXPROCS(0), maxShards) }

func (v source) JetStream() monitor.JetStream { return nil }
