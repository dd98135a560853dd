// Package trie keeps values by subject pattern and finds those whose pattern matches a subject.
//
// Hot path: [Trie.Match] walks one level per token, at each level the literal child, `*` and `>`;
// the number of nodes visited is bounded by the patterns that agree with the subject so far, and
// nothing is allocated. Small nodes keep their children in a sorted slice, large ones in a map.
//
// Threading: a Trie has one writer at a time and no reader beside it; the owner locks, or is a loop.
package trie
