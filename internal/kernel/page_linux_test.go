package kernel

import (
	"os"
	"syscall"
	"unsafe"
)

// pageEndBuffer returns a slice that ends where readable memory ends.
func pageEndBuffer(n int) *buffer {
	page := os.Getpagesize()
	size := (4*(n+guardWords)/page + 1) * page
	mem, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	if err := syscall.Mprotect(mem[size:], syscall.PROT_NONE); err != nil {
		panic(err)
	}
	words := unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(mem))), size/4)
	all := words[len(words)-n-guardWords:]
	return newBuffer(all, guardWords, n, func() {
		if err := syscall.Munmap(mem); err != nil {
			panic(err)
		}
	})
}
