package host

import (
	"ramjet/store/msgtab"
)

// The ids of log lines (docs/log-ids.md).
const (
	idStreamFailed   = "RJ-J001"
	idWriteFailed    = "RJ-J002"
	idDamaged        = "RJ-J003"
	idAssetFailed    = "RJ-J004"
	idQuarantined    = "RJ-J005"
	idVolumeFailed   = "RJ-J006"
	idNoSpace        = "RJ-J007"
	idSyncFailed     = "RJ-J008"
	idJournalDamaged = "RJ-J009"
	idConsumerFailed = "RJ-J010"
	idSource         = "RJ-J011"
	idRestore        = "RJ-J012"
)

// flagDrop marks a record of removals by retention: replay repeats it in any case.
const flagDrop uint8 = 1 << 7

// errKnown is the error of a message that the log has already.
var errKnown = msgtab.ErrSequence
