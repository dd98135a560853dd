package stream

import (
	"encoding/json"
	"maps"
	"sort"
	"strconv"
	"strings"

	"ramjet/proto/jsapi"
)

// CheckUpdate normalises next in place and validates it as a change of old. consumers are the configurations of the
// stream's consumers, for consumer_limits.
func CheckUpdate(old, next *jsapi.StreamConfig, consumers []*jsapi.ConsumerConfig, x *Context) *jsapi.Error {
	// An update is judged twice: the second time with what the first one implied.
	if err := check(next, x); err != nil {
		return err
	}
	if err := check(next, x); err != nil {
		return err
	}
	if next.Name != old.Name {
		return cfgErr("stream configuration name must match original")
	}
	if err := checkReplicas(next, x); err != nil {
		return err
	}
	switch {
	case next.Storage != old.Storage:
		return cfgErr("stream configuration update can not change storage type")
	case next.Retention != old.Retention &&
		(next.Retention == jsapi.WorkQueueRetention || old.Retention == jsapi.WorkQueueRetention):
		return cfgErr("stream configuration update can not change retention policy to/from workqueue")
	case old.Sealed && !next.Sealed:
		return cfgErr("stream configuration update can not unseal a sealed stream")
	case old.DenyDelete && !next.DenyDelete:
		return cfgErr("stream configuration update can not cancel deny message deletes")
	case old.DenyPurge && !next.DenyPurge:
		return cfgErr("stream configuration update can not cancel deny purge")
	case next.Mirror != nil && (old.Mirror == nil || !sameJSON(old.Mirror, next.Mirror)):
		return jsapi.StreamMirrorNotUpdatable.Err()
	case old.AllowMsgTTL && !next.AllowMsgTTL:
		return cfgErr("message TTL status can not be disabled")
	case next.AllowMsgCounter != old.AllowMsgCounter:
		return cfgErr("stream configuration update can not change message counter setting")
	case old.AllowMsgSchedules && !next.AllowMsgSchedules:
		return cfgErr("message schedules can not be disabled")
	case next.PersistMode != old.PersistMode:
		return cfgErr("stream configuration update can not change persist mode")
	}
	if r := next.Republish; r != nil && r.Destination == "" {
		r.Destination = ">"
	}
	if next.Sealed {
		next.MaxAge = 0
		next.Discard = jsapi.DiscardNew
		next.DenyDelete, next.DenyPurge, next.AllowRollup = true, true, false
	}
	if bad := violates(&next.ConsumerLimits, consumers); len(bad) > 0 {
		return jsapi.StreamUpdate.With("err", "change to limits violates consumers: "+strings.Join(bad, ", "))
	}
	return CheckOverlap(next, x)
}

// violates returns the sorted names of the consumers that exceed l.
func violates(l *jsapi.ConsumerLimits, consumers []*jsapi.ConsumerConfig) (names []string) {
	for _, c := range consumers {
		if l.MaxAckPending > 0 && c.MaxAckPending > l.MaxAckPending ||
			l.InactiveThreshold > 0 && c.InactiveThreshold > l.InactiveThreshold {
			names = append(names, c.Name)
		}
	}
	sort.Strings(names)
	return names
}

// SameConfig reports whether two normalised configurations are the same stream: the order of sources and the metadata
// that servers write do not count.
func SameConfig(a, b *jsapi.StreamConfig) bool { return sameJSON(comparable(a), comparable(b)) }

func comparable(c *jsapi.StreamConfig) *jsapi.StreamConfig {
	d := *c
	d.Metadata = maps.Clone(c.Metadata)
	DropServerMetadata(&d)
	d.Sources = append([]*jsapi.StreamSource(nil), c.Sources...)
	sort.Slice(d.Sources, func(i, j int) bool { return sourceKey(d.Sources[i]) < sourceKey(d.Sources[j]) })
	return &d
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// DropServerMetadata removes what servers manage from the metadata of c, which is copied.
func DropServerMetadata(c *jsapi.StreamConfig) {
	if len(c.Metadata) == 0 {
		return
	}
	c.Metadata = maps.Clone(c.Metadata)
	delete(c.Metadata, jsapi.MetaRequiredLevel)
	delete(c.Metadata, jsapi.MetaServerVersion)
	delete(c.Metadata, jsapi.MetaServerLevel)
	if len(c.Metadata) == 0 {
		c.Metadata = nil
	}
}

// RequiredLevel returns the API level that cfg needs.
func RequiredLevel(c *jsapi.StreamConfig) int {
	switch {
	case c.AllowBatched:
		return 4
	case c.AllowMsgCounter || c.AllowAtomic || c.AllowMsgSchedules || c.PersistMode == jsapi.PersistAsync:
		return 2
	case c.AllowMsgTTL || c.SubjectDeleteMarkerTTL > 0:
		return 1
	}
	return 0
}

func setRequiredLevel(c *jsapi.StreamConfig) {
	if c.Metadata == nil {
		c.Metadata = make(map[string]string, 1)
	}
	c.Metadata[jsapi.MetaRequiredLevel] = strconv.Itoa(RequiredLevel(c))
}

// WithServerMetadata returns c as create, update and info show it: with version and level of the server.
func WithServerMetadata(c *jsapi.StreamConfig, version string) *jsapi.StreamConfig {
	d := *c
	d.Metadata = make(map[string]string, len(c.Metadata)+2)
	maps.Copy(d.Metadata, c.Metadata)
	d.Metadata[jsapi.MetaServerVersion] = version
	d.Metadata[jsapi.MetaServerLevel] = strconv.Itoa(jsapi.Level)
	return &d
}

// Unsupported returns why a stored configuration cannot run here, "" if it can.
func Unsupported(c *jsapi.StreamConfig) string {
	v, ok := c.Metadata[jsapi.MetaRequiredLevel]
	if !ok {
		return ""
	}
	if n, err := strconv.Atoi(v); err != nil || n > jsapi.Level {
		return "unsupported - required API level: " + v + ", current API level: " + strconv.Itoa(jsapi.Level)
	}
	return ""
}
