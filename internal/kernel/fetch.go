package kernel

import "unsafe"

// Fetch is memory that products bring into the cache while they multiply, where the kernel can: what is read or written
// after them. It has no effect on results. A Fetch is for one goroutine.
type Fetch struct {
	parts [2][2]uintptr // addresses from, to
	n, at int           // parts, and those that are done
}

// Clear forgets all memory.
func (f *Fetch) Clear() { f.n, f.at = 0, 0 }

// AddF32 adds the memory of x, which is fetched after what was added before. There is room for two.
func (f *Fetch) AddF32(x []float32) {
	if len(x) > 0 && f.n < len(f.parts) {
		from := uintptr(unsafe.Pointer(unsafe.SliceData(x)))
		f.parts[f.n] = [2]uintptr{from, from + 4*uintptr(len(x))}
		f.n++
	}
}

// give has tiles fetch.
func (f *Fetch) give(t *tileQ8) {
	if f.at < f.n {
		t.fetch, t.fetchEnd = f.parts[f.at][0], f.parts[f.at][1]
	}
	if f.at+1 < f.n {
		t.then, t.thenEnd = f.parts[f.at+1][0], f.parts[f.at+1][1]
	}
}

// take notes what tiles have fetched.
func (f *Fetch) take(t *tileQ8) {
	if f.at+1 < f.n && t.then == 0 {
		f.parts[f.at][0] = f.parts[f.at][1]
		f.at++
	}
	if f.at < f.n {
		if f.parts[f.at][0] = t.fetch; t.fetch >= t.fetchEnd {
			f.at++
		}
	}
}
