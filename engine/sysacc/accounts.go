package sysacc

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"ramjet/engine"
	"ramjet/engine/account"
	"ramjet/engine/auth"
	"ramjet/engine/config"
	"ramjet/engine/interest"
	"ramjet/proto/subject"
	"ramjet/proto/sysapi"
)

// accountOf returns the account a request is about: the one named in the subject, or for those asking
// about themselves their own.
func (s *Service) accountOf(r *request) string {
	if r.in != s.p.Accounts.System() {
		return r.in.Name()
	}
	rest, ok := strings.CutPrefix(r.subject, accountPrefix)
	if i := strings.LastIndexByte(rest, '.'); ok && i > 0 && rest[:i] != "PING" {
		return rest[:i]
	}
	return r.in.Name()
}

// accountPage answers a request for page x about an account.
func (s *Service) accountPage(x string) handler {
	p := s.accountPageFunc(x)
	return func(w *worker, r *request) {
		if r.reply == "" || x == "STATZ" && r.in == s.p.Accounts.System() && r.subject == accountPrefix+"PING.STATZ" {
			return // that one has a subscription of its own
		}
		if err := s.filtered(r); err != nil {
			s.answer(w, r, nil, err)
			return
		}
		data, err := p(r)
		s.answer(w, r, data, err)
	}
}

func (s *Service) accountPageFunc(x string) page {
	p := s.p.Pages
	switch x {
	case "SUBSZ":
		return optioned(func(r *request, o *sysapi.SubszOptions) (*sysapi.Subsz, error) {
			o.Account, o.Subscriptions = s.accountOf(r), true
			return p.Subsz(o)
		})
	case "CONNZ":
		return optioned(func(r *request, o *sysapi.ConnzOptions) (*sysapi.Connz, error) {
			// Only the filter by account shows accounts and users; here it is not the asker's.
			show := o.Username || o.User != ""
			o.Account = s.accountOf(r)
			v, err := p.Connz(o)
			if err == nil && !show {
				for _, c := range v.Conns {
					c.AuthorizedUser, c.Account, c.NameTag, c.TLSPeerCerts = "", "", "", nil
					c.JWT, c.IssuerKey, c.Tags = "", "", nil
				}
			}
			return v, err
		})
	case "LEAFZ":
		return optioned(func(r *request, o *sysapi.LeafzOptions) (*sysapi.Leafz, error) {
			o.Account = s.accountOf(r)
			return p.Leafz(o)
		})
	case "JSZ":
		return optioned(func(r *request, o *sysapi.JSzOptions) (*sysapi.AccountDetail, error) {
			o.Account = s.accountOf(r)
			return p.JszAccount(o)
		})
	case "INFO":
		return func(r *request) (any, error) { return p.AccountInfo(s.accountOf(r)) }
	case "STATZ":
		return optioned(func(r *request, o *sysapi.AccountStatzOptions) (*sysapi.AccountStatz, error) {
			o.Accounts = []string{s.accountOf(r)}
			return s.accountStatz(o)
		})
	}
	panic("sysacc: no page " + x)
}

// accountStatz is silent when there is nothing to tell.
func (s *Service) accountStatz(o *sysapi.AccountStatzOptions) (*sysapi.AccountStatz, error) {
	v, err := s.p.Pages.AccountStatz(o)
	if err == nil && len(v.Accounts) == 0 && !o.IncludeUnused {
		return nil, errSilent
	}
	return v, err
}

// allStatz answers about all accounts.
func (s *Service) allStatz(w *worker, r *request) {
	if r.reply == "" {
		return
	}
	err := s.filtered(r)
	var data any
	if err == nil {
		data, err = plainPage(s.accountStatz)(r)
	}
	s.answer(w, r, data, err)
}

