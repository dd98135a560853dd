package conf

import "strings"

// Limits bound what a text may cost.
const (
	MaxDepth    = 256      // nesting of maps and arrays
	MaxIncludes = 1024     // files
	MaxNested   = 64       // includes within includes
	MaxBytes    = 64 << 20 // all files together
	MaxValues   = 1 << 22  // values, variables expanded
)

// Env is the outside world. Both functions may be nil.
type Env struct {
	// ReadFile returns the name and content of the file that an include names, from being the including
	// file.
	ReadFile func(from, path string) (name string, data []byte, err error)
	// Getenv looks up an environment variable.
	Getenv func(name string) (string, bool)
}

// Parse reads text, the content of file (a name for messages, may be empty). The error is an *Error.
func Parse(file, text string, env Env) (*Tree, error) {
	p := &parser{env: &env}
	root, err := p.file(file, text)
	if err != nil {
		return nil, err
	}
	return &Tree{Root: root, Files: p.files}, nil
}

// parser reads one file after the other: an include is read in full where it stands.
type parser struct {
	env    *Env
	files  []string
	stack  []string // files being read, to detect cycles
	bytes  int
	values int

	s      *scanner
	scopes []*Object
	vars   []string // environment variables being replaced, to detect cycles
}

func (p *parser) file(file, text string) (*Object, *Error) {
	p.files = append(p.files, file)
	p.bytes += len(text)
	at := Pos{File: file, Line: 1, Col: 1}
	switch {
	case p.bytes > MaxBytes:
		return nil, failure(at, "configuration is larger than %d bytes", MaxBytes)
	case len(p.files) > MaxIncludes:
		return nil, failure(at, "more than %d included files", MaxIncludes)
	case len(p.stack) > MaxNested:
		return nil, failure(at, "files include each other more than %d levels deep", MaxNested)
	}
	outer, scopes := p.s, p.scopes
	p.s, p.scopes = newScanner(file, text), nil
	p.stack = append(p.stack, file)
	root := &Object{}
	err := p.top(root)
	p.stack = p.stack[:len(p.stack)-1]
	p.s, p.scopes = outer, scopes
	return root, err
}

// top reads the top level of a file. Braces around it, or around parts of it, mean nothing.
func (p *parser) top(into *Object) *Error {
	p.scopes = append(p.scopes, into)
	open := 0
	for {
		p.s.skipSpace()
		if p.s.eof() {
			return nil
		}
		if c := p.s.peek(); c == '{' || c == '}' {
			p.s.at++
			if c == '{' {
				open++
			} else {
				open--
			}
			continue
		}
		if err := p.entry(into, 0); err != nil {
			return err
		}
		p.s.skipBlanks()
		switch c := p.s.peek(); {
		case p.s.eof() && open > 0:
			return syntax(p.s.pos(), "Expected a block-level value to end with a new line, comment or EOF, but got '%s' instead.", p.s.seen())
		case p.s.eof(), c == '}', isNewline(c), p.s.atComment():
		case c == ',' || c == ';':
			p.s.at++
		default:
			return syntax(p.s.pos(), "Expected a top-level value to end with a new line, comment or EOF, but got '%s' instead.", p.s.seen())
		}
	}
}

// entry reads a key and its value, or an include directive.
// depth counts the maps and arrays around it.
func (p *parser) entry(into *Object, depth int) *Error {
	key, pos, bare, err := p.s.key()
	if err != nil {
		return err
	}
	if bare && strings.EqualFold(key, "include") && !p.s.eof() && (isBlank(p.s.peek()) || isNewline(p.s.peek())) {
		return p.include(into, pos)
	}
	for !p.s.eof() && (isBlank(p.s.peek()) || isNewline(p.s.peek())) {
		p.s.next()
	}
	separated := false
	if c := p.s.peek(); c == ':' || c == '=' {
		separated = true
		p.s.at++
		p.s.skipBlanks()
	}
	if p.s.eof() && !separated {
		if depth > 0 {
			return syntax(p.s.pos(), "Unexpected EOF processing map key.")
		}
		return failure(pos, "config is invalid (%s:%d:%d): key \"%s\" has no value", pos.File, pos.Line, pos.Col, key)
	}
	if !separated && p.s.peek() == '}' {
		return syntax(p.s.pos(), "Expected value but found end of map")
	}
	if !p.s.eof() && isNewline(p.s.peek()) {
		p.s.next()
		return syntax(p.s.pos(), "Expected value but found new line")
	}
	v, err := p.value(depth)
	if err != nil {
		return err
	}
	into.put(&Entry{Key: key, Pos: pos, Value: v})
	return nil
}

