package netio

// poller is what a loop needs from the operating system; one per loop, used on its goroutine except
// wake. Interest is taken from the connection (Conn.wantRead, Conn.wantWrite), so that every backend
// reads the same truth.
type poller interface {
	// add registers c, whose interest is set.
	add(c *Conn) error
	// update makes the interest of c effective.
	update(c *Conn)
	// remove forgets c; its descriptor is still open.
	remove(c *Conn)
	// run calls Loop.beginTurn, Loop.event and Loop.endTurn until endTurn returns false.
	run()
	// others reports whether a connection that does not wait in the loop's ring, other than c (nil: any), can be read or written now. A
	// poller that cannot tell says yes.
	others(c *Conn) bool
	// wake makes run start a turn. Any goroutine; callers coalesce.
	wake()
	// close releases what the poller holds, after run returned.
	close()
}

// events of one connection in one turn.
type events uint8

const (
	evRead  events = 1 << iota // data or end of stream can be read
	evWrite                    // the socket accepts data
	evEnd                      // the end of the stream is behind the data (edge-triggered pollers)
	evHup                      // error or both directions shut: reported whatever the interest
)
