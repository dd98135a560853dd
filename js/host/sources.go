package host

import "ramjet/proto/jsapi"

// startSources begins to follow the origins of a mirror or of sources. Under the account's lock.
func (s *Stream) startSources() {}

func (s *Stream) stopSources() {}

func (s *Stream) updateSources(old, cfg *jsapi.StreamConfig) {}

func (s *Stream) sourceInfo(i *jsapi.StreamInfo) {}
