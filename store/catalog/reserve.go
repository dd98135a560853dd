package catalog

import (
	"errors"
	"io/fs"
)

const reserveName = "reserve"

// HoldReserve allocates a file of so many bytes that nobody uses: when the disk is full, ReleaseReserve makes room for the checkpoints
// that follow deletes and purges, which then free space. An existing reserve is kept.
func (c *Catalog) HoldReserve(bytes int64) error {
	name := c.base + "/" + reserveName
	if _, err := c.fs.Stat(name); err == nil {
		return nil
	}
	f, err := c.fs.Create(name)
	if err != nil {
		return err
	}
	err = errors.Join(f.Preallocate(bytes, false), f.Close())
	if err != nil {
		_ = c.fs.Remove(name)
	}
	return err
}

// ReleaseReserve gives the reserve back to the file system; false if there was none.
func (c *Catalog) ReleaseReserve() (bool, error) {
	err := c.fs.Remove(c.base + "/" + reserveName)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// Reserved reports whether there is a reserve: an earlier start got as far as to make it.
func (c *Catalog) Reserved() bool {
	_, err := c.fs.Stat(c.base + "/" + reserveName)
	return err == nil
}
