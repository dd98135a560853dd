package source

import (
	"time"

	"ramjet/proto/jsapi"
)

// Mirror returns what stream info tells about the mirror at now; nil if the stream is none.
func (e *Engine) Mirror(now int64) *jsapi.StreamSourceInfo {
	for _, o := range e.list {
		if o.mirror {
			return e.info(o, now)
		}
	}
	return nil
}

// Sources returns what stream info tells about the sources at now, in the order of the configuration; nil if there are none.
func (e *Engine) Sources(now int64) (list []*jsapi.StreamSourceInfo) {
	for _, o := range e.list {
		if o.mirror {
			continue
		}
		i := e.info(o, now)
		// A position in a stream that is no longer there means nothing.
		switch st, _, known := e.m.Sourced(o.key); {
		case o.recreated:
		case known && (st.Identity == "" || st.Identity == o.identity):
			i.Seq = st.Seq
		case !known && (o.foundID == "" || o.foundID == o.identity):
			i.Seq = o.found
		}
		list = append(list, i)
	}
	return list
}

func (e *Engine) info(o *origin, now int64) *jsapi.StreamSourceInfo {
	i := &jsapi.StreamSourceInfo{Name: o.src.Name, Lag: o.lag, Active: -1, Error: o.err,
		FilterSubject: o.src.FilterSubject, SubjectTransforms: o.src.SubjectTransforms}
	if o.last != 0 {
		i.Active = time.Duration(now - o.last)
	}
	if x := o.src.External; x != nil {
		c := *x
		i.External = &c
	}
	return i
}
