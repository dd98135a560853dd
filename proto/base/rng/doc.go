// Package rng holds a fast seeded random source and NUID-style identifiers.
//
// Threading: a Source and a NUID belong to one owner; there is no lock. Use Fork to give other owners
// sources of their own. Nothing here is fit for keys or nonces: those come from crypto/rand.
package rng
