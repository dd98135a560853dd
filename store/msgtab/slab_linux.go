package msgtab

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20

// region is a range of addresses; it keeps nothing alive.
type region struct{ start, end uintptr }

// span returns the addresses of b, rounded to whole huge pages: the neighbours of b on the first and the last one belong to the
// heap as well, most often to slabs.
func span(b []byte) region {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return region{start &^ (hugePage - 1), (start + uintptr(len(b)) + hugePage - 1) &^ (hugePage - 1)}
}

func (r region) advise(advice int) bool {
	_, _, errno := unix.Syscall(unix.SYS_MADVISE, r.start, r.end-r.start, uintptr(advice))
	return errno == 0
}

// adviseHuge asks for huge pages under b; false if there are none to be had.
func adviseHuge(b []byte) bool { return span(b).advise(unix.MADV_HUGEPAGE) }

// unadviseHuge ends that for addresses that may hold something else by now: it is a hint, so nothing breaks.
func unadviseHuge(r region) { r.advise(unix.MADV_NOHUGEPAGE) }