func (p *parser) include(into *Object, pos Pos) *Error {
	p.s.skipBlanks()
	var path string
	var err *Error
	switch c := p.s.peek(); {
	case p.s.eof():
		return syntax(p.s.pos(), "Unexpected EOF processing include.")
	case isNewline(c):
		p.s.next()
		return syntax(p.s.pos(), "Expected include value but found new line")
	case c == '{':
		return syntax(p.s.pos(), "Expected include value but found start of a map")
	case c == '[':
		return syntax(p.s.pos(), "Expected include value but found start of an array")
	case c == '\'':
		path, err = p.s.raw()
	case c == '"':
		path, err = p.s.quoted()
	default:
		path, _, err = p.s.bare()
	}
	if err != nil {
		return err
	}
	wrap := func(reason error) *Error {
		return failure(pos, "error parsing include file '%s', %v", path, reason)
	}
	if p.env.ReadFile == nil {
		return wrap(failure(pos, "no files can be read here"))
	}
	name, data, ioErr := p.env.ReadFile(p.s.file, path)
	if ioErr != nil {
		return wrap(ioErr)
	}
	for _, open := range p.stack {
		if open == name {
			return wrap(failure(pos, "the file includes itself"))
		}
	}
	inner, err := p.file(name, string(data))
	if err != nil {
		return &Error{Pos: err.Pos, Msg: wrap(err).Msg}
	}
	for _, e := range inner.Entries {
		into.put(e)
	}
	return nil
}

// value reads a value; depth counts the maps and arrays around it.
func (p *parser) value(depth int) (*Value, *Error) {
	v := &Value{Pos: p.s.pos(), nodes: 1}
	if p.values++; p.values > MaxValues {
		return nil, failure(v.Pos, "configuration has more than %d values", MaxValues)
	}
	if depth > MaxDepth {
		return nil, failure(v.Pos, "maps and arrays are nested more than %d levels deep", MaxDepth)
	}
	var err *Error
	switch c := p.s.peek(); {
	case p.s.eof():
	case c == '{':
		err = p.mapping(v, depth)
	case c == '[':
		err = p.array(v, depth)
	case c == '(':
		v.Pos.Col++
		v.Str, err = p.s.block()
	case c == '\'':
		v.Pos.Col++
		v.Str, err = p.s.raw()
	case c == '"':
		v.Pos.Col++
		v.Str, err = p.s.quoted()
	case c == '.':
		err = syntax(v.Pos, "Floats must start with a digit")
	case c == '-' || isDigit(c):
		err = p.s.number(v)
	default:
		return p.word(v)
	}
	return v, err
}

// word reads a bare word: a boolean, a variable or a string.
func (p *parser) word(v *Value) (*Value, *Error) {
	word, plain, err := p.s.bare()
	if err != nil {
		return nil, err
	}
	v.Str = word
	if !plain {
		return v, nil
	}
	switch strings.ToLower(word) {
	case "true", "yes", "on":
		v.Kind, v.Bool, v.Str = Bool, true, ""
	case "false", "no", "off":
		v.Kind, v.Str = Bool, ""
	}
	// $2a$ begins a bcrypt hash, which nobody should have to quote.
	if strings.HasPrefix(word, "$") && !strings.HasPrefix(word, "$2a$") {
		return p.variable(v, word[1:])
	}
	return v, nil
}

func (p *parser) mapping(v *Value, depth int) *Error {
	p.s.at++
	v.Kind, v.Map = Map, &Object{}
	p.scopes = append(p.scopes, v.Map)
	defer func() { p.scopes = p.scopes[:len(p.scopes)-1] }()
	for {
		p.s.skipSpace()
		if p.s.eof() {
			return syntax(v.Pos, "Unexpected EOF processing map.")
		}
		if p.s.peek() == '}' {
			p.s.at++
			break
		}
		if err := p.entry(v.Map, depth+1); err != nil {
			return err
		}
		p.s.skipBlanks()
		switch c := p.s.peek(); {
		case p.s.eof():
			return syntax(p.s.pos(), "Expected a map value terminator \",\" or a map terminator \"}\", but got '%s' instead.", p.s.seen())
		case c == '}', isNewline(c), p.s.atComment():
		case c == ',' || c == ';':
			p.s.at++
		default:
			return syntax(p.s.pos(), "Expected a map value terminator \",\" or a map terminator \"}\", but got '%s' instead.", p.s.seen())
		}
	}
	for _, e := range v.Map.Entries {
		v.nodes += e.Value.nodes
	}
	return p.checkSize(v)
}

func (p *parser) array(v *Value, depth int) *Error {
	p.s.at++
	v.Kind = Array
	for {
		p.s.skipSpace()
		switch {
		case p.s.eof():
			return syntax(p.s.pos(), "Expected an array value terminator \",\" or an array terminator \"]\", but got '%s' instead.", p.s.seen())
		case p.s.peek() == ']':
			p.s.at++
			return p.checkSize(v)
		case p.s.peek() == ',':
			return syntax(p.s.pos(), "Unexpected array value terminator ','.")
		}
		start := p.s.at
		item, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		p.s.skipBlanks()
		c := p.s.peek()
		ok := !p.s.eof() && p.s.at > start && (c == ',' || c == ']' || isNewline(c) || p.s.atComment())
		if !ok {
			return syntax(p.s.pos(), "Expected an array value terminator \",\" or an array terminator \"]\", but got '%s' instead.", p.s.seen())
		}
		if c == ',' {
			p.s.at++
		}
		v.Items = append(v.Items, item)
		v.nodes += item.nodes
	}
}

func (p *parser) checkSize(v *Value) *Error {
	if v.nodes > MaxValues {
		return failure(v.Pos, "configuration has more than %d values", MaxValues)
	}
	return nil
}
