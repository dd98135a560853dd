// Package js holds the vocabulary of JetStream: asset identities.
//
// Plain types only; packages below js/ do the work.
package js

// AssetID names a stream, or a consumer of it.
type AssetID struct {
	Account  string
	Stream   string
	Consumer string // "" for the stream itself
}
