package server

type busMsg struct {
	Account                         string
	Subject, Reply, Header, Payload []byte
}

type busInbox interface{ Deliver(m *busMsg) }
