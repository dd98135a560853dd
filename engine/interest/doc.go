// Package interest answers which subscriptions of an account want a published subject.
//
// Hot path of a publish:
//  1. [Cache.Lookup] compares with the last subject of this loop (the memo);
//  2. else hashes the subject once, reads the two generations that can invalidate it, and probes
//     the loop's result cache;
//  3. else asks the [Index]: one probe of a lock-free hash table for the literal subject, and only
//     if the account has wildcards that could match (a bit mask per first token says so) one probe
//     per `prefix.*` and `prefix.>` form, one per shape of patterns with wildcards in the middle (wild.go),
//     and a token trie for what has more shapes than that;
//  4. a result that one probe answers is not cached, as the cache could not be faster; others are
//     cached the second time they are asked for, so that a scan over many subjects evicts nothing.
//
// Nothing on this path allocates, except building a result that is then cached.
//
// A [Ledger] counts the interest of an index by subject, queue group and origin, and tells what begins and
// ends to those who announce it to other servers.
//
// Threading: Index and Sub are for any goroutine; readers take no lock
// (but for patterns in a trie), writers take the leaf lock of one of 64 table shards and, for wildcards, that of
// the first token. A Cache and a SidTable belong to one loop. Results are immutable.
package interest
