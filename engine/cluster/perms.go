package cluster

import (
	"ramjet/engine/auth"
	"ramjet/engine/config"
)

// perms are the permissions of a cluster: import is what messages this server takes from others, so what interest it
// announces; export what it gives away, so what interest of others it notes. nil allows everything.
type perms struct{ imports, exports *auth.Perms }

func newPerms(c *config.ClusterOptions) *perms {
	if c == nil || c.Import == nil && c.Export == nil {
		return nil
	}
	return &perms{imports: side(c.Import), exports: side(c.Export)}
}

// side compiles one list; the configuration was validated, so that errors cannot happen.
func side(p *config.SubjectPerm) *auth.Perms {
	if p == nil {
		return nil
	}
	c, _ := auth.CompilePerms(&config.Permissions{Subscribe: p})
	return c
}

// canImport reports whether interest in subject is announced. Any goroutine.
func (p *perms) canImport(subject string) bool {
	return p == nil || p.imports == nil || p.imports.CanSub([]byte(subject), nil)
}

// canExport reports whether interest in subject that another server announces is noted. Any goroutine.
func (p *perms) canExport(subject []byte) bool {
	return p == nil || p.exports == nil || p.exports.CanSub(subject, nil)
}
