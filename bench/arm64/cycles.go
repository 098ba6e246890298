package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// core is what a core can issue: a lower bound of the time that code takes, with all data in the first-level cache, no
// dependency that waits and no branch that is mispredicted. Loads and stores of several registers count once for each,
// so that they do not look cheaper than they are.
type core struct {
	dispatch, integer, load, store float64 // a cycle
	vector                         [classes]float64
}

// class is a kind of vector instruction, by the cycles for which it keeps the vector pipes busy.
type class int

const (
	simple   class = iota // moves, logic, integer addition, dot products
	float                 // floating-point addition, multiplication and conversion of 128 bits
	multiply              // integer multiplication, accumulation of pairs, narrowing
	permute               // zip, uzp, trn
	lookup                // tbl and tbx, for each register of the table
	divide                // four quotients
	classes
)

// The figures for cortex-a72 are those of LLVM's model of its predecessor, which LLVM uses for it (llvm-mca
// -mcpu=cortex-a72 -instruction-tables). Those for cortex-a76 follow the Software Optimization Guide of the Neoverse N1,
// which has the same pipelines: two of 128 bits for vectors, of which one multiplies integers and converts, and two for
// loads.
var cores = map[string]core{
	"cortex-a72": {dispatch: 3, integer: 2, load: 1, store: 1, vector: [classes]float64{0.5, 1, 1, 1.5, 1.125, 34}},
	"cortex-a76": {dispatch: 4, integer: 3, load: 2, store: 1, vector: [classes]float64{0.5, 0.5, 1, 0.5, 0.5, 10}},
}

// use is what an instruction asks of a core.
type use struct {
	loads, stores int // registers
	vector        bool
	class         class
	times         float64 // the class counts so often
}

// decode classifies an instruction by its encoding (Arm Architecture Reference Manual for A-profile, section C4.1).
func decode(w uint32) use {
	switch {
	case w>>27&1 == 1 && w>>25&1 == 0:
		return decodeMemory(w)
	case w>>25&7 == 7:
		return decodeVector(w)
	}
	return use{}
}

func decodeMemory(w uint32) use {
	n, load := 1, false
	switch {
	case w&0xbf000000 == 0x0c000000: // several structures
		n, load = map[uint32]int{7: 1, 10: 2, 6: 3}[w>>12&15], w>>22&1 == 1
		if n == 0 {
			n = 4
		}
	case w&0xbf000000 == 0x0d000000: // one structure
		load = w>>22&1 == 1
	case w&0x3a000000 == 0x28000000: // pairs
		n, load = 2, w>>22&1 == 1
	case w&0x3b000000 == 0x18000000: // literals
		load = true
	case w&0x3f000000 == 0x08000000: // exclusives, ordered
		load = w>>22&1 == 1
	case w>>26&1 == 1:
		load = w>>22&1 == 1
	default:
		load = w>>22&3 != 0
	}
	if load {
		return use{loads: n}
	}
	return use{stores: n}
}

func decodeVector(w uint32) use {
	u := use{vector: true, times: 1}
	wide := w>>30&1 == 1
	group := w >> 24 & 0x1f
	if w>>31 == 1 || group != 0x0e && group != 0x0f {
		if w&0xff20fc00 == 0x1e201800 {
			u.class, u.times = divide, 0.5
		}
		return u // one value
	}
	arithmetic := func() {
		if u.class = float; !wide {
			u.times = 0.5
		}
	}
	op := w >> 12 & 31
	switch {
	case group == 0x0f && w>>10&1 == 0: // by element
		switch w >> 12 & 15 {
		case 1, 5, 9:
			arithmetic()
		case 14: // dot products
		default:
			u.class = multiply
		}
	case group == 0x0f: // shifts and immediates
	case w&0x9f208400 == 0x0e008400: // dot and matrix products
	case w&0x9f208c00 == 0x0e000800:
		u.class = permute
	case w&0xbfe08c00 == 0x0e000000:
		u.class, u.times = lookup, float64(1+w>>13&3)
	case w&0x9f200400 == 0x0e200400: // three registers of one kind
		switch op := w >> 11 & 31; {
		case op == 31 && w>>29&1 == 1 && w>>23&1 == 0:
			u.class = divide
		case op >= 24:
			arithmetic()
		case op >= 18 && op <= 19:
			u.class = multiply
		}
	case w&0x9f200c00 == 0x0e200000: // long and narrow ones
		if k := w >> 12 & 15; k == 8 || k == 10 || k == 12 {
			u.class = multiply
		}
	case w&0x9f3e0c00 == 0x0e200800: // two registers
		switch {
		case op == 6 || op == 18 || op == 20:
			u.class = multiply
		case op >= 12 && op <= 14 || op >= 24:
			arithmetic()
		}
	}
	return u
}

// cycles is the least number of cycles in which a core issues a block of code, one block behind the other.
func (c *core) cycles(words []uint32) float64 {
	var operations, integer, loads, stores, vector float64
	for _, w := range words {
		u := decode(w)
		operations += float64(max(1, u.loads, u.stores))
		loads += float64(u.loads)
		stores += float64(u.stores)
		switch {
		case u.vector:
			vector += c.vector[u.class] * u.times
		case u.loads+u.stores == 0:
			integer++
		}
	}
	return max(operations/c.dispatch, integer/c.integer, loads/c.load, stores/c.store, vector)
}

// executedCycles adds up the cycles of the blocks in a file of the plugin.
func (c *core) executedCycles(path string) (float64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	sum := 0.0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	var words []uint32
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		words = words[:0]
		var count float64
		for i, s := range fields {
			if i == 0 {
				if count, err = strconv.ParseFloat(s, 64); err != nil {
					return 0, fmt.Errorf("%s: %w", path, err)
				}
				continue
			}
			w, err := strconv.ParseUint(s, 16, 32)
			if err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
			words = append(words, uint32(w))
		}
		sum += count * c.cycles(words)
	}
	return sum, lines.Err()
}
