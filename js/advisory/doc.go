// Package advisory builds advisories and metrics as messages: subject and JSON body.
//
//  1. A machine reports an event; the host asks the builder for the message, but only if somebody listens on its subject.
//  2. The builder fills in type, id, time and domain.
//
// Threading: a Builder belongs to one goroutine, because of its source of ids; Sampler likewise.
package advisory
