// Package vfs is the only door to the disk: a small file system interface with a real implementation and
// simulated ones that crash, fail, slow down and record.
//
// Path of a durable write:
//
//  1. Create a file, Preallocate it (a full disk shows here, not later).
//  2. WriteV batches into it; SyncData makes them durable.
//  3. Sync after the size changed; SyncDir of the parent before anything relies on the name.
//  4. Replace a small file with WriteAtomic: new file, Sync, Rename, SyncDir.
//
// Threads: an FS may be used by any goroutine. A File has one writer at a time; reads may be concurrent
// with it. Mem and the wrappers have one leaf lock each.
package vfs
