package consumer

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// Resum returns b with the checksum a snapshot needs.
func Resum(b []byte) []byte {
	if len(b) < snapSum {
		return b
	}
	body := b[:len(b)-snapSum]
	return binary.LittleEndian.AppendUint64(append([]byte(nil), body...), xxhash.Sum64(body))
}
