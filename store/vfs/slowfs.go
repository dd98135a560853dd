package vfs

// Slow returns a hook that calls wait with each call before it is made; wait may block (a slow disk, or a disk
// that a test holds at a chosen call) and decides by Op and Path.
func Slow(wait func(c *Call)) Hook {
	return func(c *Call) (int64, error) {
		wait(c)
		return 0, nil
	}
}
