package main

import "testing"

// TestEveryFaultHasItsPlace holds that the text that a fault replaces is still there.
func TestEveryFaultHasItsPlace(t *testing.T) {
	t.Chdir("../..")
	for _, m := range mutants {
		if _, err := m.changed(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}
