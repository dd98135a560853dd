package api

import (
	"errors"
	"time"

	"ramjet/proto/jsapi"
)

// checkTimes refuses times that JSON can not show in UTC: a year of four digits with an offset may leave them.
func checkTimes(times ...*time.Time) *jsapi.Error {
	for _, t := range times {
		if t == nil {
			continue
		}
		if y := t.UTC().Year(); y < 0 || y > 9999 {
			return jsapi.InvalidJSON.Wrap(errors.New("time out of range"))
		}
	}
	return nil
}

func checkStreamTimes(cfg *jsapi.StreamConfig) *jsapi.Error {
	if cfg.Mirror != nil {
		if err := checkTimes(cfg.Mirror.OptStartTime); err != nil {
			return err
		}
	}
	for _, s := range cfg.Sources {
		if s == nil {
			return jsapi.SourceInvalidStreamName.Err()
		}
		if err := checkTimes(s.OptStartTime); err != nil {
			return err
		}
	}
	return nil
}
