//go:build !linux

package msgtab

type region struct{}

func span([]byte) region { return region{} }

func adviseHuge([]byte) bool { return false }

func unadviseHuge(region) {}
