package api

import "ramjet/proto/jsapi"

// handler is how an endpoint is answered.
type handler struct {
	run       func(*call) (any, *jsapi.Error)
	blank     any  // the fields of an error
	mutates   bool // runs one after the other per account
	own       bool // calls gate itself, at its own point in the order of checks
	clustered bool // needs a cluster
}

// handlers has a row for each endpoint that the router answers.
var handlers [jsapi.AccountStreamCancelMove + 1]handler

func init() {
	handlers = [...]handler{
		jsapi.Info:         {run: (*call).accountInfo},
		jsapi.AccountPurge: {run: (*call).accountPurge, mutates: true, own: true},

		jsapi.StreamCreateAPI: {run: (*call).streamCreate, mutates: true},
		jsapi.StreamUpdateAPI: {run: (*call).streamUpdate, mutates: true},
		jsapi.StreamDeleteAPI: {run: (*call).streamDelete, mutates: true},
		jsapi.StreamInfoAPI:   {run: (*call).streamInfo, blank: &jsapi.StreamInfoResponse{}},

		jsapi.StreamNames: {run: (*call).streamNames, blank: &jsapi.StreamNamesResponse{}},
		jsapi.StreamList:  {run: (*call).streamList, blank: &jsapi.StreamListResponse{Streams: []*jsapi.StreamInfo{}}},

		jsapi.StreamPurge:       {run: (*call).streamPurge, blank: &jsapi.PurgeResponse{}},
		jsapi.StreamMsgGet:      {run: (*call).msgGet},
		jsapi.StreamMsgDelete:   {run: (*call).msgDelete},
		jsapi.StreamSnapshotAPI: {run: (*call).streamSnapshot},
		jsapi.StreamRestoreAPI:  {run: (*call).streamRestore, blank: &jsapi.RestoreResponse{}, mutates: true},

		jsapi.ConsumerCreateAPI:     {run: (*call).consumerCreate, mutates: true, own: true},
		jsapi.ConsumerDurableCreate: {run: (*call).consumerCreate, mutates: true, own: true},
		jsapi.ConsumerDelete:        {run: (*call).consumerDelete, mutates: true},
		jsapi.ConsumerInfoAPI:       {run: (*call).consumerInfo, own: true},

		jsapi.ConsumerNames: {run: (*call).consumerNames, blank: &jsapi.ConsumerNamesResponse{Consumers: []string{}}},
		jsapi.ConsumerList:  {run: (*call).consumerList, blank: &jsapi.ConsumerListResponse{Consumers: []*jsapi.ConsumerInfo{}}},

		jsapi.ConsumerPause: {run: (*call).consumerPause, blank: &jsapi.PauseResponse{}, mutates: true, own: true},
		jsapi.ConsumerUnpin: {run: (*call).consumerUnpin, own: true},

		jsapi.StreamStepdown:       {run: (*call).ignore, clustered: true},
		jsapi.StreamPeerRemove:     {run: (*call).ignore, clustered: true},
		jsapi.StreamPeerEvacuate:   {run: (*call).ignore, clustered: true},
		jsapi.StreamCancelMove:     {run: (*call).ignore, clustered: true},
		jsapi.ConsumerStepdown:     {run: (*call).ignore, clustered: true},
		jsapi.ConsumerPeerRemove:   {run: (*call).ignore, clustered: true},
		jsapi.ConsumerPeerEvacuate: {run: (*call).ignore, clustered: true},

		jsapi.MetaStepdown:            {run: (*call).ignore, own: true},
		jsapi.ServerRemove:            {run: (*call).ignore, own: true},
		jsapi.ServerEvacuate:          {run: (*call).ignore, own: true},
		jsapi.MetaRescue:              {run: (*call).ignore, own: true},
		jsapi.AccountStreamMove:       {run: (*call).ignore, own: true},
		jsapi.AccountStreamCancelMove: {run: (*call).ignore, own: true},
	}
}
