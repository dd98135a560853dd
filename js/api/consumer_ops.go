package api

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"ramjet/js/consumer"
	"ramjet/proto/jsapi"
)

// consumerPause answers CONSUMER.PAUSE. Its body is judged first; a time that has passed resumes.
func (c *call) consumerPause() (any, *jsapi.Error) {
	var req jsapi.PauseRequest
	if err := c.decode(&req); err != nil {
		return nil, err
	}
	if err := checkTimes(&req.PauseUntil); err != nil {
		return nil, err
	}
	if err := c.gate(); err != nil {
		return nil, err
	}
	o, err := c.runningConsumer()
	if o == nil {
		return nil, err
	}
	until := req.PauseUntil.UTC()
	var before time.Time
	if t := o.Config().PauseUntil; t != nil {
		before = *t
	}
	if err := o.Pause(until); err != nil {
		return nil, err
	}
	if !before.Equal(until) {
		c.advisePause(c.Consumer, until)
	}
	answer := &jsapi.PauseResponse{PauseUntil: until}
	if now := c.router.node.Now(); now.Before(until) {
		answer.Paused, answer.PauseRemaining = true, until.Sub(now)
	}
	return answer, nil
}

// consumerUnpin answers CONSUMER.UNPIN. Unknown fields do not matter here.
func (c *call) consumerUnpin() (any, *jsapi.Error) {
	if err := c.level(); err != nil {
		return nil, err
	}
	var req jsapi.UnpinRequest
	err := json.Unmarshal(c.req.Body, &req)
	if err == nil && req.Group == "" {
		err = errors.New("consumer group not specified")
	}
	if err != nil {
		return nil, jsapi.InvalidJSON.Wrap(err)
	}
	if !consumer.ValidGroup(req.Group) {
		return nil, jsapi.ConsumerInvalidGroupName.Err()
	}
	if err := c.enabled(); err != nil {
		return nil, err
	}
	o, apiErr := c.runningConsumer()
	if o == nil {
		return nil, apiErr
	}
	if !slices.Contains(o.Config().PriorityGroups, req.Group) {
		return nil, jsapi.ConsumerInvalidPriorityGroup.Err()
	}
	return nil, o.Unpin(req.Group)
}

// runningConsumer returns the consumer of the subject. One that can not run here does not answer, as in running.
func (c *call) runningConsumer() (Consumer, *jsapi.Error) {
	s, err := c.running()
	if s == nil {
		return nil, err
	}
	o := s.Consumer(c.Consumer)
	if o == nil {
		return nil, jsapi.ConsumerNotFound.Err()
	}
	if o.Offline() != "" {
		c.silent = true
		return nil, nil
	}
	return o, nil
}
