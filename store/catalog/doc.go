// Package catalog knows where the files of accounts, streams and consumers are and keeps their metadata.
//
//		accounts/<account>/<stream>/meta            metadata of a stream, beside its segments and state
//		accounts/<account>/<stream>/consumers/<c>/  metadata and state of a consumer
//		quarantine/<n>-<name>/                      what nobody knows, with a file "reason"
//
//	 1. Create makes an asset under a temporary name, with its metadata and first files, and renames it: it is there completely or not at all.
//	 2. Update replaces the metadata. Delete renames the asset to a tombstone (Hide) and makes that durable and removes it (Clear).
//	 3. Scan finds everything at start, finishes what was interrupted, moves what is unknown to quarantine. An asset whose metadata does not
//	    verify is listed with the reason, its files stay untouched.
//	 4. Check verifies everything without changing anything.
//
// Names are escaped, because accounts and streams may be called what they like. The name in the metadata is the true one.
//
// Threading: all functions block on the disk and may be called by any goroutine, for one asset by one at a time.
package catalog
