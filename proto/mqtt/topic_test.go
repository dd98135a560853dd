package mqtt

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"ramjet/proto/subject"
)

func TestTopicToSubject(t *testing.T) {
	for topic, want := range map[string]string{
		"foo": "foo", "foo/bar": "foo.bar", "/foo": "/.foo", "foo/": "foo./", "foo//bar": "foo./.bar", "/": "/./",
		"a.b": "a//b", "/x//y.z/": "/.x./.y//z./", "//": "/././", ".": "//", "a./b": "a//.b", "/.b": "/.//b",
		"foo/+/#": "foo.*.>", "+": "*", "#": ">", "/+": "/.*", "/#": "/.>", "foo/#": "foo.>",
	} {
		got, err := AppendSubject([]byte("x"), []byte(topic), true)
		if err != nil || string(got) != "x"+want {
			t.Errorf("%q: %q, %v; want %q", topic, got[1:], err, want)
		}
	}
	for _, topic := range []string{"a b", "a\tb", "a\r", "a\n", "a\f", "a\x7F"} {
		if _, err := AppendSubject(nil, []byte(topic), true); err != errCharacter {
			t.Errorf("%q: %v", topic, err)
		}
	}
	for _, topic := range []string{"a/+", "#"} {
		if _, err := AppendSubject(nil, []byte(topic), false); err == nil || !strings.Contains(err.Error(), "wildcards not allowed in publish's topic") {
			t.Errorf("%q: %v", topic, err)
		}
	}
	if p, ok := ParentLevel("a.>"); p != "a" || !ok {
		t.Error(p, ok)
	}
	for _, f := range []string{">", "a", "a>", ".>"} {
		if _, ok := ParentLevel(f); ok {
			t.Error(f)
		}
	}
	for f, want := range map[string]bool{"*": true, ">": true, "*.a": true, "a.*": false, "$a": false, "": false} {
		if BeginsWithWildcard(f) != want {
			t.Error(f)
		}
	}
}

// FuzzTopic: a topic without wildcards is a valid literal subject and comes back as it was.
func FuzzTopic(f *testing.F) {
	for _, s := range []string{"a", "/", "//", "a/b", "a.b", "/x//y.z/", "./", "a/.b", "...", "/./", "$a/b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		if topic == "" || !utf8.ValidString(topic) || strings.ContainsAny(topic, "\x00*>") {
			return
		}
		s, err := AppendSubject(nil, []byte(topic), false)
		if err != nil {
			return
		}
		if !subject.ValidLiteral(string(s)) {
			t.Fatalf("%q is subject %q", topic, s)
		}
		back := AppendTopic(nil, s)
		if string(back) != topic || TopicLen(s) != len(topic) {
			t.Fatalf("%q is subject %q is topic %q (%d bytes)", topic, s, back, TopicLen(s))
		}
	})
}

// FuzzSubject: the topic of any subject has the length that was announced.
func FuzzSubject(f *testing.F) {
	f.Add("a./.b//c/")
	f.Fuzz(func(t *testing.T, s string) {
		if n := len(AppendTopic(nil, []byte(s))); n != TopicLen([]byte(s)) {
			t.Fatalf("%q: %d bytes, announced %d", s, n, TopicLen([]byte(s)))
		}
	})
}

func TestSparkplugTopic(t *testing.T) {
	for topic, want := range map[string]Sparkplug{
		"spBv1.0/g/NBIRTH/n":                         {Birth: true},
		"spBv1.0/g/DBIRTH/n/d":                       {Birth: true},
		"spBv1.0/g/NDEATH/n":                         {Death: true},
		"spBv1.0/g/DDEATH/n/d":                       {Death: true},
		"$sparkplug/certificates/spBv1.0/g/NBIRTH/n": {Birth: true, Certificate: true},
		"spBv1.0/g/NDATA/n":                          {}, "spBv1.0/g/NBIRTH": {}, "spBv1.0/g/NBIRTH/a/b/c": {}, "s": {}, "$sparkplug/certificates/x": {}, "": {},
	} {
		if got := SparkplugTopic([]byte(topic)); got != want {
			t.Errorf("%q: %+v", topic, got)
		}
	}
}

func TestDeathTime(t *testing.T) {
	for _, tc := range []struct{ in, want []byte }{
		{[]byte{0x08, 5, 0x12, 1, 'a'}, []byte{0x08, 0xAC, 0x02, 0x12, 1, 'a'}},
		{[]byte{0x12, 1, 'a', 0x08, 5, 0x18, 1}, []byte{0x12, 1, 'a', 0x08, 0xAC, 0x02, 0x18, 1}},
		{[]byte{0x12, 1, 'a'}, []byte{0x12, 1, 'a', 0x08, 0xAC, 0x02}},
		{nil, []byte{0x08, 0xAC, 0x02}},
		{[]byte{0x12, 9, 'a'}, []byte{0x12, 9, 'a'}},
		{[]byte("no protobuf"), []byte("no protobuf")},
	} {
		if got := AppendDeathTime([]byte("x"), tc.in, 300); !bytes.Equal(got[1:], tc.want) {
			t.Errorf("%x: %x, want %x", tc.in, got[1:], tc.want)
		}
	}
}

func FuzzDeathTime(f *testing.F) {
	f.Add([]byte{0x12, 1, 'a', 0x08, 5, 0x18, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		out := AppendDeathTime(nil, in, 300)
		if len(out) > len(in)+3 {
			t.Fatalf("%x grew to %x", in, out)
		}
	})
}
