// Package seqset holds sparse sets of sequence numbers: deleted messages, lost messages, anything that is mostly runs.
//
//  1. Sequences are grouped in blocks of 2048. A sorted slice of nodes holds either one block as a bitmap or a
//     run of blocks that are full.
//  2. Add, Remove and Has find their node by binary search, with the node used last as a first guess.
//  3. Questions about ranges (CountRange, NextAbsent, Ranges) use the counts of whole nodes.
//
// Threading: a set belongs to one owner; there is no lock.
package seqset
