//go:build !linux

package kernel

func pageEndBuffer(n int) *buffer { return heapBuffer(n, 1) }
