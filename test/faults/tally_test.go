package faults_test

import "sync"

// tally notes which numbers arrived. It is safe for concurrent use.
type tally struct {
	mu     sync.Mutex
	seen   []uint64 // a bit for each number
	unique uint64
}

func (y *tally) note(number uint64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	word, bit := number/64, uint64(1)<<(number%64)
	for uint64(len(y.seen)) <= word {
		y.seen = append(y.seen, make([]uint64, 1024)...)
	}
	if y.seen[word]&bit == 0 {
		y.seen[word] |= bit
		y.unique++
	}
}

// count is how many different numbers arrived.
func (y *tally) count() uint64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.unique
}

// missing are the numbers below sent that did not arrive.
func (y *tally) missing(sent uint64) []uint64 {
	return y.filter(sent, false)
}

// arrived are the numbers that did.
func (y *tally) arrived() []uint64 { return y.filter(1<<63, true) }

// filter are the numbers below the limit that were seen, or were not.
func (y *tally) filter(limit uint64, seen bool) (all []uint64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if seen {
		limit = min(limit, 64*uint64(len(y.seen)))
	}
	for n := range limit {
		word := n / 64
		if was := word < uint64(len(y.seen)) && y.seen[word]&(1<<(n%64)) != 0; was == seen {
			all = append(all, n)
		}
	}
	return all
}
