package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestAppend(t *testing.T) {
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{AppendPing(nil), "PING\r\n"},
		{AppendPong(nil), "PONG\r\n"},
		{AppendOK(nil), "+OK\r\n"},
		{AppendErr(nil, TextMaxPayload), "-ERR 'Maximum Payload Violation'\r\n"},
		{AppendMsgHead(nil, []byte("a"), "1", nil, 0, 0), "MSG a 1 0\r\n"},
		{AppendMsgHead(nil, []byte("a"), "1", []byte("r"), 0, 128), "MSG a 1 r 128\r\n"},
		{AppendMsgHead(nil, []byte("a"), "1", nil, 12, 0), "HMSG a 1 12 12\r\n"},
		{AppendMsgHead([]byte("x"), []byte("a.b"), "sid", []byte("r"), 12, 1048576), "xHMSG a.b sid r 12 1048588\r\n"},
		{AppendErr(nil, PubViolation([]byte(`a"b`))), `-ERR 'Permissions Violation for Publish to "a\"b"'` + "\r\n"},
		{[]byte(ReplyViolation([]byte("_R_.x"))), `Permissions Violation for Publish with Reply of "_R_.x"`},
		{[]byte(SubViolation([]byte("a"), nil)), `Permissions Violation for Subscription to "a"`},
		{[]byte(SubViolation([]byte("a"), []byte("q"))), `Permissions Violation for Subscription to "a" using queue "q"`},
		{[]byte(SubRemoved([]byte("a"), nil, []byte("7"))), `Permissions Violation for Subscription to "a" (sid "7")`},
		{[]byte(SubRemoved([]byte("a"), []byte("q"), []byte("7"))), `Permissions Violation for Subscription to "a" using queue "q" (sid "7")`},
		{[]byte(SubTokens([]byte("a.b"))), `Permissions Violation for Subscription to "a.b", too many tokens`},
	} {
		if string(c.got) != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestMsgHeadSizes(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 99, 100, 101, 110, 999, 1000, 1001, 65536, 999999999, 1 << 40} {
		want := fmt.Sprintf("MSG s 1 %d\r\n", n)
		if got := AppendMsgHead(nil, []byte("s"), "1", nil, 0, n); string(got) != want {
			t.Errorf("got %q, want %q", got, want)
		}
		want = fmt.Sprintf("HMSG s 1 %d %d\r\n", n+1, 2*n+1)
		got := AppendMsgHead(make([]byte, 0, 7), []byte("s"), "1", nil, n+1, n)
		if string(got) != want || len(got) > MsgHeadMax+2 {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestAppendInPlace: with MsgHeadMax free bytes nothing moves.
func TestAppendInPlace(t *testing.T) {
	subject, sid, reply := []byte("orders.new"), "12345", []byte("_INBOX.x")
	buf := make([]byte, 0, MsgHeadMax+len(subject)+len(sid)+len(reply))
	got := AppendMsgHead(buf, subject, sid, reply, 1<<62, 1<<62-1)
	if &got[0] != &buf[:1][0] {
		t.Error("reallocated")
	}
}

func sampleInfo() *Info {
	return &Info{ServerID: strings.Repeat("N", 56), ServerName: "S1", Version: "2.15.2", Proto: 1, Go: "go1.26.8", Host: "127.0.0.1",
		Port: 14991, Headers: true, MaxPayload: 1048576, ClientID: 6, ClientIP: "127.0.0.1", Cluster: "C1", APILevel: 5, XKey: "X1"}
}

// TestInfoSample is the line captured from nats-server (reference/protocol.md, section 17).
func TestInfoSample(t *testing.T) {
	want := `INFO {"server_id":"` + strings.Repeat("N", 56) + `","server_name":"S1","version":"2.15.2","proto":1,"go":"go1.26.8","host":"127.0.0.1","port":14991,"headers":true,"max_payload":1048576,"client_id":6,"client_ip":"127.0.0.1","cluster":"C1","api_lvl":5,"xkey":"X1"} ` + "\r\n"
	if got := string(AppendInfo(nil, sampleInfo())); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestInfoFields sets one field at a time, then all, and compares with encoding/json, whose output is
// what nats-server sends. It notices a field that AppendInfo forgets.
func TestInfoFields(t *testing.T) {
	all := reflect.New(reflect.TypeFor[Info]()).Elem()
	for i := range all.NumField() {
		one := reflect.New(reflect.TypeFor[Info]()).Elem()
		for _, v := range []reflect.Value{one, all} {
			switch f := v.Field(i); f.Kind() {
			case reflect.String:
				f.SetString("v<&>")
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Int, reflect.Int32:
				f.SetInt(-7)
			case reflect.Uint64:
				f.SetUint(1<<64 - 1)
			case reflect.Slice:
				f.Set(reflect.ValueOf([]string{"a:1", "b\"", ""}))
			default:
				t.Fatalf("field kind %v", f.Kind())
			}
		}
		checkInfo(t, one.Interface().(Info))
	}
	checkInfo(t, all.Interface().(Info))
	checkInfo(t, Info{})
}

func checkInfo(t *testing.T, in Info) {
	t.Helper()
	want, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	got := AppendInfo([]byte("x"), &in)
	if string(got) != "xINFO "+string(want)+" \r\n" {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var op Op
	n, _, perr := Next(got[1:], &Limits{MaxControlLine: 1 << 26}, &op)
	if perr != nil || n != len(got)-1 || op.Kind != OpInfo {
		t.Fatalf("does not decode: %v", perr)
	}
	back, err := ParseInfo(op.Arg)
	if err != nil {
		t.Fatal(err)
	}
	// Invalid UTF-8 was replaced by the first encoding; from then on nothing changes.
	again := AppendInfo(nil, &back)
	twice, err := ParseInfo(bytes.TrimPrefix(again, []byte("INFO ")))
	if err != nil || !reflect.DeepEqual(twice, back) {
		t.Errorf("decoded %+v, encoded and decoded %+v, %v", back, twice, err)
	}
}

func TestParseConnect(t *testing.T) {
	def := DefaultConnect()
	with := func(set func(*Connect)) Connect {
		c := def
		set(&c)
		return c
	}
	for _, c := range []struct {
		in   string
		want Connect
		bad  bool
	}{
		{in: "{}", want: def},
		{in: "null", want: def},
		{in: " {} \t", want: def},
		{in: `{"verbose":false}`, want: with(func(c *Connect) { c.Verbose = false })},
		{in: `{"VERBOSE":false}`, want: with(func(c *Connect) { c.Verbose = false })},
		{in: `{"verbose":null}`, want: def},
		{in: `{"verbose":false,"verbose":true}`, want: def},
		{in: `{"unknown":{"a":[1]},"cluster":3}`, want: def},
		{in: `{"pedantic":false,"echo":false,"headers":true,"no_responders":true,"tls_required":true,"protocol":1}`,
			want: with(func(c *Connect) {
				c.Pedantic, c.Echo, c.Headers, c.NoResponders, c.TLSRequired, c.Protocol = false, false, true, true, true, 1
			})},
		{in: `{"auth_token":"t","user":"u","pass":"p","name":"n","lang":"go","version":"1","sig":"s","jwt":"j","nkey":"k","proxy_sig":"x","account":"a","new_account":true}`,
			want: with(func(c *Connect) {
				c.Token, c.User, c.Pass, c.Name, c.Lang, c.Version = "t", "u", "p", "n", "go", "1"
				c.Sig, c.JWT, c.Nkey, c.ProxySig, c.Account, c.NewAccount = "s", "j", "k", "x", "a", true
			})},
		{in: "", bad: true},
		{in: "{bad", bad: true},
		{in: "[]", bad: true},
		{in: "{} x", bad: true},
		{in: `{"verbose":1}`, bad: true},
		{in: `{"lang":1}`, bad: true},
		{in: `{"protocol":"a"}`, bad: true},
		{in: `{"protocol":1.0}`, bad: true},
	} {
		got, err := ParseConnect([]byte(c.in))
		if (err != nil) != c.bad || !c.bad && got != c.want {
			t.Errorf("%s: %+v, %v", c.in, got, err)
		}
	}
}

func TestAppendNoAllocs(t *testing.T) {
	buf := make([]byte, 0, 4096)
	subject, reply := []byte("orders.new"), []byte("_INBOX.1")
	info := sampleInfo()
	info.ConnectURLs = []string{"a:1", "b:2"}
	for name, fn := range map[string]func(){
		"msg":  func() { AppendMsgHead(buf, subject, "1", reply, 0, 128) },
		"hmsg": func() { AppendMsgHead(buf, subject, "1", nil, 12, 1<<20) },
		"err":  func() { AppendErr(buf, TextMaxPayload) },
		"info": func() { AppendInfo(buf, info) },
		"ping": func() { AppendOK(AppendPong(AppendPing(buf))) },
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzInfo(f *testing.F) {
	f.Add("plain", "", uint64(7), true)
	f.Add("<&>\u2028\"\\\b\f\n\r\t\x01\x7f", "\xff\xc3é\u2029😀", uint64(0), false)
	f.Fuzz(func(t *testing.T, a, b string, n uint64, flag bool) {
		checkInfo(t, Info{ServerID: a, ServerName: b, Cluster: b, ConnectURLs: []string{a, b}, ClientID: n, Port: int(n),
			MaxPayload: int32(n), JetStream: flag, Headers: !flag})
	})
}

func FuzzParseConnect(f *testing.F) {
	f.Add([]byte(`{"verbose":false,"protocol":1}`))
	f.Add([]byte(`{"user":"\ud800","pass":null}`))
	f.Fuzz(func(t *testing.T, arg []byte) {
		c, err := ParseConnect(arg)
		if err != nil {
			return
		}
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseConnect(b)
		if err != nil || again != c {
			t.Fatalf("%q: %+v, then %+v, %v", arg, c, again, err)
		}
	})
}

func BenchmarkAppendMsgHead(b *testing.B) {
	buf := make([]byte, 0, 4096)
	subject, reply := []byte("orders.new.eu"), []byte("_INBOX.abcdefghijklmnopqrstuv.1")
	b.Run("128", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			AppendMsgHead(buf, subject, "17", nil, 0, 128)
		}
	})
	b.Run("reply/4096", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			AppendMsgHead(buf, subject, "17", reply, 12, 4096)
		}
	})
}

func BenchmarkAppendInfo(b *testing.B) {
	buf := make([]byte, 0, 4096)
	in := sampleInfo()
	b.ReportAllocs()
	for b.Loop() {
		AppendInfo(buf, in)
	}
}