// conns answers how many connections an account has here, if it has any; the asker collects answers of
// several servers.
func (s *Service) conns(w *worker, r *request) {
	o := sysapi.AccountRequest{Account: s.accountOf(r)}
	if r.reply == "" || r.decode(&o) != nil || o.Account != s.accountOf(r) {
		return
	}
	if v := s.accountConns(o.Account); v != nil && v.TotalConns > 0 {
		s.events.push(func(w *worker) { s.sendConns(w, v, r.reply) })
	}
}

// userInfo answers who asks.
func (s *Service) userInfo(w *worker, r *request) {
	if r.reply == "" {
		return
	}
	if r.asker == nil || r.asker.Account == nil {
		s.answer(w, r, nil, badBody{errors.New("the requestor is not known")})
		return
	}
	acc := r.asker.Account.Name()
	v := &sysapi.UserInfo{Account: acc, AccountName: r.asker.Account.NameTag()}
	if u := r.asker.User; u != nil {
		v.User, v.UserName = u.Name, u.NameTag
		v.Permissions = permissions(u)
		if !u.Expires.IsZero() {
			v.Expires = max(0, u.Expires.Sub(s.p.Clock.Now())).Truncate(time.Second)
		}
	}
	s.answer(w, r, v, nil)
}

// permissions returns what a user may do, nil when it may do everything.
func permissions(u *auth.User) *sysapi.Permissions {
	if u.Perms == nil {
		return nil
	}
	p := u.Perms.Source()
	if p == nil {
		return nil
	}
	v := &sysapi.Permissions{Publish: subjectPerm(p.Publish), Subscribe: subjectPerm(p.Subscribe)}
	if r := u.Perms.Responses(); r != nil {
		v.Responses = &sysapi.ResponsePermission{MaxMsgs: r.MaxMsgs, Expires: r.Expires}
	}
	return v
}

func subjectPerm(p *config.SubjectPerm) *sysapi.SubjectPermission {
	if p == nil {
		return &sysapi.SubjectPermission{}
	}
	return &sysapi.SubjectPermission{Allow: slices.Clone(p.Allow), Deny: slices.Clone(p.Deny)}
}

// numSubs answers another server's question how many subscriptions match a subject here. An account
// without connections is not answered about.
func (s *Service) numSubs(w *worker, r *request) {
	var o sysapi.NumSubsRequest
	if r.reply == "" || len(r.body) == 0 || r.decode(&o) != nil {
		return
	}
	a := s.p.Accounts.Lookup(o.Account)
	if a == nil {
		return
	}
	if clients, leafs := a.Conns(); clients+leafs > 0 {
		s.answerNumber(w, r, countSubs(a, o.Subject, string(o.Queue)))
	}
}

// subscribers answers how many subscriptions of the asker's account match the subject in the body, optionally of one queue group:
// here and on the other servers.
func (s *Service) subscribers(w *worker, r *request) {
	if r.reply == "" || r.asker == nil || r.asker.Account == nil {
		return
	}
	f := strings.Fields(string(r.body))
	if len(f) == 0 {
		s.answerNumber(w, r, 0)
		return
	}
	queue := ""
	if len(f) > 1 {
		queue = f[1]
	}
	a := r.asker.Account
	s.sumUp(w, r, a, f[0], queue, countSubs(a, f[0], queue))
}

func (s *Service) answerNumber(w *worker, r *request, n int) {
	w.publish(r.in, r.reply, "", nil, json.RawMessage(strconv.Itoa(n)))
}

// countSubs counts the subscriptions of clients to a literal subject, or inside a pattern.
func countSubs(a *account.Account, subj, queue string) (n int) {
	literal := subject.ValidLiteral(subj)
	a.Index().Range(func(sub *interest.Sub) bool {
		if k := sub.Kind(); k != engine.Client && k != engine.Leaf || queue != "" && sub.Queue() != queue {
			return true
		}
		if literal && subject.Match(subj, sub.Subject()) || !literal && subject.IsSubset(sub.Subject(), subj) {
			n++
		}
		return true
	})
	return n
}
