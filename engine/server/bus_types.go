package server

type busMsg struct {
	Account                         string
	Client                          uint64
	Subject, Reply, Header, Payload []byte
}

type busVerdict uint8

const (
	taken busVerdict = iota
	busy
	notOne
)

type busInbox interface{ Deliver(m *busMsg) busVerdict }
