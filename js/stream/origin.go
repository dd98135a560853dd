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
	case cfg.FirstSeq > 0:
		return jsapi.MirrorWithFirstSeq.Err()
	case !jsapi.ValidName(m.Name):
		return jsapi.MirrorInvalidStreamName.Err()
	}
	if err := checkOrigin(cfg, m, &mirrorErrors, x); err != nil {
		return err
	}
	if m.External != nil {
		return nil
	}
	if o := x.stream(m.Name); o != nil && m.Name != cfg.Name {
		if cfg.MaxMsgSize > 0 && o.MaxMsgSize > cfg.MaxMsgSize {
			return jsapi.MirrorMaxMessageSizeTooBig.Err()
		}
		if cfg.MirrorDirect != o.AllowDirect {
			if x.Pedantic {
				if o.AllowDirect {
					return pedantic("origin stream has direct get set, mirror has it disabled")
				}
				return pedantic("origin stream has direct get disabled, mirror has it set")
			}
			cfg.MirrorDirect = o.AllowDirect
		}
	}
	return nil
}

// originErrors are the errors that differ between mirrors and sources.
type originErrors struct {
	what                                           string
	filters, overlap, badFilter, badDest, consumer jsapi.ErrCode
}

var (
	mirrorErrors = originErrors{"mirror", jsapi.MirrorMultipleFiltersNotAllowed, jsapi.MirrorOverlappingSubjectFilters,
		jsapi.MirrorInvalidSubjectFilter, jsapi.MirrorInvalidTransformDestination, jsapi.MirrorDurableConsumerCfgInvalid}
	sourceErrors = originErrors{"source:", jsapi.SourceMultipleFiltersNotAllowed, jsapi.SourceOverlappingSubjectFilters,
		jsapi.SourceInvalidSubjectFilter, jsapi.SourceInvalidTransformDestination, jsapi.SourceDurableConsumerCfgInvalid}
)

// checkOrigin validates what mirrors and sources have in common.
func checkOrigin(cfg *jsapi.StreamConfig, s *jsapi.StreamSource, e *originErrors, x *Context) *jsapi.Error {
	if s.FilterSubject != "" && len(s.SubjectTransforms) > 0 {
		return e.filters.Err()
	}
	if s.FilterSubject != "" && !subject.Valid(s.FilterSubject) {
		return jsapi.StreamCreate.With("err", fmt.Sprintf("subject filter '%s' for the %s invalid subject", s.FilterSubject, e.what))
	}
	for i, t := range s.SubjectTransforms {
		if t.Source != "" && !subject.Valid(t.Source) {
			return e.badFilter.With("err", "invalid subject "+t.Source)
		}
		if t.Destination != "" {
			if _, err := subject.NewTransform(t.Source, t.Destination); err != nil {
				return e.badDest.Wrap(err)
			}
		}
		for _, o := range s.SubjectTransforms[:i] {
			if subject.Collide(orAll(t.Source), orAll(o.Source)) {
				return e.overlap.Err()
			}
		}
	}
	if c := s.Consumer; c != nil {
		if c.Name == "" || !jsapi.ValidName(c.Name) || !subject.ValidLiteral(c.DeliverSubject) ||
			s.OptStartSeq > 0 || s.OptStartTime != nil || s.FilterSubject != "" || len(s.SubjectTransforms) > 0 {
			return e.consumer.Err()
		}
	}
	if ext := s.External; ext != nil {
		if ext.DeliverPrefix != "" {
			if subject.HasWildcard(ext.DeliverPrefix) {
				return jsapi.StreamInvalidExternalDeliverySubj.With("prefix", ext.DeliverPrefix)
			}
			for _, sub := range cfg.Subjects {
				if subject.Valid(ext.DeliverPrefix) && subject.Collide(sub, ext.DeliverPrefix) {
					return jsapi.StreamExternalDelPrefixOverlaps.With("prefix", ext.DeliverPrefix, "subject", sub)
				}
			}
		}
		if p := ext.APIPrefix; p != "" && subject.Valid(p) && subject.Collide(p+".>", jsapi.APIPrefix+">") {
			return jsapi.StreamExternalApiOverlap.With("prefix", p, "subject", strings.TrimSuffix(jsapi.APIPrefix, "."))
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

// checkSources validates the sources of cfg.
func checkSources(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	seen := make(map[string]bool)
	consumers := make(map[string]bool)
	for _, s := range cfg.Sources {
		if !jsapi.ValidName(s.Name) {
			return jsapi.SourceInvalidStreamName.Err()
		}
		if err := checkOrigin(cfg, s, &sourceErrors, x); err != nil {
			return err
		}
		if key := sourceKey(s); seen[key] {
			return jsapi.SourceDuplicateDetected.Err()
		} else {
			seen[key] = true
		}
		if c := s.Consumer; c != nil {
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

// checkCycle follows mirrors and sources through the visible streams of the account.
func checkCycle(cfg *jsapi.StreamConfig, x *Context) *jsapi.Error {
	if cfg.Mirror == nil && len(cfg.Sources) == 0 {
		return nil
	}
	visited := map[string]bool{}
	var reaches func(c *jsapi.StreamConfig) bool
	follow := func(s *jsapi.StreamSource) bool {
		if s.External != nil {
			return false
		}
		if s.Name == cfg.Name {
			return s == cfg.Mirror || len(cfg.Subjects) == 0 || sourceTakes(s, cfg.Subjects)
		}
		if visited[s.Name] {
			return false
		}
		visited[s.Name] = true
		o := x.stream(s.Name)
		return o != nil && reaches(o)
	}
	reaches = func(c *jsapi.StreamConfig) bool {
		if c.Mirror != nil && follow(c.Mirror) {
			return true
		}
		for _, s := range c.Sources {
			if follow(s) {
				return true
			}
		}
		return false
	}
	if reaches(cfg) {
		return cfgErr("detected cycle")
	}
	return nil
}

// sourceTakes reports that s takes messages of some of the subjects.
func sourceTakes(s *jsapi.StreamSource, subjects []string) bool {
	filters := []string{orAll(s.FilterSubject)}
	if len(s.SubjectTransforms) > 0 {
		filters = filters[:0]
		for _, t := range s.SubjectTransforms {
			filters = append(filters, orAll(t.Source))
		}
	}
	return collide(filters, subjects)
}
