package stream

import (
	"fmt"
	"strings"
	"time"

	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// Bounds of a configuration (reference/jetstream/stream.md, section 1).
const (
	maxDescription  = 4096
	maxMetadata     = 128 << 10
	maxReplicas     = 5
	minAge          = 100 * time.Millisecond
	minWindow       = 100 * time.Millisecond
	defaultWindow   = 2 * time.Minute
	minMarkerTTL    = time.Second
	unlimited       = -1
	jsReserved      = "$JS.>"
	jsEvents        = "$JS.EVENT.>"
	sysReserved     = "$SYS.>"
	sysAccountEvent = "$SYS.ACCOUNT.>"
)

var apiReserved = []string{jsReserved, "$JSC.>", "$NRG.>"}

// Context is what a configuration is judged against. Owner: whoever calls; nothing is kept.
type Context struct {
	Clustered       bool
	MaxWindow       time.Duration // server limit of the duplicate window; 0 none
	MaxConsumers    int           // account limit; below 1 none
	BytesRequired   bool          // account limit: max_bytes must be set
	MaxMemoryStream int64         // account limit of a memory stream, bytes; below 1 none
	MaxFileStream   int64         // the same of a file stream
	Pedantic        bool
	// Stream returns the configuration of a stream of the account, nil if there is none; nil function: none known.
	Stream func(name string) *jsapi.StreamConfig
	// Each calls fn for every stream of the account until it returns false; nil: there are none.
	Each func(fn func(*jsapi.StreamConfig) bool)
}

func (x *Context) stream(name string) *jsapi.StreamConfig {
	if x.Stream == nil {
		return nil
	}
	return x.Stream(name)
}

func cfgErr(format string, args ...any) *jsapi.Error {
	return jsapi.StreamInvalidConfig.With("err", fmt.Sprintf(format, args...))
}

func pedantic(format string, args ...any) *jsapi.Error {
	return jsapi.Pedantic.With("err", fmt.Sprintf(format, args...))
}

// CheckCreate normalises cfg in place (defaults, implied settings) and validates it as a new stream. The stream names
// of the subject and the limits on the number of streams are the caller's.
func CheckCreate(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if cfg.Sealed {
		return cfgErr("stream configuration for create can not be sealed")
	}
	if cfg.MirrorDirect && cfg.Mirror == nil {
		return cfgErr("stream has no mirror but does have mirror direct")
	}
	if err := check(cfg, x); err != nil {
		return err
	}
	if err := checkReplicas(cfg, x); err != nil {
		return err
	}
	return checkOriginFilters(cfg)
}

func checkReplicas(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if cfg.Replicas > 1 && !x.Clustered {
		return jsapi.StreamReplicasNotSupported.Err()
	}
	return nil
}

// Check is CheckCreate without the rules that hold for new streams only: it judges a configuration by itself, as of an update
// before the stream is known, or of a restore.
func Check(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error { return check(cfg, x) }

// check validates and normalises in the order of the reference.
func check(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if !jsapi.ValidName(cfg.Name) {
		return cfgErr(`stream name is required and can not contain '.', '*', '>', '\', '/'`)
	}
	if len(cfg.Name) > jsapi.MaxNameLen {
		return cfgErr("stream name is too long, maximum allowed is %d", jsapi.MaxNameLen)
	}
	if len(cfg.Description) > maxDescription {
		return cfgErr("stream description is too long, maximum allowed is %d", maxDescription)
	}
	DropServerMetadata(cfg)
	n := 0
	for k, v := range cfg.Metadata {
		n += len(k) + len(v)
	}
	if n > maxMetadata {
		return cfgErr("stream metadata exceeds maximum size of %d bytes", maxMetadata)
	}
	for _, f := range []func(*jsapi.StreamConfig, *Context) *jsapi.Error{
		checkSizes, checkAges, checkCounterRules, checkFlags, checkMarkers, checkSchedules, checkPersist, checkMirror, checkSources,
		checkPrefixes, checkCycle, checkSubjects, checkAccount, checkTransform, checkRepublish, checkPlacement,
	} {
		if err := f(cfg, x); err != nil {
			return err
		}
	}
	setRequiredLevel(cfg)
	return nil
}

func checkSizes(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if cfg.Replicas == 0 {
		cfg.Replicas = 1
	}
	switch {
	case cfg.Replicas > maxReplicas:
		return cfgErr("maximum replicas is %d", maxReplicas)
	case cfg.Replicas < 0:
		return jsapi.ReplicasCountCannotBeNegative.Err()
	}
	for _, v := range []struct {
		name string
		p    *int64
	}{{"max_msgs", &cfg.MaxMsgs}, {"max_msgs_per_subject", &cfg.MaxMsgsPerSubject}, {"max_bytes", &cfg.MaxBytes}} {
		if err := orUnlimited(v.name, v.p, x); err != nil {
			return err
		}
	}
	size, cons := int64(cfg.MaxMsgSize), int64(cfg.MaxConsumers)
	if err := orUnlimited("max_msg_size", &size, x); err != nil {
		return err
	}
	if err := orUnlimited("max_consumers", &cons, x); err != nil {
		return err
	}
	cfg.MaxMsgSize, cfg.MaxConsumers = int32(size), int(cons)
	return nil
}

func orUnlimited(name string, p *int64, x *Context) *jsapi.Error {
	if *p < unlimited && x.Pedantic {
		return pedantic("%s must be set to -1", name)
	}
	if *p < 1 {
		*p = unlimited
	}
	return nil
}

func checkAges(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if cfg.MaxAge < 0 {
		return cfgErr("max age can not be negative")
	}
	if cfg.MaxAge != 0 && cfg.MaxAge < minAge {
		return cfgErr("max age needs to be >= %v", minAge)
	}
	if cfg.DuplicateWindow == 0 && cfg.Mirror == nil && len(cfg.Sources) == 0 {
		cfg.DuplicateWindow = defaultWindow
		if x.MaxWindow > 0 {
			cfg.DuplicateWindow = min(cfg.DuplicateWindow, x.MaxWindow)
		}
		if cfg.MaxAge > 0 && cfg.MaxAge < cfg.DuplicateWindow {
			if x.Pedantic {
				return pedantic("duplicate window cannot be bigger than max age")
			}
			cfg.DuplicateWindow = cfg.MaxAge
		}
		return nil
	}
	w := cfg.DuplicateWindow
	switch {
	case w == 0:
	case w < 0:
		return cfgErr("duplicates window can not be negative")
	case cfg.MaxAge > 0 && w > cfg.MaxAge:
		return cfgErr("duplicates window can not be larger then max age")
	case w < minWindow:
		return cfgErr("duplicates window needs to be >= %v", minWindow)
	case x.MaxWindow > 0 && w > x.MaxWindow:
		return cfgErr("duplicates window can not be larger then server limit of %v", x.MaxWindow)
	}
	return nil
}

func checkFlags(cfg *jsapi.StreamConfig, _ *Context) *jsapi.Error {
	if cfg.DiscardNewPerSubject {
		if cfg.Discard != jsapi.DiscardNew {
			return cfgErr("discard new per subject requires discard new policy to be set")
		}
		if cfg.MaxMsgsPerSubject <= 0 {
			return cfgErr("discard new per subject requires max msgs per subject > 0")
		}
	}
	return nil
}

func checkMarkers(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	switch ttl := cfg.SubjectDeleteMarkerTTL; {
	case ttl == 0:
		return nil
	case ttl < 0:
		return cfgErr("subject delete marker TTL must not be negative")
	case ttl < minMarkerTTL:
		return cfgErr("subject delete marker TTL must be at least 1 second")
	case x.Pedantic && !cfg.AllowMsgTTL:
		return cfgErr("subject delete marker cannot be set if message TTLs are disabled")
	}
	cfg.AllowMsgTTL = true
	return needRollups(cfg, x, "subject delete marker")
}

// needRollups turns on roll-ups for what works with them.
func needRollups(cfg *jsapi.StreamConfig, x *Context, what string) *jsapi.Error {
	if x.Pedantic && !cfg.AllowRollup {
		return cfgErr("%s cannot be set if roll-ups are disabled", what)
	}
	cfg.AllowRollup, cfg.DenyPurge = true, false
	return nil
}

func checkCounterRules(cfg *jsapi.StreamConfig, _ *Context) *jsapi.Error {
	if cfg.DenyPurge && cfg.AllowRollup {
		return cfgErr("roll-ups require the purge permission")
	}
	if !cfg.AllowMsgCounter {
		return nil
	}
	switch {
	case cfg.Discard == jsapi.DiscardNew:
		return cfgErr("counter stream cannot use discard new")
	case cfg.AllowMsgTTL:
		return cfgErr("counter stream cannot use message TTLs")
	case cfg.AllowMsgSchedules:
		return cfgErr("counter stream cannot use message schedules")
	case cfg.Retention != jsapi.LimitsRetention:
		return cfgErr("counter stream can only use limits retention")
	}
	return nil
}

func checkSchedules(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	switch {
	case !cfg.AllowMsgSchedules:
		return nil
	case cfg.Discard == jsapi.DiscardNew:
		return cfgErr("message scheduling cannot use discard new")
	}
	return needRollups(cfg, x, "message scheduling")
}

func checkPersist(cfg *jsapi.StreamConfig, _ *Context) *jsapi.Error {
	if cfg.PersistMode != jsapi.PersistAsync {
		return nil
	}
	switch {
	case cfg.Storage != jsapi.FileStorage:
		return cfgErr("async persist mode is only supported on file storage")
	case cfg.Replicas > 1:
		return cfgErr("async persist mode is not supported on replicated streams")
	case cfg.AllowAtomic:
		return cfgErr("async persist mode is not supported with atomic batch publish")
	}
	return nil
}

func checkSubjects(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if len(cfg.Subjects) == 0 && cfg.Mirror == nil && len(cfg.Sources) == 0 {
		cfg.Subjects = []string{cfg.Name}
	}
	for i, s := range cfg.Subjects {
		if !subject.Valid(s) {
			return cfgErr("invalid subject")
		}
		if err := checkReserved(cfg, s); err != nil {
			return err
		}
		for _, o := range cfg.Subjects[i+1:] {
			if subject.Collide(s, o) {
				return cfgErr("subject %q overlaps with %q", s, o)
			}
		}
	}
	return nil
}

// checkReserved refuses a subject that takes messages of the servers, unless the stream does not answer.
func checkReserved(cfg *jsapi.StreamConfig, s string) *jsapi.Error {
	if cfg.NoAck {
		if s == ">" && cfg.Replicas != 1 {
			return cfgErr("capturing all subjects requires replicas of 1")
		}
		return nil
	}
	if s == ">" {
		return cfgErr("capturing all subjects requires no-ack to be true")
	}
	for _, r := range apiReserved {
		if subject.Collide(s, r) && !subject.IsSubset(s, jsEvents) {
			return cfgErr("subjects that overlap with jetstream api require no-ack to be true")
		}
	}
	if subject.Collide(s, sysReserved) && !subject.IsSubset(s, sysAccountEvent) {
		return cfgErr("subjects that overlap with system api require no-ack to be true")
	}
	return nil
}

// checkMapping validates a transform; without destination there is none.
func checkMapping(source, dest string) error {
	if dest == "" {
		return nil
	}
	if err := subject.ValidDest(dest); err != nil {
		return err
	}
	_, err := subject.NewTransform(source, dest)
	return err
}

func checkTransform(cfg *jsapi.StreamConfig, _ *Context) *jsapi.Error {
	t := cfg.SubjectTransform
	if t == nil {
		return nil
	}
	if t.Source != "" && !subject.Valid(t.Source) {
		return jsapi.StreamTransformInvalidSource.With("err", "invalid subject "+t.Source)
	}
	if err := checkMapping(t.Source, t.Destination); err != nil {
		return jsapi.StreamTransformInvalidDestination.Wrap(err)
	}
	return nil
}

func checkRepublish(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if cfg.Republish == nil {
		return nil
	}
	r := *cfg.Republish // the caller's may be in use
	cfg.Republish = &r
	if r.Source == "" {
		if x.Pedantic {
			return pedantic("republish source can not be empty")
		}
		r.Source = ">"
	}
	t := cfg.SubjectTransform
	if r.Source == ">" && r.Destination == ">" && t != nil && len(cfg.Subjects) == 1 && t.Source == cfg.Subjects[0] {
		if x.Pedantic {
			return pedantic("implicit republish based on subject transform")
		}
		r.Source, r.Destination = t.Destination, t.Destination
	}
	for _, s := range cfg.Subjects {
		if cycle := subject.Collide(r.Destination, s); cycle || r.Destination == "" && (s == "*" || s == ">") {
			return cfgErr("stream configuration for republish destination forms a cycle")
		}
	}
	if r.Destination == "" {
		return nil
	}
	if _, err := subject.NewTransform(r.Source, r.Destination); err != nil {
		return cfgErr("stream configuration for republish with transform from '%s' to '%s' not valid", r.Source, r.Destination)
	}
	return nil
}

func checkPlacement(cfg *jsapi.StreamConfig, _ *Context) *jsapi.Error {
	switch p := cfg.Placement; {
	case p == nil:
	case p.Preferred != "":
		return cfgErr("preferred server not permitted in placement")
	case p.Cluster == "" && len(p.Tags) == 0:
		cfg.Placement = nil
	}
	return nil
}

func checkAccount(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if x.MaxConsumers > 0 && cfg.MaxConsumers > x.MaxConsumers {
		return jsapi.MaximumConsumersLimit.Err()
	}
	if x.BytesRequired && cfg.MaxBytes <= 0 {
		return jsapi.StreamMaxBytesRequired.Err()
	}
	bound := x.MaxFileStream
	if cfg.Storage == jsapi.MemoryStorage {
		bound = x.MaxMemoryStream
	}
	if bound > 0 && cfg.MaxBytes > bound {
		return jsapi.StreamMaxStreamBytesExceeded.Err()
	}
	return nil
}

// CheckOverlap reports 10065 if the subjects of cfg collide with those of another stream of the account.
func CheckOverlap(cfg *jsapi.StreamConfig, x *Context) (err *jsapi.Error) {
	if x.Each == nil {
		return nil
	}
	x.Each(func(o *jsapi.StreamConfig) bool {
		if o.Name != cfg.Name && collide(cfg.Subjects, o.Subjects) {
			err = jsapi.StreamSubjectOverlap.Err()
		}
		return err == nil
	})
	return err
}

func collide(a, b []string) bool {
	for _, s := range a {
		for _, o := range b {
			if subject.Collide(s, o) {
				return true
			}
		}
	}
	return false
}

// within reports that every subject of pattern is a subject of the list.
func withinSubjects(list []string, pattern string) bool {
	for _, s := range list {
		if subject.IsSubset(pattern, s) {
			return true
		}
	}
	return false
}

func hasPathSeparator(s string) bool { return strings.ContainsAny(s, `\/`) }

// CheckName reports 10128 for a name with path separators, which the API refuses before it looks at the rest.
func CheckName(name string) *jsapi.Error {
	if hasPathSeparator(name) {
		return jsapi.StreamNameContainsPathSeparators.Err()
	}
	return nil
}
