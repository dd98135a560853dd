// Package crypt compresses and encrypts blocks of stored data.
//
//  1. A random key per asset is sealed by a key derived from the server's key, account and asset (keys.go); only the sealed form
//     is stored. Changing the server's key seals the same asset key again.
//  2. A Codec turns a block into its stored form: S2 if that is smaller, then AEAD with a random nonce (codec.go). Where the block
//     belongs is authenticated with it, so that blocks cannot change places.
//
// Threading: everything is immutable after creation and may be used by any goroutine; the random source must allow that too.
package crypt
