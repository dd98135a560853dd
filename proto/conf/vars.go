package conf

import "slices"

// variable replaces $name by the nearest enclosing entry of that name defined so far, else by the
// environment. v is the value to fill, at the place of use.
func (p *parser) variable(v *Value, name string) (*Value, *Error) {
	for i := len(p.scopes) - 1; i >= 0; i-- {
		if e := p.scopes[i].Get(name); e != nil {
			e.Used = true
			return at(e.Value, v.Pos), nil
		}
	}
	var text string
	found := false
	if p.env.Getenv != nil {
		text, found = p.env.Getenv(name)
	}
	if !found {
		return nil, failure(v.Pos, "variable reference for '%s' on line %d can not be found", name, v.Pos.Line)
	}
	if slices.Contains(p.vars, name) {
		return nil, failure(v.Pos, "variable reference cycle for '%s'", name)
	}
	if len(p.vars) >= MaxNested {
		return nil, failure(v.Pos, "variables refer to each other more than %d levels deep", MaxNested)
	}
	if p.bytes += len(text); p.bytes > MaxBytes {
		return nil, failure(v.Pos, "configuration is larger than %d bytes", MaxBytes)
	}
	inner, err := p.environment(name, text)
	if err != nil {
		return nil, failure(v.Pos, "variable reference for '%s' on line %d could not be parsed: %s", name, v.Pos.Line, err.Msg)
	}
	return at(inner, v.Pos), nil
}

// environment reads the value of a variable of the environment as a configuration value, in which the
// entries of the configuration are not visible.
func (p *parser) environment(name, text string) (*Value, *Error) {
	outer, scopes := p.s, p.scopes
	p.s, p.scopes = newScanner("$"+name, text), nil
	p.vars = append(p.vars, name)
	defer func() {
		p.s, p.scopes = outer, scopes
		p.vars = p.vars[:len(p.vars)-1]
	}()
	p.s.skipBlanks()
	v, err := p.value(1)
	if err != nil {
		return nil, err
	}
	p.s.skipSpace()
	if !p.s.eof() {
		return nil, syntax(p.s.pos(), "Expected a top-level value to end with a new line, comment or EOF, but got '%s' instead.", p.s.seen())
	}
	return v, nil
}

func at(v *Value, pos Pos) *Value {
	c := *v
	c.Pos, c.FromVar = pos, true
	return &c
}
