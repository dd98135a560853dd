package main

import "strings"

// secretFlags take a secret; urlFlags take URLs that may contain one.
var (
	secretFlags = map[string]bool{"user": true, "pass": true, "auth": true}
	urlFlags    = map[string]bool{"routes": true, "cluster": true, "cluster_listen": true, "r": true, "remote_syslog": true}
)

const redacted = "[REDACTED]"

// redactArgs overwrites secrets in args, which the monitoring port shows at /debug/vars.
func redactArgs(args []string) {
	for i := 1; i < len(args); i++ {
		name, value, inline := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if args[i] == name || !secretFlags[name] && !urlFlags[name] {
			continue
		}
		prefix := strings.TrimSuffix(args[i], value)
		if !inline {
			i++
			if i == len(args) {
				return
			}
			prefix, value = "", args[i]
		}
		if secretFlags[name] {
			value = redacted
		} else {
			value = redactURLs(value)
		}
		args[i] = prefix + value
	}
}

// redactURLs replaces the user part of each URL in a comma separated list.
func redactURLs(list string) string {
	urls := strings.Split(list, ",")
	for i, u := range urls {
		scheme, rest, ok := strings.Cut(u, "://")
		if !ok {
			continue
		}
		authority, path, slash := strings.Cut(rest, "/")
		at := strings.LastIndexByte(authority, '@')
		if at < 0 {
			continue
		}
		urls[i] = scheme + "://" + redacted + authority[at:]
		if slash {
			urls[i] += "/" + path
		}
	}
	return strings.Join(urls, ",")
}
