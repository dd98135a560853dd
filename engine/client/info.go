package client

import (
	"ramjet/engine"
	"ramjet/engine/config"
	"ramjet/proto/wire"
)

// info is the INFO of this client: the server's part and what is particular to the connection.
func (p *Client) info(o *config.Options) wire.Info {
	in := p.svc.env.Info(p.listener)
	in.ClientID = p.ID()
	if !p.Net().InProcess() && (!o.ProxyProtocol || p.stage != transport) {
		in.ClientIP = p.Net().RemoteAddr().Addr().Unmap().String()
	}
	in.MaxPayload = int32(p.Limits().MaxPayload)
	in.Headers = !o.NoHeaderSupport
	in.AuthRequired = p.svc.env.Auth().Required(p.listener)
	switch p.Type() {
	case engine.Websocket:
		in.TLSRequired = p.ws != nil && p.ws.TLSRequired
		in.TLSAvailable = in.TLSRequired // as nats-server shows it to websocket clients
		if in.WSConnectURLs != nil {
			in.ConnectURLs = in.WSConnectURLs
		}
	case engine.InProcess:
		in.TLSRequired, in.TLSAvailable, in.TLSVerify = false, false, false
	default:
		if t := o.TLS; t != nil && t.Config != nil {
			in.TLSRequired, in.TLSAvailable = !o.AllowNonTLS, o.AllowNonTLS
			in.TLSVerify = t.Verify || t.VerifyAndMap
		}
	}
	in.WSConnectURLs = nil
	return in
}

// sendInfo sends the first INFO.
func (p *Client) sendInfo() {
	p.mode |= infoSent
	o := p.svc.options()
	in := p.info(o)
	in.Nonce = p.nonce
	in.AuthRequired = p.svc.env.Auth().InfoRequired(p.listener)
	p.queueInfo(&in)
}

// sendConnectInfo sends the INFO that follows the first PONG.
func (p *Client) sendConnectInfo() {
	in := p.info(p.svc.options())
	in.ConnectInfo = true
	if p.acct != nil {
		in.RemoteAccount = p.acct.Name()
		in.IsSystemAccount = p.mode&systemAccount != 0
	}
	p.queueInfo(&in)
}

// sendUpdate sends an asynchronous INFO to a client that can take it.
func (p *Client) sendUpdate() {
	if p.protocol < 1 || p.mode&firstPong == 0 || p.Closing() {
		return
	}
	in := p.info(p.svc.options())
	p.queueInfo(&in)
}

// infoRoom is what most INFO lines fit in, in bytes; a longer one moves to a larger buffer.
const infoRoom = 1 << 10

// queueInfo encodes straight into the staged output: every connection gets two of them.
func (p *Client) queueInfo(in *wire.Info) {
	out, from := p.Out(), p.LoopID()
	out.End(from, wire.AppendInfo(out.Begin(from, infoRoom), in), 0)
}
