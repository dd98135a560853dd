package consumer

import (
	"ramjet/store/crypt"
	"ramjet/store/vfs"
)

const maxFile = 1 << 30

// Save replaces the state file name; after it returns nil the state is durable. codec encrypts, nil or plain: not.
func Save(fsys vfs.FS, name string, s *State, codec *crypt.Codec) error {
	return vfs.WriteAtomic(fsys, name, Content(s, codec))
}

// Content returns what Save writes.
func Content(s *State, codec *crypt.Codec) []byte {
	b := Append(nil, s)
	if !codec.Plain() {
		b = codec.Append(nil, b, []byte("consumer"))
	}
	return b
}

// Load reads a state file: fs.ErrNotExist if there is none, ErrCorrupt or crypt.ErrCorrupt if it does not verify.
func Load(fsys vfs.FS, name string, codec *crypt.Codec) (*State, error) {
	b, err := vfs.ReadFile(fsys, name, maxFile)
	if err != nil {
		return nil, err
	}
	if !codec.Plain() {
		if b, err = codec.Open(b, []byte("consumer"), maxFile); err != nil {
			return nil, err
		}
	}
	s := &State{}
	return s, Decode(b, s)
}
