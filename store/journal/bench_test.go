package journal

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"

	"ramjet/store"
	"ramjet/store/vfs"
)

// disk counts what goes to a real directory.
type disk struct{ writes, bytes, syncs atomic.Int64 }

func (d *disk) hook(c *vfs.Call) (int64, error) {
	switch c.Op {
	case vfs.OpWrite:
		d.writes.Add(1)
		d.bytes.Add(c.Len)
	case vfs.OpSync:
		d.syncs.Add(1)
	}
	return 0, nil
}

// cpu returns the processor time of the process in nanoseconds.
func cpu() int64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return r.Utime.Nano() + r.Stime.Nano()
}

// report adds per-record figures to a benchmark.
func (d *disk) report(b *testing.B, cpu0 int64, records, payload int) {
	n := float64(b.N) * float64(records)
	b.ReportMetric(float64(cpu()-cpu0)/n/1e3, "cpu-us/rec")
	b.ReportMetric(float64(d.syncs.Load())/float64(b.N), "syncs/commit")
	b.ReportMetric(float64(d.writes.Load())/float64(b.N), "writes/commit")
	b.ReportMetric(float64(d.bytes.Load())/(n*float64(payload)), "bytes/byte")
	b.SetBytes(int64(records * payload))
}

// BenchmarkCommit is a group commit on the real disk: records are appended, one Submit waits for them. Files are recycled, as by
// checkpoints.
func BenchmarkCommit(b *testing.B) {
	for _, payload := range []int{128, 1 << 10, 4 << 10} {
		for _, records := range []int{1, 16, 256, 1024} {
			b.Run(fmt.Sprintf("%dx%d", records, payload), func(b *testing.B) {
				var d disk
				l := openReal(b, &d)
				r := rec(1, 1, string(make([]byte, payload)))
				done := make(chan error, 1)
				post := func(err error) { done <- err }
				commit := func() {
					var pos Pos
					for range records {
						var err error
						if pos, err = l.Append(r); err != nil {
							b.Fatal(err)
						}
					}
					l.Submit(store.SyncDurable, post)
					if err := <-done; err != nil {
						b.Fatal(err)
					}
					l.Release(1, pos)
				}
				warm(l, commit)
				d = disk{}
				cpu0 := cpu()
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					commit()
				}
				b.StopTimer()
				d.report(b, cpu0, records, payload)
			})
		}
	}
}

// openReal opens a journal on the disk of the temporary directory; files are full-grown from the start.
func openReal(b *testing.B, d *disk) *Log {
	w := newWorld(b)
	w.fs = vfs.Intercept(vfs.OS(), d.hook)
	o := w.options()
	o.FileSize, o.FirstSize = 0, 64<<20
	l, err := Open(w.fs, b.TempDir(), o, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	for l.Stats().Spare == 0 {
		poke(l.prepare)
	}
	return l
}

// warm commits until files are recycled rather than made.
func warm(l *Log, commit func()) {
	for range 20 {
		commit()
	}
}

// BenchmarkRaw is what the disk does for the same bytes without a journal: one write and one sync of a prewritten file.
func BenchmarkRaw(b *testing.B) {
	for _, n := range []int{168, 16 * 168, 256 * 168, 1024 * 168, 256 * 1064, 1024 * 1064} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			const fileSize = 64 << 20
			f, err := vfs.OS().Create(b.TempDir() + "/raw")
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			if err = f.Preallocate(fileSize, true); err == nil {
				err = f.Sync()
			}
			if err != nil {
				b.Fatal(err)
			}
			p := make([]byte, n)
			off := int64(0)
			cpu0 := cpu()
			b.ReportAllocs()
			b.SetBytes(int64(n))
			b.ResetTimer()
			for range b.N {
				if off += int64(n); off+int64(n) > fileSize {
					off = 0
				}
				if _, err = f.WriteAt(p, off); err == nil {
					err = f.SyncData()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(cpu()-cpu0)/float64(b.N)/1e3, "cpu-us/commit")
		})
	}
}
