package jstest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"ramjet/proto/jsapi"
)

// Recorded is a step of a file of recorded answers (js/api/testdata/answers.txt tells its form).
type Recorded struct {
	Line                           int
	Kind                           string // ">" a request, "store" a message for a stream, "listen" a subscription
	Account, Header, Subject, Body string // Header is a line "key: value", Subject of a request the rest after $JS.API.
	Answer, AnswerHeader           string // of a request: "" no answer; the key of a header that it has
}

// String names the step in a failure.
func (r *Recorded) String() string {
	return fmt.Sprintf("line %d: %s %s %s %s %s", r.Line, r.Kind, r.Account, r.Header, r.Subject, r.Body)
}

// HeaderBlock returns the header of the step as a block, nil for none.
func (r *Recorded) HeaderBlock() []byte {
	if r.Header == "" {
		return nil
	}
	return []byte("NATS/1.0\r\n" + r.Header + "\r\n\r\n")
}

// ParseAnswers reads the text of a file of recorded answers.
func ParseAnswers(text string) (all []*Recorded, err error) {
	in := bufio.NewScanner(strings.NewReader(text))
	in.Buffer(nil, 1<<20)
	for n := 1; in.Scan(); n++ {
		kind, rest, _ := strings.Cut(in.Text(), " ")
		switch kind {
		case "", "#":
		case ">", "store", "listen":
			r := &Recorded{Line: n, Kind: kind}
			r.Account, rest, _ = strings.Cut(rest, " ")
			if strings.HasPrefix(rest, "[") {
				r.Header, rest, _ = strings.Cut(rest[1:], "] ")
			}
			r.Subject, r.Body, _ = strings.Cut(rest, " ")
			all = append(all, r)
		case "<":
			r := all[len(all)-1]
			if rest == "none" {
				continue
			}
			if strings.HasPrefix(rest, "[") {
				r.AnswerHeader, rest, _ = strings.Cut(rest[1:], "] ")
			}
			r.Answer = rest
		default:
			return nil, fmt.Errorf("line %d: %s", n, in.Text())
		}
	}
	return all, in.Err()
}

// CompareAnswer returns how an answer differs from the recorded one, "" if it does not: field by field, but for times, generated
// names and sizes, which only have to be there.
func CompareAnswer(got, want string) string {
	g, w := answerShape(got), answerShape(want)
	if reflect.DeepEqual(g, w) {
		return ""
	}
	return "got  " + showShape(g) + "\n want " + showShape(w)
}

func showShape(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}

func answerShape(s string) any {
	if s == "" {
		return "no answer"
	}
	var v any
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		return err.Error() + ": " + s
	}
	return plainShape("", v)
}

var generatedName = regexp.MustCompile(`^(.*-)?[0-9A-Za-z]{8}$`)

func plainShape(key string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = plainShape(k, e)
		}
	case []any:
		for i, e := range v {
			v[i] = plainShape(key, e)
		}
	case string:
		switch key {
		case "created", "ts", "first_ts", "last_ts", "time":
			if v != "0001-01-01T00:00:00Z" {
				return "some time"
			}
		case "name":
			return generatedName.ReplaceAllString(v, "${1}generated")
		case "deliver_subject":
			if strings.HasPrefix(v, jsapi.RestorePrefix) {
				return v[:strings.LastIndexByte(v, '.')]
			}
		}
	case float64:
		if (key == "pause_remaining" || key == "bytes") && v > 0 {
			return "some"
		}
	}
	return v
}
