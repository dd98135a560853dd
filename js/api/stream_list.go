package api

import (
	"ramjet/proto/jsapi"
	"ramjet/proto/subject"
)

// streamNames answers STREAM.NAMES.
func (c *call) streamNames() (any, *jsapi.Error) {
	all, offset, err := c.selected()
	if err != nil {
		return nil, err
	}
	answer := &jsapi.StreamNamesResponse{Page: jsapi.Page{Total: len(all), Offset: offset, Limit: jsapi.NamesPage}}
	for _, s := range all[offset:min(len(all), offset+jsapi.NamesPage)] {
		answer.Streams = append(answer.Streams, s.Name())
	}
	return answer, nil
}

// streamList answers STREAM.LIST. Streams that can not run here are named with the reason.
func (c *call) streamList() (any, *jsapi.Error) {
	all, offset, err := c.selected()
	if err != nil {
		return nil, err
	}
	answer := &jsapi.StreamListResponse{Page: jsapi.Page{Total: len(all), Offset: offset, Limit: jsapi.ListPage},
		Streams: []*jsapi.StreamInfo{}}
	for _, s := range all[offset:] {
		if why := s.Offline(); why != "" {
			answer.Missing = append(answer.Missing, s.Name())
			if answer.Offline == nil {
				answer.Offline = make(map[string]string)
			}
			answer.Offline[s.Name()] = why
			continue
		}
		if len(answer.Streams) == jsapi.ListPage {
			break
		}
		var page jsapi.Page
		if info := s.Info(&jsapi.StreamInfoRequest{}, &page); info != nil {
			info.Domain = c.srv.Domain
			answer.Streams = append(answer.Streams, info)
		}
	}
	return answer, nil
}

// selected returns the streams that the request asks for, and the offset within them.
func (c *call) selected() (all []Stream, offset int, err *jsapi.Error) {
	var req jsapi.StreamsRequest
	if err := c.decode(&req); err != nil {
		return nil, 0, err
	}
	all = c.acc.Streams()
	if req.Subject != "" {
		kept := make([]Stream, 0, len(all))
		for _, s := range all {
			if collides(s.Config().Subjects, req.Subject) {
				kept = append(kept, s)
			}
		}
		all = kept
	}
	return all, min(max(req.Offset, 0), len(all)), nil
}

func collides(subjects []string, filter string) bool {
	for _, s := range subjects {
		if subject.Collide(s, filter) {
			return true
		}
	}
	return false
}
