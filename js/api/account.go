package api

import (
	"errors"
	"strings"

	"ramjet/proto/jsapi"
)

// accountInfo answers INFO. Its body does not matter.
func (c *call) accountInfo() (any, *jsapi.Error) {
	info := *c.acc.Info()
	info.Domain = c.srv.Domain
	info.API = jsapi.APIStats{Level: jsapi.Level}
	info.API.Total, info.API.Errors = c.router.AccountStats(c.req.Account)
	return &info, nil
}

// accountPurge answers ACCOUNT.PURGE of the system account. An account that has nothing is purged at once.
func (c *call) accountPurge() (any, *jsapi.Error) {
	if strings.ContainsAny(c.Account, `\/`) {
		return nil, jsapi.StreamGeneral.Wrap(errors.New("account name can not contain path separators"))
	}
	if err := c.level(); err != nil {
		return nil, err
	}
	if err := c.router.node.PurgeAccount(c.Account); err != nil {
		return nil, err
	}
	return &jsapi.AccountPurgeResponse{Initiated: true}, nil
}
