package host

import (
	"ramjet/js/api"
	"ramjet/proto/jsapi"
)

// Snapshot implements api.Stream.
func (s *Stream) Snapshot(r *api.Request, req *jsapi.SnapshotRequest) (*jsapi.SnapshotResponse, func() error, *jsapi.Error) {
	return nil, nil, jsapi.NotEnabled.Err()
}

// Restore implements api.Account.
func (a *Account) Restore(r *api.Request, req *jsapi.RestoreRequest, done func(*api.Restored)) (string, *jsapi.Error) {
	return "", jsapi.NotEnabled.Err()
}
