package ocsp

// Files keeps bytes under path names; engine/server implements it over the disk.
type Files interface {
	// ReadFile returns the content, or an error that is fs.ErrNotExist when there is none.
	ReadFile(path string) ([]byte, error)
	// WriteFile replaces the content at once or not at all, and creates the directory.
	WriteFile(path string, data []byte) error
}
