//go:build !invariants

package bufpool

// recycle puts a frame without references back into its pool.
func recycle(f *Frame) {
	if f.class != plain {
		pools[f.class].Put(f)
	}
}
