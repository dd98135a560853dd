package api

import "ramjet/proto/jsapi"

// ignore is the handler of what only members of a cluster answer.
func (c *call) ignore() (any, *jsapi.Error) {
	c.silent = true
	return nil, nil
}
