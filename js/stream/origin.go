package stream

import (
	"fmt"
	"strings"

	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// checkMirror validates the mirror of cfg.
func checkMirror(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	m := cfg.Mirror
	if m == nil {
		return nil
	}
	switch {
	case cfg.FirstSeq > 0:
		return jsapi.MirrorWithFirstSeq.Err()
	case len(cfg.Subjects) > 0:
		return jsapi.MirrorWithSubjects.Err()
	case len(cfg.Sources) > 0:
		return jsapi.MirrorWithSources.Err()
	case cfg.AllowMsgCounter:
		return jsapi.MirrorWithCounters.Err()
	case cfg.AllowAtomic:
		return jsapi.MirrorWithAtomicPublish.Err()
	case cfg.AllowBatched:
		return jsapi.MirrorWithBatchPublish.Err()
	case cfg.AllowMsgSchedules:
		return jsapi.MirrorWithMsgSchedules.Err()
	case !validConsumer(m):
		return jsapi.MirrorDurableConsumerCfgInvalid.Err()
	case m.FilterSubject != "" && len(m.SubjectTransforms) > 0:
		return jsapi.MirrorMultipleFiltersNotAllowed.Err()
	case cfg.SubjectDeleteMarkerTTL > 0:
		return cfgErr("subject delete markers forbidden on mirrors")
	}
	for i, t := range m.SubjectTransforms {
		if err := checkOriginTransform(t, jsapi.MirrorInvalidSubjectFilter, jsapi.MirrorInvalidTransformDestination); err != nil {
			return err
		}
		for k, o := range m.SubjectTransforms {
			if k != i && subject.Collide(t.Source, o.Source) {
				return jsapi.MirrorOverlappingSubjectFilters.Err()
			}
		}
	}
	if m.External != nil {
		return nil
	}
	if !jsapi.ValidName(m.Name) {
		return jsapi.MirrorInvalidStreamName.Err()
	}
	o := x.stream(m.Name)
	if o == nil {
		return nil
	}
	if cfg.MaxMsgSize > 0 && o.MaxMsgSize > cfg.MaxMsgSize {
		return jsapi.MirrorMaxMessageSizeTooBig.Err()
	}
	if x.Pedantic && cfg.MirrorDirect != o.AllowDirect {
		return pedantic("origin stream has direct get set, mirror has it disabled")
	}
	cfg.MirrorDirect = o.AllowDirect
	return nil
}

// validConsumer reports that the consumer that a mirror or source uses, if one is named, can be used.
func validConsumer(s *jsapi.StreamSource) bool {
	c := s.Consumer
	return c == nil || jsapi.ValidName(c.Name) && subject.ValidLiteral(c.DeliverSubject) && s.OptStartSeq == 0 &&
		s.OptStartTime == nil && s.FilterSubject == ""
}

func checkOriginTransform(t jsapi.SubjectTransform, badFilter, badDest jsapi.ErrCode) *jsapi.Error {
	if t.Source != "" && !subject.Valid(t.Source) {
		return badFilter.With("err", "invalid subject "+t.Source)
	}
	if err := checkMapping(t.Source, t.Destination); err != nil {
		return badDest.Wrap(err)
	}
	return nil
}

// checkSources validates the sources of cfg.
func checkSources(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if len(cfg.Sources) > 0 && cfg.AllowMsgSchedules {
		return jsapi.SourceWithMsgSchedules.Err()
	}
	seen, consumers := map[string]bool{}, map[string]bool{}
	for _, s := range cfg.Sources {
		if s == nil || !jsapi.ValidName(s.Name) {
			return jsapi.SourceInvalidStreamName.Err()
		}
		if key := sourceKey(s); seen[key] {
			return jsapi.SourceDuplicateDetected.Err()
		} else {
			seen[key] = true
		}
		if err := checkSourceFilters(s); err != nil {
			return err
		}
		if c := s.Consumer; c != nil {
			if !validConsumer(s) {
				return jsapi.SourceDurableConsumerCfgInvalid.Err()
			}
			if key := s.Name + " " + c.Name + " " + externalKey(s); consumers[key] {
				return jsapi.SourceDurableConsumerDuplicateDetected.Err()
			} else {
				consumers[key] = true
			}
		}
		if s.External != nil {
			continue
		}
		if o := x.stream(s.Name); o != nil && cfg.MaxMsgSize > 0 && o.MaxMsgSize > cfg.MaxMsgSize {
			return jsapi.SourceMaxMessageSizeTooBig.Err()
		}
	}
	return nil
}

func checkSourceFilters(s *jsapi.StreamSource) *jsapi.Error {
	if s.FilterSubject != "" && len(s.SubjectTransforms) > 0 {
		return jsapi.SourceMultipleFiltersNotAllowed.Err()
	}
	for _, t := range s.SubjectTransforms {
		if err := checkOriginTransform(t, jsapi.SourceInvalidSubjectFilter, jsapi.SourceInvalidTransformDestination); err != nil {
			return err
		}
	}
	for i, t := range s.SubjectTransforms {
		for k, o := range s.SubjectTransforms {
			if k != i && subject.IsSubset(t.Source, o.Source) {
				return jsapi.SourceOverlappingSubjectFilters.Err()
			}
		}
	}
	return nil
}

// checkPrefixes validates the subject prefixes of origins elsewhere. What they deliver to must not be taken for the
// messages of an origin here.
func checkPrefixes(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	var subjects []string
	var external []*jsapi.ExternalStream
	add := func(s *jsapi.StreamSource) {
		if s.External != nil {
			external = append(external, s.External)
		} else if o := x.stream(s.Name); o != nil {
			subjects = append(subjects, o.Subjects...)
		}
	}
	if cfg.Mirror != nil {
		add(cfg.Mirror)
	}
	for _, s := range cfg.Sources {
		add(s)
	}
	for _, e := range external {
		p := e.DeliverPrefix
		if p == "" {
			continue
		}
		if !subject.ValidLiteral(p) {
			return jsapi.StreamInvalidExternalDeliverySubj.With("prefix", p)
		}
		for _, s := range subjects {
			if subject.Collide(s, p+"."+s) {
				return jsapi.StreamExternalDelPrefixOverlaps.With("prefix", p, "subject", s)
			}
		}
	}
	api := strings.TrimSuffix(jsapi.APIPrefix, ".")
	for _, e := range external {
		switch p := e.APIPrefix; {
		case p == "":
		case !subject.ValidLiteral(p):
			return cfgErr("stream external api prefix %q must be a valid subject without wildcards", p)
		case subject.Collide(p, api):
			return jsapi.StreamExternalApiOverlap.With("prefix", p, "subject", api)
		}
	}
	return nil
}

// checkOriginFilters validates the filters of mirror and sources, which is done last.
func checkOriginFilters(cfg *jsapi.StreamConfig) *jsapi.Error {
	bad := func(s *jsapi.StreamSource) bool { return s.FilterSubject != "" && !subject.Valid(s.FilterSubject) }
	if m := cfg.Mirror; m != nil && bad(m) {
		return jsapi.StreamCreate.With("err", fmt.Sprintf("subject filter '%s' for the mirror invalid subject", m.FilterSubject))
	}
	for _, s := range cfg.Sources {
		if bad(s) {
			return jsapi.StreamCreate.With("err", fmt.Sprintf("subject filter '%s' for the source: invalid subject", s.FilterSubject))
		}
	}
	return nil
}

func orAll(s string) string {
	if s == "" {
		return ">"
	}
	return s
}

func externalKey(s *jsapi.StreamSource) string {
	if s.External == nil {
		return ""
	}
	return s.External.APIPrefix
}

// sourceKey identifies a source among the sources of a stream.
func sourceKey(s *jsapi.StreamSource) string {
	var b strings.Builder
	b.WriteString(s.Name + "\x00" + externalKey(s) + "\x00" + orAll(s.FilterSubject))
	for _, t := range s.SubjectTransforms {
		b.WriteString("\x00" + orAll(t.Source) + "\x01" + orAll(t.Destination))
	}
	if s.Consumer != nil {
		b.WriteString("\x02" + s.Consumer.Name)
	}
	return b.String()
}

// checkCycle follows mirrors and sources through the visible streams of the account, breadth first. As with nats-server
// everything counts as a cycle that leads to a stream seen before; a source only if its filter takes subjects of the
// stream that has it.
func checkCycle(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	seen := map[string]bool{}
	for queue := []*jsapi.StreamConfig{cfg}; len(queue) > 0; queue = queue[1:] {
		c := queue[0]
		again := seen[c.Name] // its origins are in the queue already
		seen[c.Name] = true
		follow := func(s *jsapi.StreamSource) (back bool) {
			if s == nil || s.External != nil {
				return false
			}
			if seen[s.Name] {
				return true
			}
			if o := x.stream(s.Name); o != nil && !again {
				queue = append(queue, o)
			}
			return false
		}
		for _, s := range c.Sources {
			if follow(s) && (s.FilterSubject == "" || collide([]string{s.FilterSubject}, c.Subjects)) {
				return cfgErr("detected cycle")
			}
		}
		if follow(c.Mirror) {
			return cfgErr("detected cycle")
		}
	}
	return nil
}
