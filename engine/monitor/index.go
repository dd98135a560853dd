package monitor

import (
	"fmt"
	"html"
	"net/http"
	"runtime"
	"strings"
)

const indexHead = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Ramjet</title><style>
body { font-family: system-ui, sans-serif; margin: 2em; color: #223 }
h1 { font-size: 1.3em } small { color: #667; font-weight: normal }
a { display: block; width: max-content; margin: .3em 0; color: #2740a0; text-decoration: none }
a:hover { text-decoration: underline } code { color: #889; margin-left: .5em }
</style></head><body>
`

// index is the page with links to the others.
func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString(indexHead)
	fmt.Fprintf(&b, "<h1>Ramjet <small>%s, NATS %s</small></h1>\n", html.EscapeString(s.src.Name()), html.EscapeString(s.src.Version()))
	for i := range s.pages {
		if p := &s.pages[i]; p.title != "" {
			fmt.Fprintf(&b, "<a href=\".%s\">%s<code>%s</code></a>\n", p.path, p.title, p.path)
		}
	}
	b.WriteString("</body></html>\n")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(b.String()))
}

// HandleStacksz dumps all goroutines. Its name is in the dump: tools recognise the page by it. The content type is
// that of nats-server.
func HandleStacksz(w http.ResponseWriter, _ *http.Request) {
	buf := make([]byte, 64<<10)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) || len(buf) >= 64<<20 {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(buf)
}
