package api

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func req(name string) *Request { return &Request{Subject: name} }

func TestInfoYields(t *testing.T) {
	q := newTaskQueue()
	for i := range 2 * infoShare {
		q.push(task{req: req(fmt.Sprint("o", i))}, 0)
	}
	q.push(task{req: req("info"), info: true}, 0)
	for i := range 2*infoShare + 1 {
		n, _ := q.next()
		if info := n.info; info != (i == infoShare) {
			t.Errorf("turn %d: %s", i, n.req.Subject)
		}
		q.done(n)
	}
}

func TestSerialNames(t *testing.T) {
	q := newTaskQueue()
	for _, s := range []string{"a1", "a2", "b1", "a3"} {
		q.push(task{req: req(s), serial: s[:1]}, 0)
	}
	a1, _ := q.next()
	b1, _ := q.next()
	if a1.req.Subject != "a1" || b1.req.Subject != "b1" {
		t.Fatalf("%s %s", a1.req.Subject, b1.req.Subject)
	}
	q.push(task{req: req("c1"), serial: "c"}, 0)
	// a3 is still in the lane: it must not overtake a2.
	q.done(a1)
	var order []string
	for range 3 {
		n, _ := q.next()
		order = append(order, n.req.Subject)
		q.done(n)
	}
	if got := fmt.Sprint(order); got != "[c1 a2 a3]" {
		t.Errorf("order %s", got)
	}
	q.done(b1)
	if n := q.inflight(); n != 0 || len(q.parked) != 0 {
		t.Errorf("left: %d %v", n, q.parked)
	}
}

func TestDropFreesNames(t *testing.T) {
	q := newTaskQueue()
	q.push(task{req: req("a1"), serial: "a"}, 9)
	q.push(task{req: req("a2"), serial: "a"}, 9)
	q.push(task{req: req("a3"), serial: "a"}, 9)
	a1, _ := q.next()
	q.push(task{req: req("x")}, 9)
	x, _ := q.next() // parks a2 and a3
	q.done(a1)       // a2 waits in the lane again, holding the name
	if n := q.push(task{req: req("b"), serial: "b"}, 3); n != 3 {
		t.Fatalf("dropped %d", n)
	}
	q.push(task{req: req("a4"), serial: "a"}, 3)
	a4, ok := q.next()
	if !ok || a4.req.Subject != "a4" {
		t.Errorf("got %v", a4.req)
	}
	// Dropped while one runs: the name stays with it.
	q.push(task{req: req("a5"), serial: "a"}, 9)
	q.push(task{req: req("y")}, 2)
	q.push(task{req: req("a6"), serial: "a"}, 9)
	q.push(task{req: req("z")}, 9)
	if z, _ := q.next(); z.req.Subject != "z" {
		t.Errorf("%s beside a4", z.req.Subject)
	}
	q.done(a4)
	if a6, _ := q.next(); a6.req.Subject != "a6" {
		t.Errorf("%s after a4", a6.req.Subject)
	}
	q.done(x)
}

// TestQueueAgainstModel runs a random schedule and checks that every task runs once, tasks of a name in order and never two at once.
func TestQueueAgainstModel(t *testing.T) {
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		q := newTaskQueue()
		last := map[string]int{}
		active := map[string]bool{}
		var running []task
		number := map[*Request]int{}
		pushed, ran := 0, 0
		for ran < 300 {
			switch k := rnd.IntN(3); {
			case k == 0 && pushed < 300:
				n := task{req: req(""), info: rnd.IntN(4) == 0}
				if !n.info {
					n.serial = []string{"", "a", "b", "c"}[rnd.IntN(4)]
				}
				pushed++
				number[n.req] = pushed
				q.push(n, 0)
			case k == 1 && len(running) < 5 && runnable(q):
				n, _ := q.next()
				if n.serial != "" {
					if active[n.serial] {
						t.Fatalf("seed %d: two of %s at once", seed, n.serial)
					}
					if active[n.serial] = true; number[n.req] < last[n.serial] {
						t.Fatalf("seed %d: %s out of order", seed, n.serial)
					}
					last[n.serial] = number[n.req]
				}
				running = append(running, n)
			case k == 2 && len(running) > 0:
				i := rnd.IntN(len(running))
				active[running[i].serial] = false
				q.done(running[i])
				running = append(running[:i], running[i+1:]...)
				ran++
			}
		}
		if q.inflight() != 0 || len(q.parked) != 0 {
			t.Fatalf("seed %d: left %d", seed, q.inflight())
		}
	}
}

// runnable reports whether next would not wait.
func runnable(q *taskQueue) bool {
	if !q.infos.empty() {
		return true
	}
	for _, w := range q.others.tasks[q.others.head:] {
		if _, held := q.parked[w.serial]; w.serial == "" || w.ready || !held {
			return true
		}
	}
	return false
}

func TestLane(t *testing.T) {
	var l lane
	next, want := 0, 0
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 100000 {
		if l.empty() || rnd.IntN(2) == 0 {
			l.push(task{req: req(fmt.Sprint(next))})
			next++
			continue
		}
		if got := l.pop().req.Subject; got != fmt.Sprint(want) {
			t.Fatalf("%s, want %d", got, want)
		}
		want++
	}
	if cap(l.tasks) > 4*l.len()+4096 {
		t.Errorf("%d tasks hold room for %d", l.len(), cap(l.tasks))
	}
}
