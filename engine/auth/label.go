package auth

import (
	"strconv"

	"ramjet/engine/account"
)

// redacted is shown in place of a token.
const redacted = "[REDACTED]"

// labelOf is the log suffix `"account/who"`. Quoting keeps control characters of names out of logs.
func labelOf(a *account.Account, who string) string {
	return strconv.Quote(a.Name() + "/" + who)
}

// claimed returns who the connection says it is: name for monitoring, label for logs.
func claimed(at *attempt) (name, label string) {
	c := &at.req.Connect
	switch {
	case c.Nkey != "":
		return c.Nkey, "nkey:" + c.Nkey
	case at.user != "":
		return at.user, "user:" + at.user
	case c.User != "":
		return c.User, "user:" + c.User
	case c.Token != "":
		return redacted, "token"
	}
	return "", ""
}

// failure is the log text of a denied attempt (reference/auth.md, section 1).
func failure(at *attempt) string {
	const text = "authentication error"
	c := &at.req.Connect
	name, _ := claimed(at)
	switch {
	case at.byJWT && at.proven != nil:
		return text + " - JWT User " + strconv.Quote(at.proven.token.user.Subject)
	case name == "":
		return text
	case c.Nkey != "":
		return text + " - Nkey " + strconv.Quote(name)
	case at.user == "" && c.User == "":
		return text + " - Token " + strconv.Quote(name)
	}
	return text + " - User " + strconv.Quote(name)
}
