package server_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/nats-io/nats.go"

	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/engine/server"
)

// quiet is a logger that an embedding program brings.
type quiet struct{}

func (quiet) Enabled(engine.Level) bool                 { return false }
func (quiet) Logf(engine.Level, string, string, ...any) {}

// A server inside a program: one connection without a socket, one over the loopback.
func Example() {
	s, err := server.New(&config.Options{Host: "127.0.0.1", Port: -1}, server.Env{Logger: quiet{}})
	if err != nil {
		log.Fatal(err)
	}
	if err := s.Start(); err != nil {
		log.Fatal(err)
	}

	inside, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		log.Fatal(err)
	}
	outside, err := nats.Connect(s.ClientURL())
	if err != nil {
		log.Fatal(err)
	}
	if _, err := inside.Subscribe("greet", func(m *nats.Msg) { _ = m.Respond([]byte("hello " + string(m.Data))) }); err != nil {
		log.Fatal(err)
	}
	if err := inside.Flush(); err != nil {
		log.Fatal(err)
	}
	m, err := outside.Request("greet", []byte("world"), 10*time.Second)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(m.Data))

	inside.Close()
	outside.Close()
	if err := s.Shutdown(context.Background()); err != nil {
		log.Fatal(err)
	}
	// Output: hello world
}
