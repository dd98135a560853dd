package api

import "ramjet/proto/jsapi"

// consumerNames answers CONSUMER.NAMES.
func (c *call) consumerNames() (any, *jsapi.Error) {
	all, offset, err := c.listed()
	if err != nil {
		return nil, err
	}
	answer := &jsapi.ConsumerNamesResponse{Page: jsapi.Page{Total: len(all), Offset: offset, Limit: jsapi.NamesPage},
		Consumers: []string{}}
	for _, o := range all[offset:min(len(all), offset+jsapi.NamesPage)] {
		answer.Consumers = append(answer.Consumers, o.Name())
	}
	return answer, nil
}

// consumerList answers CONSUMER.LIST. Consumers that can not run here are named with the reason.
func (c *call) consumerList() (any, *jsapi.Error) {
	all, offset, err := c.listed()
	if err != nil {
		return nil, err
	}
	answer := &jsapi.ConsumerListResponse{Page: jsapi.Page{Total: len(all), Offset: offset, Limit: jsapi.ListPage},
		Consumers: []*jsapi.ConsumerInfo{}}
	for _, o := range all[offset:] {
		if why := o.Offline(); why != "" {
			answer.Missing = append(answer.Missing, o.Name())
			if answer.Offline == nil {
				answer.Offline = make(map[string]string)
			}
			answer.Offline[o.Name()] = why
			continue
		}
		if len(answer.Consumers) == jsapi.ListPage {
			break
		}
		if info := o.Info(); info != nil && info.Config != nil {
			showLevel(info)
			answer.Consumers = append(answer.Consumers, info)
		}
	}
	return answer, nil
}

// listed returns the consumers of the stream that clients made, and the offset within them.
func (c *call) listed() (all []Consumer, offset int, err *jsapi.Error) {
	var req jsapi.ConsumersRequest
	if err := c.decode(&req); err != nil {
		return nil, 0, err
	}
	s, err := c.stream()
	if err != nil {
		return nil, 0, err
	}
	for _, o := range s.Consumers() {
		if !o.Config().Direct {
			all = append(all, o)
		}
	}
	return all, min(max(req.Offset, 0), len(all)), nil
}
