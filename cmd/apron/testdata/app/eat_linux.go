package main

import "syscall"

// hugePages is MADV_HUGEPAGE: large pages are taken much quicker where a virtual machine
// gets its memory from the host only when it is used.
const hugePages = 14

// eat fills so many bytes of memory.
func eat(n int) error {
	kept, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return err
	}
	_ = syscall.Madvise(kept, hugePages) // a kernel without them has small ones
	for i := 0; i < n; i += 4096 {       // a page is taken when it is written to
		kept[i] = 1
	}
	return nil
}
